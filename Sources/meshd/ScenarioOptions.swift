// What is simulated: the options that `meshd sim` and `meshd bench mesh` share.

import ArgumentParser
import Foundation
import MeshNode
import MeshSimulator

struct ScenarioOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Nodes. (default: 8 to 16, by the seed)", valueName: "number"))
    var nodes: Int?
    @Option(
        help: ArgumentHelp(
            """
            Relative speeds: a list (1,1,2,4; repeated as needed), equal, uniform:LOW..HIGH, \
            lognormal:SIGMA or powers:COUNT. (default: powers:5)
            """, valueName: "list"))
    var speeds: SpeedOption?
    @Option(help: ArgumentHelp("none, mild, wild, or a file.", valueName: "level"))
    var faults = "none"
    @Option(
        help: ArgumentHelp(
            "Pixels and samples for each. (default: 256x192, 16 to 64 samples)",
            valueName: "WxHxSPP"))
    var frame: FrameSize?
    @Flag(help: "Spare tiles of the frame, by chance, the samples after 16, 32, 48, 64, 96, …")
    var adaptive = false
    @Option(help: ArgumentHelp("What all nodes need for the frame at best.", valueName: "seconds"))
    var ideal = 8.0
    @Option(help: ArgumentHelp("The node that submits it. (default: any)", valueName: "index"))
    var originator: Int?
    @Option(
        help: ArgumentHelp(
            "Sigma of the lognormal cost of tiles. (default: 0.5)", valueName: "number"))
    var costSigma: Double?
    @Option(
        help: ArgumentHelp(
            """
            The cost of tiles: lognormal:SIGMA, pareto:ALPHA, or field:SIGMA:LENGTH, which is \
            smooth over the image. (default: by the seed under wild faults)
            """, valueName: "name"))
    var costDistribution: CostOption?
    @Option(help: ArgumentHelp("Of the network, one way, without jitter.", valueName: "ms"))
    var latency: Double?
    @Option(
        help: ArgumentHelp(
            """
            Of the nodes' links, each way: a number or list in Mbit/s, uniform:LOW..HIGH, or \
            lognormal:SIGMA or powers:COUNT times 936.
            """, valueName: "Mbit/s"))
    var bandwidth: SpeedOption?
    @Option(
        help: ArgumentHelp(
            "What each node fetches of the scene. (default: 1 MB)", valueName: "bytes"))
    var sceneBytes: Int?
    @Option(help: ArgumentHelp("What each node needs to build it, mean.", valueName: "seconds"))
    var sceneSeconds = 0.15
    @Option(
        help: ArgumentHelp(
            "A run fails when a frame is not done this long after the last fault.",
            valueName: "seconds"))
    var patience = 120.0
    @Flag(help: "All nodes know each other from the start, and need not meet first.")
    var joined = false

    func validate() throws {
        guard (1...16_384).contains(nodes ?? 1), (0.1...100_000).contains(ideal),
            (0...4).contains(costSigma ?? 0), (0...10_000).contains(latency ?? 0),
            (0...1 << 40).contains(sceneBytes ?? 0),
            (0...1e6).contains(patience), (0...1e6).contains(sceneSeconds),
            (0...1 << 20).contains(originator ?? 0)
        else { throw ValidationError("a number is out of its bounds; see 'man meshd'") }
        guard costSigma == nil || costDistribution == nil else {
            throw ValidationError("give '--cost-sigma' or '--cost-distribution', not both")
        }
    }

    /// The file that `--faults` names; nil for a level.
    /// - Throws: an exit code, after saying why it cannot be read.
    func readFaultFile() throws -> ScheduleFile? {
        guard SimulationScenario.FaultLevel(rawValue: faults) == nil else { return nil }
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: faults))
            return try JSONDecoder().decode(ScheduleFile.self, from: data)
        } catch let error as DecodingError {
            throw failure(.badUsage, "\(faults) is no fault file: \(error.summary)")
        } catch {
            throw failure(
                .badUsage,
                "'\(faults)' is neither none, mild or wild nor a file that can be read")
        }
    }

    /// The runs asked for.
    func scenario(file: ScheduleFile?) throws -> SimulationScenario {
        var scenario = SimulationScenario()
        scenario.nodes = nodes
        scenario.speeds = speeds?.distribution
        scenario.frame = frame?.job
        scenario.isAdaptive = adaptive
        scenario.idealSeconds = ideal
        scenario.originator = originator
        scenario.startsJoined = joined
        scenario.costs =
            costDistribution?.distribution ?? costSigma.map { .lognormal(sigma: $0) }
        scenario.bandwidth = bandwidth?.distribution
        scenario.faultLevel = SimulationScenario.FaultLevel(rawValue: faults) ?? .none
        return scenario
    }
}

/// Makes the configuration of each seed.
struct SimPlan: Sendable {
    let scenario: SimulationScenario
    let file: ScheduleFile?
    let latency: Double?
    let sceneBytes: Int?
    let sceneSeconds: Double
    let patience: Double
    var policy = WorkPolicy.stealing

    init(scenario: SimulationScenario, file: ScheduleFile?, options: ScenarioOptions) {
        self.scenario = scenario
        self.file = file
        latency = options.latency
        sceneBytes = options.sceneBytes
        sceneSeconds = options.sceneSeconds
        patience = options.patience
    }

    func configuration(seed: UInt64) throws(ScheduleFile.Malformed) -> SimulationConfiguration {
        var result = scenario.configuration(seed: seed)
        if let latency {
            result.network.latency = .seconds(latency / 1_000)
            result.network.jitter = .zero
        }
        if let sceneBytes { result.sceneBytes = sceneBytes }
        result.scenePreparation = .seconds(sceneSeconds)
        result.patience = .seconds(patience)
        result.policy = policy
        try file?.apply(to: &result)
        return result
    }

    /// The configuration of a seed, once that of another was found good: a file says the same for
    /// all of them, but for the number of nodes, which then is its own matter.
    func run(seed: UInt64) -> SimulationConfiguration {
        (try? configuration(seed: seed)) ?? scenario.configuration(seed: seed)
    }
}

/// `1920x1080x64`: pixels and samples for each.
struct FrameSize: ExpressibleByArgument {
    let job: JobDescription

    init?(argument: String) {
        let parts = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard parts.count == 3, numbers.count == 3 else { return nil }
        let job = JobDescription(
            width: numbers[0], height: numbers[1], samplesPerPixel: numbers[2])
        guard job.isValid else { return nil }
        self.job = job
    }
}

/// How the costs of tiles differ.
struct CostOption: ExpressibleByArgument {
    let distribution: CostDistribution

    init?(argument: String) {
        guard let distribution = CostDistribution(argument) else { return nil }
        self.distribution = distribution
    }
}

/// Relative speeds of nodes.
struct SpeedOption: ExpressibleByArgument {
    let distribution: SpeedDistribution

    init?(argument: String) {
        guard let distribution = SpeedDistribution(argument) else { return nil }
        self.distribution = distribution
    }
}

extension DecodingError {
    /// Where and what, in a line.
    fileprivate var summary: String {
        switch self {
        case .keyNotFound(let key, let context):
            "'\(key.stringValue)' is missing\(Self.place(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context),
            .dataCorrupted(let context):
            context.debugDescription + Self.place(context)
        @unknown default: "\(self)"
        }
    }

    private static func place(_ context: Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
        return path.isEmpty ? "" : " at \(path.joined(separator: "."))"
    }
}
