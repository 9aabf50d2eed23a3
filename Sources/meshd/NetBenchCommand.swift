// `meshd bench net`: the all-reduce of a noisy film over real sockets, on this machine or on
// several.

import ArgumentParser
import Foundation
import MeshCore
import MeshRuntime
import WorkStealing

struct NetBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "net",
        abstract: "Measure the all-reduce of a film over real sockets.",
        discussion: """
            Every node is a process with a partial film of noise; a round ends when all have the \
            whole sum, right to the bit. Without --listen and --join all nodes are started here. \
            Otherwise start one with --listen, and the others, on any machines, with --join.
            """)

    @Option(help: "Nodes, this one included; 2 to 64.") var nodes = 4
    @Option(help: ArgumentHelp("Pixels.", valueName: "WxH"))
    var size = PictureSize(width: 1_920, height: 1_080)
    @Option(help: "Rounds, 1 to 1000; the median is printed.") var rounds = 7
    @Option(help: "Trees, each for a stripe of the tiles. (default: as many as a node takes)")
    var stripes: Int?
    @Flag(help: "Albedo, normal and depth too, not only beauty and alpha.") var allPlanes = false
    @Option(help: ArgumentHelp("Of each node's link, for the bound.", valueName: "Mbit/s"))
    var rate: Double?
    @Option(help: ArgumentHelp("Lead, and wait for the others here.", valueName: "address:port"))
    var listen: String?
    @Option(help: ArgumentHelp("Take part in the run led there.", valueName: "address:port"))
    var join: String?
    @Flag(help: "Without TLS; for --join what the leader was told.") var plain = false
    @Flag(help: "Measure without TLS too, four times in turn, and compare.") var compare = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if compare, plain || listen != nil || join != nil {
            throw ValidationError("--compare is for a run on this machine, and measures both")
        }
        guard (2...64).contains(nodes), (1...1_000).contains(rounds), (rate ?? 1) > 0,
            (1...TileStripe.countMax).contains(stripes ?? 1),
            TileGrid(width: size.width, height: size.height) != nil
        else { throw ValidationError("a number is out of its bounds; see 'meshd help bench net'") }
        for address in [listen, join].compactMap(\.self) where NodeAddress(address) == nil {
            throw ValidationError("'\(address)' is no numeric ADDRESS:PORT")
        }
    }

    func run() async throws {
        do {
            if let leader = join.flatMap({ NodeAddress($0) }) {
                let any =
                    leader.isIPv6
                    ? NodeAddress("[::]:0") : NodeAddress(0, 0, 0, 0, port: 0)
                guard let any else { return }
                return try await ReductionBenchmark(listen: any, isSealed: !plain).join(leader)
            }
            var settings = ReductionBenchmarkSettings()
            settings.width = size.width
            settings.height = size.height
            settings.nodes = nodes
            settings.rounds = rounds
            settings.stripes = stripes ?? min(FrameConfiguration().stripesMax, nodes - 1)
            settings.hasAllPlanes = allPlanes
            let report = try await compare ? compared(settings) : measured(settings)
            Terminal.out(json ? try jsonText(report) : report.text)
        } catch let error as ExitCode {
            throw error
        } catch {
            throw failure(.failed, "\(error)")
        }
    }

    private func measured(_ settings: ReductionBenchmarkSettings) async throws -> NetBenchReport {
        NetBenchReport(try await measure(settings, isSealed: !plain), settings, rate: rate)
    }

    /// With TLS and without in turn, so that what else the machine does meets both.
    private func compared(_ settings: ReductionBenchmarkSettings) async throws -> NetBenchReport {
        var rounds: [Bool: [ReductionBenchmarkRound]] = [:]
        for turn in 0..<Self.comparisons {
            for isSealed in turn % 2 == 0 ? [true, false] : [false, true] {
                rounds[isSealed, default: []] += try await measure(settings, isSealed: isSealed)
            }
        }
        var report = NetBenchReport(rounds[true, default: []], settings, rate: rate)
        report.compare(with: NetBenchReport(rounds[false, default: []], settings, rate: rate))
        return report
    }

    /// How often it is measured with TLS, and as often without.
    private static let comparisons = 4

    private func measure(
        _ settings: ReductionBenchmarkSettings, isSealed: Bool
    ) async throws -> [ReductionBenchmarkRound] {
        let address = listen.flatMap { NodeAddress($0) } ?? NodeAddress(127, 0, 0, 1, port: 0)
        let benchmark = try await ReductionBenchmark(
            listen: address, settings: settings, isSealed: isSealed)
        if listen == nil { try startMembers(of: benchmark.address, isSealed: isSealed) }
        return try await benchmark.lead()
    }

    /// The other nodes, as processes of this program; they end when this one does.
    private func startMembers(of leader: NodeAddress, isSealed: Bool) throws {
        for _ in 1..<nodes {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/proc/self/exe")
                .resolvingSymlinksInPath()
            process.arguments =
                ["bench", "net", "--join", "\(leader)"] + (isSealed ? [] : ["--plain"])
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }
    }
}

