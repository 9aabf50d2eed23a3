// Planted bugs, so that tests can show that the simulator's checkers find them: each takes one rule
// of the protocol away. Nothing but a test can ask for one; no message, file or option does.

import MeshCore

/// A rule that is left out.
package enum ProtocolMutation: String, Hashable, Sendable, CaseIterable {
    /// Partial films are planned and added without a look at whether they overlap.
    case disjointnessUnchecked
    /// A round's sum is added to a film of whatever base.
    case sumAddedToAnyBase
    /// A round goes on without a stalled child, and the ledger grows by all that was planned.
    case plannedCoverageCommitted
    /// A parent adds its children's films into its own sealed partial film.
    case parentAddsIntoSeal
    /// A film's coverage is what a message says instead of what was added.
    case coverageFromMessage
    /// A unit is kept though a result of it is held already.
    case twoResultsKept
    /// Terms, and with them rounds, are told apart by their numbers alone.
    case termWithoutRoot
    /// A successor's film counts as holding all of the ledger.
    case ledgerTakenForFilm
    /// Only the first successor may take over, dead or not.
    case onlyOneSuccessor
    /// Units that are stuck on a device are rendered by nobody else.
    case stuckUnitsNotDoubled
    /// The root does not look for units that nobody holds.
    case lossesNotCounted
    /// The root counts on partial films that have failed to arrive again and again.
    case muteWaitedFor
    /// The root of an adaptive frame decides about tiles of which it has rendered the stages, though
    /// its film lacks some.
    case stagesJudgedEarly
    /// What tiles of an adaptive frame do not need is not put into the film.
    case waivedUnitsForgotten
    /// The root does not compare what participants got of the reference unit.
    case referencesNotCompared
    /// Partial films of one unit share their numbers with others.
    case partialsNotToldApart
}

extension FrameParticipant {
    /// Whether a rule is left out in this run.
    func lacks(_ mutation: ProtocolMutation) -> Bool { configuration.mutation == mutation }

    /// All that the others were to put into the round in progress, and what was delivered.
    func planned(besides delivered: IntervalSet) -> IntervalSet {
        var all = delivered
        for (contributor, plan) in root?.plans ?? [] {
            let reported = root?.position(of: contributor).flatMap { root?[$0].report?.seals } ?? []
            for seal in reported where plan.seals.contains(seal.number) {
                all.formUnion(seal.coverage)
            }
        }
        return all
    }
}
