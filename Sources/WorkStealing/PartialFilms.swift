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
        /// Of units that a root has waived: it is no rendering, and no other root's business.
        var isWaived = false
    }

    /// What `drop` has let go.
    struct Dropped: Hashable, Sendable {
        var seals: [SealNumber] = []
        var open = false
        /// Units that the ledger lacks and this node had claimed.
        var reclaimed = IntervalSet()
        /// Units that the ledger lacks and this root had waived.
        var waived = IntervalSet()
        /// Units that were rendered and dropped unmerged.
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

    /// Makes a partial film of units that nobody has to render.
    mutating func seal(waived units: IntervalSet) -> SealNumber {
        append(units, isReclaimable: false, isWaived: true)
    }

    private mutating func append(
        _ coverage: IntervalSet, isReclaimable: Bool, isWaived: Bool = false
    ) -> SealNumber {
        let number = SealNumber(nextNumber)
        nextNumber += 1
        seals.append(
            Sealed(
                number: number, coverage: coverage, isReclaimable: isReclaimable,
                isWaived: isWaived))
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
            if seal.isWaived {
                dropped.waived.formUnion(rest)
            } else {
                dropped.unitsWasted += rest.count
            }
            if seal.isReclaimable { dropped.reclaimed.formUnion(rest) }
        }
        if !dropped.seals.isEmpty {
            seals.removeAll { dropped.seals.contains($0.number) }
        }
        return dropped
    }

    /// Drops everything that was rendered; nothing of it returns to the claims.
    mutating func dropAll() -> Dropped {
        let rendered = seals.filter { !$0.isWaived }
        var dropped = Dropped(seals: rendered.map(\.number), open: !open.isEmpty)
        dropped.unitsWasted = rendered.reduce(open.count) { $0 + $1.coverage.count }
        seals.removeAll { !$0.isWaived }
        (open, openIsReclaimable) = (IntervalSet(), true)
        return dropped
    }

    /// Drops what was waived, and returns the numbers.
    mutating func dropWaived() -> [SealNumber] {
        let numbers = seals.filter(\.isWaived).map(\.number)
        seals.removeAll(where: \.isWaived)
        return numbers
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
