// Connections that nodes keep between rounds: that they do, and whom they do not keep.

import MeshCore
import MeshNode
import MeshSecurity
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Connections kept between rounds")
@EventLoop
struct ReuseTests {
    /// Two nodes that know each other, and a connection that one keeps to the other.
    private func pair() async throws -> (TestNode, TestNode) {
        let one = try TestNode("one")
        let two = try TestNode("two", peers: [one.runtime.address])
        #expect(await Loop.until { one.aliveCount == 2 && two.aliveCount == 2 })
        let space = try Films.space()
        two.runtime.frames[Films.frame] = FrameDriver(
            frame: Films.frame, workSpace: space, host: two.runtime)
        return (one, two)
    }

    /// One's stream of a sum to two, ready.
    private func open(_ round: UInt64, _ one: TestNode, _ two: TestNode) async throws
        -> StreamConnection
    {
        let stream = try #require(
            one.runtime.open(
                .sum(Films.frame, Films.round(round), .whole, receivers: []),
                to: two.runtime.identity))
        #expect(await Loop.until { stream.peerNode != nil && stream.state == .ready })
        return stream
    }

    /// The stream of a whole sum, which both ends finish.
    private func deliver(_ round: UInt64, _ one: TestNode, _ two: TestNode) async throws {
        var random = RandomNumbers(seed: round)
        let stream = try await open(round, one, two)
        let sum = try Films.split(try Films.space(), among: 1, from: &random)[0]
        var ledger = ByteWriter()
        sum.coverage.write(to: &ledger)
        stream.send(kind: StreamKind.film, payload: Films.stream(sum))
        stream.send(kind: StreamKind.release, payload: ledger.bytes)
        stream.finish()
        #expect(await Loop.until { one.runtime.pool.count == 1 })
    }

    @Test("Later rounds begin on connections that exist, and their streams are watched as all are")
    func reused() async throws {
        let (one, two) = try await pair()
        let before = two.runtime.endpoint.listener.counters.accepted
        for round in UInt64(1)...5 { try await deliver(round, one, two) }
        let counters = two.runtime.endpoint.listener.counters
        #expect(one.runtime.pool.reusedCount == 4 && counters.succeeded == 5)
        #expect(counters.accepted <= before + 2)
        let stream = try await open(6, one, two)
        #expect(one.runtime.openStreams[ObjectIdentifier(stream)] === stream)
        stream.abort()
        #expect(await Loop.until { one.runtime.openStreams.values.allSatisfy { $0.isOpen } })
        #expect(one.runtime.pool.count == 0)
        for node in [one, two] { await node.runtime.stop() }
    }

    @Test("A round that is abandoned at either end leaves no connection behind", arguments: [1, 2])
    func abandoned(end: Int) async throws {
        let (one, two) = try await pair()
        try await deliver(1, one, two)
        let stream = try await open(2, one, two)
        var random = RandomNumbers(seed: 5)
        let sum = try Films.split(try Films.space(), among: 1, from: &random)[0]
        stream.send(kind: StreamKind.film, payload: Array(Films.stream(sum).prefix(500)))
        var isClosed = false
        stream.onClose = { _ in isClosed = true }
        await Loop.pause(.milliseconds(20))
        if end == 1 { stream.abort() } else { two.runtime.frames[Films.frame]?.close() }
        #expect(await Loop.until { isClosed })
        #expect(one.runtime.pool.count == 0)
        #expect(await Loop.until { two.runtime.endpoint.listener.keptCount == 0 })
        for node in [one, two] { await node.runtime.stop() }
    }

    @Test("A rotation keeps connections; a revocation closes those that wait, at both ends")
    func keys() async throws {
        let (one, two) = try await pair()
        try await deliver(1, one, two)
        _ = try one.runtime.rotateKey()
        let key = one.runtime.keyring.current
        #expect(await Loop.until { two.runtime.keyring.current == key })
        try await deliver(2, one, two)
        #expect(one.runtime.pool.reusedCount == 1)
        #expect(two.runtime.endpoint.listener.keptCount == 1)
        // The acceptor goes first: the opener may still believe in the key.
        var next = two.runtime.keyring
        next.revokeFormer()
        #expect(two.runtime.takeOver(next))
        #expect(await Loop.until { one.runtime.pool.count == 0 })
        #expect(two.runtime.endpoint.listener.keptCount == 0)
        #expect(await Loop.until { one.runtime.keyring.accepted == [key] })
        try await deliver(3, one, two)
        #expect(one.runtime.pool.reusedCount == 1)
        _ = try one.runtime.rotateKey()
        _ = try one.runtime.revokeOldKeys(force: true)
        #expect(one.runtime.pool.count == 0)
        #expect(await Loop.until { two.runtime.endpoint.listener.keptCount == 0 })
        for node in [one, two] { await node.runtime.stop() }
    }

    @Test("An opening that meets a revocation on its way is not heard")
    func openingUnderRevokedKey() async throws {
        let (one, two) = try await pair()
        try await deliver(1, one, two)
        _ = try one.runtime.rotateKey()
        #expect(await Loop.until { two.runtime.keyring.accepted.count == 2 })
        // As it is when the opening is read before the connection was closed for the revocation.
        two.runtime.keyring.revokeFormer()
        try #require(one.runtime.pool.count == 1)
        let stream = try #require(
            one.runtime.open(
                .sum(Films.frame, Films.round(2), .whole, receivers: []),
                to: two.runtime.identity))
        var end: StreamCloseReason?
        stream.onClose = { end = $0 }
        #expect(await Loop.until { end != nil })
        #expect(one.runtime.pool.reusedCount == 1)
        // Nothing but the connection's welcome has come back.
        #expect(stream.counters.framesReceived == 0)
        for node in [one, two] { await node.runtime.stop() }
    }

    @Test("A frame of many rounds comes out right on connections that are used again")
    func frame() async throws {
        let one = try TestNode("one")
        let nodes =
            try [one]
            + ["two", "three"].map {
                try TestNode($0, peers: [one.runtime.address])
            }
        #expect(await Loop.until { nodes.allSatisfy { $0.aliveCount == 3 } })
        let frame = try SmallFrame(size: 192, samples: 96)
        try one.store(frame)
        let session = one.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let end = try #require(await Updates.end(session.updates))
        #expect(end.statistics.filmHash == (try await frame.localHash()))
        #expect(nodes.reduce(0) { $0 + $1.runtime.pool.reusedCount } > 0)
        for node in nodes { await node.runtime.stop() }
    }

    @Test("Messages for a node where another one is now cost one connection in a while")
    func strays() async throws {
        let (one, two) = try await pair()
        let gone = ParticipantID(node: NodeKey().node, boot: 1)
        let before = two.runtime.endpoint.listener.counters
        for _ in 0..<50 {
            one.runtime.links.send(
                kind: StreamKind.message, [], to: gone, at: two.runtime.address)
            await Loop.pause(.milliseconds(5))
        }
        let after = two.runtime.endpoint.listener.counters
        let knocks =
            after.accepted + after.garbage + after.untrusted
            - before.accepted - before.garbage - before.untrusted
        #expect((1...2).contains(knocks))
        // Elsewhere it may be.
        let other = try StreamPeer(9)
        one.runtime.links.send(kind: StreamKind.message, [], to: gone, at: other.address)
        #expect(
            await Loop.until {
                other.listener.counters.accepted + other.listener.counters.garbage > 0
            })
        other.listener.close()
        for node in [one, two] { await node.runtime.stop() }
    }
}
