// What a node keeps, against the bounds of its configuration.

import Gossip
package import MeshCore
import WorkStealing

extension MeshNode {
    /// The fill of everything in this node's machines that grows; for tests and simulations.
    package var occupancies: [Occupancy] {
        let foreign = records.count { $0.frame.originator != identity }
        var result = membership.occupancies
        result.append(Occupancy("frames", foreign, max: configuration.framesMax))
        let ended = tombstones.entries.count
        result.append(Occupancy("tombstones", ended, max: configuration.tombstonesMax))
        for record in records {
            let announcers = record.announcers.count
            result.append(Occupancy("announcers", announcers, max: configuration.gossip.membersMax))
            result += record.participant?.occupancies ?? []
        }
        return result
    }

    /// Who is alive or suspect, this node included; linear time.
    package var presentParticipants: [ParticipantID] {
        membership.members.filter(\.status.isPresent).map(\.participant)
    }

    /// ``nextDeadline``, read where the node lies: of one in an object, a plain read copies it.
    package mutating func deadline() -> Instant { nextDeadline }

    /// ``needsDigest(of:_:)``, and whether the unit is the frame's reference unit, read likewise.
    package mutating func digestNeed(
        of unit: Int, _ frame: FrameID
    ) -> (isNeeded: Bool, isReference: Bool) {
        guard let index = index(of: frame), needsDigest(of: unit, frame) else {
            return (false, false)
        }
        return (true, records[index].participant?.referenceUnit == unit)
    }

    /// Puts an equal work space, whose memory many nodes share, in the place of this node's own.
    package mutating func share(_ space: WorkSpace, of frame: FrameID) {
        guard let index = index(of: frame), records[index].workSpace == space else { return }
        records[index].workSpace = space
    }
}
