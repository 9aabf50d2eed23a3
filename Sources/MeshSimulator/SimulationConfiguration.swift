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
    /// How the tiles' costs per sample differ.
    public var costs = CostDistribution.lognormal(sigma: 0.5)
    /// For each node how much too fast its clock runs, as a share; those beyond the list are right.
    public var clockDrift: [Double] = []
    /// For each node the bytes per second of its link, each way; those beyond the list have
    /// ``NetworkModel/bytesPerSecond``.
    public var bandwidth: [Double] = []
    /// Narrow ways between two nodes.
    public var links: [LinkModel] = []
    /// The nodes that keep no film unless they must, by index; an originator always keeps its own.
    public var ledgerOnly: [Int] = []
    /// The nodes whose results are wrong, by index, that of a frame's reference unit too. Their films
    /// are right in the simulation, and what they say of their units is not.
    public var corrupt: [Int] = []
    /// The nodes whose results are wrong, by index, but that of the reference unit: as memory that
    /// fails now and then.
    public var flaky: [Int] = []
    /// The nodes of another arithmetic class than the rest, by index: their results differ in their
    /// bits, and by a hundredth in their sums.
    public var otherClass: [Int] = []
    /// The bytes of a film stream per pixel of a touched tile: three channels of beauty and two
    /// auxiliary ones as 4-byte numbers, packed to 0.75.
    public var bytesPerPixel = 15.0
    /// The run fails when its frames are not settled this long after the last fault, and as many
    /// times as long when a frame has several stages.
    public var patience: Duration = .seconds(120)
    /// The run fails after this many events a node: some machine does not come to rest.
    public var stepsPerNodeMax = 250_000
    /// How units get to the nodes; other than stealing for comparison only.
    public var policy = WorkPolicy.stealing
    /// Whether all nodes but those that join late start at once, as a mesh that has long found
    /// together: each knows all others. Else they start within a second and have to meet.
    public var startsJoined = false
    /// Whether the run keeps a ``Timeline``.
    public var recordsTimeline = false

    public init(seed: UInt64, nodes: [[Double]]) {
        self.seed = seed
        self.nodes = nodes
    }

    /// How much too fast a node's clock runs.
    func drift(of node: Int) -> Double { node < clockDrift.count ? clockDrift[node] : 0 }

    /// Of a node's link, each way.
    func bytesPerSecond(of node: Int) -> Double {
        node < bandwidth.count ? bandwidth[node] : network.bytesPerSecond
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
    /// The share of streams that break, and of a round's sums that arrive once more, up to five
    /// seconds late.
    public var streamLoss = 0.0
    public var sumDuplication = 0.0
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
                && messageDuplication == 0 && streamLoss == 0 && sumDuplication == 0
        }
        set {
            guard newValue else { return }
            (datagramLoss, datagramDuplication, messageLoss, messageDuplication) = (0, 0, 0, 0)
            (streamLoss, sumDuplication) = (0, 0)
        }
    }
}

/// What is narrower between two nodes than at their ends, one way.
public struct LinkModel: Hashable, Codable, Sendable {
    public var from: Int
    public var to: Int
    public var bytesPerSecond: Double
    public init(from: Int, to: Int, bytesPerSecond: Double) {
        self.from = from
        self.to = to
        self.bytesPerSecond = bytesPerSecond
    }
}
