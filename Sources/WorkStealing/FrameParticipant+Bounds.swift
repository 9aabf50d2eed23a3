// What a participant keeps, against the bounds of its configuration.

package import MeshCore

extension FrameParticipant {
    /// The fill of everything in this machine that grows; for tests and simulations.
    package var occupancies: [Occupancy] {
        var result = [
            Occupancy("dead", dead.count, max: configuration.participantsMax),
            Occupancy("participants", participants.count, max: configuration.participantsMax),
            Occupancy("acquaintances", acquaintances.count, max: configuration.acquaintancesMax),
            Occupancy("seals", partials.seals.count, max: configuration.sealsMax),
            Occupancy("lent", grants.lent.count, max: configuration.lentMax),
            Occupancy("answered", grants.answeredCount, max: configuration.answeredGrantsMax),
            Occupancy("waiting", waiting.count, max: configuration.waitingMax),
            Occupancy("helping", helping.count, max: configuration.helpingMax),
            Occupancy("work hints", thief.victims.hintCount, max: configuration.workHintsMax),
            Occupancy("checks", checkWork.count, max: configuration.checksMax),
            Occupancy("digests", digests.count, max: configuration.digestsMax + 1_024),
            Occupancy("quarantined", quarantined.count, max: configuration.quarantinedMax),
            Occupancy("film holders", fetch.completeAt.count, max: 4),
            Occupancy("claims", deque.units.count, max: workSpace.count),
            Occupancy("contested", contested.count, max: workSpace.count),
        ]
        if let root {
            result += [
                Occupancy("members", root.members.count, max: configuration.participantsMax),
                Occupancy("plans", root.plans.count, max: root.members.count),
                Occupancy(
                    "refused early", root.refusedEarly.count,
                    max: configuration.pendingReferencesMax),
                Occupancy("accused", root.accused.count, max: configuration.participantsMax),
                Occupancy(
                    "pending checks", root.checks.pending.count,
                    max: max(configuration.checksMax, workSpace.count)),
                Occupancy(
                    "references", root.references.count,
                    max: configuration.participantsMax + configuration.pendingReferencesMax),
                Occupancy(
                    "pending references", root.references.pending.count,
                    max: max(configuration.pendingReferencesMax, root.members.count)),
                Occupancy(
                    "convicted", root.references.convictedCount, max: configuration.quarantinedMax),
                Occupancy("helped", root.helped.count, max: configuration.helpedUnitsMax),
            ]
        }
        return result
    }
}
