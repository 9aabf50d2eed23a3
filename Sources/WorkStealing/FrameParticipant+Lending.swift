// Work that is given without being asked for. Thieves and victims do not use it: it is the door for
// other ways to distribute a frame, which simulations compare with stealing.

public import MeshCore

extension FrameParticipant {
    /// Units that this node holds, has not begun and may give.
    public var heldUnits: IntervalSet { deque.units }

    /// Lends units to another participant. Until that answers they are claims of this node, and
    /// come back when it refuses or falls silent.
    /// - Returns: what was lent: those of the units that are held here; none to who is not listed.
    public mutating func lend(
        _ units: IntervalSet, to participant: ParticipantID, at now: Instant
    ) -> IntervalSet {
        defer { settle(at: now) }
        let lent = units.intersection(deque.units)
        guard isListed, participant != identity, isParticipant(participant),
            !grants.isFull, !lent.isEmpty
        else { return IntervalSet() }
        deque.remove(lent)
        _ = grants.lend(lent, to: participant, request: 0, at: now)
        statistics.grantsGiven += 1
        if let grant = grants.lent.last { sendGrant(grant) }
        return lent
    }
}
