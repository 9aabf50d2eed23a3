// How far a frame is, in one line: renewed on a terminal, and in a log a line now and then.

import MeshRuntime

/// Writes progress.
struct ProgressLines {
    /// When the last line was written that stays, seconds since the frame's begin.
    private var lastAt: Double?
    private var lastPercent = 0
    /// In a log a line follows another with each percent, but not sooner than this, seconds…
    private static let intervalMin = 2.0
    /// … and not later than this share of the frame's age, within these bounds, seconds.
    private static let intervalPerAge = 0.5
    private static let intervalBounds = 5.0...60.0

    mutating func show(_ progress: RenderProgress) {
        if Terminal.isInteractive {
            Terminal.renew(Self.line(progress))
        } else if isDue(progress) {
            lastAt = progress.elapsedSeconds
            lastPercent = Int(100 * Self.share(progress))
            Terminal.note(Self.line(progress))
        }
    }

    private func isDue(_ progress: RenderProgress) -> Bool {
        guard let lastAt else { return true }
        let silence = progress.elapsedSeconds - lastAt
        let isFurther = Int(100 * Self.share(progress)) > lastPercent
        let bounds = Self.intervalBounds
        let patience = min(
            bounds.upperBound,
            max(bounds.lowerBound, progress.elapsedSeconds * Self.intervalPerAge))
        return silence >= patience || silence >= Self.intervalMin && isFurther
    }

    /// Below one until the film is complete: what is rendered may still be on its way, or lost.
    private static func share(_ progress: RenderProgress) -> Double {
        min(0.999, Double(progress.samplesRendered) / Double(max(1, progress.samplesTotal)))
    }

    private static func line(_ progress: RenderProgress) -> String {
        let percent = percentText(share(progress))
        var line = String(repeating: " ", count: max(0, 7 - percent.count)) + percent
        if progress.samplesPerSecond > 0 {
            line += "  \(samplesText(progress.samplesPerSecond)) samples/s"
        }
        if let rest = progress.remainingSeconds {
            line += "  ETA " + (progress.isTotalAtMost == true ? "up to " : "")
            line += durationText(rest)
        }
        line += "  after \(durationText(progress.elapsedSeconds))"
        if progress.nodes.count > 1 {
            let total = Double(max(1, progress.nodes.reduce(0) { $0 + $1.samples }))
            let shares = progress.nodes.map {
                "\($0.name) \(Int((100 * Double($0.samples) / total).rounded())) %"
            }
            line += "  [" + shares.joined(separator: ", ") + "]"
        }
        return line
    }
}
