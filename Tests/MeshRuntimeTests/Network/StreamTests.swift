// Streams over real sockets on the loopback interface.

import Foundation
import Glibc
import MeshCore
import MeshSecurity
import Testing

@testable import MeshRuntime

private let preamble = StreamPreamble(major: 1, minor: 0, purpose: .mesh)
private let security = StreamSecurity.sealed(Keyring(key: MeshKey(), created: "now"))
private let loopback = NodeAddress(127, 0, 0, 1, port: 0)

/// A connected pair and what happened to it.
@EventLoop
private final class Pair {
    let listener: StreamListener
    let client: StreamConnection
    var server: StreamConnection?
    var received: [StreamFrame] = []
    var clientEnd: StreamCloseReason?
    var serverEnd: StreamCloseReason?

    init(limits: StreamLimits = StreamLimits()) throws {
        listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: security, limits: limits)
        client = StreamConnection.connect(
            to: try #require(listener.localAddress), preamble: preamble, security: security,
            limits: limits)
        client.onClose = { [unowned self] in clientEnd = $0 }
        listener.onConnection = { [unowned self] connection in
            server = connection
            connection.onFrame = { [unowned self] kind, payload in
                received.append(StreamFrame(kind: kind, payload: payload))
            }
            connection.onClose = { [unowned self] in serverEnd = $0 }
        }
    }

    func close() async {
        client.abort()
        server?.abort()
        listener.close()
        #expect(await Loop.until { self.clientEnd != nil })
        if server != nil { #expect(await Loop.until { self.serverEnd != nil }) }
    }
}

