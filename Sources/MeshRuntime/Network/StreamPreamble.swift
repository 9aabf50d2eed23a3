// The first frame each way on every stream: that it is meshd, which version of the protocol, and
// what for. Sans-I/O. Both sides send theirs at once, so that both can name a mismatch.

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

/// What one end says of itself before anything else.
public struct StreamPreamble: Hashable, Sendable {
    /// Eight bytes that no other protocol begins with; the line end and the high byte reveal
    /// transports that change bytes.
    static let magic: [UInt8] = Array("meshd".utf8) + [0x0d, 0x0a, 0xff]
    /// The kind of the frame that carries it.
    static let frameKind: UInt8 = 0
    /// The magic, two 16-bit versions and the purpose; more is left for later versions.
    static let byteCount = 13
    /// The most that is accepted before the other side is known, bytes.
    static let byteCountMax = 256

    /// Ends with different major versions do not understand each other.
    public let major: UInt16
    /// Grows with what is added; the smaller of the two is what both know.
    public let minor: UInt16
    public let purpose: StreamPurpose

    public init(major: UInt16, minor: UInt16, purpose: StreamPurpose) {
        self.major = major
        self.minor = minor
        self.purpose = purpose
    }

    /// Why two ends cannot talk.
    public enum Mismatch: Error, Hashable, Sendable, CustomStringConvertible {
        case version(ours: UInt16, theirs: UInt16)
        case purpose(ours: StreamPurpose, theirs: StreamPurpose)

        public var description: String {
            switch self {
            case .version(let ours, let theirs):
                "the peer speaks protocol version \(theirs), this node \(ours): "
                    + "update the older one"
            case .purpose(let ours, let theirs):
                "the peer wants a \(theirs) connection, this is for \(ours)"
            }
        }
    }

    /// The payload of the preamble's frame: the magic, then little-endian numbers.
    public var bytes: [UInt8] {
        Self.magic + [
            UInt8(truncatingIfNeeded: major), UInt8(truncatingIfNeeded: major >> 8),
            UInt8(truncatingIfNeeded: minor), UInt8(truncatingIfNeeded: minor >> 8),
            purpose.rawValue,
        ]
    }

    /// Reads a preamble from a stream's first frame.
    /// - Throws: `FrameError` when it is none.
    public init(frame: StreamFrame) throws(FrameError) {
        guard frame.kind == Self.frameKind else { throw .preambleMissing(kind: frame.kind) }
        let payload = frame.payload
        guard payload.count >= Self.byteCount, payload.starts(with: Self.magic) else {
            throw .preambleMalformed
        }
        major = UInt16(payload[8]) | UInt16(payload[9]) << 8
        minor = UInt16(payload[10]) | UInt16(payload[11]) << 8
        purpose = StreamPurpose(rawValue: payload[12])
    }

    /// Compares this end's preamble with the other's.
    /// - Throws: what differs.
    public func match(_ theirs: StreamPreamble) throws(Mismatch) {
        if theirs.major != major { throw .version(ours: major, theirs: theirs.major) }
        if theirs.purpose != purpose { throw .purpose(ours: purpose, theirs: theirs.purpose) }
    }
}
