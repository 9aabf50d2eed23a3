// The program's commands as a user and a script meet them.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Commands", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(2 * Meshd.patience)))
struct CommandTests {
    private static let small = ["render", "room.glb", "--size", "64x48", "--spp", "4", "--local"]

    @Test("The version is one line on stdout")
    func version() async throws {
        let result = try await Workplace().meshd(["--version"])
        #expect(result.ending == .exit(0))
        #expect(result.output.wholeMatch(of: /meshd [0-9]+\.[0-9]+\S*\n/) != nil, "\(result)")
        #expect(result.errors.isEmpty)
    }

    @Test(
        "Every command has help, with the exit codes where a script needs them",
        arguments: ["up", "render", "nodes", "devices", "status", "frames", "fetch", "sim"])
    func help(_ command: String) async throws {
        let place = try Workplace()
        let result = try await place.meshd(["help", command])
        #expect(result.ending == .exit(0))
        #expect(result.output.contains("USAGE: meshd \(command)"), "\(result)")
        let overview = try await place.meshd(["--help"])
        #expect(overview.output.contains(command))
        for code in [1, 64, 65, 69, 70, 73, 130] {
            #expect(overview.output.contains("\(code) "), "\(overview)")
        }
    }

    @Test("Devices are listed without a daemon, for scripts as JSON")
    func devices() async throws {
        struct Device: Decodable { var threads: Int }
        let place = try Workplace()
        let result = try await place.meshd(["devices", "--json"])
        #expect(result.ending == .exit(0), "\(result)")
        let devices = try JSONDecoder().decode([Device].self, from: Data(result.output.utf8))
        #expect(devices.contains { $0.threads >= 1 })
        #expect(try await place.meshd(["devices"]).ending == .exit(0))
    }

