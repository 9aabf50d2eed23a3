// `meshd sim` as a user and a script meet it.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Simulations", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(2 * Meshd.patience)))
struct SimulationCommandTests {
    private struct Run: Decodable {
        struct Broken: Decodable { var kind: String }
        struct Spread: Decodable {
            var mean: Double
            var max: Double
        }
        var seed: UInt64
        var nodes: Int
        var completed: Bool
        var violations: [Broken]
        var makespanOverIdeal: Double?
        var firstImageSeconds: Double?
        var bytesPerNode: [String: Spread]
        var rendersPerUnit: Double
        var traceHash: String
    }

    private static func runs(_ result: ProgramResult) throws -> [Run] {
        try result.output.split(separator: "\n").map { line in
            try JSONDecoder().decode(Run.self, from: Data(line.utf8))
        }
    }

    @Test("Runs of many seeds are printed in the order of the seeds, each like a run alone")
    func seeds() async throws {
        let place = try Workplace()
        let many = try await place.meshd(
            ["sim", "--seeds", "3..8", "--faults", "mild", "--json"])
        #expect(many.ending == .exit(0), "\(many)")
        let runs = try Self.runs(many)
        #expect(runs.map(\.seed) == Array(3...8))
        #expect(runs.allSatisfy { $0.completed && $0.violations.isEmpty })
        for run in runs {
            #expect(Set(run.bytesPerNode.keys) == ["gossip", "steal", "round", "reduce", "scene"])
        }
        let one = try await place.meshd(
            ["sim", "--seed", "5", "--faults", "mild", "--json"])
        #expect(try Self.runs(one).map(\.traceHash) == [runs[2].traceHash])
    }

    @Test("Nodes, speeds and frame are those asked for, and people get a table")
    func options() async throws {
        let place = try Workplace()
        let options = ["sim", "--nodes", "5", "--speeds", "1,2", "--frame", "320x200x32"]
        let run = try #require(try Self.runs(try await place.meshd(options + ["--json"])).first)
        #expect(run.nodes == 5)
        #expect((run.makespanOverIdeal ?? 9) < 2)
        #expect(run.firstImageSeconds != nil)
        let text = try await place.meshd(options)
        #expect(text.output.contains("makespan / ideal"), "\(text)")
        #expect(text.output.contains("1 delivered"), "\(text)")
    }

    @Test("A run that breaks a promise is named, made smaller, and replayed from its file")
    func violation() async throws {
        let place = try Workplace()
        // Nobody renders eight seconds' work in none.
        let result = try await place.meshd(
            ["sim", "--seed", "4", "--patience", "0", "--keep", place.folder])
        #expect(result.ending == .exit(1), "\(result)")
        #expect(result.errors.contains("seed 4 breaks a promise at step "), "\(result)")
        #expect(result.errors.contains("replay: meshd sim --patience 0"), "\(result)")
        let name = "sim-unfinished-4.json"
        #expect(result.errors.contains(name), "\(result)")
        #expect(place.exists(name))
        let again = try await place.meshd(
            ["sim", "--faults", name, "--patience", "0", "--json", "--no-minimise"])
        #expect(again.ending == .exit(1), "\(again)")
        let run = try #require(try Self.runs(again).first)
        #expect(run.seed == 4)
        #expect(run.nodes == 1)
        #expect(run.violations.map(\.kind) == ["unfinished"])
    }

    @Test("The example of a fault file runs, and its timeline is JSON")
    func example() async throws {
        let place = try Workplace()
        let result = try await place.meshd([
            "sim", "--nodes", "12", "--faults", "\(Meshd.packageRoot)/Examples/faults.json",
            "--timeline", place.path("run.json"),
        ])
        #expect(result.ending == .exit(0), "\(result)")
        let data = try #require(place.contents(of: "run.json"))
        let trace = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let events = try #require(trace?["traceEvents"] as? [[String: Any]])
        let names = Set(events.compactMap { $0["name"] as? String })
        #expect(names.isSuperset(of: ["unit", "crash", "freeze", "partition", "join", "leave"]))
    }

    @Test(
        "Arguments that make no sense are refused",
        arguments: [
            ["--seeds", "5..1"], ["--seed", "1", "--seeds", "1..2"], ["--nodes", "0"],
            ["--speeds", "fast"], ["--frame", "10x10"], ["--frame", "0x1x1"],
            ["--faults", "terrible"], ["--ideal", "0"], ["--cost-sigma", "nan"],
            ["--seeds", "1..3", "--timeline", "x.json"],
        ])
    func badUsage(arguments: [String]) async throws {
        let result = try await Workplace().meshd(["sim"] + arguments)
        #expect(result.ending == .exit(64), "\(result)")
        #expect(result.output.isEmpty)
        #expect(!result.errors.isEmpty)
    }

    @Test("A fault file that makes no sense is refused with the place")
    func badFile() async throws {
        let place = try Workplace()
        try place.write(
            Data(#"{"faults":[{"at":1,"kind":"crash","node":99}]}"#.utf8), to: "faults.json")
        let result = try await place.meshd(["sim", "--nodes", "3", "--faults", "faults.json"])
        #expect(result.ending == .exit(64), "\(result)")
        #expect(result.errors.contains("node 99"), "\(result)")
    }
}
