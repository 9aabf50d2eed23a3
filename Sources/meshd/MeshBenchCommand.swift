// `meshd bench mesh`: how well the mesh shares a frame, in virtual time, beside the ways in which
// other renderers do.

import ArgumentParser
import Foundation
import MeshCore
import MeshNode
import MeshSimulator

struct MeshBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Measure the mesh in virtual time.",
        discussion: """
            balance: twelve nodes of speeds 1 to 32 and about 30 s of work, shared as meshd does and \
            as others do; without faults, with the fastest node dying at 50 %, and with it slowing \
            tenfold at 80 %. Printed is the makespan over the ideal one: all that the devices could \
            have rendered in that time over the work.
            scale: a frame of 60 s on 10 to --nodes nodes.
            first-image: the time to the first whole pass, on 2 to 64 nodes.
            reduce: one reduction of a noisy film of 1920x1080 at 1 Gbit/s, on 8, 64 and 512 nodes: \
            along meshd's trees, and by a central merge. The bound is the least time in which any \
            way can do it.
            """)

    enum Table: String, CaseIterable, ExpressibleByArgument {
        case balance, scale, reduce
        case firstImage = "first-image"
    }

    @Argument(help: "balance, scale, first-image or reduce.") var tables: [Table] = [.balance]
    @Option(help: ArgumentHelp("Runs for each figure; the median is printed.", valueName: "A..B"))
    var seeds = SeedRange(1...5)
    @Option(help: "The most nodes of 'scale'.") var nodes = 1_000
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (10...10_000).contains(nodes) else {
            throw ValidationError("'--nodes' must be 10 to 10000")
        }
    }

    func run() async throws {
        var cells: [MeshBenchCell] = []
        for table in tables {
            let rows: [MeshBenchCase]
            switch table {
            case .balance: rows = Self.balance
            case .scale: rows = Self.scale(nodes)
            case .firstImage: rows = Self.firstImage
            case .reduce:
                try ReductionTable.run(seeds: seeds.range, json: json)
                continue
            }
            let done = await measure(rows)
            if !json { Terminal.out(text(done, of: table)) }
            cells += done
        }
        if json, !cells.isEmpty { Terminal.out(try jsonText(cells)) }
        if cells.contains(where: { $0.violations > 0 }) { throw Outcome.brokenPromise.exitCode }
    }

    /// Runs all seeds of each case.
    private func measure(_ cases: [MeshBenchCase]) async -> [MeshBenchCell] {
        var cells: [MeshBenchCell] = []
        for one in cases {
            if Terminal.isInteractive { Terminal.renew("\(one.row), \(one.column)") }
            let began = ContinuousClock.now
            var reports: [SimulationReport] = []
            await forEachSeed(seeds.range) { seed in
                var simulation = Simulation(one.configuration(seed: seed))
                return simulation.run()
            } then: {
                reports.append($0)
            }
            let wall = Double((ContinuousClock.now - began).components.seconds)
            cells.append(MeshBenchCell(one, reports, wallSeconds: wall))
            for report in reports {
                for violation in report.violations {
                    Terminal.error("\(one.row), \(one.column), seed \(report.seed): \(violation)")
                }
            }
        }
        Terminal.endRenewing()
        return cells
    }

    private func text(_ cells: [MeshBenchCell], of kind: Table) -> String {
        switch kind {
        case .balance:
            var columns: [String] = []
            for cell in cells where !columns.contains(cell.column) { columns.append(cell.column) }
            var rows = [["MAKESPAN / IDEAL"] + columns.map { $0.uppercased() }]
            for policy in WorkPolicy.allCases {
                rows.append(
                    [policy.title]
                        + columns.map { column in
                            cells.first { $0.row == policy.title && $0.column == column }?
                                .makespanText ?? "-"
                        })
            }
            return table(rows)
        case .scale:
            return table(
                [
                    [
                        "NODES", "EFFICIENCY", "MAKESPAN", "FIRST IMAGE", "IDLE: BEFORE", "BETWEEN",
                        "AFTER", "GOSSIP B/S: IDLE", "RENDERING", "RENDERS", "EVENTS", "WALL",
                    ]
                ]
                    + cells.map { cell in
                        [
                            cell.row, number(cell.makespanOverIdeal.map { 1 / $0 }, "%.3f"),
                            number(cell.makespanSeconds, "%.1f s"),
                            number(cell.firstImageSeconds, "%.2f s"),
                            number(cell.idleSeconds.before, "%.2f s"),
                            number(cell.idleSeconds.between, "%.2f s"),
                            number(cell.idleSeconds.after, "%.2f s"),
                            number(cell.gossipBytesPerSecondIdle, "%.0f"),
                            number(cell.gossipBytesPerSecond, "%.0f"),
                            number(cell.rendersPerUnit, "%.3f"), number(cell.steps, "%.0f"),
                            number(cell.wallSeconds, "%.0f s"),
                        ]
                    })
        case .reduce:
            return ""
        case .firstImage:
            return table(
                [["NODES", "FIRST IMAGE", "BOUND", "3 ROUND TRIPS", "ONE PASS", "ONE REDUCTION"]]
                    + cells.map { cell in
                        let nodes = Int(cell.row) ?? 0
                        let parts = [
                            3 * 2 * Self.latencySeconds, Self.passSeconds(nodes: nodes),
                            Self.reductionSeconds(nodes: nodes),
                        ]
                        return [cell.row]
                            + ([cell.firstImageSeconds, parts.reduce(0, +)] + parts)
                            .map { number($0.map { $0 * 1_000 }, "%.0f ms") }
                    })
        }
    }

    private func number(_ value: Double?, _ format: String) -> String {
        value.map { String(format: format, $0) } ?? "-"
    }

    // MARK: Cases

    private static let speeds: [Double] = [1, 1, 1, 2, 2, 2, 4, 4, 8, 8, 16, 32]

    /// A switched network of 1 Gbit/s, and scenes that the nodes know already.
    private static func office(_ scenario: SimulationScenario) -> SimulationConfiguration {
        var run = scenario.configuration(seed: 1)
        run.network.latency = .milliseconds(1)
        run.network.jitter = .zero
        run.network.bytesPerSecond = 125e6
        run.sceneBytes = 0
        run.scenePreparation = .zero
        run.patience = .seconds(3_600)
        return run
    }

    /// The frame is submitted after 2 s; the fastest node never is its originator.
    private static var balance: [MeshBenchCase] {
        var scenario = SimulationScenario()
        scenario.speeds = .list(speeds)
        scenario.frame = JobDescription(width: 1_920, height: 1_080, samplesPerPixel: 256)
        scenario.idealSeconds = 30
        scenario.costs = .lognormal(sigma: 1)
        let fastest = speeds.count - 1
        let events: [(String, [ScheduledFault])] = [
            ("no fault", []),
            (
                "fastest dies at 50 %",
                [ScheduledFault(time: .seconds(17), fault: .crash(node: fastest, after: nil))]
            ),
            (
                "fastest slows at 80 %",
                [
                    ScheduledFault(
                        time: .seconds(26),
                        fault: .slow(node: fastest, factor: 10, .seconds(3_600)))
                ]
            ),
        ]
        return WorkPolicy.allCases.flatMap { policy in
            events.map { name, faults in
                var scenario = scenario
                scenario.faults = faults
                return MeshBenchCase(
                    row: policy.title, column: name, policy: policy,
                    originators: fastest, scenario: scenario, adapt: office)
            }
        }
    }

    private static func scale(_ most: Int) -> [MeshBenchCase] {
        [10, 100, 1_000, 10_000].filter { $0 <= most }.map { count in
            var scenario = SimulationScenario()
            scenario.speeds = .list(speeds)
            scenario.nodes = count
            scenario.idealSeconds = 60
            scenario.costs = .lognormal(sigma: 0.5)
            scenario.startsJoined = true
            // At least two hundred units for a node of middle speed.
            let samples = count < 1_000 ? 256 : count == 1_000 ? 1_024 : 4_096
            scenario.frame = JobDescription(
                width: 3_840, height: 2_160, samplesPerPixel: samples)
            return MeshBenchCase(
                row: "\(count)", column: "60 s", policy: .stealing, originators: count,
                scenario: scenario, adapt: office)
        }
    }

    /// Of a small frame at the speed of all nodes, of which the slowest render a million samples a
    /// second each.
    private static func passSeconds(nodes: Int) -> Double {
        let all = (0..<nodes).reduce(0) { $0 + speeds[$1 % speeds.count] }
        return 640 * 360 / (all * 1e6)
    }
    private static let latencySeconds = 0.001
    /// A round that does nothing but bring a film of the same size to the root: start, report, plan
    /// and pixels.
    private static func reductionSeconds(nodes: Int) -> Double {
        var experiment = ReductionExperiment(
            .trees, nodes: nodes, latency: Duration(seconds: latencySeconds))
        (experiment.width, experiment.height) = (640, 360)
        return 2 * latencySeconds + experiment.run().rootSeconds
    }

    private static var firstImage: [MeshBenchCase] {
        [2, 4, 8, 16, 32, 64].map { count in
            var scenario = SimulationScenario()
            scenario.speeds = .list(speeds)
            scenario.nodes = count
            scenario.frame = JobDescription(width: 640, height: 360, samplesPerPixel: 256)
            scenario.idealSeconds = passSeconds(nodes: count) * 256
            return MeshBenchCase(
                row: "\(count)", column: "first image", policy: .stealing, originators: count,
                scenario: scenario, adapt: office)
        }
    }
}

