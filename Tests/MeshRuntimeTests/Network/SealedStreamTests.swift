// Streams between ends that are not of one mesh, and what both of them hear.

import MeshCore
import MeshSecurity
import Testing

@testable import MeshRuntime

private let preamble = StreamPreamble(major: 1, minor: 0, purpose: .mesh)
private let loopback = NodeAddress(127, 0, 0, 1, port: 0)

@Suite("Sealed streams")
@EventLoop
struct SealedStreamTests {
    private let ring = Keyring(key: MeshKey(), created: "now")
    private let other = Keyring(key: MeshKey(), created: "now")

    /// Connects, with frames that wait for the greeting.
    /// - Returns: why each end closed.
    private func ends(
        client: StreamSecurity, server: StreamSecurity
    ) async throws -> (client: StreamCloseReason?, server: StreamCloseReason?) {
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: server)
        var (clientEnd, serverEnd): (StreamCloseReason?, StreamCloseReason?)
        listener.onRejected = { serverEnd = $1 }
        listener.onConnection = { _ in Issue.record("a stranger was let in") }
        let connection = StreamConnection.connect(
            to: try #require(listener.localAddress), preamble: preamble, security: client)
        connection.onReady = { _ in Issue.record("a stranger was trusted") }
        connection.onClose = { clientEnd = $0 }
        connection.send(kind: 1, payload: [UInt8](repeating: 7, count: 100_000))
        #expect(await Loop.until { clientEnd != nil && serverEnd != nil })
        listener.close()
        return (clientEnd, serverEnd)
    }

    @Test("Ends of two meshes both learn that they are")
    func otherMesh() async throws {
        let (client, server) = try await ends(client: .sealed(other), server: .sealed(ring))
        #expect(server == .untrusted(.unknownKey(other.current.id)))
        #expect(client == .untrusted(.refusedByPeer))
    }

    @Test("A revoked key is named as such where it comes in")
    func revoked() async throws {
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        rotated.revokeFormer()
        let (client, server) = try await ends(client: .sealed(ring), server: .sealed(rotated))
        #expect(server == .untrusted(.revokedKey(ring.current.id)))
        #expect(client == .untrusted(.refusedByPeer))
    }

    @Test("An end that does not encrypt is recognised from either side")
    func unsealed() async throws {
        let (_, server) = try await ends(client: .plain, server: .sealed(ring))
        #expect(server == .untrusted(.unsealed))
        let (client, _) = try await ends(client: .sealed(ring), server: .plain)
        #expect(client == .untrusted(.unsealed))
    }

    @Test("A stream with a former key works both ways, paused and resumed, until it is flushed")
    func formerKey() async throws {
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: .sealed(rotated))
        var received = 0
        var isEnded = false
        listener.onConnection = { stream in
            stream.onFrame = { _, payload in
                received += payload.count
                stream.pauseReading()
                EventLoop.nextTurn { stream.resumeReading() }
            }
            stream.onClose = { _ in isEnded = true }
        }
        let connection = StreamConnection.connect(
            to: try #require(listener.localAddress), preamble: preamble, security: .sealed(ring))
        for _ in 0..<50 { connection.send(kind: 1, payload: [UInt8](repeating: 3, count: 40_000)) }
        // Before there is a connection to flush into.
        connection.closeAfterFlush()
        #expect(await Loop.until { isEnded })
        #expect(received == 50 * 40_000)
        listener.close()
    }
    @Test("A peer that just closes in the handshake is told from one that closes later")
    func closedInHandshake() async throws {
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: .sealed(ring))
        var rejected: StreamCloseReason?
        listener.onRejected = { rejected = $1 }
        let raw = try RawSocket(connectedTo: try #require(listener.localAddress))
        // The begin of a handshake's record.
        raw.send([22, 3, 1, 2, 0])
        raw.close()
        #expect(await Loop.until { rejected != nil })
        #expect(rejected == .closedInHandshake)
        #expect(rejected?.description.contains("in the TLS handshake") == true)
        listener.close()
    }
}
