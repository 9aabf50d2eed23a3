// SHA-256, by OpenSSL: the names of files and the fingerprint of a film.

import COpenSSL
public import MeshCore

/// An incremental SHA-256.
public final class HashStream {
    private let context: OpaquePointer

    public init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
        else { preconditionFailure("OpenSSL has no SHA-256") }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    public func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        let result = EVP_DigestUpdate(context, base, bytes.count)
        precondition(result == 1, "EVP_DigestUpdate failed")
    }

    /// The hash of all bytes given; the stream must not be used afterwards.
    public func finish() -> Digest {
        var bytes = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let result = EVP_DigestFinal_ex(context, &bytes, &count)
        guard result == 1, let digest = Digest(bytes: bytes) else {
            preconditionFailure("EVP_DigestFinal_ex failed")
        }
        return digest
    }
}

extension Digest {
    /// The SHA-256 of some bytes.
    public init(hashing bytes: [UInt8]) {
        let stream = HashStream()
        bytes.withUnsafeBytes { stream.update($0) }
        self = stream.finish()
    }

    /// Reads the 64 hexadecimal digits that `description` writes.
    public init?(hexadecimal: String) {
        let digits = hexadecimal.utf8.compactMap { digit -> UInt8? in
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        guard digits.count == 64, hexadecimal.utf8.count == 64 else { return nil }
        self.init(bytes: (0..<32).map { digits[2 * $0] << 4 | digits[2 * $0 + 1] })
    }
}
