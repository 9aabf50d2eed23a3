// `meshd render`: one frame, on the mesh or on this machine alone, to picture files.

import ArgumentParser
import Foundation
import MeshCore
import MeshNode
import MeshRuntime
import Tracer

struct RenderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render",
        abstract: "Render a glTF scene to pictures.",
        discussion: """
            The frame is handed to the daemon of this machine if one runs; otherwise this command \
            is a node of the mesh for the time of the frame. The pictures refine while it renders.

            \(Outcome.help)
            """)

    @Argument(help: "A .gltf or .glb file.") var scene: String

    @OptionGroup var output: OutputOptions

    @Option(help: ArgumentHelp("Pixels.", valueName: "WxH"))
    var size = PictureSize(width: 1_280, height: 720)

    @Option(
        help: """
            Samples for each pixel, with --noise-target the most. (default: 64; with \
            --noise-target 1024)
            """)
    var spp: Int?
    @Option(
        help: ArgumentHelp(
            """
            Sample adaptively: a tile gets no more samples when its estimated error, for a \
            luminance of 1, is at most this. 0.01 is clean, 0.05 a preview.
            """, valueName: "error"))
    var noiseTarget: Float?
    @Option(help: "The camera's name. (default: the file's first)") var camera: String?
    @Option(
        help: ArgumentHelp("Light from infinity, .hdr or .exr, equirectangular.", valueName: "file")
    )
    var env: String?
    @Option(help: "Scrambles the samples.") var seed: UInt32 = 0
    @Option(help: "Longest path: 1 is emitted light only, 2 adds direct light.") var maxDepth = 8
    @Flag(help: "Render on this machine alone, without a mesh.") var local = false
    @Option(
        help: ArgumentHelp(
            "Render this part of the frame twice, on different nodes, and compare.",
            valueName: "percent"))
    var verify: Percentage?
    @Option(
        help: ArgumentHelp(
            "This frame's share of each node beside other frames: 1 to 100. (default: 10)",
            valueName: "n"))
    var priority: Int?
    @Option(help: "Render threads, without a daemon. (default: one for each processor core)")
    var threads: Int?
    @Option(
        name: .customLong("peer"),
        help: ArgumentHelp(
            "A node to ask for the others, without a daemon.", valueName: "host:port"))
    var peers: [String] = []
    @Flag(name: .customLong("no-mdns"), help: "Don't look for nodes by mDNS, without a daemon.")
    var withoutDiscovery = false
    @Option(
        help: ArgumentHelp(
            "The folder whose files the scene may name. (default: the scene's own)",
            valueName: "dir"))
    var root: String?
    @OptionGroup var limitOptions: LimitOptions
    @OptionGroup var stateOptions: StateOptions

    /// Of each pixel, the most if the frame is adaptive.
    private var samples: Int { spp ?? (noiseTarget == nil ? 64 : 1_024) }

    func validate() throws {
        guard TileGrid(width: size.width, height: size.height) != nil else {
            throw ValidationError(
                "--size is between 1x1 and \(TileGrid.sideMax) pixels a side, "
                    + "\(TileGrid.pixelsMax >> 20) Mi pixels in all")
        }
        guard (1...WorkSpace.samplesPerPixelMax).contains(samples) else {
            throw ValidationError("--spp is between 1 and \(WorkSpace.samplesPerPixelMax)")
        }
        if let noiseTarget, !(noiseTarget > 0 && noiseTarget <= FrameSettings.noiseTargetMax) {
            throw ValidationError("--noise-target is above 0 and at most 1")
        }
        guard (1...1_024).contains(maxDepth) else {
            throw ValidationError("--max-depth is between 1 and 1024")
        }
        if let priority, !(1...JobDescription.priorityMax).contains(priority) {
            throw ValidationError("--priority is between 1 and \(JobDescription.priorityMax)")
        }
        if let threads, !(1...1_024).contains(threads) {
            throw ValidationError("--threads is between 1 and 1024")
        }
    }

    func run() async throws {
        let requested = EventLoop.now
        let interruption = Interruption()
        try output.checkWritable()
        let settings = FrameSettings(
            width: size.width, height: size.height, samplesPerPixel: samples,
            maxDepth: maxDepth, seed: seed, cameraName: camera, noiseTarget: noiseTarget)
        let request = RenderRequest(
            scene: scene, environment: env, root: root, settings: settings,
            verifiedShare: verify?.share, priority: priority, limits: limitOptions.limits,
            threads: threads ?? ProcessInfo.processInfo.activeProcessorCount,
            requested: requested,
            nodeOptions: (threads == nil ? [] : ["--threads"])
                + (peers.isEmpty ? [] : ["--peer"]) + (withoutDiscovery ? ["--no-mdns"] : [])
                + limitOptions.given)
        let rendering: Rendering
        if local {
            if verify != nil, !output.quiet {
                Terminal.note("one machine alone verifies nothing: --verify without effect")
            }
            if priority != nil, !output.quiet {
                Terminal.note("nothing else is rendered by --local: --priority without effect")
            }
            rendering = try await request.renderLocally()
        } else {
            rendering = try await request.renderOnMesh(
                state: stateOptions.state, peers: try await resolve(peers),
                usesDiscovery: !withoutDiscovery, isQuiet: output.quiet)
        }
        let report = RenderReport(output: output, scene: scene, settings: settings)
        try await report.run(rendering, interruption)
    }
}
