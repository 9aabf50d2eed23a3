// Finds the units that nobody holds any more (docs/PROTOCOL.md §5, loss): claims of the dead,
// grants to them, partial films that went down with them.

import MeshCore

/// Counts for how many rounds in a row each unit outside the ledger has gone unmentioned.
struct LossWatch: Sendable {
    /// A unit unmentioned in more rounds than this is lost: it may have been on its way between
    /// two nodes for some of them.
    static let rounds = 3

    /// Units that were unmentioned in the last 1, 2, 3 rounds; each a superset of the next.
    private var absent: [IntervalSet] = Array(repeating: IntervalSet(), count: rounds)

    /// Whether some unit is missing at present.
    var hasSuspects: Bool { !absent[0].isEmpty }

    /// Takes in one round.
    /// - Parameter unmentioned: units outside the ledger that no report names.
    /// - Returns: the units that are lost; they are forgotten here.
    mutating func observe(unmentioned: IntervalSet) -> IntervalSet {
        let lost = unmentioned.intersection(absent[Self.rounds - 1])
        for index in stride(from: Self.rounds - 1, to: 0, by: -1) {
            absent[index] = absent[index - 1].intersection(unmentioned).subtracting(lost)
        }
        absent[0] = unmentioned.subtracting(lost)
        return lost
    }

    /// Counting starts anew.
    mutating func reset() { self = LossWatch() }
}
