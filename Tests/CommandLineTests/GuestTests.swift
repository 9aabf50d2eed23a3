// A node as a guest on its machine, and a scene as a guest of a folder: what they may take, and
// what is said when they may not.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Guests", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(4 * Meshd.patience)))
struct GuestTests {
    /// The refusals in an answer of `nodes --json`.
    private struct Node: Decodable {
        var name: String
        var refusals: [String]?
    }

    @Test("A node with little memory leaves a frame to others and tells everybody why")
    func memory() async throws {
        let place = try Workplace()
        let frame = ["render", "room.glb", "--size", "320x240", "--spp", "128"]
        let local = try await place.meshd(
            frame + ["--local", "-o", "local.png", "--stats", "local.json"], within: .seconds(120))
        try #require(local.ending == .exit(0), "\(local)")

        let desk = try await FetchTests.startNode("desk", in: place)
        let thin = try await FetchTests.startNode(
            "thin", in: place, peer: desk.address, options: ["--memory", "16M"])
        _ = try await FetchTests.startNode("wide", in: place, peer: desk.address)
        try await eventually("three nodes", within: .seconds(30)) {
            let listed = try await place.meshd(["nodes", "--json", "--state", place.path("desk")])
            return listed.output.components(separatedBy: "\"alive\"").count == 4
        }
        let rendering = try place.start(
            frame + ["-o", "mesh.png", "--stats", "mesh.json", "--state", place.path("desk")])
        // While it renders, both the refusing node and the one that was asked tell of it.
        let told = "takes no part"
        for name in ["thin", "desk"] {
            try await eventually("a refusal at \(name)", within: .seconds(60)) {
                try #require(rendering.isRunning, "\(rendering)")
                let nodes = try await place.meshd(
                    ["nodes", "--json", "--state", place.path(name)])
                let refusing = try JSONDecoder().decode([Node].self, from: Data(nodes.output.utf8))
                    .filter { $0.refusals != nil }
                return refusing.map(\.name) == ["thin"]
            }
        }
        let status = try await place.meshd(["status", "--state", place.path("thin")])
        #expect(status.output.contains("thin \(told): it needs more than"), "\(status)")
        let nodes = try await place.meshd(["nodes", "--state", place.path("desk")])
        #expect(nodes.output.contains("thin \(told) in frame"), "\(nodes)")

        let result = try await rendering.result(within: .seconds(120))
        try #require(result.ending == .exit(0), "\(result)")
        let lines = result.errors.split(separator: "\n").filter { $0.contains(told) }
        #expect(lines.count == 1, "\(result)")
        #expect(lines.first?.contains("a frame may have 16.0 MiB here (--memory)") == true)
        #expect(thin.process.errors.contains("\(told) in frame"), "\(thin.process)")
        let statistics = try Statistics(contentsOf: place.path("mesh.json"))
        #expect(statistics.complete)
        #expect(
            try statistics.filmHash == Statistics(contentsOf: place.path("local.json")).filmHash)
        #expect(!statistics.nodes.contains { $0.name == "thin" })
        #expect(try place.contents(ofFolder: "thin/files") == [], "it fetched nothing")
    }

    @Test("What exceeds this machine's limits is refused where it is submitted")
    func submission() async throws {
        let place = try Workplace()
        let limits = ["--memory", "16M"]
        let desk = try await FetchTests.startNode("desk", in: place, options: limits)
        let render = ["render", "room.glb", "--size", "640x480", "-o", "picture.png"]
        let asked = try await place.meshd(render + ["--state", place.path("desk")])
        #expect(asked.ending == .exit(70), "\(asked)")
        #expect(asked.errors.contains("(--memory)"), "\(asked)")
        let alone = try await place.meshd(render + limits + ["--no-mdns"])
        #expect(alone.ending == .exit(65), "\(alone)")
        #expect(alone.errors.contains("(--memory)"), "\(alone)")
        #expect(desk.process.isRunning && !place.exists("picture.png"))
    }

    @Test("A scene names files outside its folder only where the user allows it")
    func root() async throws {
        let place = try Workplace()
        let files = FileManager.default
        for folder in ["project/scenes", "project/buffers"] {
            try files.createDirectory(
                atPath: place.path(folder), withIntermediateDirectories: true)
        }
        let positions: [Float] = [0, 0, 0, 1, 0, 0, 0, 1, 0]
        let indices: [UInt16] = [0, 1, 2, 0]
        let data = positions.withUnsafeBytes { Data($0) } + indices.withUnsafeBytes { Data($0) }
        func write(uri: String) throws {
            let text = SceneFixture.triangleText.replacingOccurrences(
                of: #"{"byteLength":44}"#, with: #"{"byteLength":44,"uri":"\#(uri)"}"#)
            try place.write(Data(text.utf8), to: "project/scenes/scene.gltf")
        }
        try place.write(data, to: "project/buffers/t.bin")
        try place.write(data, to: "outside.bin")
        try files.createSymbolicLink(
            atPath: place.path("project/scenes/near.bin"), withDestinationPath: "../buffers/t.bin")
        try files.createSymbolicLink(
            atPath: place.path("project/scenes/far.bin"), withDestinationPath: "../../outside.bin")
        let render = [
            "render", "project/scenes/scene.gltf", "--size", "16x16", "--spp", "1", "--local",
            "-o", "picture.png",
        ]
        for (uri, isInside) in [
            ("../buffers/t.bin", true), ("near.bin", true), ("far.bin", false),
            ("../../outside.bin", false), (place.path("project/buffers/t.bin"), false),
            ("file://" + place.path("project/buffers/t.bin"), false),
        ] {
            try write(uri: uri)
            let refused = try await place.meshd(render)
            #expect(refused.ending == .exit(65), "\(uri): \(refused)")
            let allowed = try await place.meshd(render + ["--root", "project"])
            #expect(allowed.ending == .exit(isInside ? 0 : 65), "\(uri): \(allowed)")
        }
        // A frame of a mesh has the same names on every node.
        try write(uri: "../buffers/t.bin")
        _ = try await FetchTests.startNode("desk", in: place)
        let mesh = try await place.meshd(
            render.filter { $0 != "--local" }
                + ["--root", "./project/", "--state", place.path("desk")])
        #expect(mesh.ending == .exit(0), "\(mesh)")
    }

    @Test("The store keeps to its budget, and a frame that needs more is refused")
    func disk() async throws {
        let place = try Workplace()
        // Three scenes of 600 KiB, of which one fits.
        for number in 1...3 {
            try place.write(
                SceneFixture.room() + Data(repeating: UInt8(number), count: 600 << 10),
                to: "\(number).glb")
        }
        try place.write(SceneFixture.room() + Data(count: 1 << 20), to: "large.glb")
        _ = try await FetchTests.startNode("desk", in: place, options: ["--disk", "1M"])
        func render(_ scene: String) async throws -> ProgramResult {
            try await place.meshd([
                "render", scene, "--size", "32x32", "--spp", "1", "-o", "picture.png", "--state",
                place.path("desk"),
            ])
        }
        for number in [1, 2, 3, 1] {
            let result = try await render("\(number).glb")
            #expect(result.ending == .exit(0), "\(result)")
            #expect(try place.contents(ofFolder: "desk/files").count == 1)
        }
        let large = try await render("large.glb")
        #expect(large.ending == .exit(70) && large.errors.contains("(--disk)"), "\(large)")
        #expect(try place.contents(ofFolder: "desk/files").count == 1)
    }
}

extension Workplace {
    /// The names in a folder; empty when there is none.
    func contents(ofFolder name: String) throws -> [String] {
        guard exists(name) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: path(name))
    }
}
