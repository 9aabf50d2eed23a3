// The records of an established TLS 1.3 connection (RFC 8446 §5.2), sealed from where the text lies
// to where it is sent, and opened likewise: OpenSSL's own record layer copies everything twice more
// (docs/adr/0017-records.md). The handshake and the keys' derivation are OpenSSL's.

import COpenSSL

/// What a record carries.
enum RecordContent: UInt8 {
    case alert = 21
    case handshake = 22
    case text = 23
}

/// The two suites, by the cipher that they name.
enum RecordSuite {
    case aes128
    case chaCha20

    init?(of ssl: OpaquePointer) {
        switch SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)) {
        case 0x1301: self = .aes128
        case 0x1303: self = .chaCha20
        default: return nil
        }
    }

    fileprivate var keyBytes: Int {
        self == .aes128 ? AESRecordCipher.keyBytes : ChaChaRecordCipher.keyBytes
    }

    fileprivate func cipher(key: [UInt8], isSealing: Bool) -> any RecordCipher {
        switch self {
        case .aes128: AESRecordCipher(key: key, isSealing: isSealing)
        case .chaCha20: ChaChaRecordCipher(key: key, isSealing: isSealing)
        }
    }
}

/// One direction of a connection: its key, and how many records have gone.
final class RecordProtection {
    /// The most text in a record.
    static let contentBytes = 16_384
    static let headerBytes = 5
    static let tagBytes = 16
    /// What sealing adds to a record's text.
    static let overhead = headerBytes + 1 + tagBytes
    /// The most bytes behind the header of a record: padding is allowed.
    static let bodyBytesMax = contentBytes + 256
    /// Below the 2^24.5 records up to which a key of AES-GCM may be used (RFC 8446 §5.5).
    static let recordsMax: UInt64 = 1 << 24

    private let cipher: any RecordCipher
    private let vector: [UInt8]
    private var nonce = [UInt8](repeating: 0, count: 12)
    private(set) var records: UInt64 = 0

    /// - Parameter secret: the traffic secret of the direction, from the handshake.
    init(secret: [UInt8], suite: RecordSuite, isSealing: Bool) {
        let key = Self.expand(secret, label: "key", byteCount: suite.keyBytes)
        vector = Self.expand(secret, label: "iv", byteCount: nonce.count)
        cipher = suite.cipher(key: key, isSealing: isSealing)
    }

    /// HKDF-Expand-Label without a context (RFC 8446 §7.1).
    private static func expand(_ secret: [UInt8], label: String, byteCount: Int) -> [UInt8] {
        let name = Array("tls13 \(label)".utf8)
        let info = [0, UInt8(byteCount), UInt8(name.count)] + name + [0]
        return KeyDerivation.expand(secret, info: info, byteCount: byteCount)
    }

    /// The vector with the record's number added without carry.
    private func nextNonce() {
        withUnsafeBytes(of: records.bigEndian) { number in
            for index in 0..<12 {
                nonce[index] = vector[index] ^ (index < 4 ? 0 : number[index - 4])
            }
        }
        records += 1
    }

    // MARK: - Sealing

    /// Whether as many records as that many bytes take may still be sealed.
    func maySeal(_ byteCount: Int) -> Bool {
        records + UInt64(byteCount / Self.contentBytes) + 2 <= Self.recordsMax
    }

    /// Seals one record.
    /// - Parameter head: a few bytes that go before the body.
    /// - Parameter output: has room for both and `overhead`.
    /// - Returns: the bytes of the record.
    func seal(
        _ content: RecordContent, head: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer,
        into output: UnsafeMutablePointer<UInt8>
    ) -> Int {
        seal(type: content.rawValue, head: head, body: body, into: output)
    }

    /// The same with any last byte, as a peer could send it: zero is padding.
    func seal(
        type: UInt8, head: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer,
        into output: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let length = head.count + body.count + 1 + Self.tagBytes
        output[0] = RecordContent.text.rawValue
        (output[1], output[2]) = (3, 3)
        (output[3], output[4]) = (UInt8(length >> 8), UInt8(length & 255))
        nextNonce()
        var at = output + Self.headerBytes
        var type = type
        cipher.begin(
            nonce: nonce, header: UnsafeBufferPointer(start: output, count: Self.headerBytes))
        for piece in [head, body] {
            guard let bytes = Self.bytes(piece) else { continue }
            cipher.update(at, bytes, piece.count)
            at += piece.count
        }
        cipher.update(at, &type, 1)
        cipher.finish(tag: at + 1)
        return Self.headerBytes + length
    }

    // MARK: - Opening

    /// The length of the record that begins here, header included; nil while its header is not
    /// whole.
    /// - Throws: when no record of an established connection begins so.
    static func length(_ bytes: UnsafeRawBufferPointer) throws(TLSError) -> Int? {
        guard bytes.count >= headerBytes else { return nil }
        let length = Int(bytes[3]) << 8 | Int(bytes[4])
        guard bytes[0] == RecordContent.text.rawValue, bytes[1] == 3, bytes[2] == 3,
            (tagBytes + 1...bodyBytesMax).contains(length)
        else { throw .forged }
        return headerBytes + length
    }

    /// Opens one whole record.
    /// - Parameter output: has room for its length.
    /// - Returns: what it carries, and how many bytes of that are in `output`.
    func open(
        _ record: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(TLSError) -> (content: RecordContent, count: Int) {
        guard records < Self.recordsMax else { throw .failed("a key is used up") }
        let count = record.count - Self.headerBytes - Self.tagBytes
        let input = Self.bytes(record)
        guard let input, let text = output.baseAddress?.assumingMemoryBound(to: UInt8.self),
            count <= output.count
        else { throw .forged }
        nextNonce()
        cipher.begin(
            nonce: nonce, header: UnsafeBufferPointer(start: input, count: Self.headerBytes))
        cipher.update(text, input + Self.headerBytes, count)
        guard cipher.finish(checking: input + Self.headerBytes + count) else { throw .forged }
        // The content's type is the last byte that is not padding.
        var end = count - 1
        while end >= 0, text[end] == 0 { end -= 1 }
        guard end >= 0, end <= Self.contentBytes, let content = RecordContent(rawValue: text[end])
        else { throw .failed("a record of no type") }
        return (content, end)
    }

    private static func bytes(_ buffer: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
        buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}
