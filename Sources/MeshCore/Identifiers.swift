// The names of things in a mesh. Each is a type of its own, so that a node's number can never be
// taken for a frame's; all are ordered, so that a loop over them runs alike on every node.

/// A node's permanent identity within its mesh: 64 random bits, kept in the node's state folder.
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: NodeID, b: NodeID) -> Bool { a.rawValue < b.rawValue }

    /// Sixteen hexadecimal digits.
    public var description: String { rawValue.hexadecimal }

    /// Reads the sixteen digits that `description` writes.
    public init?(_ description: String) {
        // `UInt64.init` would take a sign for one of the digits.
        guard description.utf8.count == 16, description.allSatisfy(\.isHexDigit),
            let value = UInt64(description, radix: 16)
        else { return nil }
        self.init(value)
    }
}

/// A node between one start and its end: a restarted node is a new participant.
public struct ParticipantID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let node: NodeID
    /// How often this node has been started; only grows, kept in the node's state folder.
    public let boot: UInt64
    @inlinable public init(node: NodeID, boot: UInt64) {
        self.node = node
        self.boot = boot
    }
    @inlinable public static func < (a: ParticipantID, b: ParticipantID) -> Bool {
        (a.node, a.boot) < (b.node, b.boot)
    }
    public var description: String { "\(node).\(boot)" }
}

/// One frame: the participant that submitted it and a number that participant gave it.
public struct FrameID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let originator: ParticipantID
    public let number: UInt64
    @inlinable public init(originator: ParticipantID, number: UInt64) {
        self.originator = originator
        self.number = number
    }
    @inlinable public static func < (a: FrameID, b: FrameID) -> Bool {
        (a.originator, a.number) < (b.originator, b.number)
    }
    public var description: String { "\(originator)/\(number)" }
}

/// The reign of one root over a frame. Terms compare by number, then by root, so that two roots
/// of equal number are never mistaken for each other.
public struct Term: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let number: UInt64
    public let root: ParticipantID
    @inlinable public init(number: UInt64, root: ParticipantID) {
        self.number = number
        self.root = root
    }
    @inlinable public static func < (a: Term, b: Term) -> Bool {
        (a.number, a.root) < (b.number, b.root)
    }
    public var description: String { "\(number)@\(root)" }
}

/// One reduction round of a term. An abandoned round is never tried again under its number.
public struct RoundID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let term: Term
    public let number: UInt64
    @inlinable public init(term: Term, number: UInt64) {
        self.term = term
        self.number = number
    }
    @inlinable public static func < (a: RoundID, b: RoundID) -> Bool {
        (a.term, a.number) < (b.term, b.number)
    }
    public var description: String { "\(term)#\(number)" }
}

/// The number under which a participant sealed a partial film of one frame.
public struct SealNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: SealNumber, b: SealNumber) -> Bool {
        a.rawValue < b.rawValue
    }
    public var description: String { "seal \(rawValue)" }
}

/// A grant of stolen work: numbered by its victim for the time of one boot.
public struct GrantID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let victim: ParticipantID
    public let number: UInt64
    @inlinable public init(victim: ParticipantID, number: UInt64) {
        self.victim = victim
        self.number = number
    }
    @inlinable public static func < (a: GrantID, b: GrantID) -> Bool {
        (a.victim, a.number) < (b.victim, b.number)
    }
    public var description: String { "grant \(number) of \(victim)" }
}

/// The SHA-256 of some bytes: the name of a chunk, a file or a whole scene snapshot.
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The four big-endian 64-bit words of the hash.
    public let words: SIMD4<UInt64>

    /// Takes the 32 bytes of a hash; nil for any other number of bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var words = SIMD4<UInt64>()
        for (index, byte) in bytes.enumerated() {
            words[index / 8] = words[index / 8] << 8 | UInt64(byte)
        }
        self.words = words
    }

    /// The 32 bytes of the hash.
    public var bytes: [UInt8] {
        (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64(56 - $0 % 8 * 8)) }
    }

    /// 64 lower-case hexadecimal digits.
    public var description: String { (0..<4).map { words[$0].hexadecimal }.joined() }

    public static func < (a: Digest, b: Digest) -> Bool {
        for index in 0..<4 where a.words[index] != b.words[index] {
            return a.words[index] < b.words[index]
        }
        return false
    }
}

extension UInt64 {
    /// Sixteen lower-case hexadecimal digits.
    var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
