// `meshd bench`: the tracer's speed on a scene, in figures that compare between machines.

import ArgumentParser
import Foundation
import MeshRuntime
import Tracer

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
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

    func run() async throws {
        throw failure(.failed, "not yet")
    }
}
