// The stage at the heart of the wavefront: at each hit, light that the surface emits, one light
// sampled directly, and one scattered direction to go on with. Eight paths at a time; what a lane
// computes never depends on its neighbours, so that any split of the work gives the same bits.

import CTracerSIMD

/// What a scene demands of the stage; the stage is compiled once for each kind.
protocol SceneKind {
    /// Textures, vertex normals, specular layers, metal, instances.
    static var hasDetail: Bool { get }
}

/// Lambertian surfaces without textures, as given by their triangles.
enum PlainScene: SceneKind {
    @inline(__always) static var hasDetail: Bool { false }
}

/// Everything.
enum DetailedScene: SceneKind {
    @inline(__always) static var hasDetail: Bool { true }
}

/// Scatters the paths of one queue into the next and into shadow rays.
struct Scatter {
    let scene: KernelScene
    let slots: SlotTable
    let hits: HitQueue
    let shadows: ShadowQueue
    /// Room for 32 floats.
    let scratch: UnsafeMutablePointer<Float>

    /// How many entries the two queues got.
    struct Counts {
        var paths = 0
        var shadows = 0
    }

    /// One step of all paths of a queue, whose hits are in `hits`.
    /// - Parameter depth: vertices between the camera and the rays: zero for camera rays.
    func run<Kind: SceneKind>(
        _ kind: Kind.Type, _ paths: PathQueue, count: Int, into next: PathQueue, depth: Int
    ) -> Counts {
        var counts = Counts()
        let goesOn = depth + 1 < scene.maxDepth
        let nextIsLast = depth + 2 == scene.maxDepth && scene.testsEmitters
        for index in stride(from: 0, to: count, by: 8) {
            let left = count - index
            let active: UInt32 = left >= 8 ? 0xff : (1 << UInt32(truncatingIfNeeded: left)) - 1
            prefetch(index + 16)
            let triangle = load8(hits.triangle, index)
            let misses = UInt32(bitPattern: (triangle.signed .== -1).bits) & active
            let path = PathLanes(paths, index)
            if misses != 0, depth == 0 { recordMiss(path.slot) }
            if misses != 0, scene.lights.environment != nil {
                addEnvironment(path, bits: misses, depth: depth)
            }
            guard misses != active else { continue }
            let hit = scene.surface(
                origin: path.origin, direction: path.direction, triangle: triangle,
                instanceRow: kind.hasDetail && scene.features.hasInstances
                    ? load8(hits.instance, index) : UInt32x8(repeating: 0),
                bits: active & ~misses,
                hasInstances: kind.hasDetail && scene.features.hasInstances)
            shade(
                kind, path, hit, into: next, depth: depth, goesOn: goesOn, nextIsLast: nextIsLast,
                &counts)
        }
        return counts
    }

    /// Asks for the triangles that will be shaded two groups later.
    @inline(__always)
    private func prefetch(_ index: Int) {
        for lane in 0..<8 {
            let triangle = hits.triangle[index + lane]
            ctracer_prefetch(scene.records + (triangle == HitQueue.none ? 0 : Int(triangle)))
        }
    }

    @inline(__always)
    private func shade<Kind: SceneKind>(
        _ kind: Kind.Type, _ path: PathLanes, _ hit: SurfaceHit8, into next: PathQueue,
        depth: Int, goesOn: Bool, nextIsLast: Bool, _ counts: inout Counts
    ) {
        let vertex = ShadedVertex(kind, scene, path, hit)
        if depth == 0 { recordFirstHit(path.slot, hit, vertex) }
        addEmission(path, hit, vertex, depth: depth)
        guard goesOn, hit.bits != 0 else { return }
        let sequence = slots.sequence(path.slot)
        if scene.hasLights {
            counts.shadows = sampleLight(
                kind, path, hit, vertex, sequence, depth: depth, at: counts.shadows)
        }
        let numbers = sequence.pair(SampleBlock.scattering(depth))
        let sample = vertex.sample(kind, numbers.x, numbers.y)
        let throughput = path.throughput * sample.weight
        let alive = hit.bits & UInt32(bitPattern: (throughput.largest .> 0).bits)
        guard alive != 0 else { return }
        if nextIsLast {
            counts.shadows = testEmitters(
                path, vertex, sample, throughput, bits: alive, at: counts.shadows)
            return
        }
        if scene.features.hasTransparency {
            store8(next.near, counts.paths, Float8(repeating: 0))
        }
        counts.paths = next.append(
            at: counts.paths, keep: alive, origin: vertex.origin, direction: sample.incoming,
            throughput: throughput, density: sample.pdf, slot: path.slot)
    }

