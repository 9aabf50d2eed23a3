// Frames whose units are rendered twice and compared, on whole nodes over real sockets.

import MeshCore
import Synchronization
import Testing
import Tracer
import WorkStealing

@testable import MeshRuntime

@Suite("Verified frames", .serialized)
@EventLoop
struct VerifiedFrameTests {
    /// Renders a verified frame on three nodes, one of which may have a fault.
    func render(
        _ frame: SmallFrame, faulty: Int?, fault: @escaping @Sendable (inout FilmTile) -> Void
    ) async throws -> (statistics: RenderStatistics, notices: [[String]], ids: [String]) {
        var nodes: [TestNode] = []
        for index in 0..<3 {
            nodes.append(
                try TestNode(
                    "node-\(index)", peers: nodes.first.map { [$0.runtime.address] } ?? [],
                    fault: index == faulty ? fault : nil))
        }
        let mesh = nodes
        #expect(await Loop.until { mesh.allSatisfy { $0.aliveCount == 3 } })
        let notices = Notices(count: 3)
        for (index, node) in mesh.enumerated() {
            node.runtime.onNotice = { notices.lines[index].append($0) }
        }
        try mesh[0].store(frame)
        let session = mesh[0].runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let end = try #require(await Updates.end(session.updates))
        let ids = mesh.map { "\($0.runtime.identity.node)" }
        if let faulty, faulty > 0 {
            // It is told, too, and says so.
            #expect(await Loop.until { notices.lines[faulty].contains { $0.contains("no more") } })
        }
        for node in mesh { await node.runtime.stop() }
        return (end.statistics, notices.lines, ids)
    }

    @EventLoop
    final class Notices {
        var lines: [[String]]
        init(count: Int) { lines = Array(repeating: [], count: count) }
    }

    @Test("Nodes that render the same agree, and the film is that of a local render")
    func agree() async throws {
        let frame = try SmallFrame(size: 128, samples: 64, verifiedShare: 0.5)
        let expected = try await frame.localHash()
        let (statistics, _, _) = try await render(frame, faulty: nil) { _ in }
        #expect(statistics.filmHash == expected && statistics.quarantined == [])
        #expect(statistics.unitsVerified ?? 0 > 0)
    }

    @Test(
        "A node that renders something else is named and kept out, and the film is right",
        arguments: [0, 2])
    func fault(faulty: Int) async throws {
        let frame = try SmallFrame(size: 128, samples: 64, verifiedShare: 1)
        let expected = try await frame.localHash()
        let count = Atomic(0)
        let (statistics, notices, ids) = try await render(frame, faulty: faulty) { tile in
            // One bit of one pixel; the first unit is the one by which nodes are admitted.
            guard count.add(1, ordering: .relaxed).oldValue > 0 else { return }
            tile.wide[tile.pixelCount / 2] ^= 1 << 20
        }
        #expect(statistics.quarantined == [ids[faulty]])
        #expect(notices[0].contains { $0.contains("another result for the tile") })
        #expect(statistics.filmHash == expected && statistics.complete)
    }
}
