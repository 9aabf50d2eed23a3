// A datagram between members, sealed: nobody else can read, make or change it. Sans-I/O.
//
//     0xE3 · kind · key id (4) · salt (12) · counter (6) · ciphertext · tag (16)
//
// The salt is drawn when a process starts to seal and gives it a key of its own (HKDF of the
// mesh's gossip key); the counter is the nonce. So no key meets a nonce twice, however often a
// node restarts and whatever its clock says. The 24 bytes before the ciphertext are authenticated.
// Kind 0 is a message; in kind 2 there is in front of it what its sender knows of the mesh's keys
// (16 bytes), which is said with each packet for a while after it has changed, and now and then.
//
// Who cannot open a packet may say so in the clear:
//
//     0xE3 · 1 · reason · salt and counter of the packet (18)
//
// A hint for the log and nothing else: anybody who has seen the packet can send it. It is shorter
// than what it answers, so that it amplifies nothing.

/// Why a packet was not opened.
public enum SealError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not of any version of meshd.
    case notMeshd
    /// Sealed, or not sealed, by another version of the protocol.
    case otherVersion(Int)
    /// By a key that is not known here: another mesh, or this one after a rotation.
    case unknownKey(KeyID)
    /// By a key of this mesh that was revoked.
    case revokedKey(KeyID)
    /// It names a known key, but was not sealed with it, or was changed on its way.
    case forged
    /// Opened before, or too old to tell.
    case replayed
    /// Not tried: too many from there were forged.
    case overrun

    public var description: String {
        switch self {
        case .notMeshd: "it is not of meshd"
        case .otherVersion(let version):
            "it is of version \(version) of the protocol, this node's is \(SealedPacket.version)"
        case .unknownKey(let id): "it is sealed with the key \(id) of another mesh"
        case .revokedKey(let id):
            "it is sealed with the revoked key \(id): its sender must join anew"
        case .forged: "it is forged or damaged"
        case .replayed: "it is a replay"
        case .overrun: "too many from there were forged"
        }
    }
}

/// The layout of sealed packets.
public enum SealedPacket {
    /// Grows when packets can't be understood any more by who knows the former version.
    public static let version = 3
    /// The upper half of the first byte of every datagram of meshd.
    public static let mark: UInt8 = 0xe0
    static let firstByte = mark | UInt8(version)

    static let saltBytes = 12
    static let counterBytes = 6
    static let tagBytes = 16
    static let keyOffset = 2
    /// Where a packet says which process has sealed it.
    public static let saltOffset = 6
    static let counterOffset = saltOffset + saltBytes
    static let headerBytes = counterOffset + counterBytes
    /// What sealing adds to a packet.
    public static let overheadBytes = headerBytes + tagBytes
    /// The same, for one that says what its sender knows of the keys.
    public static let overheadBytesMax = overheadBytes + KeyState.byteCount

    /// The second byte.
    enum Kind {
        static let sealed: UInt8 = 0
        static let refusal: UInt8 = 1
        static let sealedWithKeyState: UInt8 = 2
    }
}

/// A word from who could not open a packet of this node; not authenticated.
public enum PacketRefusal: UInt8, Hashable, Sendable, CustomStringConvertible {
    case otherVersion = 1
    case unknownKey = 2
    case revokedKey = 3
    case forged = 4

    /// Whether another key might be understood.
    public var isOfKey: Bool { self == .unknownKey || self == .revokedKey }

    static let byteCount = 3 + SealedPacket.saltBytes + SealedPacket.counterBytes

    public var description: String {
        switch self {
        case .otherVersion: "it speaks another version of the protocol"
        case .unknownKey:
            "it does not know this node's mesh key: it is in another mesh, or its key was changed"
        case .revokedKey: "this node's mesh key was revoked: join anew with the new code"
        case .forged: "what it gets from this node is damaged on the way"
        }
    }

    /// The answer to a packet that was refused; nil where an answer would help nobody.
    public static func answer(to packet: [UInt8], refusedAs error: SealError) -> [UInt8]? {
        let reason: PacketRefusal
        switch error {
        case .otherVersion: reason = .otherVersion
        case .unknownKey: reason = .unknownKey
        case .revokedKey: reason = .revokedKey
        case .forged: reason = .forged
        case .notMeshd, .replayed, .overrun: return nil
        }
        // A quote of all that it quotes, and shorter than the packet.
        guard packet.count >= SealedPacket.headerBytes else { return nil }
        let quote = packet[SealedPacket.saltOffset..<SealedPacket.headerBytes]
        return [SealedPacket.firstByte, SealedPacket.Kind.refusal, reason.rawValue] + quote
    }
}
