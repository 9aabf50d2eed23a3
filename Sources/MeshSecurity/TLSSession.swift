// TLS 1.3 (RFC 8446) between two members: the mesh's key as pre-shared key, together with an
// ephemeral X25519 exchange, so that who learns the key later can't read what was said before.
// Both ends prove that they have the key. No certificates, no tickets, no early data. OpenSSL shakes
// hands; the records afterwards are RecordProtection's. Sans-I/O: ciphertext goes in and out as
// bytes.
//
//     handshaking ──► established ──► finished by the peer
//          └───────────────┴──► failed: nothing more goes in or out but the last reply

import COpenSSL

/// One end of a TLS connection.
public final class TLSSession {
    public enum Role: Sendable {
        case client
        case server

        public var other: Role { self == .client ? .server : .client }
    }

    /// The most bytes of a record.
    private static let recordBytesMax =
        RecordProtection.headerBytes + RecordProtection.bodyBytesMax
    /// Handshakes and alerts wait here; more than all of an honest peer's.
    private static let replyBytesMax = 8 << 10

    /// More bytes than this never lie between what went in and what came out: room to have when
    /// receiving.
    public static let receiveOverhead =
        RecordProtection.headerBytes + RecordProtection.bodyBytesMax

    /// The most bytes that a plaintext becomes.
    public static func sealedBytesMax(_ plaintextBytes: Int) -> Int {
        plaintextBytes
            + (plaintextBytes / RecordProtection.contentBytes + 1) * RecordProtection.overhead
    }

    public let role: Role
    /// Whether both ends have proven themselves: only now plaintext goes in and out.
    public private(set) var isEstablished = false
    /// Whether the peer has said that nothing more comes.
    public private(set) var isFinishedByPeer = false
    /// Why the session has failed.
    public private(set) var failure: TLSError?

    let keyring: Keyring
    /// The key that a client offers.
    let ownKey: MeshKey
    /// The name of the key that a client offers, where OpenSSL can read it.
    let keyName: UnsafeMutableBufferPointer<UInt8>
    /// The key that the client has named, on the server.
    var offeredKey: KeyID?
    /// The key by which both ends have proven themselves, or try to.
    public var key: KeyID? { role == .client ? ownKey.id : offeredKey }

    /// 32 bytes that only the two ends of this one session share (RFC 8446 §7.5); empty until it is
    /// established.
    public private(set) var binding: [UInt8] = []
    static let bindingBytes = 32
    private static let bindingLabel = "EXPORTER-meshd-node"

    /// What the handshake gives to the records, from it until they begin.
    var clientSecret: [UInt8] = []
    var serverSecret: [UInt8] = []

    /// Nil once the handshake is over.
    private var ssl: OpaquePointer?
    /// What goes out is sealed by this; nil until the handshake is over.
    private(set) var sealing: RecordProtection?
    private var opening: RecordProtection?
    /// The beginning of a record whose rest has not arrived.
    private var partial: [UInt8] = []
    private let pipe: UnsafeMutablePointer<meshd_tls_pipe>
    private let reply: UnsafeMutableBufferPointer<UInt8>
    private var hasReceived = false

    /// A session that has done nothing yet; a client's first reply begins the handshake.
    /// - Parameter id: the accepted key that a client offers; else, and if it is none, the present
    ///   one.
    public convenience init(role: Role, keyring: Keyring, offering id: KeyID? = nil) {
        let key = id.flatMap { keyring.key($0) } ?? keyring.current
        self.init(role: role, keyring: keyring, ownKey: key, offeredAs: key.id)
    }

    /// - Parameter offeredAs: the name under which a client offers its key.
    init(role: Role, keyring: Keyring, ownKey: MeshKey? = nil, offeredAs name: KeyID) {
        self.ownKey = ownKey ?? keyring.current
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
        if let ssl { SSL_free(ssl) }
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
        guard isEstablished else { return 0 }
        // What the handshake has left.
        return try read(
            UnsafeRawBufferPointer(
                start: pipe.pointee.input, count: pipe.pointee.input_count), into: plaintext)
    }

    /// Tells what is no TLS by its first byte: that of a handshake or an alert.
    private func checkBeginning(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        hasReceived = true
        guard let first = bytes.first, first != 22, first != 21 else { return }
        // A frame of kind 0 with the magic of meshd's preamble, as before streams were sealed.
        let isUnsealed = bytes.dropFirst(4).starts(with: [0] + Array("meshd".utf8))
        throw fail(isUnsealed ? .unsealed : .notTLS)
    }

    /// Opens the records that are whole, and keeps the beginning of the next.
    private func read(
        _ ciphertext: UnsafeRawBufferPointer, into plaintext: UnsafeMutableRawBufferPointer
    ) throws(TLSError) -> Int {
        var input = ciphertext
        var total = 0
        while !input.isEmpty, !isFinishedByPeer {
            let room = UnsafeMutableRawBufferPointer(rebasing: plaintext[total...])
            let opened: (content: RecordContent, count: Int)?
            do throws(TLSError) {
                opened = try openNext(&input, into: room)
            } catch {
                if error == .forged { alert(.badRecord) }
                throw fail(error)
            }
            guard let opened else { break }
            switch opened.content {
            case .text: total += opened.count
            case .alert: try hear(UnsafeRawBufferPointer(rebasing: room[..<opened.count]))
            // New keys and tickets, which meshd neither sends nor asks for.
            case .handshake: throw fail(.failed("an unexpected message"))
            }
        }
        return total
    }

