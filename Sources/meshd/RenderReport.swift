// What the user sees of a frame: how far it is, the pictures that refine, the figures.

import ArgumentParser
import Foundation
import MeshRuntime
import Tracer

/// Follows a frame to its end.
struct RenderReport {
    private let output: OutputOptions
    private let settings: FrameSettings
    private let scene: String
    private let isFetched: Bool
    private let writer: PictureWriter
    private var pictures: Task<Void, Never>?
    private var lines = ProgressLines()
    private var frame: String?
    /// The share of the frame in the last picture that was begun to be written.
    private var shareWritten: Double?

    /// - Parameter isFetched: others rendered the frame; its times are those of the fetching.
    init(
        output: OutputOptions, scene: String, settings: FrameSettings, isFetched: Bool = false
    ) {
        self.isFetched = isFetched
        self.output = output
        self.scene = scene
        self.settings = settings
        writer = PictureWriter(view: ViewTransform(exposure: output.exposure))
    }

    /// Shows a frame to its end, or to the user's, and writes what is to be written.
    /// - Throws: an exit code, after saying why.
    consuming func run(_ rendering: Rendering, _ interruption: Interruption) async throws {
        let watcher = Task {
            await interruption.wait()
            await rendering.cancel()
        }
        let result: (film: Film, statistics: RenderStatistics)
        do {
            result = try await follow(rendering.updates)
        } catch {
            await rendering.end()
            throw error
        }
        watcher.cancel()
        await rendering.end()
        try finish(result.film, result.statistics)
        if !result.statistics.complete { throw Outcome.interrupted.exitCode }
    }

    /// Shows progress and writes pictures until the frame ends.
    private mutating func follow(
        _ updates: AsyncStream<RenderUpdate>
    ) async throws -> (film: Film, statistics: RenderStatistics) {
        if !output.quiet, !Terminal.isInteractive {
            Terminal.note(
                "\(scene), \(settings.width)x\(settings.height), "
                    + (settings.noiseTarget == nil ? "" : "up to ")
                    + "\(settings.samplesPerPixel) samples per pixel"
                    + (settings.noiseTarget.map { ", to noise \($0)" } ?? ""))
        }
        for await update in updates {
            switch update {
            case .accepted(let name):
                frame = name
                if !output.quiet, !Terminal.isInteractive { Terminal.note("frame \(name)") }
            case .notice(let line): if !output.quiet { Terminal.note(line) }
            case .progress(let progress): if !output.quiet { lines.show(progress) }
            case .picture(let film): await write(film)
            case .finished(let film, let statistics):
                await pictures?.value
                Terminal.endRenewing()
                return (film, statistics)
            case .failed(let reason):
                await pictures?.value
                throw failed(reason)
            }
        }
        await pictures?.value
        throw failed("the frame ended without a word")
    }

    /// Says why the frame ended, what there is of it, and how to get the rest.
    private func failed(_ reason: String) -> ExitCode {
        Terminal.error(reason)
        if let shareWritten {
            Terminal.note(
                "\(output.pictures.joined(separator: ", ")): the picture at "
                    + percentText(shareWritten))
        }
        if let frame {
            Terminal.note(
                "if other nodes render this frame they finish it and keep it ten minutes: "
                    + "'meshd fetch \(frame) -o FILE' on any of them")
        }
        return Outcome.failed.exitCode
    }

    /// Writes the final pictures and figures: whatever can be written is.
    private func finish(_ film: Film, _ statistics: RenderStatistics) throws {
        let image = FilmImage(film)
        var failures = 0
        func attempt(_ body: () throws -> Void) {
            do {
                try body()
            } catch {
                failures += 1
                Terminal.error("\(error)")
            }
        }
        for path in output.pictures {
            attempt { try writer.write(image, to: path, metadata: attributes(statistics)) }
        }
        if let path = output.stats {
            attempt { try PictureWriter.write(text: jsonText(statistics) + "\n", to: path) }
        }
        if !statistics.complete {
            Terminal.note(
                "interrupted: the picture is "
                    + (settings.noiseTarget == nil ? "" : "at least ")
                    + "\(percentText(share(of: film))) complete "
                    + "(\(output.pictures.joined(separator: ", ")))")
        } else if !output.quiet {
            summarise(film, statistics)
        }
        guard failures == 0 else { throw Outcome.unwritableOutput.exitCode }
        if statistics.complete, !output.quiet {
            Terminal.note("wrote \(output.pictures.joined(separator: ", "))")
        }
    }

