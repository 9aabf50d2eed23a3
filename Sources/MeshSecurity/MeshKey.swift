// The one secret of a mesh, and the keys for each purpose that come from it: who knows it is a
// member. A purpose has a key of its own (HKDF, RFC 5869), so that none says anything of another.

import COpenSSL

/// Names a key without revealing it: 32 bits that come from it.
public struct KeyID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static func < (left: KeyID, right: KeyID) -> Bool { left.rawValue < right.rawValue }

    /// Eight hexadecimal digits.
    public var description: String { Hexadecimal.text(of: bytes) }

    /// Four bytes, the highest first.
    var bytes: [UInt8] { withUnsafeBytes(of: rawValue.bigEndian) { Array($0) } }

    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// A mesh's key: 256 random bits. No description of it shows them.
public struct MeshKey: Hashable, Sendable {
    public static let byteCount = 32
    /// The secret itself: for the join code and the file of the keyring only.
    let bytes: [UInt8]
    public let id: KeyID

    /// What a derived key is for; the text is its HKDF info.
    enum Purpose: String {
        case keyID = "meshd v1 key id"
        case gossip = "meshd v1 gossip"
        case stream = "meshd v1 stream psk"
        case tag = "meshd v1 mesh tag"
    }

    /// A new key from the system's generator.
    public init() {
        var generator = SystemRandomNumberGenerator()
        self.init(checked: SystemRandom.bytes(Self.byteCount, using: &generator))
    }

    /// A key from its bytes; nil unless there are 32 of them.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(checked: bytes)
    }

    private init(checked bytes: [UInt8]) {
        self.bytes = bytes
        let name = KeyDerivation.derive(from: bytes, info: Purpose.keyID.rawValue, byteCount: 4)
        id = KeyID(rawValue: name.reduce(0) { $0 << 8 | UInt32($1) })
    }

    /// The key for one purpose.
    func derived(for purpose: Purpose, salt: [UInt8] = [], byteCount: Int = 32) -> [UInt8] {
        KeyDerivation.derive(
            from: bytes, salt: salt, info: purpose.rawValue, byteCount: byteCount)
    }

    /// Of two keys with one name, which chance does not make, all nodes take the same.
    static func either(_ one: MeshKey, _ other: MeshKey) -> MeshKey {
        one.bytes.lexicographicallyPrecedes(other.bytes) ? other : one
    }

    /// A name for the mesh that only members recognise, and that says nothing to others: with
    /// another salt it is another one. Eight bytes.
    /// - Parameter salt: public, of the publisher's choice.
    public func tag(salt: [UInt8]) -> [UInt8] { derived(for: .tag, salt: salt, byteCount: 8) }
}

extension MeshKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "mesh key \(id)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// HKDF with SHA-256.
enum KeyDerivation {
    /// Extracts and expands (RFC 5869).
    static func derive(
        from secret: [UInt8], salt: [UInt8] = [], info: String, byteCount: Int
    ) -> [UInt8] {
        derive(from: secret, salt: salt, info: Array(info.utf8), byteCount: byteCount)
    }

    /// Expands only.
    static func expand(_ secret: [UInt8], info: [UInt8], byteCount: Int) -> [UInt8] {
        derive(
            from: secret, info: info, byteCount: byteCount, mode: EVP_PKEY_HKDEF_MODE_EXPAND_ONLY)
    }

    private static func derive(
        from secret: [UInt8], salt: [UInt8] = [], info: [UInt8], byteCount: Int,
        mode: Int32 = EVP_PKEY_HKDEF_MODE_EXTRACT_AND_EXPAND
    ) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: byteCount)
        var count = byteCount
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nil)
        defer { EVP_PKEY_CTX_free(context) }
        let isDone =
            EVP_PKEY_derive_init(context) == 1
            && EVP_PKEY_CTX_set_hkdf_mode(context, mode) == 1
            && EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1
            && EVP_PKEY_CTX_set1_hkdf_salt(context, salt, Int32(salt.count)) == 1
            && EVP_PKEY_CTX_set1_hkdf_key(context, secret, Int32(secret.count)) == 1
            && EVP_PKEY_CTX_add1_hkdf_info(context, info, Int32(info.count)) == 1
            && EVP_PKEY_derive(context, &result, &count) == 1
        precondition(isDone && count == byteCount, "OpenSSL has no HKDF with SHA-256")
        return result
    }
}

/// Bytes that nobody can guess.
enum SystemRandom {
    static func bytes(_ count: Int, using generator: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return bytes(count, using: &generator)
    }
}

/// Bytes as text and back.
enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(of bytes: [UInt8]) -> String {
        let characters = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: characters, as: UTF8.self)
    }

    /// Reads lower-case digits; nil for anything else.
    static func bytes(of text: some StringProtocol) -> [UInt8]? {
        let values = text.utf8.compactMap { digits.firstIndex(of: $0) }
        guard values.count == text.utf8.count, values.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: values.count, by: 2).map {
            UInt8(values[$0] << 4 | values[$0 + 1])
        }
    }
}
