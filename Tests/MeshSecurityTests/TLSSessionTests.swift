// Two ends of TLS, with the test as the network between them.

import Testing

@testable import MeshSecurity

/// A client and a server, and what came out of them.
private final class Pair {
    let client: TLSSession
    let server: TLSSession
    var clientText: [UInt8] = []
    var serverText: [UInt8] = []
    var clientError: TLSError?
    var serverError: TLSError?
    /// All that went over the wire.
    var wire: [UInt8] = []

    init(_ clientRing: Keyring, _ serverRing: Keyring) {
        client = TLSSession(role: .client, keyring: clientRing)
        server = TLSSession(role: .server, keyring: serverRing)
    }

    func toServer(_ bytes: [UInt8]) { deliver(bytes, to: server, &serverText, &serverError) }
    func toClient(_ bytes: [UInt8]) { deliver(bytes, to: client, &clientText, &clientError) }

    private func deliver(
        _ bytes: [UInt8], to session: TLSSession, _ text: inout [UInt8], _ failure: inout TLSError?
    ) {
        guard !bytes.isEmpty else { return }
        wire += bytes
        do throws(TLSError) {
            text += try plaintext(of: bytes, by: session)
        } catch {
            failure = error
        }
    }

    /// Carries replies to and fro until there are none, in pieces of at most `piece` bytes.
    func settle(piece: Int = .max) {
        for _ in 0..<10 {
            let (up, down) = (client.takeReply(), server.takeReply())
            if up.isEmpty, down.isEmpty { return }
            for part in pieces(up, piece) { toServer(part) }
            for part in pieces(down, piece) { toClient(part) }
        }
    }
}

private func pieces(_ bytes: [UInt8], _ size: Int) -> [[UInt8]] {
    stride(from: 0, to: bytes.count, by: min(size, max(1, bytes.count))).map { start in
        Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))])
    }
}

private func plaintext(of bytes: [UInt8], by session: TLSSession) throws(TLSError) -> [UInt8] {
    let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: bytes.count + TLSSession.receiveOverhead, alignment: 16)
    defer { room.deallocate() }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    let count = try session.receive(UnsafeRawBufferPointer(copy), into: room)
    return Array(room[..<count])
}

private func sealed(_ bytes: [UInt8], by session: TLSSession) throws(TLSError) -> [UInt8] {
    let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: TLSSession.sealedBytesMax(bytes.count), alignment: 16)
    defer { room.deallocate() }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    let count = try session.seal(UnsafeRawBufferPointer(copy), into: room)
    return Array(room[..<count])
}

@Suite("TLS sessions")
struct TLSSessionTests {
    private let ring = Keyring(key: MeshKey(), created: "now")
    private let other = Keyring(key: MeshKey(), created: "now")

    private func established(piece: Int = .max) throws -> Pair {
        let pair = Pair(ring, ring)
        pair.settle(piece: piece)
        try #require(pair.client.isEstablished && pair.server.isEstablished)
        return pair
    }

    @Test("Two members meet, however their bytes are cut", arguments: [1, 7, 1_000, Int.max])
    func handshake(piece: Int) throws {
        let pair = try established(piece: piece)
        #expect(pair.clientError == nil && pair.serverError == nil)
        #expect(pair.client.takeReply().isEmpty && pair.server.takeReply().isEmpty)
    }

    @Test("Text of any length arrives both ways and shows nowhere")
    func text() throws {
        let pair = try established()
        for length in [0, 1, 16_383, 16_384, 16_385, 300_000] {
            let text = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let bytes = try sealed(text, by: pair.client)
            pair.serverText = []
            for part in pieces(bytes, 70_001) { pair.toServer(part) }
            #expect(pair.serverText == text)
            pair.clientText = []
            pair.toClient(try sealed(text, by: pair.server))
            #expect(pair.clientText == text)
        }
        let probe = (0..<16).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(!pair.wire.indices.contains { pair.wire[$0...].starts(with: probe) })
    }

    @Test("A server whose keyring has the client's key as a former one takes it")
    func formerKey() throws {
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        let pair = Pair(ring, rotated)
        pair.settle()
        #expect(pair.client.isEstablished && pair.server.isEstablished)
    }

