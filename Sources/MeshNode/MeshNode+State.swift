// Views of a node for those who drive it and those who look at it.

public import Gossip
public import MeshCore
public import WorkStealing

extension MeshNode {
    /// Where a present member is reached; nil when it is unknown or gone.
    public func address(of participant: ParticipantID) -> NodeAddress? {
        guard let member = membership.member(participant.node),
            member.participant == participant, member.status.isPresent
        else { return nil }
        return member.address
    }

    /// This node's own address as others know it.
    public var address: NodeAddress { membership.ownMember.address }

    /// The number of present members, this node included.
    public var presentCount: Int { membership.presentCount }

    /// All members known, this node included, departed ones too, by node id. Linear time.
    public var members: [NodeStatus] {
        membership.members.map { member in
            let announcement = try? Announcement(decoding: member.metadata)
            return NodeStatus(
                participant: member.participant, name: announcement?.name ?? "",
                address: member.address, status: member.status,
                version: announcement?.version ?? "", devices: announcement?.devices ?? "",
                samplesPerSecond: announcement?.samplesPerSecond ?? 0,
                remainingSamples: announcement?.remainingSamples ?? 0,
                isIdle: announcement?.isIdle ?? true)
        }
    }

    /// Counters of the membership.
    public var gossipStatistics: GossipStatistics { membership.statistics }

    /// The machine of a frame in which this node takes part, for progress and statistics.
    public func participant(of frame: FrameID) -> FrameParticipant? {
        index(of: frame).flatMap { records[$0].participant }
    }

    /// The frames known, by id.
    public var frames: [FrameStatus] {
        records.map { record in
            FrameStatus(
                frame: record.frame, job: record.job, stage: record.stage,
                term: [record.term, record.participant?.term].compactMap(\.self).max(),
                isComplete: record.isComplete, isCompleteSomewhere: record.isCompleteSomewhere,
                holders: record.sortedAnnouncers(where: \.isComplete))
        }
    }

    /// The work space of a frame whose job is known.
    public func workSpace(of frame: FrameID) -> WorkSpace? {
        index(of: frame).flatMap { records[$0].workSpace }
    }

    /// How a frame ended that this node remembers and that is over.
    public func end(of frame: FrameID) -> FrameEnd? { tombstones[frame] }

    /// Checks what must hold between inputs; for tests and simulations.
    public func checkInvariants() {
        membership.checkInvariants()
        precondition(tombstones.entries.count <= configuration.tombstonesMax)
        let foreign = records.count { $0.frame.originator != identity }
        precondition(foreign <= configuration.framesMax)
        for (index, record) in records.enumerated() {
            precondition(index == 0 || records[index - 1].frame < record.frame)
            precondition((record.stage == .active) == (record.participant != nil))
            precondition(tombstones[record.frame] == nil)
            precondition(record.unitsInProgress >= 0)
            record.checkInvariants()
        }
    }
}
