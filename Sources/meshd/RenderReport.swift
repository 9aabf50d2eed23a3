// What the user sees of a frame: the progress line, the pictures that refine, the figures.

import ArgumentParser
import Foundation
import MeshRuntime
import Tracer

/// Follows a frame to its end.
struct RenderReport {
    private let outputs: [String]
    private let settings: FrameSettings
    private let scene: String
    private let isQuiet: Bool
    private let writer: PictureWriter
    private var pictures: Task<Void, Never>?
    private var nextLine = 0.0

    init(
        outputs: [String], exposure: Float, scene: String, settings: FrameSettings, isQuiet: Bool
    ) {
        self.outputs = outputs
        self.scene = scene
        self.settings = settings
        self.isQuiet = isQuiet
        writer = PictureWriter(view: ViewTransform(exposure: exposure))
    }

    /// Shows progress and writes pictures until the frame ends.
    /// - Throws: an exit code, after saying why.
    mutating func follow(
        _ updates: AsyncStream<RenderUpdate>
    ) async throws -> (film: Film, statistics: RenderStatistics) {
        for await update in updates {
            switch update {
            case .notice(let line): if !isQuiet { Terminal.note(line) }
            case .progress(let progress): show(progress)
            case .picture(let film): await write(film)
            case .finished(let film, let statistics):
                await pictures?.value
                Terminal.endRenewing()
                return (film, statistics)
            case .failed(let reason):
                await pictures?.value
                throw failure(.failed, reason)
            }
        }
        throw failure(.failed, "the frame ended without a word")
    }

    /// Writes the final pictures and figures.
    /// - Throws: an exit code, after saying what could not be written.
    func finish(
        _ film: Film, _ statistics: RenderStatistics, statisticsPath: String?
    ) throws {
        let image = FilmImage(film)
        do {
            for output in outputs {
                try writer.write(image, to: output, metadata: attributes(statistics))
            }
            if let statisticsPath {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [
                    .prettyPrinted, .sortedKeys, .withoutEscapingSlashes,
                ]
                try encoder.encode(statistics).write(
                    to: URL(fileURLWithPath: statisticsPath), options: .atomic)
            }
        } catch let error as OutputError {
            throw failure(.unwritableOutput, "\(error)")
        } catch {
            throw failure(
                .unwritableOutput,
                "cannot write '\(statisticsPath ?? "")': \(error.localizedDescription)")
        }
        let percent = 100 * Double(film.sampleCount) / Double(max(1, totalSamples(film)))
        if !statistics.complete {
            Terminal.note(
                String(
                    format: "interrupted: the picture is %.1f %% complete (%@)", percent,
                    outputs.joined(separator: ", ")))
        } else if !isQuiet {
            summarise(film, statistics)
        }
    }

    private func totalSamples(_ film: Film) -> Int {
        settings.width * settings.height * settings.samplesPerPixel
    }

    private func attributes(_ statistics: RenderStatistics) -> [PictureAttribute] {
        [
            PictureAttribute("software", .string("meshd \(MeshProtocol.programVersion)")),
            PictureAttribute("meshd/scene", .string(scene)),
            PictureAttribute("meshd/samplesPerPixel", .int(settings.samplesPerPixel)),
            PictureAttribute("meshd/complete", .string(statistics.complete ? "yes" : "no")),
            PictureAttribute("meshd/seconds", .double(statistics.wallSeconds)),
            PictureAttribute("meshd/filmHash", .string(statistics.filmHash)),
            PictureAttribute(
                "meshd/nodes",
                .string(
                    statistics.nodes.map { "\($0.name)=\($0.samples)" }.joined(separator: ","))),
        ]
    }

    private func summarise(_ film: Film, _ statistics: RenderStatistics) {
        let total = Double(max(1, statistics.nodes.reduce(0) { $0 + $1.samples }))
        Terminal.note(
            String(
                format: "done in %.1f s, %@samples/s", statistics.wallSeconds,
                samplesText(Double(film.sampleCount) / max(1e-3, statistics.wallSeconds)) + " "))
        if statistics.nodes.count > 1 {
            let rows = statistics.nodes.map { node in
                [
                    "  " + node.name,
                    String(format: "%5.1f %%", 100 * Double(node.samples) / total),
                    samplesText(node.samplesPerSecond) + "samples/s",
                    "\(node.units) units",
                ]
            }
            Terminal.note(table(rows))
        }
        if statistics.nonFiniteSamples > 0 {
            Terminal.note(
                "\(statistics.nonFiniteSamples) samples were not finite and count as zero")
        }
        Terminal.note("wrote \(outputs.joined(separator: ", "))")
    }

    /// Writes the picture so far beside the rendering; one that is still being written is not
    /// overtaken.
    private mutating func write(_ film: Film) async {
        await pictures?.value
        let (outputs, writer) = (outputs, writer)
        pictures = Task.detached(priority: .utility) {
            let image = FilmImage(film)
            for output in outputs {
                do {
                    try writer.write(image, to: output)
                } catch {
                    Terminal.note("meshd: \(error)")
                }
            }
        }
    }

    private mutating func show(_ progress: RenderProgress) {
        guard !isQuiet else { return }
        let share = Double(progress.samplesRendered) / Double(max(1, progress.samplesTotal))
        var line = String(
            format: "%5.1f %%  %@samples/s", 100 * share,
            samplesText(progress.samplesPerSecond) + " ")
        if let rest = progress.remainingSeconds { line += "  ETA \(durationText(rest))" }
        if progress.nodes.count > 1 {
            let total = Double(max(1, progress.nodes.reduce(0) { $0 + $1.samples }))
            let shares = progress.nodes.map {
                String(format: "%@ %.0f %%", $0.name, 100 * Double($0.samples) / total)
            }
            line += "  [" + shares.joined(separator: ", ") + "]"
        }
        if Terminal.isInteractive {
            Terminal.renew(line)
        } else if progress.elapsedSeconds >= nextLine {
            // Where lines stay, fewer of them: after 1, 2, 4, … then every 10 seconds.
            nextLine = progress.elapsedSeconds + min(10, max(1, progress.elapsedSeconds))
            Terminal.note(line)
        }
    }
}