    /// Takes a record off the front of `input`; nil when its end has not arrived.
    private func openNext(
        _ input: inout UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) throws(TLSError) -> (content: RecordContent, count: Int)? {
        guard let opening else { return nil }
        if partial.isEmpty {
            if let length = try RecordProtection.length(input), length <= input.count {
                defer { input = UnsafeRawBufferPointer(rebasing: input[length...]) }
                return try opening.open(
                    UnsafeRawBufferPointer(rebasing: input[..<length]), into: room)
            }
            partial.reserveCapacity(Self.recordBytesMax)
        }
        take(RecordProtection.headerBytes, from: &input)
        guard
            let length = try partial.withUnsafeBufferPointer({ (bytes) throws(TLSError) in
                try RecordProtection.length(UnsafeRawBufferPointer(bytes))
            })
        else { return nil }
        take(length, from: &input)
        guard partial.count == length else { return nil }
        defer { partial.removeAll(keepingCapacity: true) }
        return try partial.withUnsafeBufferPointer { (bytes) throws(TLSError) in
            try opening.open(UnsafeRawBufferPointer(bytes), into: room)
        }
    }

    /// Fills `partial` up to so many bytes.
    private func take(_ count: Int, from input: inout UnsafeRawBufferPointer) {
        let missing = min(max(0, count - partial.count), input.count)
        partial += input.prefix(missing)
        input = UnsafeRawBufferPointer(rebasing: input.dropFirst(missing))
    }

    /// What the peer says of the connection (RFC 8446 §6).
    private func hear(_ alert: UnsafeRawBufferPointer) throws(TLSError) {
        guard alert.count == 2 else { throw fail(.failed("an alert of no kind")) }
        switch Alert(rawValue: alert[1]) {
        case .close: isFinishedByPeer = true
        case .badRecord: throw fail(.forged)
        case nil: throw fail(.failed("the peer's alert \(alert[1])"))
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
    /// - Parameter head: some bytes, less than 16 KiB, that go before it.
    /// - Parameter output: has room for `sealedBytesMax` of both.
    /// - Returns: the number of bytes of ciphertext.
    public func seal(
        head: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        _ plaintext: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(TLSError) -> Int {
        precondition(isEstablished && head.count < RecordProtection.contentBytes)
        precondition(output.count >= Self.sealedBytesMax(head.count + plaintext.count))
        if let failure { throw failure }
        guard let sealing, let base = output.baseAddress?.assumingMemoryBound(to: UInt8.self),
            sealing.maySeal(head.count + plaintext.count)
        else { throw fail(.failed("a key is used up")) }
        var (head, rest) = (head, plaintext)
        var written = 0
        while !head.isEmpty || !rest.isEmpty {
            let count = min(rest.count, RecordProtection.contentBytes - head.count)
            written += sealing.seal(
                .text, head: head, body: UnsafeRawBufferPointer(rebasing: rest[..<count]),
                into: base + written)
            head = UnsafeRawBufferPointer(start: nil, count: 0)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return written
    }

    /// Whether half of the records that a key may seal are used up: a connection should not begin
    /// something new then.
    public var isWorn: Bool {
        let half = Int(RecordProtection.recordsMax / 2) * RecordProtection.contentBytes
        return sealing.map { !$0.maySeal(half) } ?? false
    }

    /// Says to the peer that nothing more comes, as the next reply.
    public func finish() {
        guard isEstablished, failure == nil else { return }
        alert(.close)
    }

    private enum Alert: UInt8 {
        case close = 0
        case badRecord = 20
    }

    /// Adds an alert to the reply.
    private func alert(_ alert: Alert) {
        let place = reply.count - pipe.pointee.output_count
        guard let sealing, let base = reply.baseAddress, place >= 64 else { return }
        let level: UInt8 = alert == .close ? 1 : 2
        withUnsafeBytes(of: (level, alert.rawValue)) { bytes in
            pipe.pointee.output_count += sealing.seal(
                .alert, head: UnsafeRawBufferPointer(start: nil, count: 0), body: bytes,
                into: base + pipe.pointee.output_count)
        }
    }

    // MARK: - The handshake

    private func shakeHands() throws(TLSError) {
        guard let ssl else { return }
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            // A certificate in the place of the key is refused earlier; this says so again.
            guard SSL_session_reused(ssl) == 1 else { throw fail(.wrongKey) }
            try beginRecords(after: ssl)
        } else if SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ {
            throw fail(cause())
        }
    }

    private func beginRecords(after handshake: OpaquePointer) throws(TLSError) {
        guard let suite = RecordSuite(of: handshake), !clientSecret.isEmpty,
            !serverSecret.isEmpty, SSL_has_pending(handshake) == 0
        else { throw fail(.failed("a handshake without keys")) }
        binding = [UInt8](repeating: 0, count: Self.bindingBytes)
        guard
            SSL_export_keying_material(
                handshake, &binding, binding.count, Self.bindingLabel,
                Self.bindingLabel.utf8.count, nil, 0, 0) == 1
        else { throw fail(.failed("a handshake without an exporter")) }
        let (mine, theirs) =
            role == .client ? (clientSecret, serverSecret) : (serverSecret, clientSecret)
        sealing = RecordProtection(secret: mine, suite: suite, isSealing: true)
        opening = RecordProtection(secret: theirs, suite: suite, isSealing: false)
        clientSecret = []
        serverSecret = []
        SSL_free(handshake)
        ssl = nil
        isEstablished = true
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
