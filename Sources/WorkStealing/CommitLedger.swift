// The committed coverage of a frame as a participant knows it: the coverage of its root's film,
// and which round told so, because messages overtake each other.

import MeshCore

/// The ledger, and the moment in the root's history that it belongs to.
struct CommitLedger: Sendable {
    /// A round's start carries the ledger before it, its sum the ledger after it.
    struct Stamp: Hashable, Comparable, Sendable {
        let round: RoundID
        let isAfterCommit: Bool
        static func < (a: Stamp, b: Stamp) -> Bool {
            a.round == b.round
                ? !a.isAfterCommit && b.isAfterCommit : a.round < b.round
        }
    }

    private let unitCount: Int
    private(set) var coverage = IntervalSet()
    private(set) var stamp: Stamp?

    init(unitCount: Int) { self.unitCount = unitCount }

    var isComplete: Bool { coverage.count == unitCount }
    var missing: IntervalSet {
        IntervalSet(SampleRange(0, unitCount)).subtracting(coverage)
    }

    /// Whether what a start of this stamp says is old news here.
    func isNewer(than stamp: Stamp) -> Bool { self.stamp.map { stamp < $0 } ?? false }

    /// Takes over what the root says, unless something newer is known. Within a term a ledger may
    /// shrink: a root that adopts a larger film can lose units that only its own film had.
    /// - Returns: whether it was taken over.
    mutating func adopt(_ coverage: IntervalSet, at stamp: Stamp) -> Bool {
        guard !isNewer(than: stamp) else { return false }
        self.stamp = stamp
        self.coverage = coverage
        return true
    }

    /// Root: adds what was delivered to the film.
    /// - Returns: false, and nothing changes, when some of it is committed already.
    mutating func commit(_ delivered: IntervalSet, round: RoundID) -> Bool {
        guard coverage.isDisjoint(with: delivered) else { return false }
        coverage.formUnion(delivered)
        stamp = Stamp(round: round, isAfterCommit: true)
        return true
    }

    /// Root: the ledger is what its film holds, nothing else.
    mutating func replace(with film: IntervalSet) { coverage = film }
}
