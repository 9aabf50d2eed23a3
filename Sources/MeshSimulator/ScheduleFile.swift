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
    public var costSigma: Double?
    /// Whether all nodes know each other from the start.
    public var joined: Bool?
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
    }

    /// One fault; which of the fields are needed depends on its kind.
    public struct Fault: Codable, Hashable, Sendable {
        /// Seconds.
        public var at: Double
        /// crash, freeze, partition, slow, stick, loss, join or leave.
        public var kind: String
        public var node: Int?
        public var group: [Int]?
        public var oneWay: Bool?
        /// How long it lasts, seconds; of a crash, after what time the process starts again.
        public var lasts: Double?
        public var factor: Double?
        public var rate: Double?

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
        costSigma = run.costSigma
        joined = run.startsJoined ? true : nil
        network = Network(run.network)
        frames = run.submissions.map { submission in
            Frame(
                at: submission.time.seconds, node: submission.node, width: submission.job.width,
                height: submission.job.height, tileSize: submission.job.tileSize,
                samplesPerPixel: submission.job.samplesPerPixel)
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
            run.costSigma = costSigma
        }
        if let joined { run.startsJoined = joined }
        try network?.apply(to: &run.network)
        if let frames {
            run.submissions = try frames.map { frame throws(Malformed) in
                try frame.submission(nodes: run.nodes.count)
            }
        }
        var scheduled: [ScheduledFault] = []
        for fault in faults { scheduled.append(try fault.scheduled(nodes: run.nodes.count)) }
        run.faults = scheduled.sorted { $0.time < $1.time }
    }

    /// Seconds to the nanosecond, so that a written time is read as it was.
    fileprivate static func duration(
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
            width: width, height: height, tileSize: tileSize, samplesPerPixel: samplesPerPixel)
        guard job.isValid, (0..<nodes).contains(node) else {
            throw ScheduleFile.Malformed("a frame's size or node is out of bounds")
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
        let rates = [datagramLoss, datagramDuplication, messageLoss, messageDuplication]
        guard rates.compactMap(\.self).allSatisfy({ (0...1).contains($0) }) else {
            throw ScheduleFile.Malformed("a rate of the network is not 0 to 1")
        }
        model.datagramLoss = datagramLoss ?? model.datagramLoss
        model.datagramDuplication = datagramDuplication ?? model.datagramDuplication
        model.messageLoss = messageLoss ?? model.messageLoss
        model.messageDuplication = messageDuplication ?? model.messageDuplication
    }
}

extension ScheduleFile.Fault {
    init(_ scheduled: ScheduledFault) {
        self.init(at: scheduled.time.seconds, kind: scheduled.fault.name)
        node = scheduled.fault.node
        switch scheduled.fault {
        case .crash(_, let after): lasts = after?.seconds
        case .freeze(_, let time), .stick(_, let time): lasts = time.seconds
        case .partition(let nodes, let isOneWay, let time):
            group = nodes
            oneWay = isOneWay
            lasts = time.seconds
        case .slow(_, let times, let time):
            factor = times
            lasts = time.seconds
        case .loss(let share, let time):
            rate = share
            lasts = time.seconds
        case .join, .leave: break
        }
    }

    func scheduled(nodes: Int) throws(ScheduleFile.Malformed) -> ScheduledFault {
        func need<T>(_ value: T?, _ what: String) throws(ScheduleFile.Malformed) -> T {
            guard let value else {
                throw ScheduleFile.Malformed("the \(kind) at \(at) s needs '\(what)'")
            }
            return value
        }
        func theNode() throws(ScheduleFile.Malformed) -> Int {
            let node = try need(node, "node")
            guard (0..<nodes).contains(node) else {
                throw ScheduleFile.Malformed("there is no node \(node) for the \(kind) at \(at) s")
            }
            return node
        }
        func time() throws(ScheduleFile.Malformed) -> Duration {
            try ScheduleFile.duration(try need(lasts, "lasts"), "lasts")
        }
        let fault: ScheduledFault.Fault
        switch kind {
        case "crash":
            fault = .crash(node: try theNode(), after: lasts == nil ? nil : try time())
        case "freeze": fault = .freeze(node: try theNode(), try time())
        case "partition":
            let group = try need(group, "group")
            guard group.allSatisfy({ (0..<nodes).contains($0) }) else {
                throw ScheduleFile.Malformed("the partition at \(at) s names unknown nodes")
            }
            fault = .partition(group: group, oneWay: oneWay ?? false, try time())
        case "slow":
            let factor = try need(factor, "factor")
            guard factor > 0, factor < 1e6 else {
                throw ScheduleFile.Malformed("the factor \(factor) is out of bounds")
            }
            fault = .slow(node: try theNode(), factor: factor, try time())
        case "stick": fault = .stick(node: try theNode(), try time())
        case "loss":
            let rate = try need(rate, "rate")
            guard (0...1).contains(rate) else {
                throw ScheduleFile.Malformed("the rate \(rate) is not 0 to 1")
            }
            fault = .loss(rate: rate, try time())
        case "join": fault = .join(node: try theNode())
        case "leave": fault = .leave(node: try theNode())
        default: throw ScheduleFile.Malformed("'\(kind)' is no kind of fault")
        }
        return ScheduledFault(time: try ScheduleFile.duration(at, "at"), fault: fault)
    }
}
