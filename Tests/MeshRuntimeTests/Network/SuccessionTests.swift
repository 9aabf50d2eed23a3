// Streams that follow each other on one connection, and those that must not.

import MeshCore
import MeshSecurity
import Testing

@testable import MeshRuntime

private let loopback = NodeAddress(127, 0, 0, 1, port: 0)
private let olderPreamble = StreamPreamble(major: 1, minor: 1, purpose: .mesh)

/// A listener, a pool of connections to it, and what became of the streams.
@EventLoop
private final class Line {
    /// A stream at the listener, and what came on it.
    final class Accepted {
        let stream: StreamConnection
        var frames: [StreamFrame] = []
        var end: StreamCloseReason?
        init(_ stream: StreamConnection) { self.stream = stream }
    }

    let listener: StreamListener
    let pool: StreamPool
    let address: NodeAddress
    var accepted: [Accepted] = []
    private let preamble: StreamPreamble
    private let limits: StreamLimits

    init(
        pool: StreamPool = StreamPool(), opener: StreamPreamble = MeshProtocol.meshPreamble,
        acceptor: StreamPreamble = MeshProtocol.meshPreamble, limits: StreamLimits = StreamLimits()
    ) throws {
        self.pool = pool
        preamble = opener
        self.limits = limits
        listener = try StreamListener.listen(
            on: loopback, preamble: acceptor, security: TestMesh.security, limits: limits)
        address = try #require(listener.localAddress)
        listener.onConnection = { [unowned self] stream in
            let entry = Accepted(stream)
            stream.onFrame = { [unowned self] kind, payload in
                if entry.frames.isEmpty { accepted.append(entry) }
                entry.frames.append(StreamFrame(kind: kind, payload: payload))
            }
            stream.onClose = { entry.end = $0 }
        }
    }

    /// A stream with a first frame that names it.
    func open(_ number: UInt8) -> StreamConnection {
        let stream = pool.take(to: address, of: nil) ?? connect()
        stream.send(kind: 1, payload: [number])
        return stream
    }

    private func connect() -> StreamConnection {
        let stream = StreamConnection.connect(
            to: address, preamble: preamble, security: TestMesh.security, limits: limits)
        pool.adopt(stream)
        return stream
    }

    /// Opens a stream and waits until it is there.
    func opened(_ number: UInt8) async throws -> (StreamConnection, Accepted) {
        let before = accepted.count
        let stream = open(number)
        #expect(await Loop.until { self.accepted.count == before + 1 && stream.peerNode != nil })
        return (stream, try #require(accepted.last))
    }

    /// Lets both ends finish a stream, and waits until its connection is kept.
    func finish(_ stream: StreamConnection, _ peer: StreamConnection) async {
        let before = pool.count
        stream.finish()
        peer.finish()
        #expect(await Loop.until { self.pool.count == before + 1 && self.listener.keptCount > 0 })
    }

    func close() {
        pool.closeAll()
        listener.close()
        for entry in accepted { entry.stream.abort() }
    }
}

@Suite("Streams that follow each other")
@EventLoop
struct SuccessionTests {
    private let piece = [UInt8](repeating: 7, count: 100_000)

    @Test(
        "Ten streams take one handshake, and each has its own frames, counters and end",
        arguments: ["opener", "acceptor", "both"])
    func oneConnection(first: String) async throws {
        let line = try Line()
        var streams: Set<ObjectIdentifier> = []
        for number in UInt8(0)..<10 {
            let stream = line.open(number)
            var (answers, end) = (0, StreamCloseReason?.none)
            var isReady = false
            stream.onReady = { _ in isReady = true }
            stream.onFrame = { kind, _ in if kind == 3 { answers += 1 } }
            stream.onClose = { end = $0 }
            for _ in 0..<5 { stream.send(kind: 2, payload: piece) }
            #expect(
                await Loop.until {
                    line.accepted.count == Int(number) + 1 && line.accepted.last?.frames.count == 6
                })
            let peer = try #require(line.accepted.last)
            peer.stream.send(kind: 3, payload: [])
            #expect(await Loop.until { answers == 1 && isReady })
            #expect(peer.stream.peerNode == TestMesh.key.node)
            #expect(peer.frames[0] == StreamFrame(kind: 1, payload: [number]))
            #expect(peer.stream.counters.framesReceived == 6)
            #expect(stream.counters.framesSent == 6 && stream.counters.framesReceived == 1)
            #expect(stream.counters.bytesSent > 500_000 && stream.counters.bytesSent < 520_000)
            if first != "acceptor" { stream.finish() }
            if first != "opener" { peer.stream.finish() }
            #expect(await Loop.until { line.pool.count == 1 && peer.end != nil && end != nil })
            #expect(first == "acceptor" || end == .closedHere)
            #expect(first == "opener" || peer.end == .closedHere)
            // Who still holds a stream that is over can do nothing to the next.
            #expect(!stream.send(kind: 2, payload: []) && !peer.stream.isOpen)
            stream.abort()
            peer.stream.abort()
            streams.insert(ObjectIdentifier(stream))
        }
        #expect(line.accepted.count == 10 && streams.count > 1)
        #expect(line.listener.counters.accepted == 1 && line.listener.counters.succeeded == 10)
        #expect(line.pool.reusedCount == 9 && line.listener.door.openCount == 1)
        line.close()
        #expect(await Loop.until { line.listener.door.openCount == 0 })
    }

