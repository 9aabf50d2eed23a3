// The table of `meshd bench mesh reduce`: one reduction of a film in virtual time.

import Foundation
import MeshCore
import MeshSimulator

/// Measures reductions, and prints them.
enum ReductionTable {
    /// One row: the worst of all seeds.
    private struct Row: Encodable {
        var shape: String
        var nodes: Int
        var latencyMilliseconds: Double
        var seconds: Double
        var boundSeconds: Double
        var timeOverBound: Double
        var rootFilmsIn: Double
        var rootFilmsOut: Double
        var worstFilmsIn: Double
        var worstFilmsOut: Double
    }

    /// - Throws: the exit code of a broken promise when some node has not the sum of all films.
    static func run(seeds: ClosedRange<UInt64>, json: Bool) throws {
        var rows: [Row] = []
        for shape in ReductionExperiment.Shape.allCases {
            for nodes in [8, 64, 512] {
                for latency in [0.1, 1] {
                    if Terminal.isInteractive { Terminal.renew("\(shape), \(nodes) nodes") }
                    rows.append(
                        try measure(shape, nodes: nodes, milliseconds: latency, seeds: seeds))
                }
            }
        }
        Terminal.endRenewing()
        Terminal.out(json ? try jsonText(rows) : text(rows))
    }

    private static func measure(
        _ shape: ReductionExperiment.Shape, nodes: Int, milliseconds: Double,
        seeds: ClosedRange<UInt64>
    ) throws -> Row {
        var row = Row(
            shape: shape.rawValue, nodes: nodes, latencyMilliseconds: milliseconds, seconds: 0,
            boundSeconds: 0, timeOverBound: 0, rootFilmsIn: 0, rootFilmsOut: 0, worstFilmsIn: 0,
            worstFilmsOut: 0)
        // Nothing in a central merge is left to chance.
        let last = shape == .central ? seeds.lowerBound : seeds.upperBound
        for seed in seeds.lowerBound...last {
            var experiment = ReductionExperiment(
                shape, nodes: nodes, latency: Duration(seconds: milliseconds / 1_000))
            experiment.seed = seed
            let figures = experiment.run()
            guard figures.isRight else {
                throw failure(
                    .brokenPromise, "\(shape), \(nodes) nodes, seed \(seed): a sum is not right")
            }
            row.seconds = max(row.seconds, figures.seconds)
            row.boundSeconds = figures.boundSeconds
            row.rootFilmsIn = max(row.rootFilmsIn, figures.rootFilmsIn)
            row.rootFilmsOut = max(row.rootFilmsOut, figures.rootFilmsOut)
            row.worstFilmsIn = max(row.worstFilmsIn, figures.worstFilmsIn)
            row.worstFilmsOut = max(row.worstFilmsOut, figures.worstFilmsOut)
        }
        row.timeOverBound = row.seconds / row.boundSeconds
        return row
    }

    private static func text(_ rows: [Row]) -> String {
        func number(_ value: Double, _ format: String) -> String { String(format: format, value) }
        return table(
            [
                [
                    "SHAPE", "NODES", "LATENCY", "ROOT IN", "OUT", "WORST IN", "OUT", "TIME",
                    "BOUND", "TIME / BOUND",
                ]
            ]
                + rows.map { row in
                    [
                        row.shape, "\(row.nodes)",
                        number(row.latencyMilliseconds, "%.1f ms"),
                        number(row.rootFilmsIn, "%.2f"), number(row.rootFilmsOut, "%.2f"),
                        number(row.worstFilmsIn, "%.2f"), number(row.worstFilmsOut, "%.2f"),
                        number(row.seconds, "%.3f s"), number(row.boundSeconds, "%.3f s"),
                        number(row.timeOverBound, "%.2f"),
                    ]
                })
    }
}
