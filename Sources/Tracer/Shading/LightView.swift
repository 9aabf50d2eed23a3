// The sampling of a scene's lights for eight points at a time; see LightTable.

/// Pointers into a ``LightTable``.
struct LightView: @unchecked Sendable {
    // Unchecked because of the pointers: all they reach is only read; see LightTable.
    let records: UnsafePointer<Float>
    let choice: AliasView
    let environment: EnvironmentView?
    let environmentProbability: Float
    let triangleCount: Int32
    let punctualCount: Int32

    /// The number of the environment among the lights.
    static let environmentIndex: Int32 = -1

    /// Draws a point on a light for each lane.
    /// - Parameters:
    ///   - position: of the surface, world.
    ///   - bits: a uniform number times 2³²: chooses the light, and its rest is the first
    ///     coordinate on it.
    ///   - v: uniform in `0 ..< 1`: the second coordinate.
    @inline(__always)
    func sample(from position: Vector8, bits: UInt32x8, _ v: Float8) -> LightSample8 {
        // Environment or not is up to v, which is stretched over 0 ..< 1 again.
        let p = environmentProbability
        let isEnvironment = v .< p
        let stretched = select(isEnvironment, v / p, (v - p) / (1 - p))
        let second = minimum(stretched, Float8(repeating: 0x1.fffffep-1))
        let chosen = choice.choose(bits)
        var result = LightSample8(
            direction: Vector8(repeating: SIMD3(0, 1, 0)), distance: Float8(repeating: 1),
            radiance: .zero, pdf: Float8(repeating: 0),
            isPunctual: chosen.index .>= triangleCount, light: chosen.index,
            barycentric1: Float8(repeating: 0), barycentric2: Float8(repeating: 0))
        if triangleCount > 0 {
            sampleTriangles(from: position, chosen, second, &result)
        }
        if punctualCount > 0 && !result.isPunctual.isEmpty {
            samplePunctual(from: position, chosen, &result)
        }
        result.pdf *= 1 - p
        if let environment, !isEnvironment.isEmpty {
            // The light's number was not needed: all digits of the bits are left.
            let sample = environment.sample(Float8(unitFrom: bits), second)
            result.direction = select(isEnvironment, sample.direction, result.direction)
            result.distance = select(
                isEnvironment, Float8(repeating: .infinity), result.distance)
            result.radiance = select(isEnvironment, sample.radiance, result.radiance)
            result.pdf = select(isEnvironment, sample.pdf * p, result.pdf)
            result.isPunctual = result.isPunctual .& .!isEnvironment
            result.light = select(
                isEnvironment, Int32x8(repeating: Self.environmentIndex), result.light)
        }
        let isLit = result.pdf .> 0
        result.radiance = select(isLit, result.radiance, .zero)
        return result
    }

    /// The probability of choosing one triangle among the lights that are no environment.
    func probability(ofLight light: Int) -> Float {
        choice.probability(Int32x8(repeating: Int32(light)))[0]
    }

    /// The pdf per steradian of ``sample(from:bits:_:)`` for points on triangles that a path hit.
    /// - Parameters:
    ///   - light: the triangles' numbers.
    ///   - cosine: of the triangle's front normal and the direction back to the path, or its
    ///     magnitude if the triangle is double-sided; the pdf is zero where it isn't positive.
    @inline(__always)
    func trianglePdf(_ light: Int32x8, distanceSquared: Float8, cosine: Float8) -> Float8 {
        let inverseArea = magnitude(gather(records + 15, light &<< 4))
        let pdf = choice.probability(light) * (1 - environmentProbability)
        let isVisible = cosine .> 0
        let divisor = select(isVisible, cosine, Float8(repeating: 1))
        let perSteradian = pdf * inverseArea * distanceSquared / divisor
        return select(isVisible, perSteradian, Float8(repeating: 0))
    }

    /// The pdf per steradian of ``sample(from:bits:_:)`` for directions that left the scene.
    @inline(__always)
    func environmentPdf(_ direction: Vector8) -> Float8 {
        guard let environment else { return Float8(repeating: 0) }
        return environment.pdf(direction) * environmentProbability
    }

    /// A uniform point on each lane's triangle; lanes with other lights are left alone.
    @inline(__always)
    private func sampleTriangles(
        from position: Vector8, _ chosen: AliasChoice8, _ v: Float8,
        _ result: inout LightSample8
    ) {
        let isTriangle = chosen.index .< triangleCount
        let last = Int32x8(repeating: triangleCount &- 1)
        let base = minimum(chosen.index, last) &<< 4
        let root = squareRoot(chosen.rest)
        let barycentric1 = 1 - root
        let barycentric2 = root * v
        let point =
            gather3(records, base) + gather3(records + 3, base) * barycentric1
            + gather3(records + 6, base) * barycentric2
        let offset = point - position
        let distanceSquared = offset.lengthSquared
        let distance = squareRoot(distanceSquared)
        let direction = offset * (1 / distance)
        let signedInverseArea = gather(records + 15, base)
        let facing = -dot(gather3(records + 9, base), direction)
        let cosine = select(signedInverseArea .< 0, magnitude(facing), facing)
        // Per area to per steradian.
        let isVisible = isTriangle .& (cosine .> 0) .& (distanceSquared .> 0)
        let divisor = select(isVisible, cosine, Float8(repeating: 1))
        let inverseArea = magnitude(signedInverseArea)
        let pdf = chosen.probability * inverseArea * distanceSquared / divisor
        result.direction = select(isVisible, direction, result.direction)
        result.distance = select(isVisible, distance, result.distance)
        result.radiance = select(isVisible, gather3(records + 12, base), result.radiance)
        result.pdf = select(isVisible, pdf, result.pdf)
        result.barycentric1 = select(isTriangle, barycentric1, result.barycentric1)
        result.barycentric2 = select(isTriangle, barycentric2, result.barycentric2)
    }

    /// Each lane's punctual light (KHR_lights_punctual); other lanes are left alone.
    @inline(__always)
    private func samplePunctual(
        from position: Vector8, _ chosen: AliasChoice8, _ result: inout LightSample8
    ) {
        let mask = result.isPunctual
        let first = Int32x8(repeating: triangleCount)
        let base = maximum(chosen.index, first) &<< 4
        let zero = Float8(repeating: 0)
        let one = Float8(repeating: 1)
        let isDirectional = gather(records + 9, base) .== zero
        let axis = gather3(records + 3, base)
        let offset = gather3(records, base) - position
        let distanceSquared = maximum(
            offset.lengthSquared, Float8(repeating: Float.leastNormalMagnitude))
        let distance = squareRoot(distanceSquared)
        let direction = select(isDirectional, -axis, offset * (1 / distance))
        // Cone, then the window that ends the light at its range, then the inverse square.
        let cone = clamp(
            gather(records + 11, base) - dot(axis, direction) * gather(records + 10, base),
            zero, one)
        let ratio = distance * gather(records + 12, base)
        let ratioSquared = ratio * ratio
        let window = clamp(1 - ratioSquared * ratioSquared, zero, one)
        let falloff = select(isDirectional, one, cone * cone * window / distanceSquared)
        let radiance = gather3(records + 6, base) * falloff
        let isLit = mask .& (falloff .> 0)
        result.direction = select(mask, direction, result.direction)
        result.distance = select(
            mask, select(isDirectional, Float8(repeating: .infinity), distance),
            result.distance)
        result.radiance = select(isLit, radiance, result.radiance)
        result.pdf = select(isLit, chosen.probability, result.pdf)
    }
}
