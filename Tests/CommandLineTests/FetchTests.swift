// A frame whose originator is gone: the others finish it, and anybody fetches it from any of them.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Frames of others", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(4 * Meshd.patience)))
struct FetchTests {
    /// One entry of `meshd frames --json`.
    private struct ListedFrame: Decodable {
        var id: String
        var scene: String?
        var width: Int?
        var committed: Double
        var originator: String
        var originatorPresent: Bool
        var completeAt: [String]
    }

    private static let frame = ["render", "room.glb", "--size", "320x240", "--spp", "128"]

    static func startNode(
        _ name: String, in place: Workplace, peer: String? = nil, options: [String] = []
    ) async throws -> (process: RunningProgram, address: String) {
        try TestKey.shared.admit(state: place.path(name))
        let process = try place.start(
            ["up", "--name", name, "--listen", "127.0.0.1:0", "--no-mdns", "--threads", "1"]
                + ["--state", place.path(name)] + (peer.map { ["--peer", $0] } ?? []) + options)
        try await eventually("the node \(name)", within: .seconds(20)) {
            try #require(process.isRunning, "\(process)")
            return try await place.meshd(["status", "--state", place.path(name)]).ending == .exit(0)
        }
        let status = try await place.meshd(["status", "--json", "--state", place.path(name)])
        let state = try JSONDecoder().decode(DaemonState.self, from: Data(status.output.utf8))
        return (process, state.address)
    }

    private static func frames(at name: String, in place: Workplace) async throws -> [ListedFrame] {
        let listed = try await place.meshd(["frames", "--json", "--state", place.path(name)])
        try #require(listed.ending == .exit(0), "\(listed)")
        return try JSONDecoder().decode([ListedFrame].self, from: Data(listed.output.utf8))
    }

    private static func fetch(
        _ name: String, at node: String, in place: Workplace
    ) async throws -> ProgramResult {
        try await place.meshd(
            ["fetch", name, "-o", "fetched.png", "--stats", "\(node).json", "--state"]
                + [place.path(node)], within: .seconds(120))
    }

    @Test("A frame whose originator was killed is fetched from the others, bit for bit")
    func orphan() async throws {
        let place = try Workplace()
        let local = try await place.meshd(
            Self.frame + ["--local", "-o", "local.png", "--stats", "local.json"],
            within: .seconds(120))
        try #require(local.ending == .exit(0), "\(local)")
        let expected = try Statistics(contentsOf: place.path("local.json")).filmHash

        let doomed = try await Self.startNode("doomed", in: place)
        let heir = try await Self.startNode("heir", in: place, peer: doomed.address)
        let rendering = try place.start(
            Self.frame + ["-o", "picture.png", "--state", place.path("doomed")])
        // Not before the other node has a part of the film: a frame dies with its only holder.
        try await eventually("a part of the film at the other node", within: .seconds(60)) {
            try #require(rendering.isRunning, "\(rendering)")
            return try await Self.frames(at: "heir", in: place).contains { $0.committed > 0.1 }
        }
        let id = try #require(try await Self.frames(at: "heir", in: place).first?.id)
        doomed.process.signal(SIGKILL)

        // Who asked is told what to do, in words that work.
        let told = try await rendering.result()
        #expect(told.ending == .exit(70), "\(told)")
        #expect(told.errors.contains("meshd fetch \(id)"), "\(told)")

        let result = try await Self.fetch(String(id.prefix(6)), at: "heir", in: place)
        #expect(result.ending == .exit(0), "\(result)")
        let statistics = try Statistics(contentsOf: place.path("heir.json"))
        #expect(statistics.complete)
        #expect(statistics.filmHash == expected)
        #expect(statistics.makespanOverIdeal == nil && statistics.rounds == nil, "not known")
        let fetched = try #require(place.contents(of: "fetched.png"))
        #expect(PNG.isWhole(fetched) && PNG.size(of: fetched) == [320, 240])

        // Who comes later and holds nothing of it gets it from the one that does.
        _ = try await Self.startNode("late", in: place, peer: heir.address)
        try await eventually("the frame heard of", within: .seconds(30)) {
            try await Self.frames(at: "late", in: place).contains { $0.completeAt == ["heir"] }
        }
        let kept = try #require(try await Self.frames(at: "late", in: place).first)
        #expect(kept.id == id && kept.scene == "room.glb" && kept.width == 320)
        #expect(!kept.originatorPresent)
        let again = try await Self.fetch(id, at: "late", in: place)
        #expect(again.ending == .exit(0), "\(again)")
        #expect(try Statistics(contentsOf: place.path("late.json")).filmHash == expected)
        let table = try await place.meshd(["frames", "--state", place.path("late")])
        #expect(table.output.contains(id) && table.output.contains("(gone)"), "\(table)")
    }

    @Test("Fetching a running frame leaves it alone, and Ctrl-C leaves the picture so far")
    func running() async throws {
        let place = try Workplace()
        let node = try await Self.startNode("node", in: place)
        let rendering = try place.start([
            "render", "room.glb", "--size", "160x120", "--spp", "65536", "-o", "picture.png",
            "--state", place.path("node"),
        ])
        try await eventually("the frame", within: .seconds(30)) {
            try await Self.frames(at: "node", in: place).contains { $0.committed > 0 }
        }
        let id = try #require(try await Self.frames(at: "node", in: place).first?.id)
        let fetching = try place.start([
            "fetch", id, "-o", "fetched.png", "--state", place.path("node"),
        ])
        try await eventually("a picture", within: .seconds(30)) { place.exists("fetched.png") }
        fetching.signal(SIGINT)
        let result = try await fetching.result(within: .seconds(20))
        #expect(result.ending == .exit(130), "\(result)")
        #expect(result.errors.contains("% complete"), "\(result)")
        #expect(rendering.isRunning)
        #expect(try await Self.frames(at: "node", in: place).map(\.id) == [id])

        let unknown = try await Self.fetch("nothing", at: "node", in: place)
        #expect(unknown.ending == .exit(70), "\(unknown)")
        #expect(unknown.errors.contains("no frame 'nothing'"), "\(unknown)")
        rendering.signal(SIGINT)
        #expect(try await rendering.result(within: .seconds(20)).ending == .exit(130))
        node.process.signal(SIGTERM)
        #expect(try await node.process.result(within: .seconds(20)).ending == .exit(0))
    }
}
