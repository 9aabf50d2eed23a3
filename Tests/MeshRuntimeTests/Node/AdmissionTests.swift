// Nodes whose reference unit is wrong, over real sockets and in frames that nobody verifies.

import MeshCore
import Testing
import Tracer
import WorkStealing

@testable import MeshRuntime

@Suite("Admission by a reference unit", .serialized)
@EventLoop
struct AdmissionTests {
    @EventLoop
    final class Notices {
        var lines: [[String]]
        init(count: Int) { lines = Array(repeating: [], count: count) }
    }

    @Test(
        "A node whose results are wrong adds nothing to the film, and is told so",
        arguments: [2, 3])
    func fault(count: Int) async throws {
        let frame = try SmallFrame(size: 128, samples: 64)
        let expected = try await frame.localHash()
        let faulty = count - 1
        // One bit of one pixel.
        let fault: @Sendable (inout FilmTile) -> Void = { tile in
            tile.wide[tile.pixelCount / 2] ^= 1 << 20
        }
        var nodes: [TestNode] = []
        for index in 0..<count {
            nodes.append(
                try TestNode(
                    "node-\(index)", peers: nodes.first.map { [$0.runtime.address] } ?? [],
                    fault: index == faulty ? fault : nil))
        }
        let mesh = nodes
        #expect(await Loop.until { mesh.allSatisfy { $0.aliveCount == count } })
        let notices = Notices(count: count)
        for (index, node) in mesh.enumerated() {
            node.runtime.onNotice = { notices.lines[index].append($0) }
        }
        try mesh[0].store(frame)
        let session = mesh[0].runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let end = try #require(await Updates.end(session.updates))
        let id = "\(mesh[faulty].runtime.identity.node)"
        #expect(end.statistics.filmHash == expected && end.statistics.complete)
        #expect(end.statistics.quarantined == [id])
        let told = notices.lines[0].filter { $0.contains("keeps node \(id) out") }
        #expect(told.count == 1 && told[0].contains("its reference tile differs"))
        // Kept out first, or found wrong at once, as the others' digests come.
        #expect(
            await Loop.until {
                notices.lines[faulty].contains {
                    $0.contains("this node renders nothing of frame")
                        || $0.contains("this node renders no more of frame")
                }
            })
        for node in mesh { await node.runtime.stop() }
    }
}
