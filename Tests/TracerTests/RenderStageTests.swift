import CEmbree
import MeshCore
import Testing

@testable import Tracer

@Suite("Stages of the wavefront")
struct RenderStageTests {
    @Test("A tile's pixel order has each pixel once, whatever its shape")
    func pixelOrder() {
        for (width, height) in [(32, 32), (1, 1), (7, 3), (32, 5), (9, 32)] {
            let order = PixelOrder(PixelRectangle(x: 5, y: 6, width: width, height: height))
            #expect(order.pixel.sorted() == (0..<Int32(width * height)).map { $0 })
        }
    }

    @Test("Camera rays go through their pixels, all samples of a pixel in a row")
    func cameraRays() throws {
        let capacity = 8 * 8 * 3
        let memory = AlignedBuffer<Float>(count: SlotTable.memorySize(capacity: capacity))
        let queue = AlignedBuffer<Float>(count: PathQueue.memorySize(capacity: capacity))
        defer { withExtendedLifetime((memory, queue)) {} }
        let slots = SlotTable(memory: memory.base, capacity: capacity)
        let paths = PathQueue(memory: queue.base, capacity: capacity)
        let camera = CameraFrame(RenderScene.camera(halfHeight: 16), width: 32, height: 32)
        let rectangle = PixelRectangle(x: 8, y: 16, width: 5, height: 7)
        let order = PixelOrder(rectangle)
        let count = slots.generate(
            camera: camera, order: order, samples: 2..<5, seed: 1, into: paths)
        #expect(count == 5 * 7 * 3)
        for slot in 0..<count {
            let pixel = Int(order.pixel[slot / 3])
            let x = Float(8 + pixel % 5) - 16
            let y = 16 - Float(16 + pixel / 5)
            #expect(paths.slot[slot] == UInt32(slot))
            #expect((x...x + 1).contains(paths.originX[slot]))
            #expect((y - 1...y).contains(paths.originY[slot]))
            #expect(paths.directionZ[slot] == -1)
            #expect(paths.throughputY[slot] == 1)
        }
    }

    @Test("Compaction keeps the order of the lanes that stay")
    func compaction() {
        let memory = AlignedBuffer<Float>(count: PathQueue.memorySize(capacity: 64))
        defer { withExtendedLifetime(memory) {} }
        let paths = PathQueue(memory: memory.base, capacity: 64)
        let lanes = Float8(0, 1, 2, 3, 4, 5, 6, 7)
        for keep in 0..<UInt32(256) {
            let next = paths.append(
                at: 3, keep: keep, origin: Vector8(lanes, lanes, lanes), direction: .zero,
                throughput: .zero, density: lanes, slot: UInt32x8(0, 1, 2, 3, 4, 5, 6, 7))
            let kept = (0..<8).filter { keep & 1 << $0 != 0 }
            #expect(next == 3 + kept.count)
            #expect((3..<next).map { Int(paths.originY[$0]) } == kept)
            #expect((3..<next).map { Int(paths.slot[$0]) } == kept)
        }
    }

    @Test("Packets of eight and of sixteen find the same triangles, and the misses")
    func closestHits() throws {
        let scene = RenderScene.make(
            [RenderScene.sphere(), RenderScene.quad(side: 1, z: -2)],
            materials: [RenderScene.diffuse(1)])
        let settings = RenderScene.settings(side: 13)
        let prepared = try PreparedScene(scene, frame: settings, buildThreads: 1)
        let count = 13 * 13
        let memory = AlignedBuffer<Float>(
            count: PathQueue.memorySize(capacity: count) + SlotTable.memorySize(capacity: count))
        let paths = PathQueue(memory: memory.base, capacity: count)
        let slots = SlotTable(
            memory: memory.base + PathQueue.memorySize(capacity: count), capacity: count)
        _ = slots.generate(
            camera: prepared.kernel.camera,
            order: PixelOrder(PixelRectangle(x: 0, y: 0, width: 13, height: 13)),
            samples: 0..<1, seed: 3, into: paths)
        let packet = AlignedBuffer<Float>(count: ClosestHits.packetSize)
        let contexts = AlignedBuffer<RTCIntersectContext>(count: 2)
        rtcInitIntersectContext(contexts.base)
        rtcInitIntersectContext(contexts.base + 1)
        let stage = ClosestHits(
            scene: prepared.geometry.embree.handle, instances: nil, hasNear: false,
            packet: packet.base, context: contexts.base, coherentContext: contexts.base + 1)
        let results = (0..<2).map { _ in
            AlignedBuffer<Float>(count: HitQueue.memorySize(capacity: count))
        }
        defer { withExtendedLifetime((memory, packet, contexts, results)) {} }
        let first = HitQueue(memory: results[0].base, capacity: count)
        let second = HitQueue(memory: results[1].base, capacity: count)
        stage.traceCoherent(paths, count: count, into: first)
        stage.traceScattered(paths, count: count, into: second)
        let found = (0..<count).map { first.triangle[$0] }
        #expect(found == (0..<count).map { second.triangle[$0] })
        #expect(found.contains(HitQueue.none))
        #expect(found.contains { $0 != HitQueue.none })
        #expect(found.allSatisfy { $0 == HitQueue.none || Int($0) < prepared.triangleCount })
    }

