// A whole mesh in one value: the MeshNodes of the daemon, a network and devices made of events, in
// virtual time from one seed. Checkers look at every film after every step that could change it.

import Gossip
import MeshCore
import MeshNode
import WorkStealing

/// One simulated run.
///
/// The same configuration gives the same run, event for event, on every machine. A simulation is
/// used by one thread; several run beside each other.
public struct Simulation: ~Copyable {
    public let configuration: SimulationConfiguration
    /// Called with a line for each thing worth following; for finding out what went wrong.
    public var log: (@Sendable (String) -> Void)?

    var now = Instant.zero
    var queue = EventQueue()
    /// Of the network and of chance in nodes; nodes have generators of their own.
    var random: RandomNumbers
    var nodes: [SimulatedNode]
    var jobs: [SimulatedJob] = []
    var report: SimulationReport
    var cuts: [NetworkCut] = []
    /// Rates of loss in force, by the number of their fault.
    var losses: [(number: Int, rate: Double)] = []
    /// What is held back, by the number of its fault.
    var clogs: [NetworkClog] = []
    /// By sender and receiver: narrow ways.
    var ways: [Int: SimulatedLink] = [:]
    /// Nodes that keep no film unless they must; only looked up.
    private let keepsNoFilm: Set<Int>
    /// By sender and receiver: when the last control message arrives.
    var arrivals: [Int: Instant] = [:]
    /// By number: what is in force.
    var activeFaults: [Int: ScheduledFault.Fault] = [:]
    var faultNumber = 0
    /// The rounds committed, to find a second commit.
    var commits: Set<CommittedRound> = []
    /// The rounds into which a node put results that are wrong.
    var spoiled: Set<CommittedRound> = []
    /// Samples that all devices could have rendered so far.
    var capacity = 0.0
    /// What they can render per second now.
    var capacityRate = 0.0
    let faultsEnd: Instant
    /// Film streams under way, by number; only looked up.
    var flows: [Int: FilmFlow] = [:]
    var flowNumber = 0
    /// Where participants are that their peers have not heard of: only in ``ReductionExperiment``.
    var directory: [ParticipantID: Int] = [:]
    /// Sums that came down whole, at any node.
    var sumsArrived = 0
    /// A film may have changed since the last check.
    var filmsChanged = false
    /// When the last fault began or ended, or a process started.
    var disturbedAt = Instant.zero
    var holdingsCheckedAt = Instant.zero
    /// When each process that is no more died.
    var deaths: [ParticipantID: Instant] = [:]
    /// What a picture of the run is made of; nil unless it is asked for.
    public internal(set) var timeline: Timeline?

    /// The most violations reported.
    static let violationsMax = 16

    public init(_ configuration: SimulationConfiguration) {
        self.configuration = configuration
        var random = RandomNumbers(seed: configuration.seed)
        nodes = configuration.nodes.enumerated().map { index, speeds in
            SimulatedNode(
                id: NodeID(random.next()),
                address: NodeAddress(
                    10, UInt8(index >> 16 & 255), UInt8(index >> 8 & 255), UInt8(index & 255),
                    port: 4_040),
                speeds: speeds, clockDrift: configuration.drift(of: index),
                bytesPerSecond: configuration.bytesPerSecond(of: index))
        }
        report = SimulationReport(seed: configuration.seed, nodes: nodes.count)
        if configuration.recordsTimeline { timeline = Timeline(speeds: configuration.nodes) }
        let ends = configuration.faults.map(\.end) + configuration.submissions.map(\.time)
        faultsEnd = .zero + (ends.max() ?? .zero)
        for submission in configuration.submissions {
            guard let space = submission.job.workSpace else {
                preconditionFailure("a simulated job must be valid")
            }
            let tallies = UnitTallies(
                workSpace: space, seed: random.next(), costs: configuration.costs)
            jobs.append(SimulatedJob(submission: submission, tallies: tallies))
        }
        for link in configuration.links {
            ways[link.from * nodes.count + link.to] = SimulatedLink(
                bytesPerSecond: link.bytesPerSecond)
        }
        keepsNoFilm = Set(configuration.ledgerOnly)
            .subtracting(configuration.submissions.map(\.node))
        self.random = random
    }

    /// Runs until every frame is settled, a promise is broken or patience is at its end.
    public mutating func run() -> SimulationReport {
        begin()
        var nextLook = Instant.zero
        while let (time, event) = queue.removeFirst() {
            capacity += capacityRate * (time - now).seconds
            now = time
            report.steps += 1
            note(event)
            process(event)
            if report.steps >= configuration.stepsPerNodeMax * nodes.count {
                violate(.restless, describeUnfinished())
            }
            guard report.violations.isEmpty else { break }
            guard now >= nextLook else { continue }
            nextLook = now + .milliseconds(100)
            checkHoldings()
            if now >= faultsEnd, isSettled(), hasConverged() { break }
            if now > faultsEnd + patience {
                violate(.unfinished, describeUnfinished())
                break
            }
        }
        return finalReport()
    }

