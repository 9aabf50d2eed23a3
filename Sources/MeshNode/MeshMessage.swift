// What nodes say to each other over their control connections. Membership goes by datagrams,
// pixels and scene files by streams of their own.

public import MeshCore
public import WorkStealing

/// A control message from one node to another. It may be lost with its connection; the machines
/// repeat what matters.
public enum MeshMessage: Hashable, Sendable {
    /// Between participants of one frame.
    case frame(FrameID, FrameMessage)
    /// To a node that announces the frame: what is the job?
    case jobRequest(FrameID)
    /// Answers a request, or tells of a frame that the sender has just originated.
    case jobOffer(FrameID, JobDescription)
    /// Answers a request: not known here, ask somebody else.
    case jobUnknown(FrameID)
    /// The frame has ended: forget it. Answers whoever still speaks of it.
    case frameEnded(FrameID, FrameEnd)
}

/// Why a frame is over.
public enum FrameEnd: UInt8, Hashable, Sendable, CaseIterable {
    /// A user cancelled it.
    case cancelled = 1
    /// Its originator has taken the result.
    case delivered = 2
    /// Nobody came for the result in time.
    case expired = 3
}
