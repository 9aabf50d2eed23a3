// One reduction on the simulated network, without the frame around it: what a round costs at the
// root, at the worst node, and in time, along the trees of meshd or straight to the root.

import MeshCore
import MeshNode
import WorkStealing

/// A round in which every node contributes a whole film, and every node gets the sum.
public struct ReductionExperiment: Hashable, Sendable {
    /// How films are added up.
    public enum Shape: String, Hashable, Sendable, CaseIterable {
        /// As meshd does: a tree for each stripe.
        case trees
        /// Every node sends its film to the root, which sends the sum to every node.
        case central
    }

    public var shape = Shape.trees
    /// The root included.
    public var nodes: Int
    public var width = 1_920
    public var height = 1_080
    /// The bytes of a film for each pixel.
    public var bytesPerPixel = 15.0
    /// One way, between any two nodes.
    public var latency: Duration
    /// Of each node's link, each way.
    public var bytesPerSecond = 125e6
    /// The most stripes of the trees.
    public var stripesMax = 4
    public var seed: UInt64 = 1

    public init(_ shape: Shape, nodes: Int, latency: Duration) {
        self.shape = shape
        self.nodes = nodes
        self.latency = latency
    }

    /// What came of it.
    public struct Figures: Hashable, Sendable {
        /// From the plan until the last node has the sum.
        public var seconds = 0.0
        /// From the plan until the root has the sum.
        public var rootSeconds = 0.0
        /// The least time in which all nodes can have the sum of all films, whatever the shape:
        /// `2 (n − 1) / n` films through each link, each way.
        public var boundSeconds = 0.0
        /// Bytes through the root's link, over those of one film.
        public var rootFilmsIn = 0.0
        public var rootFilmsOut = 0.0
        /// The most at any other node.
        public var worstFilmsIn = 0.0
        public var worstFilmsOut = 0.0
        /// Whether every node has the sum of all films.
        public var isRight = false
    }

    public func run() -> Figures {
        var configuration = SimulationConfiguration(
            seed: seed, nodes: Array(repeating: [1], count: nodes))
        configuration.network.isPerfect = true
        configuration.network.latency = latency
        configuration.network.jitter = .zero
        configuration.network.bytesPerSecond = bytesPerSecond
        configuration.network.piecesMax = .max
        configuration.bytesPerPixel = bytesPerPixel
        // A pass for each node: its film has all tiles, and no unit that another has.
        configuration.submissions = [
            SimulationConfiguration.Submission(
                time: .zero, node: 0,
                job: JobDescription(
                    width: width, height: height, samplesPerPixel: max(16 * nodes, 16)))
        ]
        var simulation = Simulation(configuration)
        return simulation.reduce(self)
    }
}

extension Simulation {
    /// Runs one round of nothing but data.
    fileprivate mutating func reduce(
        _ experiment: ReductionExperiment
    ) -> ReductionExperiment.Figures {
        for index in nodes.indices { start(index) }
        let members = nodes.compactMap(\.process?.identity)
        for (index, member) in members.enumerated() { directory[member] = index }
        let frame = FrameID(originator: members[0], number: 1)
        let round = RoundID(term: Term(number: 1, root: members[0]), number: 1)
        jobs[0].frame = frame
        let tallies = jobs[0].tallies
        var sum = SimulatedFilm()
        for index in nodes.indices {
            let units = IntervalSet(tallies.workSpace.units(ofPass: index))
            let film = SimulatedFilm(units: units, tallies)
            _ = sum.add(film)
            let kept = FilmKeeper()
            kept.seals = [(SealNumber(1), film)]
            nodes[index].process?.drivers[frame] = kept
        }
        begin(frame, round, members, experiment)
        var isReleased = false
        var gatheredAt = now
        while let (time, event) = queue.removeFirst() {
            now = time
            process(event)
            guard let kept = keeper(frame, at: 0) else { break }
            if !isReleased, kept.buffers[round] != nil {
                isReleased = true
                gatheredAt = now
                kept.lastSum = kept.buffers[round]
                release(round, ledger: sum.coverage, kept)
            }
            if isReleased, sumsArrived == nodes.count - 1 { break }
        }
        return figures(of: experiment, frame, sum, gatheredAt: gatheredAt)
    }

    /// The root tells the plan, and everybody begins.
    private mutating func begin(
        _ frame: FrameID, _ round: RoundID, _ members: [ParticipantID],
        _ experiment: ReductionExperiment
    ) {
        let others = members.dropFirst().map { ReducePlan.Candidate($0) }
        let seals = [SealNumber(1)]
        guard experiment.shape == .trees else {
            let stripe = PendingContribution.Stripe(
                parent: nil, children: others.map(\.id), branches: others.map { [$0.id] })
            contribute(frame, round, seals: seals, stripes: [stripe], at: 0)
            now = now + experiment.latency
            for index in 1..<members.count {
                let stripe = PendingContribution.Stripe(
                    parent: members[0], children: [], branches: [])
                contribute(frame, round, seals: seals, stripes: [stripe], at: index)
            }
            return
        }
        let plan = ReducePlan(
            root: members[0], contributors: others, receivers: others,
            stripes: min(experiment.stripesMax, others.count), random: &random)
        perform(.gather(round: round, seals: seals, stripes: plan.root), of: frame, at: 0)
        now = now + experiment.latency
        for (member, places) in plan.contributors {
            guard let index = directory[member] else { continue }
            perform(.contribute(round: round, seals: seals, places: places), of: frame, at: index)
        }
    }

    private func figures(
        of experiment: ReductionExperiment, _ frame: FrameID, _ sum: SimulatedFilm,
        gatheredAt: Instant
    ) -> ReductionExperiment.Figures {
        let film = jobs[0].tallies.streamBytes(
            of: sum.coverage, stripe: .whole, bytesPerPixel: experiment.bytesPerPixel)
        func films(_ bytes: Int) -> Double { Double(bytes) / Double(film) }
        let received = nodes.map { films($0.figures.received[.reduce].bytes) }
        let sent = nodes.map { films($0.figures.sent[.reduce].bytes) }
        let count = Double(nodes.count)
        var result = ReductionExperiment.Figures()
        result.seconds = (now - .zero).seconds
        result.rootSeconds = (gatheredAt - .zero).seconds
        result.boundSeconds =
            2 * (count - 1) / count * Double(film) / experiment.bytesPerSecond
        result.rootFilmsIn = received[0]
        result.rootFilmsOut = sent[0]
        result.worstFilmsIn = received.dropFirst().max() ?? 0
        result.worstFilmsOut = sent.dropFirst().max() ?? 0
        result.isRight = nodes.indices.allSatisfy { keeper(frame, at: $0)?.lastSum == sum }
        return result
    }
}
