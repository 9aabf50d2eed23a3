// The first frame each way on every stream: that it is meshd, which version of the protocol, what
// for, and which node. Sans-I/O. Both sides send theirs at once, so that both can name a mismatch.

public import MeshSecurity

/// What a stream is for; both ends must mean the same.
public struct StreamPurpose: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Between two nodes of a mesh.
    public static let mesh = StreamPurpose(rawValue: 1)
    /// From the command line to the daemon of its machine.
    public static let control = StreamPurpose(rawValue: 2)

    public var description: String {
        switch self {
        case .mesh: "mesh"
        case .control: "control"
        default: "purpose \(rawValue)"
        }
    }
}

/// What an end can do, a bit each. It may use what both ends name.
public struct StreamFeatures: OptionSet, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bits of things that an end can't do without: who does not know one of them must not talk to
    /// it. Others may be passed over.
    public static let needed = StreamFeatures(rawValue: 0xffff_0000)
    /// A connection may carry one stream after another.
    public static let successiveStreams = StreamFeatures(rawValue: 1)
    /// Those that this version knows.
    public static let known: StreamFeatures = [.successiveStreams]

    /// The numbers of the bits.
    public var description: String {
        let bits = (0..<32).filter { rawValue >> UInt32($0) & 1 == 1 }
        return "feature " + bits.map { "\($0)" }.joined(separator: ", ")
    }
}

/// What one end says of itself before anything else.
public struct StreamPreamble: Hashable, Sendable {
    /// Eight bytes that no other protocol begins with; the line end and the high byte reveal
    /// transports that change bytes.
    static let magic: [UInt8] = Array("meshd".utf8) + [0x0d, 0x0a, 0xff]
    /// The kind of the frame that carries it.
    static let frameKind: UInt8 = 0
    /// The magic, two 16-bit versions, the purpose and 32 bits of features. Behind them there may
    /// be a proof, and more in later versions.
    static let byteCount = 17
    /// All that versions before 1.1 had: no features.
    static let byteCountMin = 13
    /// The most that is accepted before the other side is known, bytes.
    static let byteCountMax = 256

    /// Ends with different major versions do not understand each other.
    public let major: UInt16
    /// Grows with what is added; the smaller of the two is what both know.
    public let minor: UInt16
    public let purpose: StreamPurpose
    public let features: StreamFeatures
    /// Which node it is, where nodes speak.
    public var proof: NodeProof?

    public init(
        major: UInt16, minor: UInt16, purpose: StreamPurpose, features: StreamFeatures = []
    ) {
        self.major = major
        self.minor = minor
        self.purpose = purpose
        self.features = features
    }

    /// Why two ends cannot talk.
    public enum Mismatch: Error, Hashable, Sendable, CustomStringConvertible {
        case version(ours: UInt16, theirs: UInt16)
        case purpose(ours: StreamPurpose, theirs: StreamPurpose)
        case features(StreamFeatures)

        public var description: String {
            switch self {
            case .version(let ours, let theirs):
                "the peer speaks protocol version \(theirs), this node \(ours): "
                    + "update the older one"
            case .purpose(let ours, let theirs):
                "the peer wants a \(theirs) connection, this is for \(ours)"
            case .features(let features):
                "the peer needs what this node does not know (\(features)): update this node"
            }
        }
    }

    /// The payload of the preamble's frame: the magic, then little-endian numbers.
    public var bytes: [UInt8] {
        Self.magic + [
            UInt8(truncatingIfNeeded: major), UInt8(truncatingIfNeeded: major >> 8),
            UInt8(truncatingIfNeeded: minor), UInt8(truncatingIfNeeded: minor >> 8),
            purpose.rawValue,
        ] + withUnsafeBytes(of: features.rawValue.littleEndian) { Array($0) } + (proof?.bytes ?? [])
    }

    /// Reads a preamble from a stream's first frame.
    /// - Throws: `FrameError` when it is none.
    public init(frame: StreamFrame) throws(FrameError) {
        guard frame.kind == Self.frameKind else { throw .preambleMissing(kind: frame.kind) }
        let payload = frame.payload
        guard payload.count >= Self.byteCountMin, payload.starts(with: Self.magic) else {
            throw .preambleMalformed
        }
        major = UInt16(payload[8]) | UInt16(payload[9]) << 8
        minor = UInt16(payload[10]) | UInt16(payload[11]) << 8
        purpose = StreamPurpose(rawValue: payload[12])
        features = StreamFeatures(
            rawValue: payload[13...].prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
        // Streams of one machine have none.
        proof = NodeProof(bytes: Array(payload.dropFirst(17).prefix(NodeProof.byteCount)))
    }

    /// Compares this end's preamble with the other's.
    /// - Throws: what differs.
    public func match(_ theirs: StreamPreamble) throws(Mismatch) {
        if theirs.major != major { throw .version(ours: major, theirs: theirs.major) }
        if theirs.purpose != purpose { throw .purpose(ours: purpose, theirs: theirs.purpose) }
        let unknown = theirs.features.intersection(.needed).subtracting(.known)
        if !unknown.isEmpty { throw .features(unknown) }
    }
}