@Suite("Streams")
@EventLoop
struct StreamTests {
    @Test("Frames of all sizes arrive whole and in order, also those sent before the greeting")
    func frames() async throws {
        let pair = try Pair()
        var random = RandomNumbers(seed: 1)
        let sizes = [0, 1, 4, 5, 63, 65_531, 65_536, 1_000_000, 8 << 20, 0, 17]
        let frames = sizes.enumerated().map { index, size in
            StreamFrame(
                kind: UInt8(index + 1),
                payload: (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }
        for frame in frames { #expect(pair.client.send(kind: frame.kind, payload: frame.payload)) }
        #expect(await Loop.until { pair.received.count == frames.count })
        #expect(pair.received == frames)
        #expect(pair.client.peerPreamble == preamble)
        let expected = sizes.reduce(0) { $0 + $1 + 5 } + StreamPreamble.byteCount + 5
        #expect(
            await Loop.until {
                pair.client.counters.bytesSent == pair.server?.counters.bytesReceived
            })
        // The handshake, and TLS's records.
        let added = pair.client.counters.bytesSent - expected
        #expect(added > 0 && added < 2_000 + expected / 500)
        await pair.close()
    }

    @Test("Ten thousand small frames and their echoes arrive")
    func manySmallFrames() async throws {
        let pair = try Pair()
        var echoes = 0
        pair.client.onFrame = { kind, payload in
            #expect(kind == 7 && payload == Array("\(echoes)".utf8))
            echoes += 1
        }
        #expect(await Loop.until { pair.server != nil })
        pair.server?.onFrame = { kind, payload in
            pair.server?.send(kind: kind, payload: payload)
        }
        for number in 0..<10_000 { pair.client.send(kind: 7, payload: Array("\(number)".utf8)) }
        #expect(await Loop.until { echoes == 10_000 })
        await pair.close()
    }

    @Test("A producer that heeds the marks sends 100 MB through a bounded queue")
    func backpressure() async throws {
        var limits = StreamLimits()
        limits.queuedBytesHigh = 1 << 20
        limits.queuedBytesLow = 256 << 10
        let pair = try Pair(limits: limits)
        let chunk = [UInt8](repeating: 0x5a, count: 100_000)
        var left = 1_000
        var deepest = 0
        let produce: @EventLoop () -> Void = {
            while left > 0, pair.client.isWritable {
                pair.client.send(kind: 1, payload: chunk)
                left -= 1
                deepest = max(deepest, pair.client.queuedBytes)
            }
        }
        pair.client.onDrained = produce
        var link = LinkSpeed()
        pair.client.onDeliveryRate = { link.add($0) }
        produce()
        #expect(await Loop.until { pair.server != nil })
        // The receiver stops for a while, which must stop the producer and not fill its memory.
        pair.server?.pauseReading()
        let before = pair.received.count
        await Loop.pause(.milliseconds(100))
        #expect(left > 0 && pair.received.count == before)
        pair.server?.resumeReading()
        #expect(await Loop.until { pair.received.count == 1_000 })
        #expect(pair.received.allSatisfy { $0 == StreamFrame(kind: 1, payload: chunk) })
        #expect(
            deepest <= TLSSession.sealedBytesMax(limits.queuedBytesHigh + 2 * (chunk.count + 5)))
        // The system has seen how fast that was: no machine needs a minute, or is done at once.
        #expect(link.bytesPerSecond > 1e6 && link.bytesPerSecond < 1e12)
        await pair.close()
    }

    @Test("A link is as fast as it was at its best of late")
    func linkSpeed() {
        var link = LinkSpeed()
        #expect(link.bytesPerSecond == 0)
        link.add(5e6)
        link.add(2e6)
        #expect(link.bytesPerSecond == 5e6)
        for _ in 0..<64 { link.add(1e6) }
        #expect(link.bytesPerSecond == 1e6)
    }

    @Test("Pausing inside a frame's callback holds the next frame back until reading resumes")
    func pauseBetweenFrames() async throws {
        let pair = try Pair()
        #expect(await Loop.until { pair.server != nil })
        pair.server?.onFrame = { [unowned pair] kind, payload in
            pair.received.append(StreamFrame(kind: kind, payload: payload))
            pair.server?.pauseReading()
        }
        for kind in 1...3 { pair.client.send(kind: UInt8(kind), payload: [9]) }
        for count in 1...3 {
            #expect(await Loop.until { pair.received.count == count })
            await Loop.pause(.milliseconds(10))
            #expect(pair.received.count == count)
            pair.server?.resumeReading()
        }
        await pair.close()
    }

    @Test("A producer that ignores the marks loses its stream, not the process's memory")
    func overflow() async throws {
        var limits = StreamLimits()
        limits.payloadBytesMax = 1 << 20
        limits.queuedBytesHigh = 1 << 20
        limits.queuedBytesMax = 16 << 20
        let pair = try Pair(limits: limits)
        #expect(await Loop.until { pair.server != nil })
        pair.server?.pauseReading()
        let chunk = [UInt8](repeating: 1, count: 1 << 20)
        var taken = 0
        while taken < 1_000, pair.client.send(kind: 1, payload: chunk) { taken += 1 }
        #expect(taken < 1_000)
        #expect(await Loop.until { pair.clientEnd == .queueFull })
        await pair.close()
    }

    @Test("Closing after flush delivers everything first, and both sides know why it ended")
    func closeAfterFlush() async throws {
        let pair = try Pair()
        #expect(await Loop.until { pair.server != nil })
        for _ in 0..<50 { pair.client.send(kind: 2, payload: Array(repeating: 3, count: 200_000)) }
        // Data in the other direction must not reset the connection.
        pair.server?.send(kind: 3, payload: Array(repeating: 4, count: 500_000))
        pair.client.closeAfterFlush()
        #expect(!pair.client.send(kind: 2, payload: []))
        #expect(await Loop.until { pair.clientEnd != nil && pair.serverEnd != nil })
        #expect(pair.received.count == 50)
        #expect(pair.clientEnd == .closedHere && pair.serverEnd == .closedByPeer)
        pair.listener.close()
    }

    @Test("A stream that has ended is freed with its callbacks, however it ended")
    func freed() async throws {
        weak var client: StreamConnection?
        weak var server: StreamConnection?
        weak var listening: StreamListener?
        for abrupt in [true, false] {
            do {
                let listener = try StreamListener.listen(
                    on: loopback, preamble: preamble, security: security)
                let connection = StreamConnection.connect(
                    to: try #require(listener.localAddress), preamble: preamble, security: security)
                listener.onConnection = { accepted in
                    server = accepted
                    accepted.onFrame = { _, _ in accepted.send(kind: 1, payload: [1]) }
                }
                connection.onFrame = { _, _ in connection.pauseReading() }
                connection.send(kind: 1, payload: [2])
                #expect(await Loop.until { connection.counters.framesReceived == 1 })
                client = connection
                listening = listener
                if abrupt { connection.abort() } else { connection.closeAfterFlush() }
                listener.close()
            }
            #expect(await Loop.until { client == nil && server == nil && listening == nil })
        }
    }

    @Test("Nobody listening is told as refused")
    func refused() async throws {
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: security)
        let address = try #require(listener.localAddress)
        listener.close()
        await Loop.pause(.milliseconds(5))
        let connection = StreamConnection.connect(
            to: address, preamble: preamble, security: security)
        var end: StreamCloseReason?
        connection.onClose = { end = $0 }
        #expect(await Loop.until { end != nil })
        guard case .connectFailed(let error) = end else {
            Issue.record("\(String(describing: end))")
            return
        }
        #expect(error.isConnectionRefused)
    }

    @Test("A peer that never introduces itself is dropped, on both sides of a connection")
    func silentPeer() async throws {
        var limits = StreamLimits()
        limits.preambleTimeout = .milliseconds(50)
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: security, limits: limits)
        let raw = try RawSocket(connectedTo: try #require(listener.localAddress))
        #expect(await Loop.until { listener.counters.garbage == 1 })
        raw.close()
        listener.close()

        // A listening socket that nobody accepts from: the system answers, the program does not.
        let mute = try RawSocket(listening: ())
        let connection = StreamConnection.connect(
            to: mute.address, preamble: preamble, security: security, limits: limits)
        var end: StreamCloseReason?
        connection.onClose = { end = $0 }
        #expect(await Loop.until { end == .preambleTimedOut })
        mute.close()
    }

    @Test("A stream on which nothing moves is closed as idle")
    func idle() async throws {
        var limits = StreamLimits()
        limits.idleTimeout = .milliseconds(50)
        let pair = try Pair(limits: limits)
        #expect(await Loop.until { pair.clientEnd != nil && pair.serverEnd != nil })
        // Whichever noticed first.
        #expect([pair.clientEnd, pair.serverEnd].contains(.idle))
        pair.listener.close()
    }

    @Test("Garbage before the preamble is counted and closes only its own connection")
    func garbage() async throws {
        let listener = try StreamListener.listen(on: loopback, preamble: preamble, security: .plain)
        let address = try #require(listener.localAddress)
        var rejections: [StreamCloseReason] = []
        var handedOver = 0
        listener.onRejected = { rejections.append($1) }
        listener.onConnection = { connection in
            handedOver += 1
            connection.onFrame = { _, _ in }
        }
        let header = { (length: UInt32, kind: UInt8) in
            withUnsafeBytes(of: length.littleEndian) { Array($0) } + [kind]
        }
        let inputs: [[UInt8]] = [
            Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8),
            header(.max, 0), header(257, 0), header(0, 0), header(3, 9) + [1, 2, 3],
            header(13, 0) + Array(repeating: 0xff, count: 13),
        ]
        for input in inputs {
            let raw = try RawSocket(connectedTo: address)
            raw.send(input)
            let before = rejections.count
            #expect(await Loop.until { rejections.count == before + 1 })
            raw.close()
        }
        #expect(listener.counters.garbage == inputs.count && handedOver == 0)

        // After a proper preamble, an oversize frame and a second preamble end the connection.
        let greeting = header(UInt32(preamble.bytes.count), 0) + preamble.bytes
        for bad in [header(8 << 20 | 1, 4), greeting] {
            var reason: StreamCloseReason?
            listener.onConnection = { $0.onClose = { reason = $0 } }
            let raw = try RawSocket(connectedTo: address)
            raw.send(greeting + bad)
            #expect(await Loop.until { reason != nil })
            guard case .garbage = reason else {
                Issue.record("\(String(describing: reason))")
                return
            }
            raw.close()
        }
        listener.close()
    }

    @Test("Ends of different versions or purposes both learn why they cannot talk")
    func mismatch() async throws {
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: security)
        let address = try #require(listener.localAddress)
        var rejected: StreamCloseReason?
        listener.onRejected = { rejected = $1 }
        for other in [
            StreamPreamble(major: 2, minor: 0, purpose: .mesh),
            StreamPreamble(major: 1, minor: 0, purpose: .control),
        ] {
            rejected = nil
            var end: StreamCloseReason?
            let connection = StreamConnection.connect(
                to: address, preamble: other, security: security)
            connection.onClose = { end = $0 }
            connection.send(kind: 5, payload: Array(repeating: 1, count: 300_000))
            #expect(await Loop.until { rejected != nil && end != nil })
            for reason in [rejected, end] {
                guard case .incompatible = reason else {
                    Issue.record("\(String(describing: reason))")
                    return
                }
            }
        }
        #expect(listener.counters.incompatible == 2)
        listener.close()
    }
}
