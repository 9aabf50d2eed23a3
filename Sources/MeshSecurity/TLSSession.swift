// TLS 1.3 (RFC 8446) between two members: the mesh's key as pre-shared key, together with an
// ephemeral X25519 exchange, so that who learns the key later can't read what was said before.
// Both ends prove that they have the key. No certificates, no tickets, no early data. Sans-I/O:
// ciphertext goes in and out as bytes.
//
//     handshaking ──► established ──► finished by the peer
//          └───────────────┴──► failed: nothing more goes in or out but the last reply

import COpenSSL

/// One end of a TLS connection.
public final class TLSSession {
    public enum Role: Sendable {
        case client
        case server
    }

    /// The most that a record adds to its 16 KiB of content, and the content itself.
    static let recordBytesMax = 16_384 + 256
    private static let recordOverhead = 5 + 1 + 16
    private static let recordContent = 16_384
    /// Handshakes and alerts wait here; more than all of an honest peer's.
    private static let replyBytesMax = 8 << 10

    /// More bytes than this never lie between what went in and what came out: room to have when
    /// receiving.
    public static let receiveOverhead = recordBytesMax

    /// The most bytes that a plaintext becomes.
    public static func sealedBytesMax(_ plaintextBytes: Int) -> Int {
        plaintextBytes + (plaintextBytes / recordContent + 2) * recordOverhead
    }

    public let role: Role
    /// Whether both ends have proven themselves: only now plaintext goes in and out.
    public private(set) var isEstablished = false
    /// Whether the peer has said that nothing more comes.
    public private(set) var isFinishedByPeer = false
    /// Why the session has failed.
    public private(set) var failure: TLSError?

    let keyring: Keyring
    /// The name of the key that a client offers, where OpenSSL can read it.
    let keyName: UnsafeMutableBufferPointer<UInt8>
    /// The key that the client has named, on the server.
    var offeredKey: KeyID?

    private let ssl: OpaquePointer
    private let pipe: UnsafeMutablePointer<meshd_tls_pipe>
    private let reply: UnsafeMutableBufferPointer<UInt8>
    private var hasReceived = false

    /// A session that has done nothing yet; a client's first reply begins the handshake.
    public convenience init(role: Role, keyring: Keyring) {
        self.init(role: role, keyring: keyring, offeredAs: keyring.current.id)
    }

    /// - Parameter offeredAs: the name under which a client offers its key.
    init(role: Role, keyring: Keyring, offeredAs name: KeyID) {
        self.role = role
        self.keyring = keyring
        keyName = .allocate(capacity: 4)
        _ = keyName.initialize(from: name.bytes)
        reply = .allocate(capacity: Self.replyBytesMax)
        pipe = .allocate(capacity: 1)
        pipe.initialize(
            to: meshd_tls_pipe(
                input: nil, input_count: 0, output: reply.baseAddress, output_count: 0,
                output_capacity: reply.count))
        let library = TLSLibrary.shared
        guard let ssl = SSL_new(role == .client ? library.client : library.server),
            let bio = BIO_new(library.pipe)
        else { preconditionFailure("no memory for a TLS session") }
        self.ssl = ssl
        BIO_set_data(bio, pipe)
        // The session owns the BIO from here on.
        SSL_set_bio(ssl, bio, bio)
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        if role == .client {
            SSL_set_connect_state(ssl)
            try? shakeHands()
        } else {
            SSL_set_accept_state(ssl)
        }
    }

    deinit {
        SSL_free(ssl)
        pipe.deallocate()
        reply.deallocate()
        keyName.deallocate()
    }

    // MARK: - Receiving

    /// Takes ciphertext in, and gives the plaintext that it completes.
    /// - Parameter plaintext: has room for `ciphertext` and `receiveOverhead` bytes more.
    /// - Returns: the number of bytes of plaintext. Afterwards there may be a reply.
    /// - Throws: ``TLSError``, with `failure` set; there may be a last reply.
    public func receive(
        _ ciphertext: UnsafeRawBufferPointer, into plaintext: UnsafeMutableRawBufferPointer
    ) throws(TLSError) -> Int {
        precondition(plaintext.count >= ciphertext.count + Self.receiveOverhead)
        if let failure { throw failure }
        guard !isFinishedByPeer, !ciphertext.isEmpty else { return 0 }
        if !hasReceived { try checkBeginning(ciphertext) }
        pipe.pointee.input = ciphertext.baseAddress?.assumingMemoryBound(to: UInt8.self)
        pipe.pointee.input_count = ciphertext.count
        defer {
            pipe.pointee.input = nil
            pipe.pointee.input_count = 0
        }
        if !isEstablished { try shakeHands() }
        return isEstablished ? try read(into: plaintext) : 0
    }