    @Test("A sample is rounded to the film's steps, and one that is no number is counted")
    func accumulation() {
        let memory = AlignedBuffer<Float>(count: SlotTable.memorySize(capacity: 8))
        defer { withExtendedLifetime(memory) {} }
        let slots = SlotTable(memory: memory.base, capacity: 8)
        slots.radiance[0] = SIMD4(0.5, 1, 1e9, 0)
        slots.radiance[1] = SIMD4(0x1p-25, 3 * 0x1p-25, -1, 0)
        slots.radiance[2] = SIMD4(.nan, 1, 1, 0)
        slots.radiance[3] = SIMD4(1, .infinity, 1, 0)
        slots.depth[0] = 1.5
        slots.albedoX[0] = 2
        slots.albedoY[0] = 0.5
        slots.normalX[0] = -1
        slots.normalY[0] = 0x1p-15
        slots.normalZ[0] = 3 * 0x1p-15
        var tile = FilmTile(pixelCount: 1)
        let order = PixelOrder(PixelRectangle(x: 0, y: 0, width: 1, height: 1))
        slots.accumulate(order: order, samples: 0..<4, into: &tile)
        // Ties go to even: half a step down, one and a half steps up.
        #expect(tile.wide == [1 << 23, 1 << 24 + 2, 1 << 46, 3 << 15])
        #expect(tile.narrow == [1, 1 << 14, 1 << 13, 0, -(1 << 14), 0, 2])
        #expect(tile.nonFiniteSamples == 2)
    }

    @Test("In adaptive frames the control samples add their luminance to a plane of its own")
    func controlAccumulation() {
        let memory = AlignedBuffer<Float>(count: SlotTable.memorySize(capacity: 16))
        defer { withExtendedLifetime(memory) {} }
        let slots = SlotTable(memory: memory.base, capacity: 16)
        // Two pixels, samples 5 … 9 of each: 8 and 9 are control samples.
        for slot in 0..<10 { slots.radiance[slot] = SIMD4(1, 1, 1, 0) }
        slots.radiance[3] = SIMD4(0.5, 0.5, 0.5, 0)
        slots.radiance[4] = SIMD4(1, 0, 0, 0)
        slots.radiance[9] = SIMD4(1, .nan, 1, 0)
        let order = PixelOrder(PixelRectangle(x: 0, y: 0, width: 2, height: 1))
        var tile = FilmTile(pixelCount: 2, isAdaptive: true)
        slots.accumulate(order: order, samples: 5..<10, into: &tile)
        let one: Int64 = 1 << 24
        #expect(tile.wide.count == 10)
        let first = order.pixel[0] == 0 ? 8 : 9
        #expect(tile.wide[first] == one / 2 + 13_933 << 8)
        #expect(tile.wide[17 - first] == one)
        #expect(tile.nonFiniteSamples == 1)
        // The other planes are those of any frame.
        var plain = FilmTile(pixelCount: 2)
        slots.accumulate(order: order, samples: 5..<10, into: &plain)
        #expect(tile.wide[..<8] == plain.wide[...])
        #expect(tile.narrow == plain.narrow)
    }

    @Test("Control samples are the upper half between each two powers of two, from 16 on")
    func controlSamples() {
        let expected = Array(8..<16) + Array(24..<32) + Array(48..<64) + Array(96..<128)
        #expect((0..<128).filter(ControlSamples.contains) == expected)
        for lower in 0..<70 {
            for upper in lower..<140 {
                let expected = (lower..<upper).count(where: ControlSamples.contains)
                #expect(ControlSamples.count(in: lower..<upper) == expected)
            }
        }
        let (r, g, b) = ControlSamples.weights
        #expect(r + g + b == 65_536)
        #expect(ControlSamples.luminance(1 << 46, 1 << 46, 1 << 46) == 1 << 46)
    }

    @Test("The benchmark counts samples and rays and gives one mean for any number of threads")
    func benchmark() throws {
        let scene = RenderScene.make(
            [RenderScene.sphere()], materials: [RenderScene.diffuse(0.5)], environment: 1)
        let prepared = try PreparedScene(
            scene, frame: RenderScene.settings(side: 40), buildThreads: 1)
        let one = try #require(TracerBenchmark(scene: prepared, threads: 1).run(samplesPerPixel: 3))
        let two = try #require(TracerBenchmark(scene: prepared, threads: 2).run(samplesPerPixel: 3))
        #expect(one.samples == 40 * 40 * 3)
        #expect(one.closestHitRays >= one.samples)
        #expect(one.shadowRays > 0)
        #expect(one.mean == two.mean)
        #expect(one.closestHitRays == two.closestHitRays)
        #expect(one.megasamplesPerCPUSecond > 0)
        #expect(TracerBenchmark(scene: prepared, threads: 1).run(samplesPerPixel: 0) == nil)
    }
}
