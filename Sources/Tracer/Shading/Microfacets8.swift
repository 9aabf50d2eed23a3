// Trowbridge-Reitz (GGX) microfacets with Smith's height-correlated masking and shadowing, as glTF
// 2.0 appendix B has them, and the sampling of visible normals by spherical caps (Dupuy and
// Benyoub, Sampling Visible GGX Normals with Spherical Caps, 2023).
//
// All cosines are with the shading normal; z is the normal in local frames.

/// The functions of the distribution, for eight lanes.
enum Microfacets8 {
    /// The smallest width of the distribution: below it, single precision can't tell the
    /// half vector from the normal well enough.
    static let alphaMin: Float = 1e-3

    /// The distribution's width of a perceptual roughness (glTF: its square).
    @inline(__always)
    static func alpha(roughness: Float8) -> Float8 {
        maximum(roughness * roughness, Float8(repeating: alphaMin))
    }

    /// (1 − cosine)⁵, Schlick's interpolation between the reflectances at 0° and 90°.
    @inline(__always)
    static func schlickWeight(_ cosine: Float8) -> Float8 {
        let c = clamp(1 - cosine, Float8(repeating: 0), Float8(repeating: 1))
        let squared = c * c
        return squared * squared * c
    }

    /// The density of normals, per steradian and projected area, at a half vector. The sine comes
    /// from a cross product, because one minus the squared cosine cancels for smooth surfaces.
    @inline(__always)
    static func density(normal: Vector8, half: Vector8, alphaSquared: Float8) -> Float8 {
        let cosine = dot(normal, half)
        let t = cross(normal, half).lengthSquared + alphaSquared * cosine * cosine
        return alphaSquared / (t * t * IEEEMath.pi)
    }

    /// √(α² + (1 − α²)cos²): the term from which all of Smith's functions are made.
    @inline(__always)
    static func smithTerm(_ cosine: Float8, alphaSquared: Float8) -> Float8 {
        squareRoot(alphaSquared + (1 - alphaSquared) * cosine * cosine)
    }

    /// G₂/G₁: what is left of a sample of the visible normals besides Fresnel's factor.
    @inline(__always)
    static func samplingWeight(
        cosineOut: Float8, cosineIn: Float8, alphaSquared: Float8
    ) -> Float8 {
        let termOut = smithTerm(cosineOut, alphaSquared: alphaSquared)
        let termIn = smithTerm(cosineIn, alphaSquared: alphaSquared)
        return cosineIn * (cosineOut + termOut) / (cosineIn * termOut + cosineOut * termIn)
    }

    /// A visible normal for a local outgoing direction above the surface.
    @inline(__always)
    static func visibleNormal(
        _ outgoing: Vector8, alpha: Float8, _ u: Float8, _ v: Float8
    ) -> Vector8 {
        let (sine, cosine) = IEEEMath.sineCosine(turns: u)
        return visibleNormal(outgoing, alpha: alpha, sine: sine, cosine: cosine, v)
    }

    /// The same with the sine and cosine of the azimuth 2πu at hand.
    @inline(__always)
    static func visibleNormal(
        _ outgoing: Vector8, alpha: Float8, sine: Float8, cosine: Float8, _ v: Float8
    ) -> Vector8 {
        // Warp to the hemisphere, sample the cap of directions that reflect upwards, warp back.
        let warped = Vector8(outgoing.x * alpha, outgoing.y * alpha, outgoing.z).normalised
        let z = (1 - v) * (1 + warped.z) - warped.z
        let radius = squareRoot(maximum(1 - z * z, Float8(repeating: 0)))
        let half = Vector8(radius * cosine, radius * sine, z) + warped
        return Vector8(
            half.x * alpha, half.y * alpha, maximum(half.z, Float8(repeating: 1e-12))
        ).normalised
    }
}
