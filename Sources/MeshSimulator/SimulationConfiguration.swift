// What is simulated: nodes and their speeds, the network between them, the frames they render and
// the trouble they get into. Together with the seed it determines a run to the last bit.

import MeshCore
public import MeshNode

/// One run of a simulated mesh.
public struct SimulationConfiguration: Sendable {
    /// Of all randomness in the run.
    public var seed: UInt64
    /// For each node the speeds of its devices, samples per second.
    public var nodes: [[Double]]
    public var network = NetworkModel()
    /// The frames, in the order of their times.
    public var submissions: [Submission] = []
    /// The faults, in the order of their times.
    public var faults: [ScheduledFault] = []
    /// Of every node.
    public var node = MeshNodeConfiguration()
    /// The time that a node needs to fetch and build a scene: evenly distributed up to twice this.
    public var scenePreparation: Duration = .milliseconds(150)
    /// What it fetches for that, besides the job.
    public var sceneBytes = 1_000_000
    /// The sigma of the lognormal distribution of the tiles' costs per sample; zero: all alike.
    public var costSigma = 0.5
    /// The bytes of a film stream per pixel of a touched tile: three channels of beauty and two
    /// auxiliary ones as 4-byte numbers, packed to 0.75.
    public var bytesPerPixel = 15.0
    /// The run fails when its frames are not settled this long after the last fault.
    public var patience: Duration = .seconds(120)
    /// The run fails after this many events a node: some machine does not come to rest.
    public var stepsPerNodeMax = 250_000
    /// How units get to the nodes; other than stealing for comparison only.
    public var policy = WorkPolicy.stealing
    /// Whether the run keeps a ``Timeline``.
    public var recordsTimeline = false

    public init(seed: UInt64, nodes: [[Double]]) {
        self.seed = seed
        self.nodes = nodes
    }

    /// A frame that a node submits.
    public struct Submission: Hashable, Sendable {
        public var time: Duration
        /// The index of the originator.
        public var node: Int
        public var job: JobDescription
        public init(time: Duration, node: Int, job: JobDescription) {
            self.time = time
            self.node = node
            self.job = job
        }
    }
}

/// The network between all pairs of nodes.
public struct NetworkModel: Hashable, Sendable {
    /// One way, the least.
    public var latency: Duration = .microseconds(200)
    /// Added to it, exponentially distributed with this mean: reorders datagrams.
    public var jitter: Duration = .microseconds(300)
    /// Of each node's link, each way, bytes per second. Streams queue for it.
    public var bytesPerSecond = 117e6
    public var datagramLoss = 0.001
    public var datagramDuplication = 0.001
    /// The share of control messages that are lost with their connection, or arrive twice.
    public var messageLoss = 0.0
    public var messageDuplication = 0.0
    /// A message that meets a partition is tried again for this long, as TCP does.
    public var messagePatience: Duration = .seconds(12)
    /// A stream on which nothing moves for this long has failed.
    public var stallLimit: Duration = .seconds(8)
    /// A stream goes in pieces of this size, or larger ones if it had more than ``piecesMax``: what
    /// is put together from others, or passed on, is one piece behind them at least.
    public var pieceBytes = 64 << 10
    public var piecesMax = 8
    /// Pieces of one stream between its sender and its receiver.
    public var piecesInFlightMax = 4

    public init() {}

    /// Whether nothing is lost or doubled.
    public var isPerfect: Bool {
        get {
            datagramLoss == 0 && datagramDuplication == 0 && messageLoss == 0
                && messageDuplication == 0
        }
        set {
            guard newValue else { return }
            (datagramLoss, datagramDuplication, messageLoss, messageDuplication) = (0, 0, 0, 0)
        }
    }
}