    @Test("What an end has queued, and the other has paused before, is not lost nor mixed up")
    func pausedAndQueued() async throws {
        let line = try Line()
        for number in UInt8(0)..<3 {
            let (stream, peer) = try await line.opened(number)
            peer.stream.pauseReading()
            for _ in 0..<60 { stream.send(kind: 2, payload: piece) }
            stream.finish()
            await Loop.pause(.milliseconds(20))
            try #require(peer.end == nil && line.pool.count == 0)
            peer.stream.resumeReading()
            #expect(await Loop.until { line.pool.count == 1 })
            #expect(peer.frames.count == 61 && peer.end == .closedByPeer)
        }
        #expect(line.listener.counters.accepted == 1)
        line.close()
    }

    @Test(
        "A stream that ends in any other way takes its connection with it",
        arguments: ["abort", "abort there", "close", "close there"], [false, true])
    func notReused(way: String, isFinishedByOther: Bool) async throws {
        let line = try Line()
        let (stream, peer) = try await line.opened(1)
        // A piece is under way.
        for _ in 0..<60 { stream.send(kind: 2, payload: piece) }
        let isHere = !way.hasSuffix("there")
        let (one, other) = isHere ? (stream, peer.stream) : (peer.stream, stream)
        var end: StreamCloseReason?
        stream.onClose = { end = $0 }
        if isFinishedByOther { other.finish() }
        if way.hasPrefix("abort") { one.abort() } else { one.closeAfterFlush() }
        #expect(await Loop.until { end != nil && peer.end != nil })
        #expect(line.pool.count == 0 && line.listener.keptCount == 0)
        _ = try await line.opened(2)
        #expect(line.listener.counters.accepted == 2 && line.listener.counters.succeeded == 0)
        line.close()
    }

    @Test("A peer of before, at either end, closes as before", arguments: [true, false])
    func olderPeer(isOpener: Bool) async throws {
        let line = try Line(
            opener: isOpener ? olderPreamble : MeshProtocol.meshPreamble,
            acceptor: isOpener ? MeshProtocol.meshPreamble : olderPreamble)
        for number in UInt8(0)..<3 {
            let (stream, peer) = try await line.opened(number)
            var end: StreamCloseReason?
            stream.onClose = { end = $0 }
            for _ in 0..<20 { stream.send(kind: 2, payload: piece) }
            stream.finish()
            #expect(await Loop.until { end != nil && peer.end != nil })
            #expect(peer.frames.count == 21 && end == .closedHere && peer.end == .closedByPeer)
        }
        #expect(line.listener.counters.accepted == 3 && line.pool.count == 0)
        line.close()
    }

    @Test(
        "As many connections are kept as there is room for, the last ones, and none for long",
        arguments: [(8, 16, 5, 5), (3, 16, 64, 3), (256, 16, 64, 8), (256, 4, 64, 4)])
    func bounds(
        acceptorMax: Int, ofNodeMax: Int, openerMax: Int, expected: Int
    ) async throws {
        let line = try Line(pool: StreamPool(idleLimit: .seconds(3), allMax: openerMax))
        line.listener.keptMax = acceptorMax
        line.listener.keptOfNodeMax = ofNodeMax
        #expect(StreamPool.perPeerMax == 8)
        var pairs: [(StreamConnection, Line.Accepted)] = []
        for number in UInt8(0)..<12 { pairs.append(try await line.opened(number)) }
        for (stream, peer) in pairs {
            stream.finish()
            peer.stream.finish()
            #expect(await Loop.until { peer.end != nil && !stream.isOpen })
        }
        #expect(await Loop.until { line.listener.door.openCount == expected })
        #expect(line.pool.count == expected && line.listener.keptCount == expected)
        #expect(await Loop.until { line.listener.door.openCount == 0 })
        #expect(line.pool.count == 0 && line.listener.keptCount == 0)
        line.close()
    }

