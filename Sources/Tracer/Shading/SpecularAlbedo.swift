// How much light a dielectric's specular layer reflects in all: what is left passes to the diffuse
// base. Tabulated over the angle and the roughness, so that layer and base together reflect what
// they receive and not more (Kelemen and Szirmay-Kalos, A Microfacet Based Coupled
// Specular-Matte BRDF Model, 2001).

/// The directional albedo of the specular layer with an index of refraction of 1.5, and its
/// cosine-weighted mean. It scales with `specular`.
///
/// The tables are made once in a process, from IEEE operations alone: the same bits everywhere.
struct SpecularAlbedo: @unchecked Sendable {
    // Unchecked because of the pointer: its memory is written before `shared` exists, never
    // afterwards, and never freed.

    /// The one table of the process.
    static let shared = SpecularAlbedo()

    static let cosineSteps = 64
    static let roughnessSteps = 32
    /// `roughnessSteps × cosineSteps` albedos, then `roughnessSteps` means.
    private let table: UnsafePointer<Float>

    /// The directional albedo at a cosine and a perceptual roughness, both in 0 … 1.
    @inline(__always)
    func directional(cosine: Float8, roughness: Float8) -> Float8 {
        let (row, rowFraction) = Self.cell(roughness, steps: Self.roughnessSteps)
        let (column, columnFraction) = Self.cell(cosine, steps: Self.cosineSteps)
        let index = row &* Int32x8(repeating: Int32(Self.cosineSteps)) &+ column
        let next = table + Self.cosineSteps
        let lower = Self.mix(gather(table, index), gather(table + 1, index), columnFraction)
        let upper = Self.mix(gather(next, index), gather(next + 1, index), columnFraction)
        return Self.mix(lower, upper, rowFraction)
    }

    /// Twice the integral of the directional albedo times the cosine over the cosine.
    @inline(__always)
    func mean(roughness: Float8) -> Float8 {
        let (row, fraction) = Self.cell(roughness, steps: Self.roughnessSteps)
        let means = table + Self.roughnessSteps * Self.cosineSteps
        return Self.mix(gather(means, row), gather(means + 1, row), fraction)
    }

    @inline(__always)
    private static func cell(_ x: Float8, steps: Int) -> (index: Int32x8, fraction: Float8) {
        let last = Float(steps - 1)
        let position = clamp(x, Float8(repeating: 0), Float8(repeating: 1)) * last
        let lower = minimum(floor8(position), Float8(repeating: last - 1))
        return (Int32x8(truncating: lower), position - lower)
    }

    @inline(__always)
    private static func mix(_ a: Float8, _ b: Float8, _ t: Float8) -> Float8 { a + (b - a) * t }

    private init() {
        let columns = Self.cosineSteps
        let count = Self.roughnessSteps * (columns + 1)
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: count)
        let means = memory + Self.roughnessSteps * columns
        for row in 0..<Self.roughnessSteps {
            let roughness = Float(row) / Float(Self.roughnessSteps - 1)
            for column in stride(from: 0, to: columns, by: 8) {
                let cosines =
                    (Float8(0, 1, 2, 3, 4, 5, 6, 7) + Float(column)) / Float(columns - 1)
                let albedos = Self.integrate(cosine: cosines, roughness: roughness)
                for lane in 0..<8 { memory[row * columns + column + lane] = albedos[lane] }
            }
            // Simpson's rule is exact for the linear interpolation times the cosine.
            var sum: Float = 0
            for column in 0..<columns - 1 {
                let a = memory[row * columns + column]
                let b = memory[row * columns + column + 1]
                let x = Float(column) / Float(columns - 1)
                let y = Float(column + 1) / Float(columns - 1)
                sum += (a * x + (a + b) * (x + y) + b * y) / 3
            }
            means[row] = sum / Float(columns - 1)
        }
        table = UnsafePointer(memory)
    }

    /// The mean of the layer's weight over 16 × 16 midpoints of the visible normals' square.
    private static func integrate(cosine: Float8, roughness: Float) -> Float8 {
        let alpha = Microfacets8.alpha(roughness: Float8(repeating: roughness))
        let z = maximum(cosine, Float8(repeating: 1e-3))
        let outgoing = Vector8(squareRoot(1 - z * z), Float8(repeating: 0), z)
        var sum = Float8(repeating: 0)
        for i in 0..<16 {
            for j in 0..<16 {
                let u = Float8(repeating: (Float(i) + 0.5) / 16)
                let v = Float8(repeating: (Float(j) + 0.5) / 16)
                let half = Microfacets8.visibleNormal(outgoing, alpha: alpha, u, v)
                let cosineHalf = dot(outgoing, half)
                let incoming = half * (cosineHalf * 2) - outgoing
                let fresnel = 0.04 + 0.96 * Microfacets8.schlickWeight(cosineHalf)
                let weight = Microfacets8.samplingWeight(
                    cosineOut: z, cosineIn: incoming.z, alphaSquared: alpha * alpha)
                sum += select(incoming.z .> 0, fresnel * weight, Float8(repeating: 0))
            }
        }
        return sum * (1.0 / 256)
    }
}
