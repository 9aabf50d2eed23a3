// The units a participant holds and has not begun. Its devices take from the low end, so that
// passes finish in order; thieves get the upper end, so that both keep long coherent runs.

import MeshCore

/// Held units, weighed in samples.
struct ClaimDeque: Sendable {
    let weights: WorkWeights
    private(set) var units = IntervalSet()
    /// The samples of all units.
    private(set) var samples = 0
    /// Held units that were stolen: a single one of them is not given on, or the last units of a
    /// frame would travel to and fro between nodes that are both about to run dry.
    private var stolen = IntervalSet()

    init(weights: WorkWeights) { self.weights = weights }

    var isEmpty: Bool { units.isEmpty }
    func contains(_ unit: Int) -> Bool { units.contains(unit) }

    /// Takes the lowest unit.
    mutating func takeFirst() -> Int? {
        guard let first = units.first else { return nil }
        remove(IntervalSet(SampleRange(first, first + 1)))
        return first
    }

    mutating func add(_ more: IntervalSet) {
        units.formUnion(more)
        samples = weights.samples(of: units)
    }

    /// Adds what a victim gave.
    mutating func addStolen(_ more: IntervalSet) {
        add(more)
        stolen = stolen.union(more).intersection(units)
    }

    mutating func remove(_ some: IntervalSet) {
        guard !some.isEmpty, !units.isDisjoint(with: some) else { return }
        units.subtract(some)
        samples = weights.samples(of: units)
    }

    mutating func removeAll() {
        units = IntervalSet()
        samples = 0
    }

    /// Gives a thief the upper part, in proportion to the two speeds.
    ///
    /// Of the first pass, too, a thief gets its part, so that all work for the first image.
    ///
    /// When the part is less than one unit, one unit that was not stolen is given if the thief
    /// finishes it before the victim would have finished everything; the last unit only goes to a
    /// faster node. So a slow thief never holds the end of a frame back.
    /// - Parameter ahead: units of the size of the first pass's that the thief renders before.
    mutating func give(thiefSpeed: Double, victimSpeed: Double, ahead: Int = 0) -> IntervalSet {
        guard let last = units.ranges.last else { return IntervalSet() }
        let sum = thiefSpeed + victimSpeed
        let share = sum > 0 ? thiefSpeed / sum : 0.5
        let target = Int(share * Double(samples))
        let early = takeFirstPass(share: share, ahead: ahead)
        var count = weights.countAtUpperEnd(
            of: units, samples: target - weights.samples(of: early))
        if count == 0, early.isEmpty {
            guard !stolen.contains(last.upperBound - 1) else { return IntervalSet() }
            let unit = Double(
                weights.samples(of: SampleRange(last.upperBound - 1, last.upperBound)))
            let isLast = last.count == 1 && units.ranges.count == 1
            let thiefTime = unit * victimSpeed
            let victimTime = Double(samples) * thiefSpeed
            guard isLast ? thiefTime < victimTime : thiefTime <= victimTime else {
                return IntervalSet()
            }
            count = 1
        }
        let given = units.removeLast(count)
        samples = weights.samples(of: units)
        return given.union(early)
    }

    /// Takes a share of the first pass's units from its upper end.
    private mutating func takeFirstPass(share: Double, ahead: Int) -> IntervalSet {
        guard let lowest = units.first, weights.firstPass.contains(lowest) else {
            return IntervalSet()
        }
        var first = units.intersection(IntervalSet(weights.firstPass))
        let part = Int(share * Double(first.count + ahead)) - ahead
        let taken = first.removeLast(max(0, part))
        units.subtract(taken)
        return taken
    }

    func checkInvariants() {
        precondition(samples == weights.samples(of: units))
    }
}
