// What the results of one unit by two nodes are compared by (docs/PROTOCOL.md §8).

public import MeshCore

/// A short name of the pixels of one rendered unit.
public struct UnitDigest: Hashable, Sendable {
    /// Of everything the unit adds to a film. Equal results have equal hashes.
    public var hash: UInt64
    /// The sums of red, green and blue over all samples of the unit, in the film's numbers: not
    /// negative.
    public var sums: SIMD3<Float>
    /// Of the node that rendered it. Nodes of one class get the same bits.
    public var arithmeticClass: UInt64

    public init(hash: UInt64, sums: SIMD3<Float>, arithmeticClass: UInt64) {
        self.hash = hash
        self.sums = sums
        self.arithmeticClass = arithmeticClass
    }

    /// Of a unit about which its owner has said nothing: agrees with no result.
    static let none = UnitDigest(hash: 0, sums: SIMD3(repeating: -1), arithmeticClass: 0)

    /// How far the sums of nodes of different classes may be apart, as a share of the larger. Such
    /// nodes differ in about one sample of ten million, and a unit has thousands; one that takes
    /// another path may be a bright one.
    public static let tolerance: Float = 0.05

    /// Whether both can be right: the same bits within a class, within ``tolerance`` otherwise.
    public func agrees(with other: UnitDigest) -> Bool {
        guard sums.min() >= 0, other.sums.min() >= 0 else { return false }
        if hash == other.hash { return true }
        guard arithmeticClass != other.arithmeticClass else { return false }
        return sums.indices.allSatisfy { channel in
            let (a, b) = (sums[channel], other.sums[channel])
            // Of the brightest channel: in a dark one a single sample is a large share.
            return abs(a - b) <= Self.tolerance * max(sums.max(), other.sums.max())
        }
    }
}

/// Asks a participant to render units that another has rendered, and to tell their digests.
public struct CheckRequest: Hashable, Sendable {
    public var term: Term
    public var units: IntervalSet
    public init(term: Term, units: IntervalSet) {
        self.term = term
        self.units = units
    }
}

/// What came out.
public struct CheckResult: Hashable, Sendable {
    public var term: Term
    public var unit: Int
    public var digest: UnitDigest
    public init(term: Term, unit: Int, digest: UnitDigest) {
        self.term = term
        self.unit = unit
        self.digest = digest
    }
}
