import Foundation
import Testing

@testable import Tracer

// Scattering: samples follow their pdf, energy is kept, and light can be reversed.

@Suite("Scattering")
struct ShadingScatteringTests {
    struct Lobe: CustomTestStringConvertible, Sendable {
        var metallic: Float
        var roughness: Float
        var specular: Float = 1
        var cosine: Float
        var color: SIMD3<Float> = [0.8, 0.5, 0.2]
        var testDescription: String {
            "metallic \(metallic) roughness \(roughness) specular \(specular) cosine \(cosine)"
        }

        func scattering(outgoing: Vector8? = nil) -> Scattering8 {
            let normal = Vector8(repeating: [0, 0, 1])
            return Scattering8(
                surface: Surface8(
                    baseColor: Vector8(repeating: color), metallic: .init(repeating: metallic),
                    roughness: .init(repeating: roughness),
                    specular: .init(repeating: specular)),
                normal: normal, geometricNormal: normal,
                outgoing: outgoing ?? .tilted(cosine: cosine, turns: 0.1), albedo: .shared)
        }
    }

    static let lobes: [Lobe] = [
        Lobe(metallic: 1, roughness: 0.3, cosine: 0.9),
        Lobe(metallic: 1, roughness: 0.6, cosine: 0.3),
        Lobe(metallic: 1, roughness: 1, cosine: 0.1),
        Lobe(metallic: 0, roughness: 0.4, cosine: 0.7),
        Lobe(metallic: 0, roughness: 0.8, cosine: 0.15),
        Lobe(metallic: 0.5, roughness: 0.5, cosine: 0.5),
        Lobe(metallic: 0, roughness: 0.7, specular: 0, cosine: 0.5),
    ]

    private static let columns = 32
    private static let rows = 16

