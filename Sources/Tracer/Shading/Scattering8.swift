// How surfaces scatter light: glTF 2.0's metallic-roughness material (appendix B), for eight hits
// at a time. A dielectric is a Lambertian base under a specular layer, a metal is specular only.
// The base receives what the layer lets through in both directions, from the tabulated albedo of
// the layer, so that a white dielectric reflects exactly what it receives at any roughness; the
// appendix's own factor of one minus the half vector's Fresnel term would exceed it at grazing
// angles. Single scattering between the facets: a rough metal loses what the appendix loses.
//
// API: `Surface8` (the material at the hits), `Scattering8(surface:normal:geometricNormal:
// outgoing:albedo:)`, then `evaluate(incoming)` for lights and `sample(u, v)` for the path.
// `Lambert8` is the same interface for hits without specular layer: with metallic and specular
// zero both give the same bits. `orient` turns normals to the side of the ray.

/// Material properties at eight hits, textures applied.
struct Surface8: Sendable {
    /// Linear reflectance of the dielectric's base and of the metal at normal incidence.
    var baseColor: Vector8
    /// 0 … 1.
    var metallic: Float8
    /// Perceptual roughness, 0 … 1.
    var roughness: Float8
    /// Scales the reflectance of the dielectric's layer, 0 … 1; see ``Material/effectiveSpecular``.
    var specular: Float8

    @inline(__always)
    init(baseColor: Vector8, metallic: Float8, roughness: Float8, specular: Float8) {
        self.baseColor = baseColor
        self.metallic = metallic
        self.roughness = roughness
        self.specular = specular
    }

    /// Both normals on the side of the outgoing direction, and the shading normal bent, where it
    /// points away from it all the same, to a grazing angle with it.
    @inline(__always)
    static func orient(
        shading: Vector8, geometric: Vector8, outgoing: Vector8
    ) -> (shading: Vector8, geometric: Vector8) {
        let isBack = dot(geometric, outgoing) .< 0
        let turnedShading = select(isBack, -shading, shading)
        let turnedGeometric = select(isBack, -geometric, geometric)
        let cosine = dot(turnedShading, outgoing)
        let cosineMin: Float = 1e-3
        let bent = (turnedShading + outgoing * (cosineMin - cosine)).normalised
        return (select(cosine .< cosineMin, bent, turnedShading), turnedGeometric)
    }
}

/// Eight directions that light may have come from.
struct ScatteringSample8: Sendable {
    /// Towards the light, unit length, world.
    var incoming: Vector8
    /// BSDF × cosine / pdf; zero where the sample is lost below the surface.
    var weight: Vector8
    /// Per steradian, of all lobes together.
    var pdf: Float8
}

/// The scattering at eight hits towards eight outgoing directions.
struct Scattering8: Sendable {
    private let normal: Vector8
    private let geometricNormal: Vector8
    private let outgoing: Vector8
    private let cosineOut: Float8
    /// Reflectances of the specular layer at 0° and the gain to 90°.
    private let fresnelNormal: Vector8
    private let fresnelGain: Vector8
    private let alpha: Float8
    private let smithOut: Float8
    private let diffuseColor: Vector8
    /// (1 − E(out)) / (1 − mean E): the base's share that does not depend on the incoming side.
    private let diffuseShare: Float8
    private let roughness: Float8
    private let specular: Float8
    private let albedo: SpecularAlbedo
    /// The probability of sampling the specular lobe.
    private let specularProbability: Float8

    /// - Parameters:
    ///   - normal: shading normal, unit length, on the side of `outgoing` (``Surface8/orient``).
    ///   - geometricNormal: the triangle's, on the same side: no light passes below it.
    ///   - outgoing: towards the viewer, unit length.
    @inline(__always)
    init(
        surface: Surface8, normal: Vector8, geometricNormal: Vector8, outgoing: Vector8,
        albedo: SpecularAlbedo
    ) {
        self.normal = normal
        self.geometricNormal = geometricNormal
        self.outgoing = outgoing
        self.albedo = albedo
        roughness = surface.roughness
        specular = surface.specular
        let metallic = surface.metallic
        let dielectric = 1 - metallic
        cosineOut = maximum(dot(normal, outgoing), Float8(repeating: 1e-6))
        // Fresnel of the dielectric and of the metal, mixed; both are linear in Schlick's weight.
        let layer = Vector8(gray: dielectric * surface.specular * 0.04)
        fresnelNormal = layer + surface.baseColor * metallic
        fresnelGain = Vector8(gray: dielectric * surface.specular + metallic) - fresnelNormal
        alpha = Microfacets8.alpha(roughness: surface.roughness)
        smithOut = Microfacets8.smithTerm(cosineOut, alphaSquared: alpha * alpha)
        // What the layer lets through to the base.
        diffuseColor = surface.baseColor * dielectric
        let passed =
            1 - surface.specular
            * albedo.directional(cosine: cosineOut, roughness: surface.roughness)
        diffuseShare =
            maximum(passed, Float8(repeating: 0))
            / (1 - surface.specular * albedo.mean(roughness: surface.roughness))
        // Lobes are chosen by what they can be expected to reflect.
        let layerReflects =
            (fresnelNormal + fresnelGain * Microfacets8.schlickWeight(cosineOut)).luminance
        let baseReflects = diffuseColor.luminance * passed
        let both = layerReflects + baseReflects
        specularProbability = select(
            both .> 0, clamp(layerReflects / both, Float8(repeating: 0), Float8(repeating: 1)),
            Float8(repeating: 0))
    }

