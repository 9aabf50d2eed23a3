// The ciphers of TLS 1.3's records, a piece of a record at a time. AES-128-GCM is that of Intel's
// IPsec library, which uses all of what the processor has: 24 GB/s where OpenSSL 3.0 has 5
// (docs/adr/0017-records.md). ChaCha20-Poly1305 is OpenSSL's.

import CIPSecMB
import COpenSSL

/// A key for one direction of a connection.
protocol RecordCipher: AnyObject {
    /// Begins a record.
    /// - Parameter nonce: 12 bytes.
    /// - Parameter header: what is authenticated, but not encrypted.
    func begin(nonce: [UInt8], header: UnsafeBufferPointer<UInt8>)
    /// Encrypts or decrypts the next bytes.
    func update(
        _ output: UnsafeMutablePointer<UInt8>, _ input: UnsafePointer<UInt8>, _ count: Int)
    /// Writes the tag behind what was encrypted.
    func finish(tag: UnsafeMutablePointer<UInt8>)
    /// Whether what was decrypted is what was encrypted.
    func finish(checking tag: UnsafePointer<UInt8>) -> Bool
}

/// AES-128-GCM (NIST SP 800-38D).
final class AESRecordCipher: RecordCipher {
    static let keyBytes = 16

    /// The library's functions for this processor: read only once they are made.
    private struct Manager: @unchecked Sendable {
        let pointer: UnsafeMutablePointer<IMB_MGR>

        init() {
            guard let pointer = meshd_gcm_manager() else {
                preconditionFailure("libipsec-mb has no AES-GCM for this processor")
            }
            self.pointer = pointer
        }
    }
    private static let manager = Manager()

    private let gcm: UnsafeMutablePointer<meshd_gcm>
    private let isSealing: Bool

    init(key: [UInt8], isSealing: Bool) {
        precondition(key.count == Self.keyBytes)
        guard let gcm = meshd_gcm_new(Self.manager.pointer, key) else {
            preconditionFailure("no memory for AES-GCM")
        }
        self.gcm = gcm
        self.isSealing = isSealing
    }

    deinit { meshd_gcm_free(gcm) }

    func begin(nonce: [UInt8], header: UnsafeBufferPointer<UInt8>) {
        meshd_gcm_begin(gcm, nonce, header.baseAddress, header.count)
    }

    func update(
        _ output: UnsafeMutablePointer<UInt8>, _ input: UnsafePointer<UInt8>, _ count: Int
    ) {
        if isSealing {
            meshd_gcm_seal(gcm, output, input, count)
        } else {
            meshd_gcm_open(gcm, output, input, count)
        }
    }

    func finish(tag: UnsafeMutablePointer<UInt8>) { meshd_gcm_end_sealing(gcm, tag) }

    func finish(checking tag: UnsafePointer<UInt8>) -> Bool {
        var expected = [UInt8](repeating: 0, count: RecordProtection.tagBytes)
        meshd_gcm_end_opening(gcm, &expected)
        return CRYPTO_memcmp(expected, tag, expected.count) == 0
    }
}

/// ChaCha20-Poly1305 (RFC 8439).
final class ChaChaRecordCipher: RecordCipher {
    static let keyBytes = 32

    private let context: OpaquePointer

    init(key: [UInt8], isSealing: Bool) {
        precondition(key.count == Self.keyBytes)
        guard let context = EVP_CIPHER_CTX_new(),
            EVP_CipherInit_ex(
                context, EVP_chacha20_poly1305(), nil, key, nil, isSealing ? 1 : 0) == 1
        else { preconditionFailure("OpenSSL has no ChaCha20-Poly1305") }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    func begin(nonce: [UInt8], header: UnsafeBufferPointer<UInt8>) {
        let isBegun = EVP_CipherInit_ex(context, nil, nil, nil, nonce, -1) == 1
        precondition(isBegun, "ChaCha20-Poly1305 failed")
        update(nil, header.baseAddress, header.count)
    }

    func update(
        _ output: UnsafeMutablePointer<UInt8>, _ input: UnsafePointer<UInt8>, _ count: Int
    ) {
        update(Optional(output), input, count)
    }

    private func update(
        _ output: UnsafeMutablePointer<UInt8>?, _ input: UnsafePointer<UInt8>?, _ count: Int
    ) {
        var written: Int32 = 0
        let isDone = EVP_CipherUpdate(context, output, &written, input, Int32(count)) == 1
        precondition(isDone && Int(written) == count, "ChaCha20-Poly1305 failed")
    }

    func finish(tag: UnsafeMutablePointer<UInt8>) {
        var count: Int32 = 0
        let isDone =
            EVP_CipherFinal_ex(context, tag, &count) == 1
            && meshd_get_tag(context, tag, Int32(RecordProtection.tagBytes)) == 1
        precondition(isDone, "ChaCha20-Poly1305 failed")
    }

    func finish(checking tag: UnsafePointer<UInt8>) -> Bool {
        var nothing: UInt8 = 0
        var count: Int32 = 0
        return meshd_set_tag(context, tag, Int32(RecordProtection.tagBytes)) == 1
            && EVP_CipherFinal_ex(context, &nothing, &count) == 1
    }
}