    @Test("A key of another mesh is named by the server, and the client hears that it is refused")
    func unknownKey() {
        let pair = Pair(other, ring)
        pair.settle()
        #expect(pair.serverError == .unknownKey(other.current.id))
        #expect(pair.clientError == .refusedByPeer)
        #expect(!pair.client.isEstablished && !pair.server.isEstablished)
    }

    @Test("A revoked key is named as such")
    func revokedKey() throws {
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        rotated.revokeFormer()
        let pair = Pair(ring, rotated)
        pair.settle()
        #expect(pair.serverError == .revokedKey(ring.current.id))
        #expect(pair.clientError == .refusedByPeer)
    }

    @Test("Who only knows a key's name gets nowhere")
    func impostor() {
        let pair = Pair(other, ring)
        _ = pair.client.takeReply()
        // A session of the other mesh that offers its key under this mesh's name.
        let impostor = TLSSession(
            role: .client, keyring: other, offeredAs: ring.current.id)
        pair.toServer(impostor.takeReply())
        #expect(pair.serverError == .wrongKey)
        #expect(!pair.server.isEstablished)
    }

    @Test("What is no TLS is refused at its first byte")
    func noTLS() {
        for text in ["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0"] {
            let pair = Pair(ring, ring)
            pair.toServer(Array(text.utf8))
            #expect(pair.serverError == .notTLS)
            #expect(pair.server.failure == .notTLS)
            pair.toServer(pair.client.takeReply())
            #expect(!pair.server.isEstablished)
        }
        let pair = Pair(ring, ring)
        pair.toServer([13, 0, 0, 0, 0] + Array("meshd\r\n".utf8) + [0xff, 1, 0, 0, 0, 1])
        #expect(pair.serverError == .unsealed)
    }

    @Test("A changed byte ends the session, at both ends, and gives no text")
    func tampering() throws {
        for place in stride(from: 5, to: 120, by: 5) {
            let pair = try established()
            var bytes = try sealed([UInt8](repeating: 9, count: 100), by: pair.client)
            bytes[min(place, bytes.count - 1)] ^= 0x40
            pair.toServer(bytes)
            #expect(pair.serverError == .forged, "byte \(place)")
            #expect(pair.serverText.isEmpty)
            pair.toClient(pair.server.takeReply())
            #expect(pair.clientError == .forged, "byte \(place)")
        }
    }

    @Test("A repeated, dropped or reordered record ends the session")
    func reordering() throws {
        for order in [[0, 0], [1], [1, 0]] {
            let pair = try established()
            let records = try [sealed([1], by: pair.client), sealed([2], by: pair.client)]
            for index in order { pair.toServer(records[index]) }
            #expect(pair.serverError == .forged, "\(order)")
        }
    }

    @Test("Any changed byte of a client's hello ends the handshake", .timeLimit(.minutes(2)))
    func handshakeMutations() {
        let length = TLSSession(role: .client, keyring: ring).takeReply().count
        // The record's version, bytes 1 and 2, is there for old machines on the way and must be
        // passed over (RFC 8446 §5.1).
        for place in 0..<length where place != 2 {
            let pair = Pair(ring, ring)
            var hello = pair.client.takeReply()
            hello[place] ^= 0x15
            pair.toServer(hello)
            pair.settle()
            #expect(!(pair.client.isEstablished && pair.server.isEstablished), "byte \(place)")
        }
    }

    @Test("Garbage of every kind is refused and nothing is established")
    func garbage() {
        var generator = SystemRandomNumberGenerator()
        for round in 0..<300 {
            let pair = Pair(ring, ring)
            var bytes = (0..<Int.random(in: 1...600, using: &generator)).map { _ in
                UInt8.random(in: .min ... .max, using: &generator)
            }
            if round.isMultiple(of: 2) {
                bytes.replaceSubrange(0..<1, with: [22, 3, 1, 0, 200, 1])
            }
            pair.toServer(bytes)
            pair.settle()
            #expect(!pair.server.isEstablished && !pair.client.isEstablished)
        }
    }

    @Test("An end says that it has finished")
    func finish() throws {
        let pair = try established()
        pair.client.finish()
        pair.toServer(pair.client.takeReply())
        #expect(pair.server.isFinishedByPeer)
        #expect(pair.serverError == nil)
    }
}
