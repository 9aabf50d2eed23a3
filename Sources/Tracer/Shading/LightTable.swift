// All light sources of a scene, chosen by power: emissive triangles, punctual lights, environment.
//
// API: `LightTable(triangles:punctual:environment:sceneRadius:)`; on `table.view`, for next-event
// estimation, `sample(from:bits:v)` with one `PixelSequence8.pairBits`; for paths that hit a
// light, `trianglePdf(light, distanceSquared, cosine)` and `environmentPdf(direction)`, which are
// the pdfs that `sample` would have had. Lights are numbered: triangles in the order given, then
// punctual lights; the environment is ``LightView/environmentIndex``.

/// A triangle that emits light, in the world.
struct EmissiveTriangle: Sendable {
    /// A vertex, and the edges from it to the next and the one after; the front is where they
    /// turn counter-clockwise.
    var vertex: SIMD3<Float>
    var edge1: SIMD3<Float>
    var edge2: SIMD3<Float>
    /// Linear radiance, textures averaged: decides how often the triangle is chosen.
    var radiance: SIMD3<Float>
    /// Emits from the back as well.
    var isDoubleSided: Bool
}

/// Eight points on lights as seen from eight points.
struct LightSample8: Sendable {
    /// Towards the light, unit length, world.
    var direction: Vector8
    /// Metres; infinite for directional lights and the environment.
    var distance: Float8
    /// What arrives from there if nothing is between; zero where the light doesn't shine to.
    var radiance: Vector8
    /// Per steradian, with the probability of choosing the light; for punctual lights this
    /// probability alone. Zero where `radiance` is.
    var pdf: Float8
    /// Punctual lights: no path hits them, so that their weight in MIS is one.
    var isPunctual: Mask8
    /// The light's number.
    var light: Int32x8
    /// On a triangle: the weights of the second and third vertex, for textures.
    var barycentric1: Float8
    var barycentric2: Float8
}

/// Owns the tables: 76 bytes a triangle.
final class LightTable: @unchecked Sendable {
    // Unchecked because of the pointer: its memory is written by `init` only.

    static let recordStride = 16
    let triangleCount: Int
    let punctualCount: Int
    /// The probability with which the environment is chosen.
    let environmentProbability: Float
    /// Nothing shines: there is nothing to sample.
    let isEmpty: Bool
    private let records: UnsafeMutablePointer<Float>
    private let choice: AliasTable
    private let environment: EnvironmentLight?

    /// - Parameters:
    ///   - sceneRadius: of a sphere around the scene, metres: what the environment and
    ///     directional lights shine on.
    /// - Precondition: fewer than 2²⁶ lights.
    init(
        triangles: [EmissiveTriangle], punctual: [PunctualLight],
        environment: EnvironmentLight?, sceneRadius: Float
    ) {
        triangleCount = triangles.count
        punctualCount = punctual.count
        self.environment = environment
        let count = max(triangles.count + punctual.count, 1)
        precondition(count < 1 << 26)
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: count * Self.recordStride)
        memory.update(repeating: 0, count: count * Self.recordStride)
        var power = [Double](repeating: 0, count: count)
        var record = memory
        for (index, triangle) in triangles.enumerated() {
            power[index] = Self.write(triangle, to: record)
            record += Self.recordStride
        }
        let radius = sceneRadius.isFinite ? Double(sceneRadius) : 1
        let disc = radius * radius * Double(IEEEMath.pi)
        for (index, light) in punctual.enumerated() {
            power[triangles.count + index] = Self.write(light, to: record, disc: disc)
            record += Self.recordStride
        }
        records = memory
        // Lights whose numbers make no sense are never chosen.
        power = power.map { $0 > 0 && $0.isFinite ? $0 : 0 }
        choice = AliasTable(weights: power)
        let total = power.reduce(0, +)
        let sky = Double(environment?.meanLuminance ?? 0) * 4 * Double(IEEEMath.pi) * disc
        isEmpty = total <= 0 && sky <= 0
        // Powers say little about what reaches a surface: each side gets a fifth at least.
        environmentProbability =
            sky <= 0 ? 0 : total <= 0 ? 1 : Float(min(max(sky / (sky + total), 0.2), 0.8))
    }

    deinit { records.deallocate() }

    /// What the shading stage holds: valid while the table lives.
    var view: LightView {
        LightView(
            records: records, choice: choice.view, environment: environment?.view,
            environmentProbability: environmentProbability, triangleCount: Int32(triangleCount),
            punctualCount: Int32(punctualCount))
    }

    private static func luminance(_ color: SIMD3<Float>) -> Double {
        let value = Double(color.x * 0.2126 + color.y * 0.7152 + color.z * 0.0722)
        return value > 0 && value.isFinite ? value : 0
    }

    /// Vertex, edges, normal, radiance, and the reciprocal area, negative for double-sided ones.
    /// Returns the power.
    private static func write(
        _ triangle: EmissiveTriangle, to record: UnsafeMutablePointer<Float>
    ) -> Double {
        let a = triangle.edge1
        let b = triangle.edge2
        let normal = SIMD3(
            a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
        let twiceArea = (normal * normal).sum().squareRoot()
        guard twiceArea > 0, twiceArea.isFinite else { return 0 }
        for axis in 0..<3 {
            record[axis] = triangle.vertex[axis]
            record[3 + axis] = a[axis]
            record[6 + axis] = b[axis]
            record[9 + axis] = normal[axis] / twiceArea
            record[12 + axis] = triangle.radiance[axis]
        }
        record[15] = (triangle.isDoubleSided ? -2 : 2) / twiceArea
        let sides: Double = triangle.isDoubleSided ? 2 : 1
        return luminance(triangle.radiance) * Double(twiceArea) / 2 * Double(IEEEMath.pi) * sides
    }

    /// Position, direction, intensity, then kind (0 directional, 1 with a position), the scale
    /// and offset of a spot's cone and the reciprocal range. Returns the power.
    private static func write(
        _ light: PunctualLight, to record: UnsafeMutablePointer<Float>, disc: Double
    ) -> Double {
        for axis in 0..<3 {
            record[axis] = light.position[axis]
            record[3 + axis] = light.direction[axis]
            record[6 + axis] = light.intensity[axis]
        }
        record[11] = 1
        if let range = light.range, range > 0 { record[12] = 1 / range }
        let brightness = luminance(light.intensity)
        let pi = Double(IEEEMath.pi)
        switch light.kind {
        case .directional:
            return brightness * disc
        case .point:
            record[9] = 1
            return brightness * 4 * pi
        case .spot(let innerCosine, let outerCosine):
            // KHR_lights_punctual: the square of a linear function of the cosine, 0 … 1.
            record[9] = 1
            record[10] = 1 / max(0.001, innerCosine - outerCosine)
            record[11] = -outerCosine * record[10]
            return brightness * 2 * pi * Double(1 - (innerCosine + outerCosine) / 2)
        }
    }
}
