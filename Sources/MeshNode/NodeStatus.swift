// What a node can say of the mesh and of its frames, for commands, pages and tests.

public import Gossip
public import MeshCore

/// One member of the mesh, this node included, as this node sees it.
public struct NodeStatus: Hashable, Sendable {
    public var participant: ParticipantID
    public var name: String
    public var address: NodeAddress
    public var status: MemberStatus
    /// The version of its program; empty when its announcement cannot be read.
    public var version: String
    /// Its devices in words.
    public var devices: String
    /// Measured speed of all its devices, samples per second.
    public var samplesPerSecond: Double
    /// Work it holds and has not rendered, samples.
    public var remainingSamples: Int
    /// Whether none of its devices renders.
    public var isIdle: Bool
}

/// One frame as this node sees it.
public struct FrameStatus: Hashable, Sendable {
    public var frame: FrameID
    /// Nil until an announcer has sent it.
    public var job: JobDescription?
    public var stage: Stage
    /// The highest term known; nil before the first announcement that names one.
    public var term: Term?
    /// Whether this node's film is complete.
    public var isComplete: Bool
    /// Whether a present member, this one included, holds the complete film.
    public var isCompleteSomewhere: Bool
    /// The other present members that hold the complete film, by id.
    public var holders: [ParticipantID]

    /// How far this node is in joining the frame.
    ///
    ///     wantsJob ──► wantsScene ──► preparing ──► active
    ///                       ▲             │
    ///                       └── retrying ◄┴──► declined
    public enum Stage: Hashable, Sendable {
        /// Asking announcers for the job.
        case wantsJob
        /// The job is known, but no present member has the scene yet, or the frame is complete
        /// already.
        case wantsScene
        /// The driver prepares the scene.
        case preparing
        /// The scene failed; it will be tried again.
        case retrying
        /// This node takes no part.
        case declined
        /// This node takes part.
        case active
    }
}