    @Test(
        "A peer that does not answer a later opening is found as one that never introduced itself")
    func noWelcome() async throws {
        var limits = StreamLimits()
        limits.preambleTimeout = .milliseconds(500)
        let line = try Line(limits: limits)
        var next: StreamConnection?
        let (stream, peer) = try await line.opened(1)
        line.listener.onConnection = { next = $0 }
        await line.finish(stream, peer.stream)
        next?.pauseReading()
        let later = line.open(2)
        var (end, isReady) = (StreamCloseReason?.none, false)
        later.onReady = { _ in isReady = true }
        later.onClose = { end = $0 }
        #expect(await Loop.until { end != nil })
        #expect(end == .preambleTimedOut && !isReady)
        line.close()
    }

    @Test("A stream that is over here ends soon, though its peer goes on to send")
    func trickle() async throws {
        var limits = StreamLimits()
        limits.lingerTimeout = .milliseconds(500)
        let line = try Line(limits: limits)
        let (stream, peer) = try await line.opened(1)
        // It does not hear that the stream is over.
        peer.stream.pauseReading()
        var end: StreamCloseReason?
        stream.onClose = { end = $0 }
        stream.finish()
        var sent = 0
        while end == nil, sent < 100 {
            peer.stream.send(kind: 2, payload: [1])
            sent += 1
            await Loop.pause(.milliseconds(100))
        }
        #expect(end == .closedHere && sent < 100)
        #expect(line.pool.count == 0)
        line.close()
    }

    @Test(
        "A connection under a key that was revoked meanwhile is not kept", arguments: [true, false])
    func revoked(byOpener: Bool) async throws {
        let line = try Line()
        let (stream, peer) = try await line.opened(1)
        if byOpener {
            line.pool.renew { _ in false }
        } else {
            line.listener.renew { _ in false }
        }
        var end: StreamCloseReason?
        stream.onClose = { end = $0 }
        stream.finish()
        peer.stream.finish()
        #expect(await Loop.until { end != nil && line.listener.door.openCount == 0 })
        #expect(line.pool.count == 0 && line.listener.keptCount == 0)
        line.close()
    }

    @Test("A listener that closes takes along what waits for another stream")
    func closedListener() async throws {
        let line = try Line()
        let (stream, peer) = try await line.opened(1)
        await line.finish(stream, peer.stream)
        line.listener.close()
        #expect(await Loop.until { line.pool.count == 0 })
        line.close()
    }

    @Test("What a peer sends out of turn ends the connection", arguments: [true, false])
    func outOfTurn(isEnd: Bool) async throws {
        let line = try Line()
        // Before a later stream is opened nobody speaks but its opener.
        var (stream, peer) = try await line.opened(1)
        var next: StreamConnection?
        let onConnection = line.listener.onConnection
        line.listener.onConnection = { next = $0 }
        await line.finish(stream, peer.stream)
        if isEnd { next?.finish() } else { next?.send(kind: 2, payload: []) }
        #expect(await Loop.until { line.pool.count == 0 && line.listener.door.openCount == 0 })

        // A welcome that was not owed, and an opening that is answered by something else.
        line.listener.onConnection = onConnection
        (stream, peer) = try await line.opened(2)
        await line.finish(stream, peer.stream)
        let later = line.open(3)
        var end: StreamCloseReason?
        later.onClose = { end = $0 }
        try #require(line.listener.keptCount == 1)
        line.listener.keptStreams.first?.succession.owesWelcome = false
        #expect(await Loop.until { line.accepted.last?.frames.first?.payload == [3] })
        line.accepted.last?.stream.send(kind: 2, payload: [])
        #expect(await Loop.until { end != nil })
        #expect(end == .garbage(.welcomeMissing(kind: 2)))

        // A stream that was never opened is not followed by another.
        var empty: StreamCloseReason?
        line.listener.onConnection = { $0.onClose = { empty = $0 } }
        let idle = StreamConnection.connect(
            to: line.address, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
        line.pool.adopt(idle)
        idle.onReady = { [unowned idle] _ in EventLoop.nextTurn { idle.finish() } }
        #expect(await Loop.until { empty != nil })
        #expect(empty == .closedByPeer && line.pool.count == 0)
        line.close()
    }

    @Test("Closing before the peer has proven who it is tells that it is another one")
    func closedBeforeProof() async throws {
        let listener = try StreamListener.listen(
            on: loopback, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
        let expected = NodeKey().node
        let stream = StreamConnection.connect(
            to: try #require(listener.localAddress), preamble: MeshProtocol.meshPreamble,
            security: TestMesh.security, expecting: expected)
        var end: StreamCloseReason?
        stream.onClose = { end = $0 }
        stream.send(kind: 1, payload: [1])
        stream.closeAfterFlush()
        #expect(!stream.isOpen)
        #expect(await Loop.until { end != nil })
        #expect(end == .untrusted(.wrongNode))
        listener.close()
    }
}
