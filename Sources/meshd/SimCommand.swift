// `meshd sim`: meshes in virtual time, from a seed, with faults; the protocol's promises checked
// after every step.

import ArgumentParser
import Foundation
import MeshNode
import MeshSimulator

struct SimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sim",
        abstract: "Run a mesh in virtual time, with faults, and check its promises.",
        discussion: """
            The nodes are those of 'meshd up', without sockets and pixels: a number for each unit \
            stands for its samples. A seed decides all chance, so a run can be replayed. Films are \
            checked after every step; a run that breaks a promise is said so with the command that \
            replays it, made smaller, and written as a file for --faults. \
            docs/SIMULATOR.md describes what is simulated, and the file.

            Exit codes: 0 all promises held, 1 one was broken, 64 bad usage, 73 a file cannot be \
            written.
            """)

    @OptionGroup var scenario: ScenarioOptions

    @Option(help: ArgumentHelp("All chance of the run. (default: 1)", valueName: "number"))
    var seed: UInt64?
    @Option(help: ArgumentHelp("Many runs, on all cores: 1..1000.", valueName: "A..B"))
    var seeds: SeedRange?
    @Option(
        help: ArgumentHelp(
            """
            Who gets which work: stealing (meshd), or for comparison static-count, static-speed, \
            tile-queue, batch-queue or random-half.
            """, valueName: "name"))
    var policy = PolicyOption(.stealing)
    @Flag(help: "Print a JSON object for each run, one a line.") var json = false
    @Option(help: ArgumentHelp("Write a Chrome trace, for Perfetto.", valueName: "file"))
    var timeline: String?
    @Option(
        help: ArgumentHelp("Where runs that break a promise are written.", valueName: "dir"))
    var keep = "."
    @Flag(inversion: .prefixedNo, help: "Make runs that break a promise smaller.")
    var minimise = true
    @Flag(help: "Print what happens, for one run.") var trace = false

    func validate() throws {
        guard seed == nil || seeds == nil else {
            throw ValidationError("give '--seed' or '--seeds', not both")
        }
        guard !scenario.adaptive || policy.policy == .stealing else {
            throw ValidationError("'--adaptive' needs '--policy stealing'")
        }
        guard seeds == nil || (timeline == nil && !trace) else {
            throw ValidationError("'--timeline' and '--trace' show one run: give '--seed'")
        }
    }

    func run() async throws {
        let file = try scenario.readFaultFile()
        let wanted: ClosedRange<UInt64>
        if let seeds {
            wanted = seeds.range
        } else {
            let one = seed ?? file?.seed ?? 1
            wanted = one...one
        }
        var plan = SimPlan(
            scenario: try scenario.scenario(file: file), file: file, options: scenario)
        plan.policy = policy.policy
        // A file that does not fit the nodes is found before anything runs.
        do throws(ScheduleFile.Malformed) {
            _ = try plan.configuration(seed: wanted.lowerBound)
        } catch {
            throw failure(.badUsage, "cannot use \(scenario.faults): \(error)")
        }
        if timeline != nil || trace { return try runOnce(plan, seed: wanted.lowerBound) }
        var reports: [SimulationReport] = []
        let isAlone = wanted.count == 1
        await forEachSeed(wanted) { [plan] seed in
            var simulation = Simulation(plan.run(seed: seed))
            return simulation.run()
        } then: { report in
            reports.append(report)
            show(report, plan)
        }
        if !json { Terminal.out(SimSummary(reports).text) }
        let broken = reports.count { !$0.isGood }
        if broken > 0, !isAlone {
            Terminal.error("\(broken) of \(reports.count) runs broke a promise")
        }
        if broken > 0 { throw Outcome.brokenPromise.exitCode }
    }

    /// One run that is looked at closely.
    private func runOnce(_ plan: SimPlan, seed: UInt64) throws {
        var configuration = plan.run(seed: seed)
        configuration.recordsTimeline = timeline != nil
        var simulation = Simulation(configuration)
        if trace { simulation.log = { Terminal.note($0) } }
        let report = simulation.run()
        show(report, plan)
        if let timeline, let recorded = simulation.timeline {
            do {
                try recorded.chromeTrace().write(
                    toFile: timeline, atomically: true, encoding: .utf8)
            } catch {
                throw failure(
                    .unwritableOutput, "cannot write \(timeline): \(error.localizedDescription)")
            }
        }
        if !json { Terminal.out(SimSummary([report]).text) }
        if !report.isGood { throw Outcome.brokenPromise.exitCode }
    }

    /// Prints what a run came to, and what it broke.
    private func show(_ report: SimulationReport, _ plan: SimPlan) {
        if json { printJSONLine(SimRun(report)) }
        guard let first = report.violations.first else { return }
        Terminal.error("seed \(report.seed) breaks a promise at \(first)")
        Terminal.note("  replay: \(replayCommand(seed: report.seed))")
        if minimise { writeMinimised(plan.run(seed: report.seed), breaking: first.kind) }
    }

    /// The command line of this run alone.
    private func replayCommand(seed: UInt64) -> String {
        var words: [String] = []
        var skips = false
        for word in CommandLine.arguments.dropFirst() {
            defer { skips = ["--seed", "--seeds"].contains(word) }
            let isSeed = word.hasPrefix("--seed=") || word.hasPrefix("--seeds=")
            if skips || isSeed || ["--seed", "--seeds", "--json"].contains(word) { continue }
            let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:,=".contains($0) }
            words.append(isPlain ? word : "'\(word.replacing("'", with: "'\\''"))'")
        }
        return (["meshd"] + words + ["--seed", "\(seed)"]).joined(separator: " ")
    }

    private func writeMinimised(_ run: SimulationConfiguration, breaking kind: Violation.Kind) {
        let smaller = Minimiser.minimise(run, kind: kind)
        let found = smaller.configuration
        var file = ScheduleFile(found)
        file.comment = "\(kind.rawValue), made smaller from: \(replayCommand(seed: run.seed))"
        let path = URL(fileURLWithPath: keep)
            .appendingPathComponent("sim-\(kind.rawValue)-\(run.seed).json").path
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(file).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            return Terminal.error("cannot write \(path): \(error.localizedDescription)")
        }
        Terminal.note(
            "  smaller: \(found.nodes.count) of \(run.nodes.count) nodes, "
                + "\(found.faults.count) of \(run.faults.count) faults, by \(smaller.runs) runs")
        Terminal.note("  replay: meshd sim --faults \(path)")
    }
}

