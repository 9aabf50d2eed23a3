import MeshCore

@testable import Tracer

// What the shading tests share: random lanes from a seed and a grid over the sphere.

/// Uniform numbers and directions, eight at a time.
struct RandomLanes {
    private var numbers: RandomNumbers

    init(seed: UInt64) { numbers = RandomNumbers(seed: seed) }

    /// In `0 ..< 1`, with the 24 bits that the sampler gives.
    mutating func unit() -> Float8 {
        var result = Float8(repeating: 0)
        for lane in 0..<8 { result[lane] = Float(numbers.next() >> 40) * 0x1p-24 }
        return result
    }

    mutating func bits() -> UInt32x8 {
        var result = UInt32x8(repeating: 0)
        for lane in 0..<8 { result[lane] = UInt32(truncatingIfNeeded: numbers.next() >> 32) }
        return result
    }

    /// Uniform over the sphere.
    mutating func direction() -> Vector8 {
        let z = 1 - unit() * 2
        let radius = squareRoot(maximum(1 - z * z, Float8(repeating: 0)))
        let (sine, cosine) = IEEEMath.sineCosine(turns: unit())
        return Vector8(radius * cosine, radius * sine, z)
    }
}

extension Vector8 {
    /// One vector in every lane, with the polar angle from +z given by its cosine.
    static func tilted(cosine: Float, turns: Float = 0) -> Vector8 {
        let sine = (1 - cosine * cosine).squareRoot()
        let azimuth = IEEEMath.sineCosine(turns: Float8(repeating: turns))
        return Vector8(
            azimuth.cosine * sine, azimuth.sine * sine, Float8(repeating: cosine))
    }
}
