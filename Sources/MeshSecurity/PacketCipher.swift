// AES-256-GCM by OpenSSL, with its key prepared once for many packets.

import COpenSSL

/// One key of AES-256-GCM. Nonces are 64-bit numbers, behind four zero bytes.
final class PacketCipher {
    static let keyBytes = 32
    private static let nonceBytes = 12

    private let context: OpaquePointer

    /// What a cipher is for: it does one of the two.
    enum Direction: Int32 {
        case opening = 0
        case sealing = 1
    }

    init(key: [UInt8], for direction: Direction) {
        precondition(key.count == Self.keyBytes)
        guard let context = EVP_CIPHER_CTX_new(),
            EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key, nil, direction.rawValue) == 1
        else { preconditionFailure("OpenSSL has no AES-256-GCM") }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    private static func nonce(_ number: UInt64) -> [UInt8] {
        [0, 0, 0, 0] + withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    /// Adds the sealed message and its tag behind a header, which they authenticate too.
    func seal(_ message: [UInt8], nonce: UInt64, into packet: inout [UInt8]) {
        let header = packet.count
        packet += [UInt8](repeating: 0, count: message.count + SealedPacket.tagBytes)
        let isSealed = packet.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
                return false
            }
            var count: Int32 = 0
            let (body, tag) = (base + header, base + header + message.count)
            return EVP_EncryptInit_ex(context, nil, nil, nil, Self.nonce(nonce)) == 1
                && EVP_EncryptUpdate(context, nil, &count, base, Int32(header)) == 1
                && EVP_EncryptUpdate(context, body, &count, message, Int32(message.count)) == 1
                && EVP_EncryptFinal_ex(context, tag, &count) == 1
                && meshd_get_tag(context, tag, Int32(SealedPacket.tagBytes)) == 1
        }
        precondition(isSealed, "AES-256-GCM failed")
    }

    /// Opens what `seal` made; nil when a byte of it, or of the header, is another.
    func open(_ packet: [UInt8], headerBytes header: Int, nonce: UInt64) -> [UInt8]? {
        let count = packet.count - header - SealedPacket.tagBytes
        guard count >= 0 else { return nil }
        var message = [UInt8](repeating: 0, count: count)
        let isOpened = packet.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return false }
            var written: Int32 = 0
            let tag = base + header + count
            return EVP_DecryptInit_ex(context, nil, nil, nil, Self.nonce(nonce)) == 1
                && EVP_DecryptUpdate(context, nil, &written, base, Int32(header)) == 1
                && EVP_DecryptUpdate(context, &message, &written, base + header, Int32(count)) == 1
                && meshd_set_tag(context, tag, Int32(SealedPacket.tagBytes)) == 1
                && EVP_DecryptFinal_ex(context, nil, &written) == 1
        }
        return isOpened ? message : nil
    }
}
