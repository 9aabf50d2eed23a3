// Who a node is within its mesh. All members have the mesh's key, so it cannot tell them apart: each
// has a key pair of its own besides (Ed25519, RFC 8032), and is called by a hash of the public half.
// At the begin of a stream both ends sign what only the two of them share
// (docs/adr/0020-node-identity.md). Sans-I/O.

import COpenSSL
public import MeshCore

/// A node's own key: who has it is that node.
public struct NodeKey: Hashable, Sendable {
    private static let byteCount = 32
    /// The secret itself: the seed of RFC 8032 §5.1.5.
    private let bytes: [UInt8]
    let publicKey: [UInt8]
    /// The node's name on the wire: the first 64 bits of a hash of its public key.
    public var node: NodeID { Self.node(of: publicKey) }

    /// A new key from the system's generator.
    public init() { self.init(checked: SystemRandom.bytes(Self.byteCount)) }

    /// Reads what `hexadecimal` gave.
    public init?(hexadecimal text: String) {
        guard let bytes = Hexadecimal.bytes(of: text), bytes.count == Self.byteCount else {
            return nil
        }
        self.init(checked: bytes)
    }

    /// 64 digits, for the node's file: they are the secret.
    public var hexadecimal: String { Hexadecimal.text(of: bytes) }

    private init(checked bytes: [UInt8]) {
        self.bytes = bytes
        var publicKey = [UInt8](repeating: 0, count: NodeProof.keyBytes)
        var count = publicKey.count
        let key = Self.openSSLKey(bytes)
        defer { EVP_PKEY_free(key) }
        guard EVP_PKEY_get_raw_public_key(key, &publicKey, &count) == 1 else {
            preconditionFailure("OpenSSL has no Ed25519")
        }
        self.publicKey = publicKey
    }

    private static func openSSLKey(_ bytes: [UInt8]) -> OpaquePointer {
        guard let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
        else { preconditionFailure("OpenSSL has no Ed25519") }
        return key
    }

    static func node(of publicKey: [UInt8]) -> NodeID {
        let digest = Digest(hashing: Array("meshd v1 node".utf8) + publicKey)
        return NodeID(digest.bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Proves to the other end of a TLS session who is at this one.
    /// - Parameter binding: what only the two ends share: ``TLSSession/binding``.
    /// - Parameter role: this end's.
    public func proof(binding: [UInt8], as role: TLSSession.Role) -> NodeProof {
        precondition(binding.count == TLSSession.bindingBytes, "a session that is not established")
        let statement = NodeProof.statement(binding, of: role)
        var signature = [UInt8](repeating: 0, count: NodeProof.signatureBytes)
        var count = signature.count
        let key = Self.openSSLKey(bytes)
        let context = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(context)
            EVP_PKEY_free(key)
        }
        guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
            EVP_DigestSign(context, &signature, &count, statement, statement.count) == 1
        else { preconditionFailure("Ed25519 failed") }
        return NodeProof(publicKey: publicKey, signature: signature)
    }
}

extension NodeKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "key of node \(node)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["node": node]) }
}

/// A node's word that it is at one end of one TLS session: worth nothing in another.
public struct NodeProof: Hashable, Sendable {
    static let keyBytes = 32
    static let signatureBytes = 64
    public static let byteCount = keyBytes + signatureBytes

    let publicKey: [UInt8]
    let signature: [UInt8]

    /// The public key, then the signature.
    public var bytes: [UInt8] { publicKey + signature }

    init(publicKey: [UInt8], signature: [UInt8]) {
        self.publicKey = publicKey
        self.signature = signature
    }

    /// A proof that was not looked at yet; nil unless it has `byteCount` bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        publicKey = Array(bytes.prefix(Self.keyBytes))
        signature = Array(bytes.dropFirst(Self.keyBytes))
    }

    /// What is signed. The roles keep an end from sending the other's proof back.
    static func statement(_ binding: [UInt8], of role: TLSSession.Role) -> [UInt8] {
        Array("meshd v1 node proof".utf8) + [role == .client ? 0 : 1] + binding
    }

    /// The node that has proven to be at an end of a session; nil when it has not.
    /// - Parameter role: of the end that gave the proof.
    public func node(binding: [UInt8], of role: TLSSession.Role) -> NodeID? {
        let statement = Self.statement(binding, of: role)
        guard binding.count == TLSSession.bindingBytes,
            let key = EVP_PKEY_new_raw_public_key(
                EVP_PKEY_ED25519, nil, publicKey, publicKey.count)
        else {
            ERR_clear_error()
            return nil
        }
        let context = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(context)
            EVP_PKEY_free(key)
            ERR_clear_error()
        }
        guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1,
            EVP_DigestVerify(context, signature, signature.count, statement, statement.count) == 1
        else { return nil }
        return NodeKey.node(of: publicKey)
    }
}
