// What a user asks of `meshd sim`, before a seed makes a run of it.

public import MeshNode
import MeshCore
import WorkStealing

/// A family of runs, one for each seed.
public struct SimulationScenario: Sendable {
    /// The number of nodes; chosen by the seed, 8 to 16, if nil and ``speeds`` is no list.
    public var nodes: Int?
    /// One device each; chosen by the seed, two devices in some, if nil.
    public var speeds: SpeedDistribution?
    /// Chosen by the seed if nil: 256 × 192 at 16 to 64 samples.
    public var frame: JobDescription?
    /// Whether later stages of the frames are for those tiles only that need them.
    public var isAdaptive = false
    /// Speeds are such that all nodes together need this long for the frame.
    public var idealSeconds = 8.0
    /// The originator; chosen by the seed if nil.
    public var originator: Int?
    /// How much goes wrong, made up from the seed.
    public var faultLevel = FaultLevel.none
    /// What goes wrong besides that, in the order of time.
    public var faults: [ScheduledFault] = []
    /// A network that is not the usual one of the fault level.
    public var network: NetworkModel?
    /// See ``SimulationConfiguration/startsJoined``.
    public var startsJoined = false
    /// How the tiles' costs differ; lognormal with sigma 0.5, or chosen by the seed when all goes
    /// wrong, if nil.
    public var costs: CostDistribution?
    /// The links of the nodes; all alike if nil. See ``bandwidths(_:using:)``.
    public var bandwidth: SpeedDistribution?
    /// When the first frame is submitted.
    public var submission: Duration = .seconds(2)

    public init() {}

    /// How much goes wrong in a random run.
    public enum FaultLevel: String, Hashable, Sendable, CaseIterable {
        /// Nothing, on a perfect network.
        case none
        /// What an office sees on a bad day.
        case mild
        /// Everything at once, more often than ever happens.
        case wild
    }

    /// Bytes per second of each node's link: a list and `uniform` are in Mbit/s, the others times
    /// the usual 936 Mbit/s.
    func bandwidths(
        _ distribution: SpeedDistribution, _ count: Int, using random: inout RandomNumbers
    ) -> [Double] {
        let drawn = distribution.draw(count, using: &random)
        let scale: Double =
            switch distribution {
            case .list, .uniform: 1e6 / 8
            case .equal, .lognormal, .powers: NetworkModel().bytesPerSecond
            }
        return drawn.map { max($0 * scale, 1e3) }
    }

    /// The run of a seed.
    public func configuration(seed: UInt64) -> SimulationConfiguration {
        SimulationConfiguration.random(seed: seed, of: self)
    }
}

extension SimulationConfiguration {
    public typealias FaultLevel = SimulationScenario.FaultLevel

    /// A run made up from a seed alone: its nodes, their speeds, one or two frames of about 8 s of
    /// ideal time, and faults of a level.
    public static func random(
        seed: UInt64, nodeCounts: ClosedRange<Int> = 8...16, faults level: FaultLevel
    ) -> SimulationConfiguration {
        var scenario = SimulationScenario()
        scenario.faultLevel = level
        return random(seed: seed, nodeCounts: nodeCounts, of: scenario)
    }

    /// A run of a scenario; the seed decides what the scenario leaves open.
    fileprivate static func random(
        seed: UInt64, nodeCounts: ClosedRange<Int> = 8...16, of scenario: SimulationScenario
    ) -> SimulationConfiguration {
        var random = RandomNumbers(seed: seed ^ 0x51a7_0c1b_77e3_9d05)
        let drawn = nodeCounts.lowerBound + random.below(nodeCounts.count)
        let count = scenario.nodes ?? scenario.speeds?.listCount ?? drawn
        let chosen = JobDescription(
            width: 256, height: 192, tileSize: 32, samplesPerPixel: [16, 32, 64][random.below(3)])
        var job = scenario.frame ?? chosen
        if scenario.isAdaptive { job.isAdaptive = true }
        let nodes = speeds(of: scenario, job, count: count, using: &random)
        var result = SimulationConfiguration(seed: seed, nodes: nodes)
        result.startsJoined = scenario.startsJoined
        let level = scenario.faultLevel
        let node = scenario.originator.map { $0 % count } ?? random.below(count)
        result.submissions = [Submission(time: scenario.submission, node: node, job: job)]
        if level != .none, random.below(3) == 0 {
            let second = Submission(
                time: .seconds(2) + random.duration(below: .seconds(6)), node: random.below(count),
                job: job)
            result.submissions.append(second)
        }
        switch level {
        case .none: result.network.isPerfect = true
        case .mild: break
        case .wild: result.makeWild(scenario, using: &random)
        }
        if level != .none, result.clockDrift.isEmpty {
            // Quartz: within 200 ppm.
            result.clockDrift = (0..<count).map { _ in 4e-4 * random.unit() - 2e-4 }
        }
        if let costs = scenario.costs { result.costs = costs }
        if let bandwidth = scenario.bandwidth {
            result.bandwidth = scenario.bandwidths(bandwidth, count, using: &random)
        }
        if let network = scenario.network { result.network = network }
        let mesh = ScheduledFault.Mesh(
            nodes: count, originators: result.submissions.map(\.node))
        result.faults = ScheduledFault.random(level, of: mesh, using: &random)
        result.faults = (result.faults + scenario.faults).sorted { $0.time < $1.time }
        return result
    }