/// The figures of a run: medians over its rounds. A *film* is its pixels' red, green, blue and
/// alpha as Float32.
private struct NetBenchReport: Encodable {
    var nodes: Int
    var width: Int
    var height: Int
    var roundSeconds: [Double]
    var medianSeconds: Double
    var leastSeconds: Double
    var filmBytes: Int
    /// By rank.
    var filmsReceived: [Double]
    var filmsSent: [Double]
    var cpuSeconds: [Double]
    /// All bytes sent, over those that the best algorithm for raw films, the ring, sends.
    var bytesOverRing: Double
    /// How long the busiest direction of any link was taken at least.
    var linkSeconds: Double?
    /// How long the ring takes for raw films at least.
    var ringSeconds: Double?
    /// Of rounds without TLS, where they were measured too.
    var plainMedianSeconds: Double?
    /// The share of their throughput that was reached with TLS.
    var throughputOverPlain: Double?
    /// The processor time of all nodes without TLS over that with it.
    var plainProcessorTimeShare: Double?

    init(
        _ rounds: [ReductionBenchmarkRound], _ settings: ReductionBenchmarkSettings, rate: Double?
    ) {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        func medians(_ value: (ReductionBenchmarkFigures) -> Double) -> [Double] {
            (0..<settings.nodes).map { rank in median(rounds.map { value($0.nodes[rank]) }) }
        }
        nodes = settings.nodes
        width = settings.width
        height = settings.height
        roundSeconds = rounds.map(\.seconds)
        medianSeconds = median(roundSeconds)
        leastSeconds = roundSeconds.min() ?? 0
        let film = Double(settings.width * settings.height * 16)
        filmBytes = Int(film)
        filmsReceived = medians { Double($0.bytesReceived) / film }
        filmsSent = medians { Double($0.bytesSent) / film }
        cpuSeconds = medians(\.cpuSeconds)
        let ring = 2 * Double(nodes - 1) / Double(nodes)
        bytesOverRing = filmsSent.reduce(0, +) / (ring * Double(nodes))
        if let rate {
            // Of an Ethernet frame of 1,514 bytes TCP has 1,448 for its stream.
            let filmSeconds = film * 8 / (rate * 1e6 * 1_448 / 1_514)
            linkSeconds = (filmsReceived + filmsSent).max().map { $0 * filmSeconds }
            ringSeconds = ring * filmSeconds
        }
    }

    mutating func compare(with plain: NetBenchReport) {
        plainMedianSeconds = plain.medianSeconds
        throughputOverPlain = plain.medianSeconds / medianSeconds
        plainProcessorTimeShare = plain.cpuSeconds.reduce(0, +) / cpuSeconds.reduce(0, +)
    }

    var text: String {
        var lines = [
            String(
                format: "time             %.3f s (least %.3f, %d rounds)", medianSeconds,
                leastSeconds, roundSeconds.count),
            String(format: "bytes over ring  %.3f of raw Float32", bytesOverRing),
        ]
        if let linkSeconds, let ringSeconds {
            lines.append(
                String(
                    format: "over the bound   %.2f × the busiest link's %.3f s, "
                        + "%.2f × the raw ring's %.3f s",
                    medianSeconds / linkSeconds, linkSeconds, medianSeconds / ringSeconds,
                    ringSeconds))
        }
        if let plainMedianSeconds, let throughputOverPlain, let plainProcessorTimeShare {
            lines.append(
                String(
                    format: "without TLS      %.3f s: with it %.0f %% of the throughput, "
                        + "%.0f %% by processor time",
                    plainMedianSeconds, throughputOverPlain * 100, plainProcessorTimeShare * 100))
        }
        let rows = (0..<nodes).map { rank in
            [
                "\(rank)", String(format: "%.3f", filmsReceived[rank]),
                String(format: "%.3f", filmsSent[rank]), String(format: "%.3f s", cpuSeconds[rank]),
            ]
        }
        lines.append(table([["NODE", "FILMS IN", "FILMS OUT", "CPU"]] + rows))
        return lines.joined(separator: "\n")
    }
}