    /// For each stage, since those of an expensive tile come one after the other.
    private var patience: Duration {
        configuration.patience * (jobs.map(\.tallies.workSpace.stageCount).max() ?? 1)
    }

    private mutating func begin() {
        let late = Set(
            configuration.faults.compactMap { fault in
                if case .join(let node) = fault.fault { node } else { nil }
            })
        let first = nodes.indices.filter { !late.contains($0) }
        if configuration.startsJoined {
            var members: [Member] = []
            for index in first { members.append(introduction(of: index)) }
            let known = KnownMesh(members)
            for index in first { start(index, knowing: known) }
        } else {
            for index in first {
                queue.add(.restart(node: index), at: .zero + random.duration(below: .seconds(1)))
            }
        }
        for (index, job) in jobs.enumerated() {
            queue.add(.submission(index), at: .zero + job.submission.time)
        }
        for fault in configuration.faults {
            queue.add(.fault(fault.fault), at: .zero + fault.time)
        }
    }

    mutating func process(_ event: SimulatedEvent) {
        switch event {
        case .arrival(let packet):
            arrive(packet)
        case .local(let index, let boot, let local):
            guard nodes[index].process != nil, nodes[index].boot == boot else { return }
            guard !nodes[index].isFrozen else { return nodes[index].backlog.append(event) }
            perform(local, at: index)
            drive(index)
        case .submission(let job):
            submit(job)
        case .fault(let fault):
            begin(fault)
        case .faultEnds(let number):
            end(fault: number)
        case .restart(let index):
            start(index)
        case .linkFree(let index):
            nodes[index].isSending = false
            pump(index)
        case .piece(let flow):
            arrive(event, of: flow)
        case .broken(let flow):
            arrive(event, of: flow)
        }
    }

    /// What the others know of a node whose first process has just started.
    private func introduction(of index: Int) -> Member {
        MeshNode.introduction(
            of: ParticipantID(node: nodes[index].id, boot: 1), name: "node \(index)",
            address: nodes[index].address, configuration: nodeConfiguration(index),
            samplesPerSecond: nodes[index].speeds.reduce(0, +))
    }

    /// Starts a node's process.
    /// - Parameter known: the mesh that it is a member of already; nil if it has to look for one.
    mutating func start(_ index: Int, knowing known: KnownMesh? = nil) {
        guard nodes[index].process == nil, !nodes[index].isGone else { return }
        nodes[index].boot += 1
        nodes[index].bootOnDisk += 1
        let identity = ParticipantID(node: nodes[index].id, boot: nodes[index].bootOnDisk)
        let clock = SimulatedClock(
            showing: now + random.duration(below: .seconds(100_000)), at: now,
            drift: nodes[index].clockDrift)
        let local = clock.reading(at: now)
        let speed = nodes[index].speeds.reduce(0, +)
        let process = SimulatedProcess(
            identity: identity,
            node: MeshNode(
                identity: identity, name: "node \(index)", address: nodes[index].address,
                configuration: nodeConfiguration(index), samplesPerSecond: known == nil ? 0 : speed,
                knowing: known ?? KnownMesh(), seed: random.next(), at: local),
            clock: clock, speeds: nodes[index].speeds)
        process.knowsOwner = nodes[index].pauses > 0
        if known == nil {
            if !process.knowsOwner { process.node.setSpeed(samplesPerSecond: speed) }
            process.node.discovered(someAddresses(but: index), at: local)
        }
        nodes[index].process = process
        nodes[index].startedAt = now
        disturbedAt = now
        log?("\(now) node \(index) starts as \(identity)")
        capacityRate += nodes[index].speeds.indices.reduce(0) { $0 + nodes[index].speed(of: $1) }
        drive(index)
    }

    /// With other policies nobody is given work unasked, and a thief that wants none ahead never
    /// asks.
    private func nodeConfiguration(_ index: Int) -> MeshNodeConfiguration {
        var node = configuration.node
        if keepsNoFilm.contains(index) { node.frame.keepsFilm = false }
        if configuration.policy != .stealing {
            node.frame.stealAhead = .zero
            node.frame.sharesWithNewcomers = false
        }
        return node
    }

    /// What discovery finds: the addresses of some other nodes, started or not.
    private mutating func someAddresses(but index: Int) -> [NodeAddress] {
        let countMax = 16
        guard nodes.count > 4 * countMax else {
            var others = nodes.indices.filter { $0 != index }.map { nodes[$0].address }
            random.shuffle(&others)
            return Array(others.prefix(countMax))
        }
        return (0..<countMax).map { _ in
            nodes[(index + 1 + random.below(nodes.count - 1)) % nodes.count].address
        }
    }

