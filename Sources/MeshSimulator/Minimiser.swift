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
        simplify()
        shorten()
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
        smaller.faults = renameFrames(run.faults, without: range)
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
        func rest<T>(_ values: [T]) -> [T] {
            values.enumerated().filter { index[$0.offset] != nil }.map(\.element)
        }
        smaller.clockDrift = rest(run.clockDrift)
        smaller.bandwidth = rest(run.bandwidth)
        smaller.ledgerOnly = run.ledgerOnly.compactMap { index[$0] }
        smaller.corrupt = run.corrupt.compactMap { index[$0] }
        smaller.flaky = run.flaky.compactMap { index[$0] }
        smaller.otherClass = run.otherClass.compactMap { index[$0] }
        smaller.links = run.links.compactMap { link in
            guard let from = index[link.from], let to = index[link.to] else { return nil }
            return LinkModel(from: from, to: to, bytesPerSecond: link.bytesPerSecond)
        }
        return smaller
    }

    /// Frames that are gone are not cancelled.
    private static func renameFrames(
        _ faults: [ScheduledFault], without range: Range<Int>
    ) -> [ScheduledFault] {
        faults.compactMap { scheduled in
            guard case .cancel(let frame, let node) = scheduled.fault else { return scheduled }
            guard !range.contains(frame) else { return nil }
            let place = frame < range.lowerBound ? frame : frame - range.count
            return ScheduledFault(time: scheduled.time, fault: .cancel(frame: place, node: node))
        }
    }

    /// What is unusual without being a fault, one thing after the other.
    private static let plainer: [@Sendable (inout SimulationConfiguration) -> Void] = [
        { $0.clockDrift = [] },
        { $0.bandwidth = [] },
        { $0.links = [] },
        { $0.ledgerOnly = [] },
        { $0.corrupt = [] },
        { $0.flaky = [] },
        { $0.otherClass = [] },
        { $0.costs = .lognormal(sigma: 0) },
        { $0.network.isPerfect = true },
    ]

    /// Makes usual what the promise does not need to be unusual.
    private mutating func simplify() {
        for change in Self.plainer {
            var simpler = best
            change(&simpler)
            if ScheduleFile(simpler) != ScheduleFile(best) { _ = accept(simpler) }
        }
    }

    /// Makes each trouble half as long, if the promise is broken all the same.
    private mutating func shorten() {
        for place in best.faults.indices {
            var shorter = best
            guard let fault = best.faults[place].fault.halved else { continue }
            shorter.faults[place].fault = fault
            _ = accept(shorter)
        }
    }
}

extension ScheduledFault.Fault {
    /// The same for half the time; nil when that says nothing, or is less than 100 ms.
    fileprivate var halved: Self? {
        let half = duration / 2
        guard half >= .milliseconds(100) else { return nil }
        switch self {
        case .freeze(let node, _): return .freeze(node: node, half)
        case .suspend(let node, _): return .suspend(node: node, half)
        case .partition(let group, let oneWay, _):
            return .partition(group: group, oneWay: oneWay, half)
        case .clog(let node, let peer, _): return .clog(node: node, peer: peer, half)
        case .mute(let node, _): return .mute(node: node, half)
        case .slow(let node, let factor, _): return .slow(node: node, factor: factor, half)
        case .stick(let node, let device, _): return .stick(node: node, device: device, half)
        case .pause(let node, _): return .pause(node: node, half)
        case .loss(let rate, _): return .loss(rate: rate, half)
        case .crash, .jump, .cancel, .join, .leave: return nil
        }
    }
}
