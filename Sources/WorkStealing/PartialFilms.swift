// The coverage of what this node has rendered and not seen committed: one open partial film and
// the sealed ones. The driver holds the pixels; both sides know the same coverages.

import MeshCore

/// One open and some sealed partial films, disjoint from each other.
struct PartialFilms: Sendable {
    struct Sealed: Hashable, Sendable {
        let number: SealNumber
        let coverage: IntervalSet
        /// Whether units that go down with this partial return to the claims: not after a
        /// dismissal, when they have been given to others.
        var isReclaimable: Bool
    }

    /// What `drop` has let go.
    struct Dropped: Hashable, Sendable {
        var seals: [SealNumber] = []
        var open = false
        /// Units that the ledger lacks and this node had claimed.
        var reclaimed = IntervalSet()
        /// Units that were dropped unmerged.
        var unitsWasted = 0
    }

    private(set) var open = IntervalSet()
    private(set) var seals: [Sealed] = []
    private var openIsReclaimable = true
    private var nextNumber: UInt64 = 1

    var isEmpty: Bool { open.isEmpty && seals.isEmpty }
    var coverage: IntervalSet {
        IntervalSet(open.ranges + seals.flatMap(\.coverage.ranges))
    }
    func contains(_ unit: Int) -> Bool {
        open.contains(unit) || seals.contains { $0.coverage.contains(unit) }
    }

    mutating func addToOpen(_ unit: Int) { open.insert(unit) }

    /// Closes the open partial film; nil when it is empty or there are too many.
    mutating func sealOpen(limit: Int) -> SealNumber? {
        guard !open.isEmpty, seals.count < limit else { return nil }
        let number = append(open, isReclaimable: openIsReclaimable)
        open = IntervalSet()
        openIsReclaimable = true
        return number
    }

    /// Makes a partial film of one unit; nil when there are too many.
    /// - Parameter isNumbered: whether it gets a number of its own; false in a planted bug only.
    mutating func sealApart(_ unit: Int, limit: Int, isNumbered: Bool = true) -> SealNumber? {
        guard seals.count < limit else { return nil }
        if !isNumbered, nextNumber > 1 { nextNumber -= 1 }
        return append(IntervalSet(SampleRange(unit, unit + 1)), isReclaimable: false)
    }

    private mutating func append(_ coverage: IntervalSet, isReclaimable: Bool) -> SealNumber {
        let number = SealNumber(nextNumber)
        nextNumber += 1
        seals.append(Sealed(number: number, coverage: coverage, isReclaimable: isReclaimable))
        return number
    }

    /// Drops whatever overlaps the ledger: a partial film is merged whole or not at all.
    mutating func drop(overlapping ledger: IntervalSet) -> Dropped {
        var dropped = Dropped()
        if !open.isDisjoint(with: ledger) {
            dropped.open = true
            let rest = open.subtracting(ledger)
            dropped.unitsWasted += open.count
            if openIsReclaimable { dropped.reclaimed.formUnion(rest) }
            open = IntervalSet()
            openIsReclaimable = true
        }
        for seal in seals where !seal.coverage.isDisjoint(with: ledger) {
            dropped.seals.append(seal.number)
            let rest = seal.coverage.subtracting(ledger)
            dropped.unitsWasted += rest.count
            if seal.isReclaimable { dropped.reclaimed.formUnion(rest) }
        }
        if !dropped.seals.isEmpty {
            seals.removeAll { dropped.seals.contains($0.number) }
        }
        return dropped
    }

    /// Drops everything; nothing of it returns to the claims.
    mutating func dropAll() -> Dropped {
        var dropped = Dropped(seals: seals.map(\.number), open: !open.isEmpty)
        dropped.unitsWasted = coverage.count
        (open, seals, openIsReclaimable) = (IntervalSet(), [], true)
        return dropped
    }

    /// This node was dismissed: its units belong to others now.
    mutating func disown() {
        openIsReclaimable = open.isEmpty
        for index in seals.indices { seals[index].isReclaimable = false }
    }

    func checkInvariants() {
        let sum = seals.reduce(open.count) { $0 + $1.coverage.count }
        precondition(sum == coverage.count, "a unit is held twice")
    }
}
