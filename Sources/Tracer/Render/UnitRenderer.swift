// The wavefront of one thread: a unit's paths, stage after stage, until the film has them.

import CEmbree
import CTracerSIMD
public import MeshCore

/// Renders units of one frame; one per thread (owns its queues, not Sendable).
public final class UnitRenderer {
    private let scene: PreparedScene
    private let workSpace: WorkSpace
    private let memory: AlignedBuffer<Float>
    private let rays: AlignedBuffer<RTCRay>
    private let contexts: AlignedBuffer<RTCIntersectContext>
    private let slots: SlotTable
    private let queues: (PathQueue, PathQueue)
    private let hits: HitQueue
    private let shadows: ShadowQueue
    private let closestHits: ClosestHits
    private let occlusion: Occlusion
    private let scatter: Scatter
    /// Nil in scenes that let no ray through.
    private let transparency: Transparency?
    private var order: PixelOrder?

    /// Rays traced so far, camera rays included.
    public private(set) var raysTraced: (closestHit: Int, shadow: Int) = (0, 0)

    /// Samples of a pixel that go through the stages together: more leave the cache, fewer leave
    /// packets wide (docs/adr/0009: 64² tiles or 8 samples are 2–5 % slower).
    static let samplesPerWave = 4

    /// - Parameters:
    ///   - scene: prepared for the frame.
    ///   - workSpace: of the frame: `scene.settings.workSpace`, or one with other tiles.
    public init(scene: PreparedScene, workSpace: WorkSpace) {
        self.scene = scene
        self.workSpace = workSpace
        let side = workSpace.grid.tileSize
        let capacity = side * side * Self.samplesPerWave
        let kernel = scene.kernel
        let hasTransparency = kernel.features.hasTransparency
        let queueSize = PathQueue.memorySize(capacity: capacity)
        let sizes = [
            SlotTable.memorySize(capacity: capacity), queueSize, queueSize,
            HitQueue.memorySize(capacity: capacity),
            // A vertex can send two: to a light and, at the end, along the last direction.
            ShadowQueue.memorySize(capacity: 2 * capacity), ClosestHits.packetSize, 64,
            hasTransparency ? PathQueue.memorySize(capacity: 2 * capacity) : 0,
            hasTransparency ? HitQueue.memorySize(capacity: 2 * capacity) : 0,
        ].map { ($0 + 15) / 16 * 16 }
        memory = AlignedBuffer(count: sizes.reduce(0, +))
        var next = memory.base
        var parts: [UnsafeMutablePointer<Float>] = []
        for size in sizes {
            parts.append(next)
            next += size
        }
        slots = SlotTable(memory: parts[0], capacity: capacity)
        queues = (
            PathQueue(memory: parts[1], capacity: capacity),
            PathQueue(memory: parts[2], capacity: capacity)
        )
        hits = HitQueue(memory: parts[3], capacity: capacity)
        shadows = ShadowQueue(memory: parts[4], capacity: 2 * capacity)
        rays = AlignedBuffer(count: Occlusion.batch)
        contexts = AlignedBuffer(count: 2)
        rtcInitIntersectContext(contexts.base)
        rtcInitIntersectContext(contexts.base + 1)
        contexts.base[1].flags = RTC_INTERSECT_CONTEXT_FLAG_COHERENT
        closestHits = ClosestHits(
            scene: scene.geometry.embree.handle,
            instances: kernel.features.hasInstances ? kernel.instances : nil,
            hasNear: hasTransparency, packet: parts[5],
            context: contexts.base, coherentContext: contexts.base + 1)
        occlusion = Occlusion(
            scene: scene.geometry.embree.handle, rays: rays.base, context: contexts.base)
        scatter = Scatter(
            scene: kernel, slots: slots, hits: hits, shadows: shadows, scratch: parts[6])
        transparency =
            hasTransparency
            ? Transparency(
                scene: kernel, slots: slots, closestHits: closestHits,
                passing: PathQueue(memory: parts[7], capacity: 2 * capacity),
                passingHits: HitQueue(memory: parts[8], capacity: 2 * capacity)) : nil
    }

    /// The sums over exactly the unit's samples.
    public func render(_ unit: WorkSpace.Unit) -> FilmTile {
        // Denormals cost a hundred cycles each, and processors must agree on them.
        let mode = ctracer_enter_float_mode()
        defer { ctracer_restore_float_mode(mode) }
        let rectangle = workSpace.grid.rectangle(ofTile: unit.tile)
        var tile = FilmTile(pixelCount: rectangle.area, isAdaptive: workSpace.isAdaptive)
        let order = pixelOrder(rectangle)
        var start = unit.samples.lowerBound
        while start < unit.samples.upperBound {
            let end = min(start + Self.samplesPerWave, unit.samples.upperBound)
            renderWave(order, start..<end, into: &tile)
            start = end
        }
        return tile
    }

    private func renderWave(_ order: PixelOrder, _ samples: Range<Int>, into tile: inout FilmTile) {
        var (paths, next) = queues
        var count = slots.generate(
            camera: scene.kernel.camera, order: order, samples: samples, seed: scene.kernel.seed,
            into: paths)
        var depth = 0
        while count > 0, depth < scene.kernel.maxDepth {
            if depth == 0 {
                closestHits.traceCoherent(paths, count: count, into: hits)
            } else {
                closestHits.traceScattered(paths, count: count, into: hits)
            }
            transparency?.resolve(paths, count: count, hits: hits, depth: depth)
            let counts =
                scene.kernel.features.hasDetail
                ? scatter.run(DetailedScene.self, paths, count: count, into: next, depth: depth)
                : scatter.run(PlainScene.self, paths, count: count, into: next, depth: depth)
            if let transparency {
                transparency.resolve(shadows, count: counts.shadows, into: slots.radiance)
            } else {
                occlusion.resolve(shadows, count: counts.shadows, into: slots.radiance)
            }
            raysTraced.closestHit += count
            raysTraced.shadow += counts.shadows
            count = counts.paths
            swap(&paths, &next)
            depth += 1
        }
        slots.accumulate(order: order, samples: samples, into: &tile)
    }

    /// Passes of one tile share their order.
    private func pixelOrder(_ rectangle: PixelRectangle) -> PixelOrder {
        if let order, order.rectangle == rectangle { return order }
        let made = PixelOrder(rectangle)
        order = made
        return made
    }
}
