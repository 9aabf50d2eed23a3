// `meshd bench net` as a user and a script meet it.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "The all-reduce benchmark",
    .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(2 * Meshd.patience)))
struct NetBenchTests {
    private struct Report: Decodable {
        var nodes: Int
        var roundSeconds: [Double]
        var filmBytes: Int
        var filmsReceived: [Double]
        var filmsSent: [Double]
        var linkSeconds: Double?
        var plainMedianSeconds: Double?
        var throughputOverPlain: Double?
    }

    @Test("Rounds with and without TLS are compared")
    func comparison() async throws {
        let place = try Workplace()
        let result = try await place.meshd([
            "bench", "net", "--nodes", "2", "--size", "320x200", "--rounds", "3", "--compare",
            "--json",
        ])
        #expect(result.ending == .exit(0), "\(result)")
        let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
        #expect((report.plainMedianSeconds ?? 0) > 0 && (report.throughputOverPlain ?? 0) > 0)
    }

    @Test(
        "All nodes get the right sum, and no link moves more than two films each way",
        arguments: [2, 5])
    func rounds(nodes: Int) async throws {
        let place = try Workplace()
        let result = try await place.meshd([
            "bench", "net", "--nodes", "\(nodes)", "--size", "320x200", "--rounds", "3", "--rate",
            "1000", "--json",
        ])
        #expect(result.ending == .exit(0), "\(result)")
        let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
        #expect(report.nodes == nodes)
        #expect(report.roundSeconds.count == 3)
        #expect(report.filmBytes == 320 * 200 * 16)
        #expect(report.filmsReceived.count == nodes)
        #expect((report.filmsReceived + report.filmsSent).allSatisfy { $0 > 0.3 && $0 < 2.2 })
        #expect(report.linkSeconds != nil)
    }

    @Test("A leader that cannot be reached, and what is no number, are told")
    func errors() async throws {
        let place = try Workplace()
        let bad = try await place.meshd(["bench", "net", "--nodes", "1"])
        #expect(bad.ending == .exit(64), "\(bad)")
        let nowhere = try await place.meshd(["bench", "net", "--join", "127.0.0.1"])
        #expect(nowhere.ending == .exit(64), "\(nowhere)")
    }
}