/// `1..1000`.
struct SeedRange: ExpressibleByArgument {
    let range: ClosedRange<UInt64>

    init(_ range: ClosedRange<UInt64>) { self.range = range }

    var defaultValueDescription: String { "\(range.lowerBound)..\(range.upperBound)" }

    init?(argument: String) {
        guard let dots = argument.firstRange(of: ".."),
            let first = UInt64(argument[..<dots.lowerBound]),
            let last = UInt64(argument[dots.upperBound...]), first <= last,
            last - first < 10_000_000
        else { return nil }
        range = first...last
    }
}

/// Runs a body for each seed on all cores, and hands the results out in the order of the seeds.
func forEachSeed<Result: Sendable>(
    _ seeds: ClosedRange<UInt64>, run: @escaping @Sendable (UInt64) -> Result,
    then take: (Result) -> Void
) async {
    let width = max(1, ProcessInfo.processInfo.activeProcessorCount)
    await withTaskGroup(of: (UInt64, Result).self) { group in
        var rest = seeds.makeIterator()
        var waiting: [UInt64: Result] = [:]
        var next = seeds.lowerBound
        func add() {
            if let seed = rest.next() { group.addTask { (seed, run(seed)) } }
        }
        for _ in 0..<width { add() }
        for await (seed, result) in group {
            waiting[seed] = result
            add()
            while let ready = waiting.removeValue(forKey: next) {
                take(ready)
                next += 1
            }
        }
    }
}

/// The name of a policy.
struct PolicyOption: ExpressibleByArgument {
    let policy: WorkPolicy

    init(_ policy: WorkPolicy) { self.policy = policy }

    init?(argument: String) {
        guard let policy = WorkPolicy(rawValue: argument) else { return nil }
        self.policy = policy
    }

    var defaultValueDescription: String { policy.rawValue }
}