    /// Draws what is unusual without being a fault of some moment.
    private mutating func makeWild(
        _ scenario: SimulationScenario, using random: inout RandomNumbers
    ) {
        network.datagramLoss = 0.05 * random.unit()
        network.datagramDuplication = 0.02 * random.unit()
        network.messageLoss = 0.02 * random.unit()
        network.messageDuplication = 0.02 * random.unit()
        network.streamLoss = random.below(2) == 0 ? 0 : 0.02 * random.unit()
        network.sumDuplication = random.below(2) == 0 ? 0 : 0.1 * random.unit()
        let count = nodes.count
        if random.below(2) == 0 {
            clockDrift = (0..<count).map { _ in 0.1 * random.unit() - 0.05 }
        }
        switch random.below(6) {
        case 0: costs = .lognormal(sigma: 2 * random.unit())
        case 1: costs = .pareto(alpha: 1.1 + random.unit())
        case 2, 3: costs = .field(sigma: 2 * random.unit(), length: 0.1 + 0.4 * random.unit())
        default: break
        }
        if scenario.bandwidth == nil, random.below(4) == 0 {
            // From 1 Gbit/s down to 30 Mbit/s.
            bandwidth = (0..<count).map { _ in
                network.bytesPerSecond * Chance.exponential(-3.5 * random.unit())
            }
        }
        if random.below(4) == 0 {
            for _ in 0..<count {
                let from = random.below(count)
                let to = random.below(count)
                guard from != to else { continue }
                links.append(
                    LinkModel(
                        from: from, to: to,
                        bytesPerSecond: network.bytesPerSecond
                            * Chance.exponential(-3.5 * random.unit())))
            }
        }
        // Small frames of others, at any time.
        while random.below(4) == 0, submissions.count < 4 {
            let job = JobDescription(width: 128, height: 96, tileSize: 32, samplesPerPixel: 16)
            let time = Duration.seconds(2) + random.duration(below: .seconds(10))
            submissions.append(Submission(time: time, node: random.below(count), job: job))
        }
        for index in submissions.indices {
            submissions[index].job.priority = [10, 40, 3, 100][index % 4]
        }
        if random.below(4) == 0 {
            ledgerOnly = (0..<count).filter { _ in random.below(3) == 0 }
        }
        if seed % 4 == 1 {
            // As if the frames had thousands of participants.
            node.frame.listedMax = 6
            node.frame.successorsListed = 3
            node.frame.acquaintancesSent = 4
            node.frame.acquaintancesMax = 8
        }
        if seed % 8 == 6 { verify(seed / 8) }
        if seed % 3 == 2 { adapt(seed / 3) }
        if seed % 8 == 3 { spoil(seed / 8) }
    }

    /// The frames, or some of them, are adaptive, of several stages; the nodes are as much faster
    /// as the first has more samples.
    private mutating func adapt(_ variant: UInt64) {
        let before = submissions[0].job.samplesPerPixel
        for index in submissions.indices where index == 0 || (Int(variant) + index) % 2 == 0 {
            submissions[index].job.isAdaptive = true
            let samples = submissions[index].job.samplesPerPixel
            submissions[index].job.samplesPerPixel = max(samples, [40, 64, 150][Int(variant % 3)])
        }
        let factor = Double(submissions[0].job.samplesPerPixel) / Double(before)
        nodes = nodes.map { $0.map { $0 * factor } }
    }

    /// A node is wrong, the originator in some of these runs, and nothing is verified.
    private mutating func spoil(_ variant: UInt64) {
        let other = (submissions[0].node + 1 + Int(variant % 5)) % nodes.count
        corrupt = [variant % 4 == 3 ? submissions[0].node : other]
        if variant % 2 == 1 { otherClass = nodes.indices.filter { $0 % 3 == 1 } }
    }

    /// Some units, or all, are rendered twice and compared; in half of these runs a node is wrong,
    /// in half a third of the nodes is of another arithmetic class.
    private mutating func verify(_ variant: UInt64) {
        for index in submissions.indices {
            submissions[index].job.verifiedShare = [0.05, 0.3, 1][Int(variant % 3)]
        }
        if variant % 2 == 0 { flaky = [Int(variant / 2 * 7) % nodes.count] }
        if variant / 2 % 2 == 1 { otherClass = nodes.indices.filter { $0 % 3 == 1 } }
    }

    /// Samples per second of each node's devices.
    private static func speeds(
        of scenario: SimulationScenario, _ job: JobDescription, count: Int,
        using random: inout RandomNumbers
    ) -> [[Double]] {
        let samples = Double(job.width * job.height * job.samplesPerPixel)
        let drawn = scenario.speeds ?? .powers(5)
        let relative = drawn.draw(count, using: &random)
        let scale = samples / scenario.idealSeconds / relative.reduce(0, +)
        guard scenario.speeds == nil else { return relative.map { [$0 * scale] } }
        return relative.map { speed in
            random.below(3) == 0
                ? [speed * scale * 0.75, speed * scale * 0.25] : [speed * scale]
        }
    }
}
