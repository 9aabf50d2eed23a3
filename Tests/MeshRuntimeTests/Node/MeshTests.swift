// Frames on whole nodes over real sockets: the film must be the one that this machine makes alone.

import MeshCore
import MeshNode
import MeshSecurity
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Frames on a mesh", .serialized)
@EventLoop
struct MeshTests {
    @Test("A mesh of one makes the film of a local render, and forgets the frame")
    func one() async throws {
        let frame = try SmallFrame()
        let expected = try await frame.localHash()
        let node = try TestNode("one")
        try node.store(frame)
        let session = node.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let end = try #require(await Updates.end(session.updates))
        #expect(end.statistics.filmHash == expected)
        #expect(end.statistics.complete && end.film.hash == expected)
        #expect(end.statistics.nodes.map(\.id) == ["\(node.runtime.identity.node)"])
        #expect(await Loop.until { node.runtime.frames.isEmpty })
        #expect(node.runtime.sessions.isEmpty && node.runtime.counters.isEmpty)
        #expect(await Loop.until { node.runtime.unitsInFlight == 0 })
        await node.runtime.stop()
    }

    @Test("Two nodes share a frame, the scene travels, and the film is the same")
    func two() async throws {
        let frame = try SmallFrame(size: 256, samples: 128)
        let expected = try await frame.localHash()
        let first = try TestNode("first")
        let second = try TestNode("second", peers: [first.runtime.address])
        #expect(await Loop.until { first.aliveCount == 2 && second.aliveCount == 2 })
        try first.store(frame)
        let session = first.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let watch = Task { @EventLoop in
            var isRight = true
            while !Task.isCancelled {
                isRight = isRight && first.filmsAgree && second.filmsAgree
                await Loop.pause(.milliseconds(3))
            }
            return isRight
        }
        let end = try #require(await Updates.end(session.updates))
        watch.cancel()
        #expect(await watch.value, "a film is not what its machine thinks it is")
        #expect(end.statistics.filmHash == expected)
        let digest = try #require(Digest(hexadecimal: frame.job.files[0].digest))
        #expect(second.runtime.store.contains(digest))
        #expect(end.statistics.nodes.count == 2)
        #expect(await Loop.until { second.runtime.frames.isEmpty })
        await first.runtime.stop()
        await second.runtime.stop()
    }

    @Test("Two frames at once, from different nodes, both come to their films")
    func twoFrames() async throws {
        let frames = [try SmallFrame(size: 96, samples: 64), try SmallFrame(size: 80, samples: 48)]
        let nodes = [try TestNode("first")]
        let all = nodes + [try TestNode("second", peers: [nodes[0].runtime.address])]
        #expect(await Loop.until { all.allSatisfy { $0.aliveCount == 2 } })
        var sessions: [FrameSession] = []
        for (node, frame) in zip(all, frames) {
            try node.store(frame)
            sessions.append(
                node.runtime.submit(try frame.prepared(), requested: EventLoop.now))
        }
        for (session, frame) in zip(sessions, frames) {
            let end = try #require(await Updates.end(session.updates))
            #expect(end.statistics.filmHash == (try await frame.localHash()))
        }
        for node in all { await node.runtime.stop() }
    }

    @Test("A cancelled frame gives its picture so far, and ends")
    func cancelled() async throws {
        let frame = try SmallFrame(size: 512, samples: 4_096)
        let node = try TestNode("one")
        try node.store(frame)
        let session = node.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        session.cancel()
        session.cancel()
        let end = try #require(await Updates.end(session.updates))
        #expect(!end.statistics.complete && !end.film.isComplete)
        #expect(end.statistics.filmHash == end.film.hash)
        #expect(await Loop.until { node.runtime.frames.isEmpty })
        await node.runtime.stop()
    }

    @Test("A node that stops says so to who waits for its frame")
    func stopped() async throws {
        let frame = try SmallFrame(size: 512, samples: 4_096)
        let node = try TestNode("one")
        try node.store(frame)
        let session = node.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        await node.runtime.stop()
        var last: RenderUpdate?
        for await update in session.updates { last = update }
        guard case .failed(let reason) = last else {
            Issue.record("\(String(describing: last))")
            return
        }
        #expect(reason.contains("stops"))
    }

    @Test("Garbage at both ports is counted and harms nothing")
    func garbage() async throws {
        let node = try TestNode("one")
        let address = node.runtime.address
        let before = node.runtime.garbageReceived
        for payload in [[], [0xff], [UInt8](repeating: 7, count: 5_000)] as [[UInt8]] {
            let stream = StreamConnection.connect(
                to: address, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
            var isClosed = false
            stream.onClose = { _ in isClosed = true }
            stream.send(kind: StreamKind.opening, payload: payload)
            #expect(await Loop.until { isClosed })
        }
        #expect(node.runtime.garbageReceived == before + 3)
        // Somebody who claims to be this node.
        let stream = StreamConnection.connect(
            to: address, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
        var isClosed = false
        stream.onClose = { _ in isClosed = true }
        stream.send(kind: StreamKind.opening, payload: node.runtime.links.opening)
        #expect(await Loop.until { isClosed })
        // Figures that would overflow.
        let figures = StreamConnection.connect(
            to: address, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
        var isCut = false
        figures.onClose = { _ in isCut = true }
        figures.send(
            kind: StreamKind.opening,
            payload: StreamOpening.control(sender: TestMesh.participant, name: "x").encoded())
        figures.send(kind: StreamKind.contribution, payload: [UInt8]("{\"samples\":1e999}".utf8))
        figures.send(kind: StreamKind.message, payload: [1, 2, 3])
        #expect(await Loop.until { isCut })
        #expect(node.runtime.garbageReceived == before + 6)
        await node.runtime.stop()
    }
}
