// The records of a session against OpenSSL's own: at one end a session, at the other the library
// with all its layers.

import COpenSSL
import Testing

@testable import MeshSecurity

/// An end of TLS that is OpenSSL's alone.
private final class LibraryPeer {
    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// Answers the library's questions for keys.
    private let keys: TLSSession

    init(role: TLSSession.Role, keyring: Keyring, suite: String) throws {
        let library = TLSLibrary.shared
        keys = TLSSession(role: role, keyring: keyring)
        ssl = try #require(SSL_new(role == .client ? library.client : library.server))
        incoming = try #require(BIO_new(BIO_s_mem()))
        outgoing = try #require(BIO_new(BIO_s_mem()))
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(keys).toOpaque())
        try #require(SSL_set_ciphersuites(ssl, suite) == 1)
        if role == .client { SSL_set_connect_state(ssl) } else { SSL_set_accept_state(ssl) }
    }

    deinit { SSL_free(ssl) }

    var isEstablished: Bool { SSL_is_init_finished(ssl) == 1 }
    var hasHeardTheEnd: Bool { SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0 }

    func shakeHands() { SSL_do_handshake(ssl) }
    func finish() { SSL_shutdown(ssl) }
    func take(_ bytes: [UInt8]) { BIO_write(incoming, bytes, Int32(bytes.count)) }

    /// What is to go to the other end.
    func output() -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = BIO_read(outgoing, &piece, Int32(piece.count))
            guard count > 0 else { return all }
            all += piece.prefix(Int(count))
        }
    }

    func write(_ text: [UInt8]) {
        var rest = text[...]
        while !rest.isEmpty {
            let count = Array(rest).withUnsafeBytes {
                SSL_write(ssl, $0.baseAddress, Int32($0.count))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(Int(count))
        }
    }

    func read() -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = SSL_read(ssl, &piece, Int32(piece.count))
            guard count > 0 else { return all }
            all += piece.prefix(Int(count))
        }
    }
}

@Suite("Records, against OpenSSL's")
struct RecordTests {
    private let ring = Keyring(key: MeshKey(), created: "now")

    private func open(_ bytes: [UInt8], by session: TLSSession) throws -> [UInt8] {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: bytes.count + TLSSession.receiveOverhead, alignment: 16)
        defer { room.deallocate() }
        let count = try bytes.withUnsafeBytes { try session.receive($0, into: room) }
        return Array(room[..<count])
    }

    private func seal(head: [UInt8], _ text: [UInt8], by session: TLSSession) throws -> [UInt8] {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: TLSSession.sealedBytesMax(head.count + text.count), alignment: 16)
        defer { room.deallocate() }
        let count = try head.withUnsafeBytes { head in
            try text.withUnsafeBytes { try session.seal(head: head, $0, into: room) }
        }
        return Array(room[..<count])
    }

    @Test(
        "What a session seals OpenSSL reads, and the other way, ends included",
        arguments: [TLSSession.Role.client, .server],
        ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"])
    func interchange(role: TLSSession.Role, suite: String) throws {
        let session = TLSSession(role: role, keyring: ring)
        let library = try LibraryPeer(role: role.other, keyring: ring, suite: suite)
        for _ in 0..<6 {
            library.take(session.takeReply())
            library.shakeHands()
            let text = try open(library.output(), by: session)
            #expect(text.isEmpty)
        }
        try #require(session.isEstablished && library.isEstablished)

        for length in [0, 1, 16_379, 16_384, 16_385, 100_000] {
            let text = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            library.take(try seal(head: [1, 2, 3, 4, 5], text, by: session))
            #expect(library.read() == [1, 2, 3, 4, 5] + text)
            library.write(text)
            #expect(try open(library.output(), by: session) == text)
        }
        session.finish()
        library.take(session.takeReply())
        #expect(library.read().isEmpty && library.hasHeardTheEnd)
        library.finish()
        #expect(try open(library.output(), by: session).isEmpty && session.isFinishedByPeer)
    }
}
