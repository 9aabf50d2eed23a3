// The datagrams of the membership protocol. Every one may carry member updates beside its own
// content (SWIM §4.1), so that news travels on the probes that are sent anyway.

public import MeshCore

/// One datagram between two members.
public struct GossipMessage: Hashable, Sendable {
    public let sender: ParticipantID
    public let body: Body
    /// News about members, piggybacked.
    public internal(set) var updates: [MemberUpdate]

    public init(sender: ParticipantID, body: Body, updates: [MemberUpdate] = []) {
        self.sender = sender
        self.body = body
        self.updates = updates
    }

    /// What the datagram is for.
    public enum Body: Hashable, Sendable {
        case ping(Ping)
        case ack(Ack)
        case indirectPing(IndirectPing)
        case nack(Nack)
        /// Nothing but updates.
        case gossip
        case join(Join)
        case digest(SyncDigest)
        case pull(SyncPull)
        case page(SyncPage)
    }

    /// Asks the receiver for an ``Ack`` of the same number.
    public struct Ping: Hashable, Sendable {
        public let sequence: UInt32
    }

    /// Answers a ping. Through a relay, `subject` is the member that answered the relay.
    public struct Ack: Hashable, Sendable {
        public let sequence: UInt32
        public let subject: ParticipantID?
    }

    /// Asks the receiver to ping `target` and to pass its answer on (SWIM's ping-req).
    public struct IndirectPing: Hashable, Sendable {
        public let sequence: UInt32
        public let target: ParticipantID
        public let address: NodeAddress
    }

    /// A relay is well, but the target did not answer it (Lifeguard §IV-A).
    public struct Nack: Hashable, Sendable {
        public let sequence: UInt32
    }

    /// Asks to be taken in: the sender's own record. Answered by a ``SyncDigest``.
    public struct Join: Hashable, Sendable {
        public let record: MemberUpdate
    }

    /// The sender's view in brief, for comparison: one digest of the whole, or one for each of
    /// ``MemberTable/bucketCount`` buckets of members.
    public struct SyncDigest: Hashable, Sendable {
        public let digests: [UInt64]
        /// Whether the receiver shall answer with its own bucket digests.
        public let wantsReply: Bool
        /// The address under which the sender sees the receiver.
        public let observed: NodeAddress?
    }

    /// Asks for the records of some buckets, in the order of node ids.
    public struct SyncPull: Hashable, Sendable {
        public let sequence: UInt32
        /// Bit *i*: bucket *i* is wanted.
        public let buckets: UInt64
        /// Only nodes above this one; nil at the start.
        public let after: NodeID?
    }

    /// One datagram's worth of records.
    public struct SyncPage: Hashable, Sendable {
        public let sequence: UInt32
        public let records: [MemberUpdate]
        /// Where the next pull goes on; nil at the end.
        public let next: NodeID?
    }

    /// The most bytes of an encoded message. Sealing adds to it; 1,400 with the seal fit any
    /// Ethernet, tunnels included.
    public static let datagramSizeMax = 1_300
    /// The most bytes of a member's metadata.
    public static let metadataSizeMax = 512
    /// The most updates or records of one datagram.
    public static let updatesMax = 128
}

/// A statement about one member.
public struct MemberUpdate: Hashable, Sendable {
    public let participant: ParticipantID
    public let incarnation: UInt32
    public let status: MemberStatus
    /// Address and metadata; always there in statements that a member is alive.
    public let profile: Profile?
    /// Who saw the suspect not answer, sorted, at most ``witnessesMax``.
    public let witnesses: [NodeID]
    /// Who was told by the network that the suspect's port is closed, sorted, likewise.
    public let refusals: [NodeID]

    /// What a member says of itself.
    public struct Profile: Hashable, Sendable {
        public let address: NodeAddress
        public let metadataVersion: UInt32
        public let metadata: [UInt8]
    }

    /// The most witnesses that count for a suspicion: the first accuser and three confirmations
    /// (Lifeguard §IV-B, K = 3).
    public static let witnessesMax = 4

    init(
        participant: ParticipantID, incarnation: UInt32, status: MemberStatus,
        profile: Profile? = nil, witnesses: [NodeID] = [], refusals: [NodeID] = []
    ) {
        self.participant = participant
        self.incarnation = incarnation
        self.status = status
        self.profile = profile
        self.witnesses = witnesses
        self.refusals = refusals
    }

    /// Everything known of a member.
    init(_ member: Member, suspicion: Suspicion? = nil) {
        self.init(
            participant: member.participant, incarnation: member.incarnation,
            status: member.status,
            profile: Profile(
                address: member.address, metadataVersion: member.metadataVersion,
                metadata: member.metadata),
            witnesses: suspicion?.witnesses ?? [], refusals: suspicion?.refusals ?? [])
    }
}
