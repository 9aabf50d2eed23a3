// What the membership asks of its driver, and tells it.

public import MeshCore

/// An output of ``Membership``; performed in the order given.
public enum GossipDirective: Hashable, Sendable {
    /// Send one datagram: `message.encode()`, at most ``GossipMessage/datagramSizeMax`` bytes. It
    /// may be lost.
    case send(GossipMessage, to: NodeAddress)
    /// A member is new (`from` is nil), changed its status, its address or its metadata (`from`
    /// equals the status). A restarted node is reported twice: its old participant dead, then the
    /// new one joined.
    case memberChanged(Member, from: MemberStatus?)
    /// Another process uses this node's id: a copied state folder, or somebody who speaks in its
    /// name. This node should stop or take a new id. Told once a minute at most.
    case identityConflict(ParticipantID)
}
