// Makes a run that breaks a promise smaller: fewer frames, fewer faults, fewer nodes, shorter
// trouble, as long as it breaks the same promise (delta debugging: Zeller, Hildebrandt, Simplifying
// and Isolating Failure-Inducing Input, 2002).

import MeshCore

/// The search for a smaller run with the same violation.
public struct Minimiser {
    /// Says what a run breaks first; nil for nothing.
    public typealias Trial = (SimulationConfiguration) -> Violation.Kind?

    private var best: SimulationConfiguration
    private let kind: Violation.Kind
    private let runsMax: Int
    private let trial: Trial
    private var runs = 0

    private init(
        _ configuration: SimulationConfiguration, kind: Violation.Kind, runsMax: Int,
        trial: @escaping Trial
    ) {
        best = configuration
        self.kind = kind
        self.runsMax = runsMax
        self.trial = trial
    }

    /// The smallest run found, which breaks the same promise.
    /// - Parameters:
    ///   - kind: what `configuration` breaks.
    ///   - runsMax: the most runs to spend.
    ///   - trial: by default, runs it.
    /// - Returns: the run and how many runs it took.
    public static func minimise(
        _ configuration: SimulationConfiguration, kind: Violation.Kind, runsMax: Int = 200,
        trial: @escaping Trial = Minimiser.firstViolation
    ) -> (configuration: SimulationConfiguration, runs: Int) {
        var search = Minimiser(configuration, kind: kind, runsMax: runsMax, trial: trial)
        search.run()
        return (search.best, search.runs)
    }

    /// Runs a simulation for its first violation.
    public static func firstViolation(_ configuration: SimulationConfiguration) -> Violation.Kind? {
        var simulation = Simulation(configuration)
        return simulation.run().violations.first?.kind
    }

    private mutating func run() {
        var isSmaller = true
        while isSmaller, runs < runsMax {
            isSmaller = false
            if reduce(count: { $0.submissions.count }, without: Self.withoutFrames) {
                isSmaller = true
            }
            if reduce(count: { $0.faults.count }, without: Self.withoutFaults) { isSmaller = true }
            if reduce(count: { $0.nodes.count }, without: Self.withoutNodes) { isSmaller = true }
        }
    }

    /// Takes over a smaller run if it breaks the promise too.
    private mutating func accept(_ smaller: SimulationConfiguration?) -> Bool {
        guard let smaller, runs < runsMax else { return false }
        runs += 1
        guard trial(smaller) == kind else { return false }
        best = smaller
        return true
    }

    /// Leaves out pieces, halves of all at first, then ever smaller ones.
    private mutating func reduce(
        count: (SimulationConfiguration) -> Int,
        without: (SimulationConfiguration, Range<Int>) -> SimulationConfiguration?
    ) -> Bool {
        var isSmaller = false
        var piece = max(count(best), 1)
        while piece >= 1 {
            var start = 0
            while start < count(best) {
                let range = start..<min(start + piece, count(best))
                if accept(without(best, range)) { isSmaller = true } else { start += piece }
            }
            piece /= 2
        }
        return isSmaller
    }

    private static func withoutFrames(
        _ run: SimulationConfiguration, _ range: Range<Int>
    ) -> SimulationConfiguration? {
        guard range.count < run.submissions.count else { return nil }
        var smaller = run
        smaller.submissions.removeSubrange(range)
        return smaller
    }

    private static func withoutFaults(
        _ run: SimulationConfiguration, _ range: Range<Int>
    ) -> SimulationConfiguration? {
        var smaller = run
        smaller.faults.removeSubrange(range)
        return smaller
    }

    /// Originators stay; faults of nodes that go, go with them.
    private static func withoutNodes(
        _ run: SimulationConfiguration, _ range: Range<Int>
    ) -> SimulationConfiguration? {
        let originators = Set(run.submissions.map(\.node))
        let gone = range.filter { !originators.contains($0) }
        guard !gone.isEmpty, gone.count < run.nodes.count else { return nil }
        var index: [Int: Int] = [:]
        var smaller = run
        smaller.nodes = []
        for node in run.nodes.indices where !gone.contains(node) {
            index[node] = smaller.nodes.count
            smaller.nodes.append(run.nodes[node])
        }
        for position in smaller.submissions.indices {
            guard let node = index[smaller.submissions[position].node] else { return nil }
            smaller.submissions[position].node = node
        }
        smaller.faults = run.faults.compactMap { scheduled in
            scheduled.fault.renamed { index[$0] }.map {
                ScheduledFault(time: scheduled.time, fault: $0)
            }
        }
        return smaller
    }
}

extension ScheduledFault.Fault {
    /// The same for nodes of other indices; nil when its node is no more.
    func renamed(_ name: (Int) -> Int?) -> Self? {
        switch self {
        case .crash(let node, let after): name(node).map { .crash(node: $0, after: after) }
        case .freeze(let node, let time): name(node).map { .freeze(node: $0, time) }
        case .partition(let group, let oneWay, let time):
            .partition(group: group.compactMap(name), oneWay: oneWay, time)
        case .slow(let node, let factor, let time):
            name(node).map { .slow(node: $0, factor: factor, time) }
        case .stick(let node, let time): name(node).map { .stick(node: $0, time) }
        case .loss: self
        case .join(let node): name(node).map { .join(node: $0) }
        case .leave(let node): name(node).map { .leave(node: $0) }
        }
    }
}
