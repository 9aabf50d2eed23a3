// Light sampled directly: one point on one light from each vertex, and at the end of a path the
// emitters that the last direction would meet.

extension Scatter {
    /// Chooses a light for each lane and queues a shadow ray where it could shine; returns the
    /// number of shadow rays after that.
    @inline(__always)
    func sampleLight<Kind: SceneKind>(
        _ kind: Kind.Type, _ path: PathLanes, _ hit: SurfaceHit8, _ vertex: ShadedVertex,
        _ sequence: PixelSequence8, depth: Int, at count: Int
    ) -> Int {
        let numbers = sequence.pairBits(SampleBlock.light(depth))
        let light = scene.lights.sample(
            from: vertex.origin, bits: numbers.x, Float8(unitFrom: numbers.y))
        var radiance = light.radiance
        if kind.hasDetail, scene.emissiveTextures != nil { texture(light, &radiance) }
        let scattered = vertex.evaluate(kind, light.direction)
        let reaches = (light.pdf .> 0) .& (scattered.value.largest .> 0)
        let bits = hit.bits & UInt32(bitPattern: reaches.bits)
        guard bits != 0 else { return count }
        // A path could have met the light by itself, unless it is a point.
        let weight = select(
            light.isPunctual, vertex.one, Self.weight(light.pdf, scattered.pdf))
        let scale = weight / light.pdf
        return shadows.append(
            at: count, keep: bits, origin: vertex.origin, direction: light.direction,
            far: light.distance * Self.nearlyAll,
            radiance: path.throughput * scattered.value * radiance * scale, slot: path.slot)
    }

    /// A shadow ray ends just before the light it asks for.
    private static var nearlyAll: Float { 0.9999 }

    /// Replaces the mean radiance of lights that have a texture or let rays through by that of the
    /// point.
    @inline(__always)
    private func texture(_ light: LightSample8, _ radiance: inout Vector8) {
        guard let table = scene.emissiveTextures else { return }
        let isTriangle = (light.light .>= 0) .& (light.light .< scene.lights.triangleCount)
        let row = select(isTriangle, light.light, Int32x8(repeating: 0))
        let place = row &* EmissiveTextureRow.stride
        let slot = gather(table + EmissiveTextureRow.slot, place).bits
        let material =
            gather(table + EmissiveTextureRow.material, place).bits &* MaterialRow.stride
        let cutoff = gather(scene.materials + MaterialRow.cutoff, material)
        let isLit = isTriangle .& (light.pdf .> 0)
        let isTextured = isLit .& (slot .!= 0)
        let isPartial = isLit .& (cutoff .> MaterialRow.opaque)
        guard !(isTextured .| isPartial).isEmpty else { return }
        let first = 1 - light.barycentric1 - light.barycentric2
        let corners = table + EmissiveTextureRow.coordinates
        let s =
            gather(corners, place) * first + gather(corners + 2, place) * light.barycentric1
            + gather(corners + 4, place) * light.barycentric2
        let t =
            gather(corners + 1, place) * first + gather(corners + 3, place) * light.barycentric1
            + gather(corners + 5, place) * light.barycentric2
        let texel = scene.textures.color(slot, s, t).color
        radiance = select(isTextured, gather3(table, place) * texel, radiance)
        guard !isPartial.isEmpty else { return }
        // A path that meets a hole goes on, and finds no light there.
        let opacity = scene.opacity(material, cutoff: cutoff, s, t)
        radiance = select(isPartial, radiance * opacity, radiance)
    }

    /// The last ray of a path can only find light: tests it against the emitters and queues a
    /// shadow ray where it would; returns the number of shadow rays after that.
    ///
    /// Only for scenes with few, untextured emitters: see ``KernelScene/testsEmitters``.
    @inline(__always)
    func testEmitters(
        _ path: PathLanes, _ vertex: ShadedVertex, _ sample: ScatteringSample8,
        _ throughput: Vector8, bits: UInt32, at count: Int
    ) -> Int {
        let lights = scene.lights
        let zero = vertex.zero
        var nearest = Float8(repeating: .infinity)
        var number = Int32x8(repeating: -1)
        let origin = vertex.origin
        let direction = sample.incoming
        // Möller and Trumbore's intersection, an emitter at a time.
        for light in 0..<lights.triangleCount {
            let record = lights.records + 16 * Int(light)
            @inline(__always)
            func constant(_ field: Int) -> Vector8 {
                Vector8(repeating: SIMD3(record[field], record[field + 1], record[field + 2]))
            }
            let edge1 = constant(3)
            let edge2 = constant(6)
            let p = cross(direction, edge2)
            let scale = 1 / dot(edge1, p)
            let offset = origin - constant(0)
            let u = dot(offset, p) * scale
            let q = cross(offset, edge1)
            let v = dot(direction, q) * scale
            let distance = dot(edge2, q) * scale
            let isInside = (u .>= 0) .& (v .>= 0) .& (u + v .<= 1)
            let isNearer = isInside .& (distance .> 0) .& (distance .< nearest)
            nearest = select(isNearer, distance, nearest)
            number = select(isNearer, Int32x8(repeating: light), number)
        }
        let meets = number .>= 0
        var radiance = Vector8.zero
        var density = zero
        if !meets.isEmpty {
            let chosen = select(meets, number, Int32x8(repeating: 0))
            let place = chosen &<< 4
            let facing = -dot(gather3(lights.records + 9, place), direction)
            let isTwoSided = gather(lights.records + 15, place) .< 0
            let cosine = select(isTwoSided, magnitude(facing), facing)
            let distance = select(meets, nearest, zero)
            let pdf = lights.trianglePdf(
                chosen, distanceSquared: distance * distance, cosine: cosine)
            let shines = meets .& (cosine .> 0)
            radiance = select(shines, gather3(lights.records + 12, place), radiance)
            density = select(shines, pdf, density)
        }
        if let environment = lights.environment, !meets.isFull {
            let sky = environment.evaluate(direction)
            radiance = select(meets, radiance, sky.radiance)
            density = select(meets, density, sky.pdf * lights.environmentProbability)
        }
        let keep = bits & UInt32(bitPattern: (radiance.largest .> 0).bits)
        guard keep != 0 else { return count }
        let weight = Self.weight(sample.pdf, density)
        return shadows.append(
            at: count, keep: keep, origin: origin, direction: direction,
            far: nearest * Self.nearlyAll, radiance: throughput * radiance * weight,
            slot: path.slot)
    }
}
