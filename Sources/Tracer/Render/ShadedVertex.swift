// The material at eight hits and how it scatters, behind one interface for plain and detailed
// scenes.

/// Eight vertices of paths, ready to scatter.
struct ShadedVertex {
    /// Where new rays begin: off the surface, on the side of the path.
    let origin: Vector8
    /// The shading normal on the side of the path, unit length.
    let normal: Vector8
    let geometricNormal: Vector8
    let outgoing: Vector8
    let surface: Surface8
    let emission: Vector8
    let shiningSides: Float8
    let lightDensity: Float8
    private let specularAlbedo: SpecularAlbedo

    @inline(__always) var zero: Float8 { Float8(repeating: 0) }
    @inline(__always) var one: Float8 { Float8(repeating: 1) }

    @inline(__always)
    init<Kind: SceneKind>(
        _ kind: Kind.Type, _ scene: KernelScene, _ path: PathLanes, _ hit: SurfaceHit8
    ) {
        let base = RecordFields(
            scene.materials, strideBytes: MaterialRow.strideBytes, row: hit.material.unsigned)
        shiningSides = base.number3
        lightDensity = base.number7
        specularAlbedo = scene.specularAlbedo
        outgoing = -path.direction
        let isBack = hit.cosine .> 0
        let facing = select(isBack, -hit.normal, hit.normal)
        origin = hit.position + facing * hit.clearance
        if kind.hasDetail {
            let point = scene.point(hit)
            let detail = scene.material(hit, point, base: base)
            surface = detail.surface
            emission = detail.emission
            let oriented = Surface8.orient(
                shading: detail.normal, geometric: hit.normal, outgoing: outgoing)
            normal = oriented.shading
            geometricNormal = facing
        } else {
            let zero = Float8(repeating: 0)
            surface = Surface8(
                baseColor: base.vector0, metallic: zero, roughness: Float8(repeating: 1),
                specular: zero)
            emission = base.vector4
            normal = facing
            geometricNormal = facing
        }
    }

    /// No lane has a specular layer or is metal.
    @inline(__always)
    private var isLambertian: Bool {
        (maximum(surface.metallic, surface.specular) .> 0).isEmpty
    }

    /// BSDF × cosine and the density of sampling `incoming`.
    @inline(__always)
    func evaluate<Kind: SceneKind>(
        _ kind: Kind.Type, _ incoming: Vector8
    ) -> (value: Vector8, pdf: Float8) {
        if kind.hasDetail, !isLambertian { return scattering.evaluate(incoming) }
        return lambert.evaluate(incoming)
    }

    /// A scattered direction from two numbers in `0 ..< 1`.
    @inline(__always)
    func sample<Kind: SceneKind>(
        _ kind: Kind.Type, _ u: Float8, _ v: Float8
    ) -> ScatteringSample8 {
        if kind.hasDetail, !isLambertian { return scattering.sample(u, v) }
        return lambert.sample(u, v)
    }

    @inline(__always)
    private var lambert: Lambert8 {
        Lambert8(albedo: surface.baseColor, normal: normal, geometricNormal: geometricNormal)
    }

    @inline(__always)
    private var scattering: Scattering8 {
        Scattering8(
            surface: surface, normal: normal, geometricNormal: geometricNormal,
            outgoing: outgoing, albedo: specularAlbedo)
    }
}

extension KernelScene {
    /// The material at eight hits, textures applied, and the shading normal on the front side.
    @inline(__always)
    func material(
        _ hit: SurfaceHit8, _ point: SurfacePoint8, base: RecordFields
    ) -> (surface: Surface8, emission: Vector8, normal: Vector8) {
        let rest = RecordFields(
            materials + 8, strideBytes: MaterialRow.strideBytes, row: hit.material.unsigned)
        let place = hit.material &* MaterialRow.stride
        var surface = Surface8(
            baseColor: base.vector0, metallic: rest.number0, roughness: rest.number1,
            specular: gather(materials + MaterialRow.specular, place))
        var emission = base.vector4
        var normal = interpolatedNormal(hit, point)
        // Lanes without a texture keep their very bits, whatever the others have.
        let colorSlot = rest.number4.bits
        let hasColor = colorSlot .!= 0
        if !hasColor.isEmpty {
            let texel = textures.color(colorSlot, point.s, point.t).color
            surface.baseColor = select(
                hasColor, surface.baseColor * texel, surface.baseColor)
        }
        let roughnessSlot = rest.number5.bits
        let hasRoughness = roughnessSlot .!= 0
        if !hasRoughness.isEmpty {
            let texel = textures.data(roughnessSlot, point.s, point.t).color
            surface.roughness = select(
                hasRoughness, surface.roughness * texel.y, surface.roughness)
            surface.metallic = select(hasRoughness, surface.metallic * texel.z, surface.metallic)
        }
        let emissiveSlot = rest.number7.bits
        let hasEmission = emissiveSlot .!= 0
        if !hasEmission.isEmpty {
            let texel = textures.color(emissiveSlot, point.s, point.t).color
            emission = select(hasEmission, emission * texel, emission)
        }
        let normalSlot = rest.number6.bits
        let hasMap = normalSlot .!= 0
        if !hasMap.isEmpty {
            let texel = textures.data(normalSlot, point.s, point.t).color
            let scale = gather(materials + MaterialRow.normalScale, place)
            let frame = tangents(hit, point, normal: normal)
            let along: Float8 = (texel.x * 2 - 1) * scale
            let across: Float8 = (texel.y * 2 - 1) * scale
            let outward: Float8 = texel.z * 2 - 1
            let tilt = frame.tangent * along + frame.bitangent * across
            let mapped = tilt + normal * outward
            let length = mapped.lengthSquared
            let unit = mapped * (1 / squareRoot(length))
            normal = select(hasMap .& (length .> 0), unit, normal)
        }
        return (surface, emission, normal)
    }
}
