// Who takes over when the root falls silent, and when (docs/PROTOCOL.md §6): everybody may, one
// after the other, so that no single death or cut link stops a frame.

import MeshCore

/// The patience of the successors.
enum Succession {
    /// How many living participants stand before `identity`. Those whom the list does not name come
    /// after it, spread by identity so that few come at once.
    /// - Parameter participants: in the order of succession, the root included.
    static func rank(
        of identity: ParticipantID, participants: [ParticipantID], unnamedCount: Int,
        root: ParticipantID, isDead: (ParticipantID) -> Bool
    ) -> Int {
        var rank = 0
        for participant in participants where participant != root {
            if participant == identity { return rank }
            if !isDead(participant) { rank += 1 }
        }
        return rank + Int(identity.node.rawValue % UInt64(max(1, unnamedCount)))
    }

    /// How long a participant waits for a start before it takes over.
    static func patience(
        rank: Int, participants: Int, rootIsDead: Bool, configuration: FrameConfiguration
    ) -> Duration {
        let heartbeat = RoundSchedule.heartbeat(
            participants: participants, configuration: configuration)
        let base =
            rootIsDead
            ? configuration.successionBaseDead
            : configuration.successionBase + heartbeat + heartbeat
        return base + Duration(seconds: configuration.successionStep.seconds * Double(rank))
    }

    /// A bound of that from below, for whoever is listed or not.
    static func shortestPatience(
        rootIsDead: Bool, configuration: FrameConfiguration
    ) -> Duration {
        let base = rootIsDead ? configuration.successionBaseDead : configuration.successionBase
        return min(base, configuration.exilePatience)
    }

    /// Whether a participant of this place in the list keeps the film whatever it is configured
    /// to: the first two after the root.
    static func mustKeepFilm(
        _ identity: ParticipantID, participants: [ParticipantID]
    ) -> Bool {
        participants.prefix(3).contains(identity)
    }
}
