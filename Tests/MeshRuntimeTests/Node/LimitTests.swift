// What a node takes of its machine: a frame that does not fit is left to others, who hear why.

import Foundation
import MeshCore
import MeshSecurity
import MeshNode
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Limits of a node", .serialized)
@EventLoop
struct LimitTests {
    /// What a frame needs at least, by its job alone.
    private static func leastBytes(_ job: FrameJob) -> Int {
        MemoryLimit.filmBytes(of: job) + (job.files.map(\.sizeBytes).max() ?? 0)
    }

    @Test("A frame may need all of the limit, and not a byte more")
    func exact() throws {
        let job = try SmallFrame(size: 128).job
        #expect(MemoryLimit.filmBytes(of: job) == 4 * 60 * 128 * 128)
        let needed = Self.leastBytes(job)
        try MemoryLimit(bytes: needed).admit(job)
        try MemoryLimit.none.admit(job)
        let error = #expect(throws: SceneError.self) {
            try MemoryLimit(bytes: needed - 1).admit(job)
        }
        #expect(error?.description.contains("--memory") == true)
        var scene = SceneFootprint()
        scene.triangles = 1_000_000
        scene.vertices = 500_000
        let whole = scene.bytes + MemoryLimit.filmBytes(of: job)
        try MemoryLimit(bytes: whole).admit(job, scene)
        #expect(throws: SceneError.self) { try MemoryLimit(bytes: whole - 1).admit(job, scene) }
        scene.triangles = .max
        scene.fileBytes = .max
        #expect(throws: SceneError.self) { try MemoryLimit(bytes: 1 << 50).admit(job, scene) }
    }

    @Test("A scene is refused before it is built, also one that is built already")
    func prepared() throws {
        let frame = try SmallFrame(size: 32)
        let least = Self.leastBytes(frame.job)
        for _ in 0..<2 {
            let error = #expect(throws: SceneError.self) {
                try ScenePreparation.prepare(
                    frame.job, from: frame.files, buildThreads: 1,
                    memory: MemoryLimit(bytes: least))
            }
            guard case .tooLarge(let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("about"), "by what the scene says of itself: \(reason)")
            _ = try frame.prepared()
        }
    }

    @Test("Sizes are told as people write them")
    func sizes() {
        #expect(sizeText(0) == "0 bytes" && sizeText(1_023) == "1023 bytes")
        #expect(sizeText(1 << 20) == "1.0 MiB" && sizeText(300 << 20) == "300 MiB")
        #expect(sizeText(.max).hasSuffix(" TiB"))
    }

    @Test("A node without enough memory takes no part and says why; the film is the same")
    func refusal() async throws {
        let frame = try SmallFrame(size: 256, samples: 256)
        let expected = try await frame.localHash()
        let first = try TestNode("first")
        let thin = try TestNode(
            "thin", peers: [first.runtime.address], limits: NodeLimits(memoryBytes: 1 << 20))
        var notices: [String] = []
        thin.runtime.onNotice = { notices.append($0) }
        #expect(await Loop.until { first.aliveCount == 2 && thin.aliveCount == 2 })
        try first.store(frame)
        let session = first.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let watch = Task { @EventLoop in
            // While the frame is in progress all of them tell of it.
            await Loop.until {
                let reports = first.runtime.nodeReports + thin.runtime.nodeReports
                let statuses = [first.runtime.daemonStatus, thin.runtime.daemonStatus]
                return reports.count { $0.refusals != nil } == 2
                    && statuses.allSatisfy { $0.frames.first?.refusals?.count == 1 }
            }
        }
        var told: [String] = []
        var end: RenderStatistics?
        for await update in session.updates {
            switch update {
            case .notice(let line): told.append(line)
            case .finished(_, let statistics): end = statistics
            default: break
            }
        }
        #expect(await watch.value)
        let statistics = try #require(end)
        #expect(statistics.filmHash == expected)
        #expect(statistics.nodes.count == 1)
        #expect(told.count { $0.hasPrefix("thin takes no part: it needs") } == 1, "\(told)")
        let lines = notices.filter { $0.contains("takes no part in frame") }
        #expect(lines.count == 1 && lines.allSatisfy { $0.contains("--memory") }, "\(notices)")
        #expect(await Loop.until { thin.runtime.refusals.isEmpty })
        #expect(thin.runtime.frames.isEmpty && thin.runtime.holds.isEmpty)
        #expect(await Loop.until { first.runtime.refusalsOfOthers.isEmpty })
        #expect(await Loop.until { first.runtime.holds.isEmpty })
        await first.runtime.stop()
        await thin.runtime.stop()
    }

    @Test("The files of a frame in progress outlive those that come after them")
    func filesInUse() async throws {
        let frame = try SmallFrame(size: 512, samples: 4_096)
        let size = frame.job.files.reduce(0) { $0 + $1.sizeBytes }
        let node = try TestNode("one", limits: NodeLimits(diskBytes: size + 1_000))
        try node.store(frame)
        let session = node.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let store = node.runtime.store
        for number in 0..<8 {
            let bytes = [UInt8](repeating: UInt8(number), count: 900)
            try store.insert(bytes, as: Digest(hashing: bytes))
        }
        #expect(frame.job.storedSizes.keys.allSatisfy { store.contains($0) })
        #expect(store.usedBytes == size + 900)
        session.cancel()
        _ = await Updates.end(session.updates)
        #expect(await Loop.until { node.runtime.frames.isEmpty })
        let bytes = [UInt8](repeating: 9, count: 1_001)
        try store.insert(bytes, as: Digest(hashing: bytes))
        #expect(!frame.job.storedSizes.keys.allSatisfy { store.contains($0) })
        await node.runtime.stop()
    }

    @Test("A scene larger than the store's budget is refused where it is submitted")
    func submission() async throws {
        let frame = try SmallFrame()
        let node = try TestNode("desk", limits: NodeLimits(diskBytes: 100))
        let server = try ControlServer(runtime: node.runtime)
        let client = try await ControlClient.connect(state: node.runtime.state.path)
        let error = await #expect(throws: ControlError.self) {
            _ = try await client.render(frame.job, file: frame.bytes)
        }
        #expect(error?.description.contains("--disk") == true, "\(String(describing: error))")
        client.close()
        server.close()
        await node.runtime.stop()
    }
}
