// Why a TLS session cannot go on.

/// An end of a TLS session that was not asked for. Each leaves the session useless.
public enum TLSError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What arrived is no TLS.
    case notTLS
    /// It is meshd's, but of a version from before streams were sealed.
    case unsealed
    /// The peer came with a key that is not known here: of another mesh, or this one's next.
    case unknownKey(KeyID)
    /// The peer came with a key that was revoked here.
    case revokedKey(KeyID)
    /// The peer names a known key, or none, and could not prove that it has it.
    case wrongKey
    /// The peer does not accept this node's key.
    case refusedByPeer
    /// The peer is a member, but not the node that it should be, or did not prove which one it is.
    case wrongNode
    /// A record is forged or was changed on the way.
    case forged
    /// Something else that TLS knows; the library's words.
    case failed(String)

    public var description: String {
        switch self {
        case .notTLS: "it does not speak TLS"
        case .unsealed: "it is of an old meshd that does not encrypt: update it"
        case .unknownKey(let id): "its key \(id) is of another mesh"
        case .revokedKey(let id): "its key \(id) was revoked: it must join anew"
        case .wrongKey: "it does not have this mesh's key"
        case .refusedByPeer:
            "it does not accept this node's mesh key: it is in another mesh, or its key was changed"
        case .wrongNode: "another node is there, or one that does not prove which it is"
        case .forged: "what it sends was changed on the way"
        case .failed(let reason): "TLS failed: \(reason)"
        }
    }
}
