// What a node's state machine tells its driver to do, and what it tells people.

public import Gossip
public import MeshCore
public import WorkStealing

/// One output of ``MeshNode``. Directives are performed in order.
public enum NodeDirective: Hashable, Sendable {
    /// Send one datagram. It may be lost.
    case sendDatagram(GossipMessage, to: NodeAddress)
    /// Send a control message over a connection. It may be lost.
    case send(MeshMessage, to: ParticipantID, at: NodeAddress)
    /// Fetch the scene from some of these nodes, build it, and call `scenePrepared` or
    /// `scenePreparationFailed`. Asked again after a failure, with fresh sources.
    case prepareScene(FrameID, JobDescription, sources: [PeerReference])
    /// A directive about films or streams: never `send`, `event` or `workAvailable`.
    case frame(FrameID, FrameDirective)
    /// Devices that wait may call `takeUnit` again.
    case workAvailable
    /// Drop films, partials, streams and scene of this frame; stop rendering its units.
    case forget(FrameID)
    /// For the log, for progress and for statistics.
    case event(NodeEvent)
}

/// A node and where to reach it.
public struct PeerReference: Hashable, Sendable {
    public var participant: ParticipantID
    public var address: NodeAddress
    public init(participant: ParticipantID, address: NodeAddress) {
        self.participant = participant
        self.address = address
    }
}

/// Something worth telling.
public enum NodeEvent: Hashable, Sendable {
    case memberJoined(ParticipantID, name: String, address: NodeAddress)
    /// It does not answer.
    case memberSuspected(ParticipantID, name: String)
    /// It answers again.
    case memberRecovered(ParticipantID, name: String)
    case memberDied(ParticipantID, name: String)
    case memberLeft(ParticipantID, name: String)
    /// Another process runs with this node's identity: stop, or take a new one.
    case identityConflict(ParticipantID)

    /// A member announced a frame; its job is being asked for.
    case frameLearned(FrameID)
    /// The scene is ready; this node takes part.
    case frameJoined(FrameID)
    /// This node takes no part in the frame.
    case frameDeclined(FrameID, reason: String)
    case scenePreparationFailed(FrameID, reason: String)
    /// The frame is forgotten.
    case frameEnded(FrameID, FrameEnd)
    case frame(FrameID, FrameEvent)
}