    private func share(of film: Film) -> Double {
        Double(film.sampleCount) / Double(max(1, film.sampleCountMax))
    }

    private func attributes(_ statistics: RenderStatistics) -> [PictureAttribute] {
        var attributes = [
            PictureAttribute("software", .string("meshd \(MeshProtocol.programVersion)")),
            PictureAttribute("meshd/scene", .string(scene)),
            PictureAttribute("meshd/samplesPerPixel", .int(settings.samplesPerPixel)),
            PictureAttribute("meshd/complete", .string(statistics.complete ? "yes" : "no")),
            PictureAttribute("meshd/seconds", .double(statistics.wallSeconds)),
            PictureAttribute("meshd/filmHash", .string(statistics.filmHash)),
        ]
        if let noiseTarget = settings.noiseTarget {
            attributes.append(PictureAttribute("meshd/noiseTarget", .double(Double(noiseTarget))))
        }
        if let mean = statistics.meanSamplesPerPixel {
            attributes.append(PictureAttribute("meshd/meanSamplesPerPixel", .double(mean)))
        }
        // The node that gives a frame may have rendered nothing of it; PNG knows no empty texts.
        if !statistics.nodes.isEmpty {
            let shares = statistics.nodes.map { "\($0.name)=\($0.samples)" }
            attributes.append(
                PictureAttribute("meshd/nodes", .string(shares.joined(separator: ","))))
        }
        return attributes
    }

    private func summarise(_ film: Film, _ statistics: RenderStatistics) {
        let total = Double(max(1, statistics.nodes.reduce(0) { $0 + $1.samples }))
        let rate = Double(film.sampleCount) / max(1e-3, statistics.wallSeconds)
        let end = String(format: "%.1f s", statistics.wallSeconds)
        Terminal.note(
            (Terminal.isInteractive ? "" : "100.0 %  ")
                + (isFetched
                    ? "fetched in \(end)" : "done in \(end), \(samplesText(rate)) samples/s"))
        if statistics.nodes.count > 1 {
            let rows = statistics.nodes.map { node in
                [
                    "  " + node.name,
                    String(format: "%5.1f %%", 100 * Double(node.samples) / total),
                    samplesText(node.samplesPerSecond) + " samples/s",
                    "\(node.units) units",
                ]
            }
            Terminal.note(table(rows))
        }
        if let mean = statistics.meanSamplesPerPixel {
            Terminal.note(
                String(format: "%.1f samples per pixel on average, ", mean)
                    + "at most \(statistics.samplesPerPixel)")
        }
        if let checked = statistics.unitsVerified, let unchecked = statistics.unitsUnverified,
            checked + unchecked > 0
        {
            let wrong = statistics.quarantined ?? []
            Terminal.note(
                "\(checked) units verified"
                    + (unchecked > 0 ? ", \(unchecked) that no other node could check" : "")
                    + (wrong.isEmpty
                        ? "" : "; kept out: \(wrong.joined(separator: ", "))"))
        }
        if statistics.nonFiniteSamples > 0 {
            Terminal.note(
                "\(statistics.nonFiniteSamples) samples were not finite and count as zero")
        }
    }

    /// Writes the picture so far beside the rendering; one that is still being written is not
    /// overtaken.
    private mutating func write(_ film: Film) async {
        await pictures?.value
        let share = share(of: film)
        shareWritten = share
        let isTold = !output.quiet && !Terminal.isInteractive
        let (paths, writer) = (output.pictures, writer)
        pictures = Task.detached(priority: .utility) {
            let image = FilmImage(film)
            for path in paths {
                do {
                    try writer.write(image, to: path)
                    if isTold { Terminal.note("wrote \(path) at \(percentText(share))") }
                } catch {
                    Terminal.error("\(error)")
                }
            }
        }
    }
}
