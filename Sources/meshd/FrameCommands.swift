// `meshd frames` and `meshd fetch`: what the mesh renders or keeps, and getting it, whoever asked
// for it. So a frame is not lost with the machine that it was asked for on.

import ArgumentParser
import Foundation
import MeshRuntime
import Tracer

struct FramesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frames", abstract: "List the frames that the mesh renders or keeps.",
        discussion: """
            A complete frame whose originator is gone is kept for ten minutes; 'meshd fetch' \
            writes its picture.
            """)
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        let frames = try await stateOptions.ask { try await $0.frames() }
        if json { return Terminal.out(try jsonText(frames)) }
        guard !frames.isEmpty else { return Terminal.note("the mesh renders no frame") }
        var rows = [["FRAME", "SCENE", "SIZE", "SPP", "STATE", "HERE", "ASKED ON", "COMPLETE AT"]]
        for frame in frames {
            rows.append([
                frame.id, frame.scene ?? "-",
                frame.width.map { "\($0)x\(frame.height ?? 0)" } ?? "-",
                frame.samplesPerPixel.map { (frame.isAdaptive == true ? "≤" : "") + "\($0)" }
                    ?? "-",
                frame.completeAt.isEmpty ? "renders" : "complete",
                percentText(frame.committed),
                frame.originator + (frame.originatorPresent ? "" : " (gone)"),
                frame.completeAt.isEmpty ? "-" : frame.completeAt.joined(separator: ", "),
            ])
        }
        Terminal.out(table(rows))
    }
}

struct FetchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch", abstract: "Write the picture of a frame of the mesh.",
        discussion: """
            Waits until the frame is complete, and shows how far it is. Whoever asked for the \
            frame is not disturbed; when that machine is gone, this is how its result is had. \
            Ctrl-C ends the waiting with the picture so far, and leaves the frame alone.

            \(Outcome.help)
            """)

    @Argument(help: "The frame's id, or how it begins, as 'meshd frames' lists it.")
    var frame: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        let interruption = Interruption()
        try output.checkWritable()
        let client = try await stateOptions.connect()
        let (job, updates): (FrameJob, AsyncStream<RenderUpdate>)
        do {
            (job, updates) = try await client.fetch(frame)
        } catch {
            throw failure(.failed, "\(error)")
        }
        let rendering = Rendering(
            updates: updates, cancel: { await client.cancel() }, end: { await client.close() })
        let report = RenderReport(
            output: output, scene: job.main, settings: job.settings, isFetched: true)
        try await report.run(rendering, interruption)
    }
}
