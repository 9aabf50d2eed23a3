// What a node believes of another: identity, address, status and the member's own metadata.

public import MeshCore

/// What is believed of a member.
///
///              higher incarnation
///          ┌───────────────────────────┐
///          ▼                           │
///        alive ──suspected──► suspect ─┤
///          │ │                   │     │
///          │ └──────dead─────────┤     │
///          │                     ▼     │
///          │                    dead ──┤
///          └──────left──────► left ────┘
///
/// Within one incarnation a status only moves to the right in `alive < suspect < dead < left`;
/// only the member itself raises its incarnation. A higher boot number replaces everything.
public enum MemberStatus: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case alive = 0
    /// Did not answer; it counts as a member until the suspicion ends.
    case suspect = 1
    /// Declared failed.
    case dead = 2
    /// Said goodbye.
    case left = 3

    @inlinable public static func < (a: MemberStatus, b: MemberStatus) -> Bool {
        a.rawValue < b.rawValue
    }

    /// Whether the member takes part: alive or suspect.
    @inlinable public var isPresent: Bool { self <= .suspect }
}

/// One member of the mesh as this node sees it.
public struct Member: Hashable, Sendable {
    public internal(set) var participant: ParticipantID
    public internal(set) var address: NodeAddress
    /// Raised by the member itself only, to refute what is said of it.
    public internal(set) var incarnation: UInt32
    public internal(set) var status: MemberStatus
    /// Raised by the member with each change of its metadata.
    public internal(set) var metadataVersion: UInt32
    /// Opaque here, at most ``GossipMessage/metadataSizeMax`` bytes.
    public internal(set) var metadata: [UInt8]

    public init(
        participant: ParticipantID, address: NodeAddress, incarnation: UInt32 = 0,
        status: MemberStatus = .alive, metadataVersion: UInt32 = 0, metadata: [UInt8] = []
    ) {
        self.participant = participant
        self.address = address
        self.incarnation = incarnation
        self.status = status
        self.metadataVersion = metadataVersion
        self.metadata = metadata
    }
}