    /// Tells what is no TLS by its first byte: that of a handshake or an alert.
    private func checkBeginning(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        hasReceived = true
        guard let first = bytes.first, first != 22, first != 21 else { return }
        // A frame of kind 0 with the magic of meshd's preamble, as before streams were sealed.
        let isUnsealed = bytes.dropFirst(4).starts(with: [0] + Array("meshd".utf8))
        throw fail(isUnsealed ? .unsealed : .notTLS)
    }

    private func read(into plaintext: UnsafeMutableRawBufferPointer) throws(TLSError) -> Int {
        var total = 0
        while true {
            let room = UnsafeMutableRawBufferPointer(rebasing: plaintext[total...])
            var count = 0
            ERR_clear_error()
            let result = SSL_read_ex(ssl, room.baseAddress, room.count, &count)
            guard result != 1 else {
                total += count
                continue
            }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ: return total
            case SSL_ERROR_ZERO_RETURN:
                isFinishedByPeer = true
                return total
            default: throw fail(cause())
            }
        }
    }

    // MARK: - Sending

    /// What must be sent before anything that is sealed from now on: handshakes and alerts.
    public func takeReply() -> [UInt8] {
        let count = pipe.pointee.output_count
        pipe.pointee.output_count = 0
        return Array(reply.prefix(count))
    }

    /// Seals a plaintext. Established sessions only, with no reply waiting.
    /// - Parameter output: has room for `sealedBytesMax`.
    /// - Returns: the number of bytes of ciphertext.
    public func seal(
        _ plaintext: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(TLSError) -> Int {
        precondition(isEstablished && pipe.pointee.output_count == 0)
        precondition(output.count >= Self.sealedBytesMax(plaintext.count))
        if let failure { throw failure }
        pipe.pointee.output = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        pipe.pointee.output_capacity = output.count
        defer {
            pipe.pointee.output = reply.baseAddress
            pipe.pointee.output_capacity = reply.count
            pipe.pointee.output_count = 0
        }
        var rest = plaintext
        while !rest.isEmpty {
            var count = 0
            ERR_clear_error()
            guard SSL_write_ex(ssl, rest.baseAddress, rest.count, &count) == 1 else {
                throw fail(cause())
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return pipe.pointee.output_count
    }

    /// Says to the peer that nothing more comes, as the next reply.
    public func finish() {
        guard isEstablished, failure == nil else { return }
        ERR_clear_error()
        SSL_shutdown(ssl)
    }

    // MARK: - The handshake

    private func shakeHands() throws(TLSError) {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            // A certificate in the place of the key is refused earlier; this says so again.
            guard SSL_session_reused(ssl) == 1 else { throw fail(.wrongKey) }
            isEstablished = true
        } else if SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ {
            throw fail(cause())
        }
    }

    private func fail(_ error: TLSError) -> TLSError {
        failure = error
        return error
    }

    /// What the library's last error means here.
    private func cause() -> TLSError {
        let code = ERR_get_error()
        ERR_clear_error()
        let reason = meshd_error_reason(code)
        if role == .server, !isEstablished, let offeredKey, keyring.key(offeredKey) == nil {
            return keyring.revoked.contains(offeredKey)
                ? .revokedKey(offeredKey) : .unknownKey(offeredKey)
        }
        switch reason {
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_R_BAD_RECORD_TYPE,
            SSL_R_DIGEST_CHECK_FAILED:
            return .forged
        case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC: return .forged
        case SSL_R_BINDER_DOES_NOT_VERIFY, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
            SSL_R_NO_SHARED_CIPHER, SSL_R_CERTIFICATE_VERIFY_FAILED:
            return .wrongKey
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER,
            SSL_R_TLSV1_ALERT_DECRYPT_ERROR, SSL_R_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY:
            return isEstablished ? .failed(Self.text(of: code)) : .refusedByPeer
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST: return .notTLS
        default: return .failed(Self.text(of: code))
        }
    }

    private static func text(of code: UInt) -> String {
        guard let words = ERR_reason_error_string(code) else { return "for no reason given" }
        return String(cString: words)
    }
}