    /// The integral of the pdf over the boxes of a grid (cosine of the polar angle × azimuth) of
    /// the upper hemisphere, by midpoints.
    private func expectedShares(_ scattering: Scattering8) -> [Double] {
        let fine = 16
        var shares = [Double](repeating: 0, count: Self.columns * Self.rows)
        let fineColumns = Self.columns * fine
        let fineRows = Self.rows * fine
        let cell = 2 * Double.pi / Double(fineColumns * fineRows)
        for row in 0..<fineRows {
            let cosine = (Float(row) + 0.5) / Float(fineRows)
            for column in stride(from: 0, to: fineColumns, by: 8) {
                let lanes = Float8(0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
                let turns = (lanes + Float(column)) / Float(fineColumns)
                let azimuth = IEEEMath.sineCosine(turns: turns)
                let sine = (1 - cosine * cosine).squareRoot()
                let incoming = Vector8(
                    azimuth.cosine * sine, azimuth.sine * sine, Float8(repeating: cosine))
                let pdf = scattering.evaluate(incoming).pdf
                let box = row / fine * Self.columns + column / fine
                for lane in 0..<8 { shares[box] += Double(pdf[lane]) * cell }
            }
        }
        return shares
    }

    @Test("Sampled directions follow the pdf (chi-square)", arguments: lobes)
    func chiSquare(lobe: Lobe) {
        let scattering = lobe.scattering()
        var random = RandomLanes(seed: 42)
        var counts = [Double](repeating: 0, count: Self.columns * Self.rows)
        let rounds = 10_000
        for _ in 0..<rounds {
            let sample = scattering.sample(random.unit(), random.unit())
            for lane in 0..<8 where sample.pdf[lane] > 0 {
                let d = sample.incoming[lane]
                let turns =
                    IEEEMath.atan2(.init(repeating: d.y), .init(repeating: d.x))[0]
                    / (2 * IEEEMath.pi)
                let column = Int((turns < 0 ? turns + 1 : turns) * Float(Self.columns))
                let row = min(Int(d.z * Float(Self.rows)), Self.rows - 1)
                counts[row * Self.columns + min(column, Self.columns - 1)] += 1
            }
        }
        let shares = expectedShares(scattering)
        let total = Double(8 * rounds)
        // Boxes that expect less than five samples are taken together.
        var chiSquare = 0.0
        var degrees = 0.0
        var restCount = 0.0
        var restShare = 0.0
        for (count, share) in zip(counts, shares) {
            if share * total < 5 {
                restCount += count
                restShare += share
            } else {
                let difference = count - share * total
                chiSquare += difference * difference / (share * total)
                degrees += 1
            }
        }
        if restShare * total >= 5 {
            let difference = restCount - restShare * total
            chiSquare += difference * difference / (restShare * total)
            degrees += 1
        }
        // Five deviations, √(2·degrees) each, above the mean.
        #expect(chiSquare < degrees + 5 * (2 * degrees).squareRoot(), "\(degrees) degrees")
        // What is not lost below the surface is all of the pdf.
        let kept = counts.reduce(0, +) / total
        #expect(abs(kept - shares.reduce(0, +)) < 0.01)
    }

    @Test("Without loss below the surface the pdf integrates to one")
    func pdfIntegral() {
        for lobe in [
            Lobe(metallic: 1, roughness: 0.3, cosine: 0.9),
            Lobe(metallic: 0, roughness: 0.4, cosine: 0.95),
            Lobe(metallic: 0, roughness: 0.4, specular: 0, cosine: 0.2),
        ] {
            let sum = expectedShares(lobe.scattering()).reduce(0, +)
            #expect(abs(sum - 1) < 0.01, "\(lobe.testDescription)")
        }
    }

    @Test("Weights are value over pdf", arguments: lobes)
    func weights(lobe: Lobe) {
        let scattering = lobe.scattering()
        var random = RandomLanes(seed: 8)
        for _ in 0..<200 {
            let sample = scattering.sample(random.unit(), random.unit())
            let (value, pdf) = scattering.evaluate(sample.incoming)
            for lane in 0..<8 {
                #expect(pdf[lane] == sample.pdf[lane])
                guard pdf[lane] > 0 else {
                    #expect(sample.weight[lane] == .zero)
                    continue
                }
                let expected = value[lane] / pdf[lane]
                let error = sample.weight[lane] - expected
                #expect((error * error).sum() < 1e-8 * (1 + (expected * expected).sum()))
            }
        }
    }

    @Test("Light can be reversed: f(a, b) = f(b, a)")
    func reciprocity() {
        var random = RandomLanes(seed: 77)
        for lobe in Self.lobes {
            for _ in 0..<50 {
                var a = random.direction()
                var b = random.direction()
                a.z = magnitude(a.z) * 0.95 + 0.05
                b.z = magnitude(b.z) * 0.95 + 0.05
                a = a.normalised
                b = b.normalised
                let ab = lobe.scattering(outgoing: a).evaluate(b).value
                let ba = lobe.scattering(outgoing: b).evaluate(a).value
                for lane in 0..<8 {
                    let forward = ab[lane] / b.z[lane]
                    let backward = ba[lane] / a.z[lane]
                    let largest = max(forward.max(), backward.max(), 1e-3)
                    let difference = forward - backward
                    #expect((difference * difference).sum().squareRoot() < 2e-4 * largest)
                }
            }
        }
    }

    /// The share of light from everywhere that leaves towards the viewer, red channel.
    private func reflected(_ lobe: Lobe, rounds: Int = 2_048) -> Double {
        let scattering = lobe.scattering()
        var sum = 0.0
        for round in 0..<UInt32(rounds) {
            let sample = UInt32x8(0, 1, 2, 3, 4, 5, 6, 7) &+ round &* 8
            let sequence = PixelSequence8(pixel: .init(repeating: 1), sample: sample, seed: 0)
            let (u, v) = sequence.pair(0)
            sum += Double(scattering.sample(u, v).weight.x.sum())
        }
        return sum / Double(8 * rounds)
    }

    @Test(
        "A white dielectric reflects what it receives",
        arguments: [0, 0.1, 0.3, 0.6, 1], [0.05, 0.2, 0.6, 1] as [Float])
    func whiteDielectric(roughness: Double, cosine: Float) {
        for specular: Float in [1, 0.5, 0] {
            let albedo = reflected(
                Lobe(
                    metallic: 0, roughness: Float(roughness), specular: specular,
                    cosine: cosine, color: [1, 1, 1]))
            #expect(abs(albedo - 1) < 0.005, "specular \(specular): \(albedo)")
        }
    }

    /// The albedo of single scattering with a reflectance of one, in double precision by
    /// midpoints over the hemisphere: D·G₂ / 4cos(out), from the textbook's formulas.
    private func singleScattering(roughness: Double, cosine: Double) -> Double {
        let alphaSquared = roughness * roughness * roughness * roughness
        func lambda(_ c: Double) -> Double {
            ((1 + alphaSquared * (1 / (c * c) - 1)).squareRoot() - 1) / 2
        }
        let steps = 400
        let out = (x: (1 - cosine * cosine).squareRoot(), z: cosine)
        var sum = 0.0
        for row in 0..<steps {
            let z = (Double(row) + 0.5) / Double(steps)
            let sine = (1 - z * z).squareRoot()
            let masking = 1 / (1 + lambda(z) + lambda(cosine))
            for column in 0..<steps {
                // Half the azimuths: the other half mirrors them.
                let angle = (Double(column) + 0.5) / Double(steps) * Double.pi
                let h = (
                    x: sine * cos(angle) + out.x, y: sine * sin(angle), z: z + out.z
                )
                let cosineHalf = h.z / (h.x * h.x + h.y * h.y + h.z * h.z).squareRoot()
                let t = cosineHalf * cosineHalf * (alphaSquared - 1) + 1
                sum += alphaSquared / (Double.pi * t * t) * masking / (4 * cosine)
            }
        }
        return sum * 2 * Double.pi / Double(steps * steps)
    }

    @Test(
        "A white metal reflects exactly what single scattering reflects",
        arguments: [0.45, 0.7, 1], [0.1, 0.4, 1])
    func whiteMetal(roughness: Double, cosine: Double) {
        let albedo = reflected(
            Lobe(
                metallic: 1, roughness: Float(roughness), cosine: Float(cosine),
                color: [1, 1, 1]))
        let expected = singleScattering(roughness: roughness, cosine: cosine)
        #expect(abs(albedo - expected) < 0.004, "\(albedo) \(expected)")
        #expect(albedo < 1)
    }

    @Test("A smooth white metal reflects nearly everything", arguments: [0.3, 0.7, 1])
    func smoothMetal(cosine: Double) {
        for roughness: Float in [0, 0.05, 0.2] {
            let albedo = reflected(
                Lobe(
                    metallic: 1, roughness: roughness, cosine: Float(cosine),
                    color: [1, 1, 1]))
            #expect(albedo > 0.98 && albedo < 1.001, "\(roughness): \(albedo)")
        }
    }

    @Test("No light and no sample passes below the triangle")
    func belowGeometry() {
        let shading = Vector8.tilted(cosine: 0.7)
        let geometric = Vector8(repeating: [0, 0, 1])
        let outgoing = Vector8.tilted(cosine: 0.6, turns: 0.2)
        let scattering = Scattering8(
            surface: Surface8(
                baseColor: .init(repeating: [1, 1, 1]), metallic: .init(repeating: 0),
                roughness: .init(repeating: 0.5), specular: .init(repeating: 1)),
            normal: shading, geometricNormal: geometric, outgoing: outgoing, albedo: .shared)
        var random = RandomLanes(seed: 9)
        var lost = 0
        for _ in 0..<200 {
            let sample = scattering.sample(random.unit(), random.unit())
            for lane in 0..<8 where sample.incoming.z[lane] <= 0 {
                lost += 1
                #expect(sample.weight[lane] == .zero && sample.pdf[lane] == 0)
            }
        }
        #expect(lost > 10)
        let below = Vector8(repeating: [0.6, 0, -0.01])
        #expect(scattering.evaluate(below.normalised).pdf == Float8(repeating: 0))
    }

    @Test("Without specular layer the general path gives the Lambertian path's bits")
    func lambertBits() {
        var random = RandomLanes(seed: 10)
        for _ in 0..<100 {
            let geometric = random.direction()
            let outgoing = random.direction()
            let (normal, facing) = Surface8.orient(
                shading: geometric, geometric: geometric, outgoing: outgoing)
            let albedo = Vector8(random.unit(), random.unit(), random.unit())
            let general = Scattering8(
                surface: Surface8(
                    baseColor: albedo, metallic: .init(repeating: 0), roughness: random.unit(),
                    specular: .init(repeating: 0)),
                normal: normal, geometricNormal: facing, outgoing: outgoing, albedo: .shared)
            let plain = Lambert8(albedo: albedo, normal: normal, geometricNormal: facing)
            let incoming = random.direction()
            #expect(general.evaluate(incoming).pdf == plain.evaluate(incoming).pdf)
            let values = (general.evaluate(incoming).value, plain.evaluate(incoming).value)
            #expect(values.0.x == values.1.x && values.0.z == values.1.z)
            let u = random.unit()
            let v = random.unit()
            let (a, b) = (general.sample(u, v), plain.sample(u, v))
            #expect(a.incoming.x == b.incoming.x && a.incoming.y == b.incoming.y)
            #expect(a.weight.x == b.weight.x && a.weight.y == b.weight.y && a.pdf == b.pdf)
        }
    }

    @Test("Normals are turned to the viewer and bent when they look away")
    func orientation() {
        var random = RandomLanes(seed: 12)
        for _ in 0..<100 {
            let outgoing = random.direction()
            let (shading, geometric) = Surface8.orient(
                shading: random.direction(), geometric: random.direction(), outgoing: outgoing)
            #expect(dot(shading, outgoing).min() > 0)
            #expect(dot(geometric, outgoing).min() >= 0)
            #expect(magnitude(shading.lengthSquared - 1).max() < 1e-5)
        }
    }

    @Test("A fully rough dielectric is read as Lambertian, any other with a layer")
    func lambertianRule() {
        var material = Material()
        material.metallic = 0
        #expect(material.isLambertian && material.effectiveSpecular == 0)
        material.baseColorTexture = TextureReference(image: 0)
        #expect(material.isLambertian)
        material.metallicRoughnessTexture = TextureReference(image: 0)
        #expect(!material.isLambertian && material.effectiveSpecular == 1)
        material.specular = 0
        #expect(material.isLambertian)
        material = Material()
        #expect(!material.isLambertian)
        material.metallic = 0
        material.roughness = 0.99
        #expect(!material.isLambertian)
    }
}
