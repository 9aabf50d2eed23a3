// What came of simulated runs: JSON for programs, a summary for people.

import Foundation
import MeshCore
import MeshSimulator

/// One run, as `--json` prints it.
struct SimRun: Encodable {
    struct Broken: Encodable {
        var kind: String
        var step: Int
        var seconds: Double
        var text: String
    }
    struct Spread: Encodable {
        var mean: Double
        var max: Double

        init(_ values: [Double]) {
            mean = values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
            max = values.max() ?? 0
        }
    }
    struct Frame: Encodable {
        var end: String
        var makespanSeconds: Double?
        var makespanOverIdeal: Double?
        var firstImageSeconds: Double?
        var rendersPerUnit: Double
    }
    var seed: UInt64
    var nodes: Int
    var violations: [Broken]
    var completed: Bool
    var frames: [Frame]
    var makespanOverIdeal: Double?
    var firstImageSeconds: Double?
    var detectionSeconds: Double?
    /// Sent, by kind.
    var bytesPerNode: [String: Spread] = [:]
    var messagesPerNode: [String: Spread] = [:]
    var bytesReceivedPerNode: [String: Spread] = [:]
    var idleSecondsPerNode: Spread
    var stealsPerNode: Spread
    var rendersPerUnit: Double
    var roundsCommitted: Int
    var roundsAbandoned: Int
    var unitsLost: Int
    var quarantined: [Int]
    var keptOut: [Int]
    var falseSuspicions: Int
    var falseDeaths: Int
    var steps: Int
    var virtualSeconds: Double
    var traceHash: String

    init(_ report: SimulationReport) {
        seed = report.seed
        nodes = report.nodes
        violations = report.violations.map {
            Broken(
                kind: $0.kind.rawValue, step: $0.step, seconds: Double($0.time.nanoseconds) / 1e9,
                text: $0.text)
        }
        completed = report.isCompleted
        frames = report.frames.map {
            Frame(
                end: $0.end.rawValue, makespanSeconds: $0.makespanSeconds,
                makespanOverIdeal: $0.makespanOverIdeal, firstImageSeconds: $0.firstImageSeconds,
                rendersPerUnit: $0.rendersPerUnit)
        }
        makespanOverIdeal = report.makespanOverIdeal
        firstImageSeconds = report.firstImageSeconds
        detectionSeconds = report.detectionSeconds
        for kind in TrafficKind.allCases {
            let sent = report.perNode.map { $0.sent[kind] }
            bytesPerNode[kind.name] = Spread(sent.map { Double($0.bytes) })
            messagesPerNode[kind.name] = Spread(sent.map { Double($0.messages) })
            bytesReceivedPerNode[kind.name] = Spread(
                report.perNode.map { Double($0.received[kind].bytes) })
        }
        idleSecondsPerNode = Spread(report.perNode.map(\.idleSeconds))
        stealsPerNode = Spread(report.perNode.map { Double($0.steals) })
        rendersPerUnit = report.rendersPerUnit
        roundsCommitted = report.roundsCommitted
        roundsAbandoned = report.roundsAbandoned
        unitsLost = report.unitsLost
        quarantined = report.quarantined
        keptOut = report.keptOut
        falseSuspicions = report.falseSuspicions
        falseDeaths = report.falseDeaths
        steps = report.steps
        virtualSeconds = report.virtualSeconds
        traceHash = String(report.traceHash, radix: 16)
    }
}

/// Prints a value as one line of JSON on stdout.
func printJSONLine(_ value: some Encodable) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { return }
    Terminal.out(String(decoding: data, as: UTF8.self))
}

/// The figures of one run, or the medians of many with the worst.
struct SimSummary {
    let reports: [SimulationReport]

    init(_ reports: [SimulationReport]) { self.reports = reports }

    var text: String {
        let frames = reports.flatMap(\.frames)
        var ends: [String] = []
        for end in [FrameOutcome.End.delivered, .kept, .void, .cancelled, .unfinished] {
            let count = frames.count { $0.end == end }
            if count > 0 { ends.append("\(count) \(end.rawValue)") }
        }
        let nodes = reports.map(\.nodes)
        let least = nodes.min() ?? 0
        let most = nodes.max() ?? 0
        let broken = reports.count { !$0.isGood }
        var rows = [
            ["runs", "\(reports.count), \(broken) with a broken promise"],
            ["nodes", least == most ? "\(most)" : "\(least) to \(most)"],
            ["frames", ends.joined(separator: ", ")],
            ["makespan / ideal", spread(reports.map(\.makespanOverIdeal), "%.4f")],
            ["makespan, s", spread(reports.map { $0.frames.first?.makespanSeconds }, "%.2f")],
            ["first image, s", spread(reports.map(\.firstImageSeconds), "%.3f")],
            ["detection, s", spread(reports.map(\.detectionSeconds), "%.2f")],
            ["renders per unit", spread(reports.map(\.rendersPerUnit), "%.4f")],
            ["rounds", spread(reports.map { Double($0.roundsCommitted) }, "%.0f")],
            ["rounds abandoned", spread(reports.map { Double($0.roundsAbandoned) }, "%.0f")],
            ["units lost", spread(reports.map { Double($0.unitsLost) }, "%.0f")],
            ["false suspicions", spread(reports.map { Double($0.falseSuspicions) }, "%.0f")],
            ["false deaths", spread(reports.map { Double($0.falseDeaths) }, "%.0f")],
            ["steals a node", spread(reports.map { mean($0) { Double($0.steals) } }, "%.1f")],
            ["idle s a node", spread(reports.map { mean($0, \.idleSeconds) }, "%.3f")],
        ]
        for kind in TrafficKind.allCases {
            let bytes = reports.map { mean($0) { Double($0.sent[kind].bytes) } / 1_000 }
            let messages = reports.map { mean($0) { Double($0.sent[kind].messages) } }
            rows.append([
                "\(kind.name), kB a node", spread(bytes, "%.1f"), spread(messages, "%.0f"),
                "messages",
            ])
        }
        rows.append([
            "events", spread(reports.map { Double($0.steps) }, "%.0f"),
        ])
        return table(rows)
    }

    private func mean(_ report: SimulationReport, _ value: (NodeFigures) -> Double) -> Double {
        guard !report.perNode.isEmpty else { return 0 }
        return report.perNode.reduce(0) { $0 + value($1) } / Double(report.perNode.count)
    }

    /// The median, and of several the largest.
    private func spread(_ values: [Double?], _ format: String) -> String {
        let known = values.compactMap(\.self).sorted()
        guard let largest = known.last else { return "-" }
        let median = String(format: format, known[known.count / 2])
        return known.count == 1
            ? median : "\(median) (worst \(String(format: format, largest)))"
    }
}
