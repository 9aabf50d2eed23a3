import Foundation
import MeshCore
import Testing

@testable import Tracer

// Environment light: the pdf is the density of the samples, and sampling is unbiased.

@Suite("Environment light")
struct ShadingEnvironmentTests {
    /// Noise with a small sun, a black band, and odd sizes.
    private func environment(_ width: Int = 37, _ height: Int = 18) -> Tracer.Environment {
        var random = RandomNumbers(seed: 3)
        var pixels = (0..<3 * width * height).map { _ in Float(random.unit()) }
        for x in 0..<width {
            for row in [6, 7, 8] {
                for channel in 0..<3 { pixels[3 * (row * width + x) + channel] = 0 }
            }
        }
        for channel in 0..<3 { pixels[3 * (4 * width + 30) + channel] = 4_000 }
        return Tracer.Environment(width: width, height: height, pixels: pixels)
    }

    private func direction(u: Float8, v: Float8) -> Vector8 {
        let azimuth = IEEEMath.sineCosine(turns: u - 0.5)
        let polar = IEEEMath.sineCosine(turns: v * 0.5)
        return Vector8(polar.sine * azimuth.sine, polar.cosine, -(polar.sine * azimuth.cosine))
    }

    /// Integrals over the sphere by midpoints of a grid 8 times finer than the image.
    private func integrate(
        _ width: Int, _ height: Int, _ function: (Vector8) -> Float8
    ) -> Double {
        let columns = width * 8
        let rows = height * 8
        var sum = 0.0
        for row in 0..<rows {
            let v = (Float(row) + 0.5) / Float(rows)
            let solidAngle = sin(Double(v) * Double.pi) * 2 * Double.pi * Double.pi
            for column in stride(from: 0, to: columns, by: 8) {
                let lanes = Float8(0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
                let u = (lanes + Float(column)) / Float(columns)
                let values = function(direction(u: u, v: Float8(repeating: v)))
                for lane in 0..<8 { sum += Double(values[lane]) * solidAngle }
            }
        }
        return sum / Double(rows * columns)
    }

    @Test("The pdf integrates to one, and is positive wherever light comes from")
    func pdf() throws {
        let light = try EnvironmentLight(environment())
        let view = light.view
        let sum = integrate(37, 18) { view.pdf($0) }
        #expect(abs(sum - 1) < 2e-3, "\(sum)")
        var random = RandomLanes(seed: 2)
        for _ in 0..<2_000 {
            let (radiance, pdf) = view.evaluate(random.direction())
            #expect(((radiance.luminance .> 0) .& (pdf .<= 0)).isEmpty)
        }
    }

    @Test("Samples carry the radiance and pdf of their direction")
    func consistency() throws {
        let light = try EnvironmentLight(environment())
        let view = light.view
        var random = RandomLanes(seed: 4)
        var mismatches = 0
        for _ in 0..<1_000 {
            let sample = view.sample(random.unit(), random.unit())
            let (radiance, pdf) = view.evaluate(sample.direction)
            for lane in 0..<8 {
                #expect(sample.pdf[lane] > 0)
                let difference = radiance.x[lane] - sample.radiance.x[lane]
                #expect(abs(difference) <= 2e-3 * (1 + sample.radiance.x[lane]))
                // At a texel's edge rounding may look up the neighbour's pdf.
                if abs(pdf[lane] - sample.pdf[lane]) > 1e-3 * sample.pdf[lane] {
                    mismatches += 1
                }
            }
            #expect(magnitude(sample.direction.lengthSquared - 1).max() < 1e-5)
        }
        #expect(mismatches < 8, "\(mismatches)")
    }

    @Test("Estimates by sampling agree with quadrature, and with little noise")
    func unbiased() throws {
        let light = try EnvironmentLight(environment())
        let view = light.view
        // Another function than the radiance too, so that the density itself is tested.
        let power = integrate(37, 18) { view.radiance($0).y }
        let weighted = integrate(37, 18) { view.radiance($0).y * ($0.y * $0.x + 1) }
        var random = RandomLanes(seed: 5)
        var sums = (0.0, 0.0)
        let rounds = 8_000
        for _ in 0..<rounds {
            let sample = view.sample(random.unit(), random.unit())
            let ratio = sample.radiance.y / sample.pdf
            let tilt = sample.direction.y * sample.direction.x + 1
            sums.0 += Double(ratio.sum())
            sums.1 += Double((ratio * tilt).sum())
        }
        #expect(abs(sums.0 / Double(8 * rounds) / power - 1) < 0.01)
        #expect(abs(sums.1 / Double(8 * rounds) / weighted - 1) < 0.01)
        let mean = integrate(37, 18) { view.radiance($0).luminance } / (4 * Double.pi)
        #expect(abs(Double(light.meanLuminance) / mean - 1) < 0.02)
    }

    @Test("Guided inversion finds what a search through the whole table finds")
    func inversion() {
        var random = RandomNumbers(seed: 8)
        for count in [1, 2, 3, 37, 64, 1_000] {
            // Shares from nothing to nearly all, and runs of empty intervals.
            let weights = (0..<count).map { _ in
                random.below(3) == 0 ? 0 : pow(random.unit(), 20) + 1e-6
            }
            let total = max(weights.reduce(0, +), 1e-9)
            var table: [Float] = [0]
            var running = 0.0
            for weight in weights {
                running += weight
                table.append(Float(running / total))
            }
            table[count] = 1
            let cells = GuidedInversion.cells(for: count)
            var guide = [Int32](repeating: 0, count: cells + 1)
            for round in 0..<200 {
                var u = Float8(repeating: 0)
                for lane in 0..<8 { u[lane] = Float(random.below(1 << 24)) * 0x1p-24 }
                if round == 0 { u[0] = 0 }
                if round == 0 { u[1] = 0x1.fffffep-1 }
                let found = guide.withUnsafeMutableBufferPointer { guide in
                    table.withUnsafeBufferPointer { table in
                        guard let entries = table.baseAddress, let start = guide.baseAddress
                        else { return Int32x8(repeating: -1) }
                        GuidedInversion.fill(start, table: entries, count: count)
                        let zero = Int32x8(repeating: 0)
                        return GuidedInversion.invert(
                            entries, base: zero, guide: start, guideBase: zero,
                            cells: Int32(cells), u
                        ).index
                    }
                }
                for lane in 0..<8 {
                    let expected = table[..<count].lastIndex { $0 <= u[lane] }
                    #expect(Int(found[lane]) == expected, "\(count) \(u[lane])")
                }
            }
        }
    }

    @Test("Directions are mapped as the scene description says")
    func mapping() throws {
        // 8 × 4 texels of which one is lit; its middle is where the formula puts it.
        for (x, y) in [(0, 0), (5, 1), (4, 2), (7, 3)] {
            var pixels = [Float](repeating: 0, count: 96)
            for channel in 0..<3 { pixels[3 * (y * 8 + x) + channel] = 1 }
            let light = try EnvironmentLight(
                Tracer.Environment(width: 8, height: 4, pixels: pixels))
            let u = (Double(x) + 0.5) / 8
            let v = (Double(y) + 0.5) / 4
            let azimuth = (u - 0.5) * 2 * Double.pi
            let polar = v * Double.pi
            let direction = Vector8(repeating: [
                Float(sin(polar) * sin(azimuth)), Float(cos(polar)),
                Float(-sin(polar) * cos(azimuth)),
            ])
            #expect(abs(light.view.radiance(direction).x[0] - 1) < 1e-4)
            #expect(light.view.pdf(direction)[0] > 0)
        }
    }

    @Test("A constant environment is sampled evenly over the sphere")
    func constant() throws {
        let light = try EnvironmentLight(
            Tracer.Environment(width: 1, height: 1, pixels: [0.5, 1, 2]))
        #expect(light.isConstant)
        var random = RandomLanes(seed: 6)
        var mean = SIMD3<Float>(0, 0, 0)
        var squares = SIMD3<Float>(0, 0, 0)
        for _ in 0..<2_000 {
            let sample = light.view.sample(random.unit(), random.unit())
            for lane in 0..<8 {
                mean += sample.direction[lane] / 16_000
                squares += sample.direction[lane] * sample.direction[lane] / 16_000
            }
            #expect(sample.radiance[3] == [0.5, 1, 2])
            #expect(sample.pdf == light.view.pdf(sample.direction))
            #expect(abs(sample.pdf[0] - 0.079_577_47) < 1e-7)
        }
        for axis in 0..<3 {
            #expect(abs(mean[axis]) < 0.02 && abs(squares[axis] - 1.0 / 3) < 0.01)
        }
    }

    @Test("Black environments are never sampled; impossible values are cut")
    func oddPixels() throws {
        let black = try EnvironmentLight(
            Tracer.Environment(width: 2, height: 2, pixels: .init(repeating: 0, count: 12)))
        var random = RandomLanes(seed: 1)
        #expect(black.view.sample(random.unit(), random.unit()).pdf == .init(repeating: 0))
        #expect(black.view.pdf(random.direction()) == .init(repeating: 0))
        let odd = try EnvironmentLight(
            Tracer.Environment(
                width: 2, height: 2,
                pixels: [.nan, -1, .infinity, 1, 1, 1, 0, 0, 0, 2, 2, 2]))
        for _ in 0..<100 {
            let radiance = odd.view.radiance(random.direction())
            #expect(radiance.luminance.min() >= 0)
            #expect(radiance.largest.max() <= EnvironmentLight.radianceMax)
        }
        #expect(throws: SceneError.self) {
            try EnvironmentLight(
                Tracer.Environment(width: 2, height: 3, pixels: [1, 2, 3]))
        }
    }
}
