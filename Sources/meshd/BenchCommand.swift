// `meshd bench`: the tracer's speed on a scene, in figures that compare between machines.

import ArgumentParser
import Foundation
import MeshCore
import MeshRuntime
import Tracer

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the tracer on a scene, the mesh in virtual time, or its network.",
        subcommands: [TracerBenchCommand.self, MeshBenchCommand.self, NetBenchCommand.self],
        defaultSubcommand: TracerBenchCommand.self)
}

struct TracerBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tracer",
        abstract: "Measure the tracer on a scene.",
        discussion: "Samples per CPU-second compare between runs on a busy machine; the image's "
            + "mean says whether two renderers rendered the same.")

    @Argument(help: "A .gltf or .glb file.") var scene: String
    @Option(help: ArgumentHelp("Pixels.", valueName: "WxH"))
    var size = PictureSize(width: 512, height: 512)
    @Option(help: "Samples for each pixel.") var spp = 16
    @Option(help: "Longest path: 1 is emitted light only, 2 adds direct light.") var maxDepth = 8
    @Option(help: ArgumentHelp("Light from infinity.", valueName: "file")) var env: String?
    @Option(help: "Render threads. (default: one for each processor core)") var threads: Int?
    @Flag(help: "Print JSON.") var json = false

    @Option(help: "Runs; the median is printed.") var runs = 3

    func validate() throws {
        guard TileGrid(width: size.width, height: size.height) != nil,
            (1...WorkSpace.samplesPerPixelMax).contains(spp), (1...1_024).contains(maxDepth),
            (1...1_024).contains(threads ?? 1), (1...100).contains(runs)
        else { throw ValidationError("a number is out of its bounds; see 'meshd help bench'") }
    }

    func run() async throws {
        let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        let settings = FrameSettings(
            width: size.width, height: size.height, samplesPerPixel: spp, maxDepth: maxDepth)
        let prepared: PreparedJob
        do throws(SceneError) {
            let files = try SubmittedFiles(scene: scene, environment: env)
            let job = try ScenePreparation.describe(
                files, settings: settings
            ) { (_, _) throws(SceneError) in }
            prepared = try ScenePreparation.prepare(job, from: files, buildThreads: threads)
        } catch {
            throw unreadable(scene: scene, environment: env, error)
        }
        let benchmark = TracerBenchmark(scene: prepared.scene, threads: threads)
        let results = (0..<runs).compactMap { _ in benchmark.run(samplesPerPixel: spp) }
            .sorted { $0.megasamplesPerCPUSecond < $1.megasamplesPerCPUSecond }
        guard !results.isEmpty else { throw failure(.failed, "nothing was rendered") }
        let report = BenchReport(results[results.count / 2])
        if json { return Terminal.out(try jsonText(report)) }
        Terminal.out(
            String(
                format: """
                    samples          %@ on %d threads
                    Msamples/CPU-s   %.3f
                    Msamples/s       %.3f
                    Mrays/s          %.2f
                    mean             %.4f %.4f %.4f
                    """, samplesText(Double(report.samples)), report.threads,
                report.megasamplesPerCPUSecond, report.megasamplesPerSecond,
                report.raysPerSecond * 1e-6, report.mean[0], report.mean[1], report.mean[2]))
    }
}

/// One benchmark run, as `--json` prints it.
private struct BenchReport: Encodable {
    var threads: Int
    var samples: Int
    var wallSeconds: Double
    var cpuSeconds: Double
    var megasamplesPerCPUSecond: Double
    var megasamplesPerSecond: Double
    var raysPerSecond: Double
    var mean: [Double]

    init(_ result: TracerBenchmark.Result) {
        threads = result.threads
        samples = result.samples
        wallSeconds = result.wallSeconds
        cpuSeconds = result.cpuSeconds
        megasamplesPerCPUSecond = result.megasamplesPerCPUSecond
        megasamplesPerSecond = result.megasamplesPerSecond
        raysPerSecond = result.raysPerSecond
        mean = [result.mean.x, result.mean.y, result.mean.z]
    }
}
