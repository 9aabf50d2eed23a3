// A run, or only its faults, as a file that people can write and that a violation leaves behind.
// The form is described in docs/SIMULATOR.md.

import MeshCore
import MeshNode

/// What stands in a fault file. Only `faults` must be there: what else a file says holds instead of
/// what the seed would choose.
public struct ScheduleFile: Codable, Hashable, Sendable {
    /// For people.
    public var comment: String?
    public var seed: UInt64?
    /// For each node the speeds of its devices, samples per second.
    public var nodes: [[Double]]?
    public var network: Network?
    public var frames: [Frame]?
    /// Short for a lognormal `costs`.
    public var costSigma: Double?
    /// Whether all nodes know each other from the start.
    public var joined: Bool?
    /// As ``CostDistribution/init(_:)`` reads it.
    public var costs: String?
    /// See ``SimulationConfiguration``.
    public var clockDrift: [Double]?
    public var bandwidth: [Double]?
    public var links: [LinkModel]?
    public var ledgerOnly: [Int]?
    /// See ``SimulationConfiguration/corrupt``.
    public var corrupt: [Int]?
    /// See ``SimulationConfiguration/flaky``.
    public var flaky: [Int]?
    /// See ``SimulationConfiguration/otherClass``.
    public var otherClass: [Int]?
    public var faults: [Fault]

    public init(faults: [Fault]) { self.faults = faults }

    /// A frame that is submitted.
    public struct Frame: Codable, Hashable, Sendable {
        /// Seconds.
        public var at: Double
        /// The index of its originator.
        public var node: Int
        public var width: Int
        public var height: Int
        public var tileSize: Int
        public var samplesPerPixel: Int
        /// See ``JobDescription/isAdaptive``.
        public var adaptive: Bool?
        /// See ``JobDescription/verifiedShare``.
        public var verifiedShare: Double?
        /// See ``JobDescription/priority``.
        public var priority: Int?
    }

    /// See ``NetworkModel``.
    public struct Network: Codable, Hashable, Sendable {
        public var latencySeconds: Double?
        public var jitterSeconds: Double?
        public var bytesPerSecond: Double?
        public var datagramLoss: Double?
        public var datagramDuplication: Double?
        public var messageLoss: Double?
        public var messageDuplication: Double?
        public var streamLoss: Double?
        public var sumDuplication: Double?
    }

    /// One fault; which of the fields are needed depends on its kind.
    public struct Fault: Codable, Hashable, Sendable {
        /// Seconds.
        public var at: Double
        /// As docs/SIMULATOR.md lists them.
        public var kind: String
        public var node: Int?
        /// Of a clogged link, the other end.
        public var peer: Int?
        /// Of a stuck device, its place in the node.
        public var device: Int?
        /// Of a cancelled frame, its place among the frames.
        public var frame: Int?
        public var group: [Int]?
        public var oneWay: Bool?
        /// How long it lasts, seconds; of a crash, after what time the process starts again.
        public var lasts: Double?
        public var factor: Double?
        public var rate: Double?
        /// Of a clock that jumps, seconds.
        public var by: Double?
        /// Of a crash; true if left out.
        public var keepsDisk: Bool?

        init(at: Double, kind: String) {
            self.at = at
            self.kind = kind
        }
    }

    /// Why a file cannot be used.
    public struct Malformed: Error, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }
    }
}

extension ScheduleFile {
    /// All of a run.
    public init(_ run: SimulationConfiguration) {
        self.init(faults: run.faults.map(Fault.init))
        seed = run.seed
        nodes = run.nodes
        costs = run.costs.description
        clockDrift = run.clockDrift
        bandwidth = run.bandwidth
        links = run.links
        ledgerOnly = run.ledgerOnly
        corrupt = run.corrupt
        flaky = run.flaky
        otherClass = run.otherClass
        joined = run.startsJoined ? true : nil
        network = Network(run.network)
        frames = run.submissions.map { submission in
            Frame(
                at: submission.time.seconds, node: submission.node, width: submission.job.width,
                height: submission.job.height, tileSize: submission.job.tileSize,
                samplesPerPixel: submission.job.samplesPerPixel,
                adaptive: submission.job.isAdaptive ? true : nil,
                verifiedShare: submission.job.verifiedShare, priority: submission.job.priority)
        }
    }