/// One cell of a table: a family of runs.
struct MeshBenchCase: Sendable {
    var row: String
    var column: String
    var policy: WorkPolicy
    /// The originator is one of the first so many nodes, by the seed.
    var originators: Int
    var scenario: SimulationScenario
    /// Sets network and scene.
    var adapt: @Sendable (SimulationScenario) -> SimulationConfiguration

    func configuration(seed: UInt64) -> SimulationConfiguration {
        var scenario = scenario
        scenario.originator = Int(seed % UInt64(originators))
        var run = adapt(scenario)
        run.seed = seed
        run.policy = policy
        return run
    }
}

/// The medians of a cell's runs, and the worst balance; nil where no run came so far.
struct MeshBenchCell: Encodable {
    var row: String
    var column: String
    var policy: String
    var runs: Int
    var violations: Int
    var makespanOverIdeal: Double?
    var worstMakespanOverIdeal: Double?
    var makespanSeconds: Double?
    var firstImageSeconds: Double?
    var detectionSeconds: Double?
    var rendersPerUnit: Double?
    /// Sent by a node while the frame is rendered, the mean of all, and before it.
    var gossipBytesPerSecond: Double?
    var gossipBytesPerSecondIdle: Double?
    var idleSeconds: IdleSeconds
    var steps: Double?
    /// Of all runs, on this machine.
    var wallSeconds: Double