    /// Submits a frame, if its originator is there to do so.
    private mutating func submit(_ number: Int) {
        let index = jobs[number].submission.node
        guard nodes[index].isRunning, let local = localTime(index) else {
            jobs[number].outcome.end = .void
            return
        }
        let frame = nodes[index].process?.node.submit(jobs[number].submission.job, at: local)
        guard let frame else { return }
        jobs[number].frame = frame
        nodes[index].scenes.insert(number)
        timeline?.addSubmission(of: frame, at: now)
        jobs[number].submittedAt = now
        jobs[number].capacityBefore = capacity
        if number == 0 { report.gossip.idle = gossipBytes / (now - .zero).seconds }
        nodes[index].process?.drivers[frame] = FilmKeeper()
        log?("\(now) node \(index) submits \(frame)")
        if configuration.policy.isStatic { splitWhenReady(frame, at: index) }
        drive(index)
    }

    // MARK: Small things

    /// Sent so far by a node, the mean of all.
    var gossipBytes: Double {
        let sum = nodes.reduce(0) { $0 + $1.figures.sent[.gossip].bytes }
        return Double(sum) / Double(nodes.count)
    }

    /// The present as a node's clock has it.
    func localTime(_ index: Int) -> Instant? {
        nodes[index].process.map { $0.clock.reading(at: now) }
    }

    /// The node at an address.
    func index(at address: NodeAddress) -> Int? {
        guard let host = address.ipv4 else { return nil }
        let index = Int(host & 0xff_ffff)
        return index < nodes.count ? index : nil
    }

    /// The job of a frame.
    func job(of frame: FrameID) -> Int? { jobs.firstIndex { $0.frame == frame } }

    /// Sums up what the devices can do now.
    mutating func measureCapacity() {
        capacityRate = nodes.reduce(0) { sum, node in
            guard node.isRunning else { return sum }
            return sum + node.speeds.indices.reduce(0) { $0 + node.speed(of: $1) }
        }
    }

    mutating func violate(_ kind: Violation.Kind, _ text: String) {
        guard report.violations.count < Self.violationsMax else { return }
        report.violations.append(
            Violation(kind: kind, step: report.steps, time: now, text: text))
    }

    /// Adds an event to the trace.
    private mutating func note(_ event: SimulatedEvent) {
        let what: Int
        switch event {
        case .arrival(let packet): what = packet.from << 24 | packet.to << 4 | 1
        case .local(let node, _, _): what = node << 4 | 2
        case .submission(let number): what = number << 4 | 3
        case .fault: what = 4
        case .faultEnds(let number): what = number << 4 | 5
        case .restart(let node): what = node << 4 | 6
        case .linkFree(let node): what = node << 4 | 7
        case .piece(let flow): what = flow << 4 | 8
        case .broken(let flow): what = flow << 4 | 9
        }
        var mix = report.traceHash ^ UInt64(bitPattern: now.nanoseconds) &* 0x9e37_79b9_7f4a_7c15
        mix = (mix ^ (mix >> 29) ^ UInt64(what)) &* 0xbf58_476d_1ce4_e5b9
        report.traceHash = mix ^ (mix >> 32)
    }

    private func finalReport() -> SimulationReport {
        var result = report
        result.virtualSeconds = (now - .zero).seconds
        result.frames = jobs.map { job in
            var outcome = job.outcome
            let waived = job.complete?.waived.count ?? 0
            outcome.rendersPerUnit =
                Double(job.unitsRendered) / Double(job.tallies.workSpace.count - waived)
            return outcome
        }
        result.perNode = nodes.map { figures(of: $0) }
        for figures in result.perNode { result.traffic = result.traffic + figures.sent }
        return result
    }

    /// The figures of a node, with its idle time: from the first submission, or its start, until
    /// the last frame was complete.
    private func figures(of node: SimulatedNode) -> NodeFigures {
        var figures = node.figures
        let submitted = jobs.filter { $0.frame != nil }
        guard node.process != nil, let first = submitted.map(\.submittedAt).min() else {
            return figures
        }
        let ends = submitted.map { job in
            job.outcome.makespanSeconds.map { job.submittedAt + Duration(seconds: $0) } ?? now
        }
        let begin = max(first, node.startedAt)
        let end = ends.max() ?? now
        figures.idleSeconds = max(0, (end - begin).seconds - figures.busySeconds)
        figures.idleBeforeSeconds = max(0, ((figures.firstUnitAt ?? end) - begin).seconds)
        figures.idleAfterSeconds = max(0, (end - (figures.lastUnitAt ?? end)).seconds)
        return figures
    }
}

/// A round of a frame that was committed.
struct CommittedRound: Hashable, Sendable {
    let frame: FrameID
    let round: RoundID
}

/// A frame in a simulation.
struct SimulatedJob {
    let submission: SimulationConfiguration.Submission
    let tallies: UnitTallies
    var frame: FrameID?
    var submittedAt = Instant.zero
    var capacityBefore = 0.0
    var unitsRendered = 0
    /// The first complete film.
    var complete: SimulatedFilm?
    /// Units that nobody has held since.
    var unheld = IntervalSet()
    var unheldSince = Instant.zero
    /// Somebody has ended it.
    var isCancelled = false
    var outcome = FrameOutcome()
}