    /// Puts what the file says in the place of what a run has.
    /// - Throws: ``Malformed`` when something is missing or out of bounds.
    public func apply(to run: inout SimulationConfiguration) throws(Malformed) {
        if let nodes {
            guard !nodes.isEmpty, nodes.count <= 16_384,
                nodes.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0 > 0 && $0 < 1e15 } })
            else { throw Malformed("'nodes' must be lists of positive speeds") }
            run.nodes = nodes
        }
        if let costSigma {
            guard (0...4).contains(costSigma) else { throw Malformed("'costSigma' is not 0 to 4") }
            run.costs = .lognormal(sigma: costSigma)
        }
        if let joined { run.startsJoined = joined }
        if let costs {
            guard let distribution = CostDistribution(costs) else {
                throw Malformed("'\(costs)' is no distribution of costs")
            }
            run.costs = distribution
        }
        try applyNodes(to: &run)
        try network?.apply(to: &run.network)
        if let frames {
            run.submissions = try frames.map { frame throws(Malformed) in
                try frame.submission(nodes: run.nodes.count)
            }
        }
        var scheduled: [ScheduledFault] = []
        for fault in faults { scheduled.append(try fault.scheduled(in: run)) }
        run.faults = scheduled.sorted { $0.time < $1.time }
    }

    /// What is said of single nodes and of the ways between them.
    private func applyNodes(to run: inout SimulationConfiguration) throws(Malformed) {
        if let clockDrift {
            guard clockDrift.allSatisfy({ (-0.5...1).contains($0) }) else {
                throw Malformed("'clockDrift' is not -0.5 to 1")
            }
            run.clockDrift = clockDrift
        }
        let rates = (bandwidth ?? []) + (links ?? []).map(\.bytesPerSecond)
        guard rates.allSatisfy({ (1e3..<1e15).contains($0) }) else {
            throw Malformed("a bandwidth is out of bounds")
        }
        run.bandwidth = bandwidth ?? run.bandwidth
        let named =
            (links ?? []).flatMap { [$0.from, $0.to] } + (ledgerOnly ?? []) + (corrupt ?? [])
            + (flaky ?? [])
            + (otherClass ?? [])
        guard named.allSatisfy({ run.nodes.indices.contains($0) }) else {
            throw Malformed(
                "'links', 'ledgerOnly', 'corrupt', 'flaky' or 'otherClass' name unknown nodes")
        }
        run.links = links ?? run.links
        run.ledgerOnly = ledgerOnly ?? run.ledgerOnly
        run.corrupt = corrupt ?? run.corrupt
        run.flaky = flaky ?? run.flaky
        run.otherClass = otherClass ?? run.otherClass
    }

    /// Seconds to the nanosecond, so that a written time is read as it was.
    static func duration(
        _ seconds: Double, _ what: String
    ) throws(Malformed) -> Duration {
        guard seconds >= 0, seconds < 1e6 else {
            throw Malformed("'\(what)' is \(seconds), not a time in seconds")
        }
        return .nanoseconds(Int64((seconds * 1e9).rounded()))
    }
}

extension ScheduleFile.Frame {
    func submission(
        nodes: Int
    ) throws(ScheduleFile.Malformed) -> SimulationConfiguration.Submission {
        let job = JobDescription(
            width: width, height: height, tileSize: tileSize, samplesPerPixel: samplesPerPixel,
            verifiedShare: verifiedShare ?? 0, isAdaptive: adaptive ?? false,
            priority: priority ?? JobDescription.priorityDefault)
        guard job.isValid, (0..<nodes).contains(node) else {
            throw ScheduleFile.Malformed("a frame's size, share, priority or node is out of bounds")
        }
        return SimulationConfiguration.Submission(
            time: try ScheduleFile.duration(at, "at"), node: node, job: job)
    }
}

extension ScheduleFile.Network {
    init(_ model: NetworkModel) {
        latencySeconds = model.latency.seconds
        jitterSeconds = model.jitter.seconds
        bytesPerSecond = model.bytesPerSecond
        datagramLoss = model.datagramLoss
        datagramDuplication = model.datagramDuplication
        messageLoss = model.messageLoss
        messageDuplication = model.messageDuplication
        streamLoss = model.streamLoss
        sumDuplication = model.sumDuplication
    }

    func apply(to model: inout NetworkModel) throws(ScheduleFile.Malformed) {
        if let latencySeconds {
            model.latency = try ScheduleFile.duration(latencySeconds, "latencySeconds")
        }
        if let jitterSeconds {
            model.jitter = try ScheduleFile.duration(jitterSeconds, "jitterSeconds")
        }
        if let bytesPerSecond {
            guard bytesPerSecond >= 1e3, bytesPerSecond < 1e15 else {
                throw ScheduleFile.Malformed("'bytesPerSecond' is out of bounds")
            }
            model.bytesPerSecond = bytesPerSecond
        }
        let rates = [
            datagramLoss, datagramDuplication, messageLoss, messageDuplication, streamLoss,
            sumDuplication,
        ]
        guard rates.compactMap(\.self).allSatisfy({ (0...1).contains($0) }) else {
            throw ScheduleFile.Malformed("a rate of the network is not 0 to 1")
        }
        model.datagramLoss = datagramLoss ?? model.datagramLoss
        model.datagramDuplication = datagramDuplication ?? model.datagramDuplication
        model.messageLoss = messageLoss ?? model.messageLoss
        model.messageDuplication = messageDuplication ?? model.messageDuplication
        model.streamLoss = streamLoss ?? model.streamLoss
        model.sumDuplication = sumDuplication ?? model.sumDuplication
    }
}