    @Test("Pictures and figures are written, and the program reads its own pictures")
    func pictures() async throws {
        let place = try Workplace()
        let result = try await place.meshd(
            Self.small + ["-o", "picture.exr", "-o", "picture.png", "--stats", "stats.json"])
        #expect(result.ending == .exit(0), "\(result)")
        #expect(result.output.isEmpty)
        let statistics = try Statistics(contentsOf: place.path("stats.json"))
        #expect(statistics.complete)
        #expect(statistics.width == 64 && statistics.height == 48)
        #expect(statistics.nodes.reduce(0) { $0 + $1.samples } == 64 * 48 * 4)
        #expect(statistics.filmHash.wholeMatch(of: /[0-9a-f]{64}/) != nil)
        let png = try #require(place.contents(of: "picture.png"))
        #expect(PNG.isWhole(png))
        #expect(PNG.size(of: png) == [64, 48])

        // The EXR as an environment, the PNG as a texture.
        let text = SceneFixture.triangleText
            .replacingOccurrences(of: #""indices":1}"#, with: #""indices":1,"material":0}"#)
            .replacingOccurrences(
                of: #""buffers":"#,
                with: """
                    "materials":[{"pbrMetallicRoughness":{"baseColorTexture":{"index":0}}}],
                    "textures":[{"source":0}],"images":[{"uri":"picture.png"}],"buffers":
                    """)
        let triangle = SceneFixture.triangle(replacing: SceneFixture.triangleText, with: text)
        try place.write(triangle, to: "triangle.glb")
        let again = try await place.meshd([
            "render", "triangle.glb", "--env", "picture.exr", "--size", "16x16", "--spp", "1",
            "--local", "-o", "again.png",
        ])
        #expect(again.ending == .exit(0), "\(again)")
        #expect(place.exists("again.png"))
    }

    @Test("The film depends on the seed, and not on threads, daemons or a mesh of one")
    func sameFilm() async throws {
        let place = try Workplace()
        func hash(_ arguments: [String]) async throws -> String {
            let result = try await place.meshd(
                ["render", "room.glb", "--size", "64x48", "--spp", "4", "-o", "picture.exr"]
                    + ["--stats", "stats.json"] + arguments)
            try #require(result.ending == .exit(0), "\(result)")
            return try Statistics(contentsOf: place.path("stats.json")).filmHash
        }
        let one = try await hash(["--local", "--threads", "1"])
        #expect(try await hash(["--local", "--threads", "3"]) == one)
        #expect(try await hash(["--local", "--seed", "1"]) != one)
        #expect(try await hash(["--no-mdns"]) == one)
    }

    @Test("With a noise target tiles get the samples they need, and the figures say how many")
    func adaptive() async throws {
        let place = try Workplace()
        func render(_ arguments: [String]) async throws -> (Statistics, ProgramResult) {
            let result = try await place.meshd(
                ["render", "room.glb", "--size", "128x96", "--local", "-o", "picture.exr"]
                    + ["--stats", "stats.json"] + arguments)
            try #require(result.ending == .exit(0), "\(result)")
            return (try Statistics(contentsOf: place.path("stats.json")), result)
        }
        let (some, said) = try await render(["--noise-target", "0.1", "--spp", "256"])
        #expect(some.complete)
        let mean = try #require(some.meanSamplesPerPixel)
        let share = try #require(some.waivedShare)
        #expect(mean >= 16 && mean < 256 && abs(mean - 256 * (1 - share)) < 1e-6)
        #expect(Double(some.nodes.reduce(0) { $0 + $1.samples }) == (mean * 128 * 96).rounded())
        #expect(said.errors.contains("up to 256 samples per pixel"), "\(said)")
        // The same again: what is waived is in the hash.
        let (again, _) = try await render([
            "--noise-target", "0.1", "--spp", "256", "--threads", "3",
        ])
        #expect(again.filmHash == some.filmHash)
        // Less noise takes more samples; without a target all tiles get all.
        let (finer, _) = try await render(["--noise-target", "0.05", "--spp", "256"])
        #expect(try #require(finer.meanSamplesPerPixel) > mean)
        let (all, _) = try await render(["--spp", "16"])
        #expect(all.meanSamplesPerPixel == nil && all.waivedShare == nil)
    }

    @Test(
        "A noise target out of bounds is refused",
        arguments: ["0", "-0.1", "1.5", "nan", "inf", "fine"])
    func noiseTargets(_ target: String) async throws {
        let place = try Workplace()
        let result = try await place.meshd(
            Self.small + ["-o", "picture.png", "--noise-target=\(target)"])
        #expect(result.ending == .exit(64), "\(result)")
        #expect(result.errors.contains("noise-target"), "\(result)")
        #expect(!place.exists("picture.png"))
    }

    @Test("Quiet means that nothing is said when all goes well")
    func quiet() async throws {
        let place = try Workplace()
        let result = try await place.meshd(Self.small + ["-o", "picture.png", "--quiet"])
        #expect(result.ending == .exit(0))
        #expect(result.output.isEmpty && result.errors.isEmpty, "\(result)")
    }

    @Test("A picture is there long before the end, refines, and is whole at any moment")
    func refinement() async throws {
        let place = try Workplace()
        let rendering = try place.start([
            "render", "room.glb", "--size", "320x240", "--spp", "65536", "--local", "-o",
            "picture.png",
        ])
        var seen: Set<Data> = []
        try await eventually("three pictures", within: .seconds(60), every: .milliseconds(10)) {
            try #require(rendering.isRunning, "\(rendering)")
            if let picture = place.contents(of: "picture.png") {
                #expect(PNG.isWhole(picture))
                seen.insert(picture)
            }
            return seen.count == 3
        }
        rendering.signal(SIGKILL)
        _ = try await rendering.result()
        let names = try FileManager.default.contentsOfDirectory(atPath: place.folder)
        #expect(try PNG.isWhole(#require(place.contents(of: "picture.png"))))
        #expect(names.contains("picture.png"))
    }

    @Test(
        "Ctrl-C leaves the picture so far and says how complete it is",
        arguments: [["--local"], ["--no-mdns"]])
    func interruption(_ arguments: [String]) async throws {
        let place = try Workplace()
        let rendering = try place.start(
            [
                "render", "room.glb", "--size", "320x240", "--spp", "65536", "-o", "picture.png",
                "-o", "picture.exr", "--stats", "stats.json",
            ] + arguments)
        try await eventually("a picture", within: .seconds(60)) {
            try #require(rendering.isRunning, "\(rendering)")
            return place.exists("picture.png")
        }
        rendering.signal(SIGINT)
        let result = try await rendering.result(within: .seconds(20))
        #expect(result.ending == .exit(130), "\(result)")
        let percent = try #require(result.errors.firstMatch(of: /([0-9.]+) % complete/))
        #expect(Double(percent.output.1).map { (0..<100).contains($0) } == true, "\(result)")
        #expect(try PNG.isWhole(#require(place.contents(of: "picture.png"))))
        #expect(place.exists("picture.exr"))
        #expect(try !Statistics(contentsOf: place.path("stats.json")).complete)
    }

    @Test("A daemon answers, keeps its folder to itself, renders, and leaves when told to")
    func daemon() async throws {
        let place = try Workplace()
        let up = ["up", "--name", "alone", "--listen", "127.0.0.1:0", "--no-mdns"]
        let daemon = try place.start(up)
        try await eventually("the daemon", within: .seconds(20)) {
            try #require(daemon.isRunning, "\(daemon)")
            return try await place.meshd(["status"]).ending == .exit(0)
        }
        let listed = try await place.meshd(["nodes", "--json"])
        let nodes = try JSONDecoder().decode([ListedNode].self, from: Data(listed.output.utf8))
        #expect(nodes.map(\.name) == ["alone"])
        #expect(nodes.allSatisfy { $0.isThisNode && $0.status == "alive" })
        let answer = try await place.meshd(["status", "--json"])
        let state = try JSONDecoder().decode(DaemonState.self, from: Data(answer.output.utf8))
        #expect(state.name == "alone")
        #expect(state.garbageReceived == 0)
        #expect(try await place.meshd(["nodes"]).output.contains("alone"))

        let second = try await place.meshd(up)
        #expect(second.ending == .exit(70), "\(second)")
        #expect(second.errors.contains("another meshd"), "\(second)")

        let rendered = try await place.meshd([
            "render", "room.glb", "--size", "64x48", "--spp", "4", "-o", "picture.png", "--stats",
            "stats.json",
        ])
        #expect(rendered.ending == .exit(0), "\(rendered)")
        #expect(try Statistics(contentsOf: place.path("stats.json")).nodes.map(\.name) == ["alone"])

        daemon.signal(SIGTERM)
        #expect(try await daemon.result(within: .seconds(20)).ending == .exit(0))
        #expect(try await place.meshd(["status"]).ending == .exit(69))
    }
}