    // MARK: Light that a path meets

    /// The weight of a way to reach a light that had the density `chosen` against another that
    /// had `other`: the power heuristic (Veach 1997, §9.2.4).
    @inline(__always)
    static func weight(_ chosen: Float8, _ other: Float8) -> Float8 {
        let square = chosen * chosen
        let weight = square / (square + other * other)
        // The square of a tiny light's density may overflow; its quotient does not.
        let isHuge = square .>= Float.infinity
        guard !isHuge.isEmpty else { return weight }
        let ratio = other / chosen
        return select(isHuge, 1 / (1 + ratio * ratio), weight)
    }

    /// Adds the environment's light to paths that left the scene.
    @inline(__always)
    private func addEnvironment(_ path: PathLanes, bits: UInt32, depth: Int) {
        guard let environment = scene.lights.environment else { return }
        let light = environment.evaluate(path.direction)
        var color = path.throughput * light.radiance
        if depth > 0 {
            let density = light.pdf * scene.lights.environmentProbability
            color *= Self.weight(path.density, density)
        }
        add(color, path.slot, bits)
    }

    /// Adds what the surfaces themselves emit.
    @inline(__always)
    private func addEmission(
        _ path: PathLanes, _ hit: SurfaceHit8, _ vertex: ShadedVertex, depth: Int
    ) {
        let shines = vertex.shiningSides .> select(hit.cosine .< 0, vertex.zero, vertex.one)
        let bits = hit.bits & UInt32(bitPattern: shines.bits)
        guard bits != 0 else { return }
        var color = path.throughput * vertex.emission
        if depth > 0 {
            let density =
                vertex.lightDensity * hit.distance * hit.distance / magnitude(hit.cosine)
            color *= Self.weight(path.density, density)
        }
        add(color, path.slot, bits)
    }

    @inline(__always)
    private func add(_ color: Vector8, _ slot: UInt32x8, _ bits: UInt32) {
        store8(scratch, 0, color.x)
        store8(scratch, 8, color.y)
        store8(scratch, 16, color.z)
        let places = UnsafeMutableRawPointer(scratch + 24).assumingMemoryBound(to: UInt32.self)
        store8(places, 0, slot)
        var left = bits
        while left != 0 {
            let lane = left.trailingZeroBitCount
            left &= left &- 1
            slots.radiance[Int(places[lane])] += SIMD4(
                scratch[lane], scratch[lane + 8], scratch[lane + 16], 0)
        }
    }

    // MARK: The first hit

    /// Camera paths are in the order of their slots.
    @inline(__always)
    private func recordMiss(_ slot: UInt32x8) {
        let start = Int(slot[0])
        let zero = Float8(repeating: 0)
        store8(slots.depth, start, zero)
        store8(slots.albedoX, start, zero)
        store8(slots.albedoY, start, zero)
        store8(slots.albedoZ, start, zero)
        store8(slots.normalX, start, zero)
        store8(slots.normalY, start, zero)
        store8(slots.normalZ, start, zero)
    }

    @inline(__always)
    private func recordFirstHit(_ slot: UInt32x8, _ hit: SurfaceHit8, _ vertex: ShadedVertex) {
        let start = Int(slot[0])
        let zero = Float8(repeating: 0)
        let lanes = UInt32x8(repeating: hit.bits) & (1 &<< laneNumbers.unsigned)
        let isHit = lanes.signed .!= 0
        let albedo = vertex.surface.baseColor
        let normal = vertex.normal
        store8(slots.depth, start, select(isHit, hit.distance, zero))
        store8(slots.albedoX, start, select(isHit, albedo.x, zero))
        store8(slots.albedoY, start, select(isHit, albedo.y, zero))
        store8(slots.albedoZ, start, select(isHit, albedo.z, zero))
        store8(slots.normalX, start, select(isHit, normal.x, zero))
        store8(slots.normalY, start, select(isHit, normal.y, zero))
        store8(slots.normalZ, start, select(isHit, normal.z, zero))
    }
}

/// Eight paths of a queue in registers.
struct PathLanes {
    let origin: Vector8
    let direction: Vector8
    let throughput: Vector8
    let density: Float8
    let slot: UInt32x8

    @inline(__always)
    init(_ paths: PathQueue, _ index: Int) {
        origin = paths.origin(index)
        direction = paths.direction(index)
        throughput = paths.throughput(index)
        density = load8(paths.density, index)
        slot = load8(paths.slot, index)
    }
}