    init(_ one: MeshBenchCase, _ reports: [SimulationReport], wallSeconds: Double) {
        func median(_ value: (SimulationReport) -> Double?) -> Double? {
            let known = reports.compactMap(value).sorted()
            return known.isEmpty ? nil : known[known.count / 2]
        }
        row = one.row
        column = one.column
        policy = one.policy.rawValue
        runs = reports.count
        violations = reports.reduce(0) { $0 + $1.violations.count }
        makespanOverIdeal = median(\.makespanOverIdeal)
        worstMakespanOverIdeal = reports.compactMap(\.makespanOverIdeal).max()
        makespanSeconds = median { $0.frames.first?.makespanSeconds }
        firstImageSeconds = median(\.firstImageSeconds)
        detectionSeconds = reports.compactMap(\.detectionSeconds).max()
        rendersPerUnit = median(\.rendersPerUnit)
        gossipBytesPerSecond = median(\.gossip.rendering)
        gossipBytesPerSecondIdle = median(\.gossip.idle)
        idleSeconds = IdleSeconds(reports)
        steps = median { Double($0.steps) }
        self.wallSeconds = wallSeconds
    }

    /// `1.004 (1.006)`: the median and the worst.
    var makespanText: String {
        guard let makespanOverIdeal, let worstMakespanOverIdeal else { return "-" }
        return String(format: "%.3f (%.3f)", makespanOverIdeal, worstMakespanOverIdeal)
    }
}

/// The seconds in which a node's devices had nothing to do, the mean of all: before the first unit,
/// while looking for more, and after the last one.
struct IdleSeconds: Encodable {
    var before = 0.0
    var between = 0.0
    var after = 0.0

    init(_ reports: [SimulationReport]) {
        let nodes = reports.flatMap(\.perNode)
        guard !nodes.isEmpty else { return }
        for node in nodes {
            before += node.idleBeforeSeconds
            after += node.idleAfterSeconds
            between += max(
                node.idleSeconds - node.idleBeforeSeconds - node.idleAfterSeconds, 0)
        }
        before /= Double(nodes.count)
        between /= Double(nodes.count)
        after /= Double(nodes.count)
    }
}