    /// BSDF × cosine and the pdf per steradian with which ``sample(_:_:)`` gives `incoming`.
    @inline(__always)
    func evaluate(_ incoming: Vector8) -> (value: Vector8, pdf: Float8) {
        let parts = lobes(incoming)
        return (parts.value, parts.pdf)
    }

    /// Draws incoming directions from two numbers in `0 ..< 1`.
    @inline(__always)
    func sample(_ u: Float8, _ v: Float8) -> ScatteringSample8 {
        // Choose the lobe by u and stretch what is left of u over 0 ..< 1 again.
        let p = specularProbability
        let isSpecular = u .< p
        let stretched = select(isSpecular, u / p, (u - p) / (1 - p))
        let turns = minimum(stretched, Float8(repeating: 0x1.fffffep-1))
        let (sine, cosine) = IEEEMath.sineCosine(turns: turns)
        let basis = Basis8(normal: normal)
        // Diffuse lobe: proportional to the cosine.
        var local = Lambert8.local(sine: sine, cosine: cosine, v)
        // Specular lobe: reflection at a visible normal.
        if !isSpecular.isEmpty {
            let out = basis.local(outgoing)
            let above = Vector8(out.x, out.y, cosineOut)
            let half = Microfacets8.visibleNormal(
                above, alpha: alpha, sine: sine, cosine: cosine, v)
            let reflected = half * (dot(above, half) * 2) - above
            local = select(isSpecular, reflected, local)
        }
        let incoming = basis.world(local)
        let parts = lobes(incoming)
        // Without specular lobe the cosine cancels exactly.
        let hasWeight = parts.pdf .> 0
        let divisor = select(hasWeight, parts.pdf, Float8(repeating: 1))
        let quotient = parts.value * (1 / divisor)
        let weight = select(p .> 0, quotient, diffuseColor * parts.diffuse)
        return ScatteringSample8(
            incoming: incoming, weight: select(hasWeight, weight, .zero), pdf: parts.pdf)
    }

    /// The value and pdf, and the base's share in both directions; all zero below the surface.
    @inline(__always)
    private func lobes(_ incoming: Vector8) -> (value: Vector8, pdf: Float8, diffuse: Float8) {
        let zero = Float8(repeating: 0)
        let cosineIn = dot(normal, incoming)
        let isAbove = (cosineIn .> 0) .& (dot(geometricNormal, incoming) .> 0)
        let diffusePdf = cosineIn * (1 / IEEEMath.pi)
        // Specular layer: D·V·cos and Fresnel at the half vector.
        let half = (outgoing + incoming).normalised
        let alphaSquared = alpha * alpha
        let density = Microfacets8.density(
            normal: normal, half: half, alphaSquared: alphaSquared)
        let smithIn = Microfacets8.smithTerm(cosineIn, alphaSquared: alphaSquared)
        let shape =
            density * cosineIn * 0.5 / (cosineIn * smithOut + cosineOut * smithIn)
        let fresnel =
            fresnelNormal + fresnelGain * Microfacets8.schlickWeight(dot(outgoing, half))
        let specularPdf = density * 0.5 / (cosineOut + smithOut)
        // Base: what the layer lets through on the way in.
        let passed =
            1 - specular * albedo.directional(cosine: cosineIn, roughness: roughness)
        let diffuse = diffuseShare * maximum(passed, zero)
        let value = diffuseColor * diffuse * diffusePdf + fresnel * shape
        let p = specularProbability
        let pdf = p * specularPdf + (1 - p) * diffusePdf
        return (select(isAbove, value, .zero), select(isAbove, pdf, zero), diffuse)
    }
}

/// The scattering at eight hits that have no specular layer.
struct Lambert8: Sendable {
    let albedo: Vector8
    let normal: Vector8
    let geometricNormal: Vector8

    /// Normals as in ``Scattering8``.
    @inline(__always)
    init(albedo: Vector8, normal: Vector8, geometricNormal: Vector8) {
        self.albedo = albedo
        self.normal = normal
        self.geometricNormal = geometricNormal
    }

    /// BSDF × cosine and the pdf per steradian.
    @inline(__always)
    func evaluate(_ incoming: Vector8) -> (value: Vector8, pdf: Float8) {
        let zero = Float8(repeating: 0)
        let cosine = dot(normal, incoming)
        let isAbove = (cosine .> 0) .& (dot(geometricNormal, incoming) .> 0)
        let pdf = select(isAbove, cosine * (1 / IEEEMath.pi), zero)
        return (albedo * pdf, pdf)
    }

    /// Draws incoming directions from two numbers in `0 ..< 1`.
    @inline(__always)
    func sample(_ u: Float8, _ v: Float8) -> ScatteringSample8 {
        let turns = minimum(u, Float8(repeating: 0x1.fffffep-1))
        let (sine, cosine) = IEEEMath.sineCosine(turns: turns)
        let incoming = Basis8(normal: normal).world(Self.local(sine: sine, cosine: cosine, v))
        let pdf = evaluate(incoming).pdf
        return ScatteringSample8(
            incoming: incoming, weight: select(pdf .> 0, albedo, .zero), pdf: pdf)
    }

    /// A local direction with density cosine / π, from the azimuth's sine and cosine.
    @inline(__always)
    static func local(sine: Float8, cosine: Float8, _ v: Float8) -> Vector8 {
        let radius = squareRoot(v)
        return Vector8(radius * cosine, radius * sine, squareRoot(1 - v))
    }
}
