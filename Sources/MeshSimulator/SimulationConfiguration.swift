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
    /// The sigma of the lognormal distribution of the tiles' costs per sample; zero: all alike.
    public var costSigma = 0.5
    /// The bytes of a film stream per pixel of a touched tile: three channels of beauty and two
    /// auxiliary ones as 4-byte numbers, packed to 0.75.
    public var bytesPerPixel = 15.0
    /// The run fails when its frames are not settled this long after the last fault.
    public var patience: Duration = .seconds(120)
    /// The run fails after this many events: some machine does not come to rest.
    public var stepsMax = 2_000_000

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

    /// How much goes wrong in a random run.
    public enum FaultLevel: String, Hashable, Sendable, CaseIterable {
        /// Nothing, on a perfect network.
        case none
        /// What an office sees on a bad day.
        case mild
        /// Everything at once, more often than ever happens.
        case wild
    }

    /// A run made up from a seed alone: its nodes, their speeds, one or two frames of about 8 s of
    /// ideal time, and faults of a level.
    public static func random(
        seed: UInt64, nodeCounts: ClosedRange<Int> = 8...16, faults level: FaultLevel
    ) -> SimulationConfiguration {
        var random = RandomNumbers(seed: seed ^ 0x51a7_0c1b_77e3_9d05)
        let count = nodeCounts.lowerBound + random.below(nodeCounts.count)
        let job = JobDescription(
            width: 256, height: 192, tileSize: 32, samplesPerPixel: [16, 32, 64][random.below(3)])
        let samples = Double(job.width * job.height * job.samplesPerPixel)
        let relative = (0..<count).map { _ in Double(1 << random.below(5)) }
        let scale = samples / 8 / relative.reduce(0, +)
        let nodes = relative.map { speed in
            random.below(3) == 0
                ? [speed * scale * 0.75, speed * scale * 0.25] : [speed * scale]
        }
        var result = SimulationConfiguration(seed: seed, nodes: nodes)
        let first = Submission(time: .seconds(2), node: random.below(count), job: job)
        result.submissions = [first]
        if level != .none, random.below(3) == 0 {
            let second = Submission(
                time: .seconds(2) + random.duration(below: .seconds(6)), node: random.below(count),
                job: job)
            result.submissions.append(second)
        }
        switch level {
        case .none: result.network.isPerfect = true
        case .mild: break
        case .wild:
            result.network.datagramLoss = 0.05 * random.unit()
            result.network.datagramDuplication = 0.02 * random.unit()
            result.network.messageLoss = 0.02 * random.unit()
            result.network.messageDuplication = 0.02 * random.unit()
        }
        result.faults = ScheduledFault.random(level, nodes: count, using: &random)
        return result
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
