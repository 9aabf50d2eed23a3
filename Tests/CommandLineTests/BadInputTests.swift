// Input that no program should have to take: each gives one clear line and its own exit code, and
// none a crash.

import Foundation
import ProgramTesting
import Testing

/// A scene that can't be rendered.
struct BadScene: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// Of `scene.glb` in the workplace; nil for no such file.
    var file: Data?
    /// More arguments, and files they or the scene need.
    var arguments: [String] = []
    var others: [String: Data] = [:]
    /// What the line must name.
    var says: String

    private static let textured = """
        "meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1,"material":0}]}],
        "materials":[{"pbrMetallicRoughness":{"baseColorTexture":{"index":0}}}],
        "textures":[{"source":0}],"images":[{"uri":"wood.png"}],
        """
    private static func triangle(_ old: String, _ new: String) -> Data {
        SceneFixture.triangle(replacing: old, with: new)
    }
    private static let plain =
        #""meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1}]}],"#
    private static let texturedTriangle = triangle(plain, textured)

    static let all: [BadScene] = [
        BadScene(testDescription: "a missing file", file: nil, says: "scene.glb"),
        BadScene(testDescription: "an empty file", file: Data(), says: "scene.glb"),
        BadScene(
            testDescription: "a .glb cut in its header", file: SceneFixture.triangle().prefix(10),
            says: "scene.glb"),
        BadScene(
            testDescription: "a .glb cut in its text", file: SceneFixture.triangle().prefix(300),
            says: "scene.glb"),
        BadScene(
            testDescription: "a .glb cut in its binary",
            file: SceneFixture.triangle().dropLast(20), says: "scene.glb"),
        BadScene(
            testDescription: "JSON that is no glTF", file: Data(#"{"name":"x"}"#.utf8),
            says: "glTF"),
        BadScene(testDescription: "no JSON", file: Data("{]".utf8), says: "JSON"),
        BadScene(
            testDescription: "bytes without meaning",
            file: Data((0..<4_096).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 3) }),
            says: "scene.glb"),
        BadScene(
            testDescription: "an accessor out of bounds",
            file: triangle(#""count":3,"type":"VEC3""#, #""count":300,"type":"VEC3""#),
            says: "accessor"),
        BadScene(
            testDescription: "an index out of range",
            file: SceneFixture.triangle(indices: [0, 1, 99]), says: "index 99"),
        BadScene(
            testDescription: "cyclic nodes",
            file: triangle(
                #""nodes":[{"mesh":0}]"#, #""nodes":[{"children":[1]},{"children":[0]}]"#),
            says: "ancestor"),
        BadScene(
            testDescription: "a required extension that is not known",
            file: triangle(
                #""scene":0,"#, #""scene":0,"extensionsRequired":["ACME_teapots"],"#),
            says: "ACME_teapots"),
        BadScene(
            testDescription: "a missing texture", file: texturedTriangle, says: "'wood.png'"),
        BadScene(
            testDescription: "a texture of absurd size", file: texturedTriangle,
            others: ["wood.png": PNG.header(width: 2_000_000_000, height: 2_000_000_000)],
            says: "wood.png"),
        BadScene(
            testDescription: "a texture that has only a header", file: texturedTriangle,
            others: ["wood.png": PNG.header(width: 4_096, height: 4_096)], says: "wood.png"),
        BadScene(
            testDescription: "a texture outside the scene's folder",
            file: triangle(
                plain, textured.replacingOccurrences(of: "wood.png", with: "../wood.png")),
            says: "wood.png"),
        BadScene(
            testDescription: "a texture outside the folder that the user allows",
            file: triangle(
                plain, textured.replacingOccurrences(of: "wood.png", with: "../wood.png")),
            arguments: ["--root", "."], says: "wood.png"),
        BadScene(
            testDescription: "a texture by its absolute path, whatever is allowed",
            file: triangle(
                plain, textured.replacingOccurrences(of: "wood.png", with: "/etc/hostname")),
            arguments: ["--root", "/"], says: "absolute path"),
        BadScene(
            testDescription: "a texture on another machine, whatever is allowed",
            file: triangle(
                plain,
                textured.replacingOccurrences(of: "wood.png", with: "http://127.0.0.1/wood.png")),
            arguments: ["--root", "/"], says: "the scheme 'http:'"),
        BadScene(
            testDescription: "a scene that is not below the folder that the user allows",
            file: SceneFixture.triangle(), arguments: ["--root", "output"], says: "not below"),
        BadScene(
            testDescription: "a missing environment", file: SceneFixture.triangle(),
            arguments: ["--env", "sky.hdr"], says: "sky.hdr"),
        BadScene(
            testDescription: "an environment of absurd size", file: SceneFixture.triangle(),
            arguments: ["--env", "sky.hdr"],
            others: [
                "sky.hdr": Data(
                    "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1000000000 +X 1000000000\n".utf8)
            ], says: "sky.hdr"),
        BadScene(
            testDescription: "an environment that is none", file: SceneFixture.triangle(),
            arguments: ["--env", "sky.hdr"], others: ["sky.hdr": Data("a sky".utf8)],
            says: "sky.hdr"),
        BadScene(
            testDescription: "an unknown camera", file: SceneFixture.room(),
            arguments: ["--camera", "nobody"], says: "nobody"),
    ]
}

/// Arguments that make no sense.
struct BadUsage: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var says: String
    var testDescription: String { arguments.joined(separator: " ") }

    private static func render(_ arguments: String..., says: String) -> BadUsage {
        BadUsage(arguments: ["render", "room.glb", "-o", "picture.png"] + arguments, says: says)
    }

    static let all: [BadUsage] = [
        render("--size", "0x10", says: "size"),
        render("--size", "10x0", says: "size"),
        render("--size", "-5x10", says: "size"),
        render("--size", "10", says: "size"),
        render("--size", "10x10x10", says: "size"),
        render("--size", "axb", says: "size"),
        render("--size", "99999999999999999999x1", says: "size"),
        render("--size", "1000000x1000000", says: "size"),
        render("--size", "", says: "size"),
        render("--spp", "0", says: "spp"),
        render("--spp", "-1", says: "spp"),
        render("--spp", "many", says: "spp"),
        render("--spp", "99999999999999999999", says: "spp"),
        render("--spp", "9000000000000000000", says: "spp"),
        render("--max-depth", "0", says: "max-depth"),
        render("--seed", "-1", says: "seed"),
        render("--threads", "0", says: "threads"),
        render("--memory", "1", says: "memory"),
        render("--memory", "1023K", says: "1M"),
        render("--disk", "-1G", says: "disk"),
        render("--disk", "nanG", says: "disk"),
        render("--exposure", "nan", says: "exposure"),
        render("--sharpness", "3", says: "sharpness"),
        render("-o", "picture.png", says: "twice"),
        render("-o", "./picture.png", says: "twice"),
        render("--stats", "output/../picture.png", says: "twice"),
        BadUsage(arguments: ["render"], says: "scene"),
        BadUsage(arguments: ["render", "room.glb"], says: "-o"),
        BadUsage(arguments: ["paint"], says: "paint"),
        BadUsage(arguments: ["nodes", "--xml"], says: "--xml"),
        BadUsage(arguments: ["up", "--listen", "nowhere"], says: "nowhere"),
        BadUsage(arguments: ["up", "--listen", "localhost:4874"], says: "numeric"),
        BadUsage(arguments: ["up", "--name", ""], says: "name"),
        BadUsage(arguments: ["up", "--name", "a\u{1B}[2Jb"], says: "name"),
        BadUsage(arguments: ["up", "--threads", "0"], says: "threads"),
        BadUsage(arguments: ["up", "--disk", "20"], says: "disk"),
        BadUsage(arguments: ["up", "--memory", "much"], says: "memory"),
        BadUsage(arguments: ["fetch", "-o", "picture.png"], says: "frame"),
        BadUsage(arguments: ["fetch", "1"], says: "-o"),
        BadUsage(
            arguments: ["up", "--listen", "127.0.0.1:0", "--no-mdns", "--peer", "a:b:c"],
            says: "a:b:c"),
    ]
}

/// A picture that can't be written.
struct BadOutput: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var arguments: [String]
    var says: String

    static let all: [BadOutput] = [
        BadOutput(
            testDescription: "a missing folder", arguments: ["-o", "nowhere/picture.png"],
            says: "nowhere"),
        // Even root makes no file there.
        BadOutput(
            testDescription: "a folder that takes no files", arguments: ["-o", "/sys/picture.png"],
            says: "/sys/picture.png"),
        BadOutput(
            testDescription: "a file as a folder", arguments: ["-o", "room.glb/picture.png"],
            says: "room.glb"),
        BadOutput(
            testDescription: "a folder as a file", arguments: ["-o", "folder.png"],
            says: "folder.png"),
        BadOutput(
            testDescription: "an unknown extension", arguments: ["-o", "picture.tiff"],
            says: "picture.tiff"),
        BadOutput(
            testDescription: "no extension", arguments: ["-o", "picture"], says: "picture"),
        BadOutput(
            testDescription: "a second picture of an unknown extension",
            arguments: ["-o", "picture.png", "-o", "picture.gif"], says: "picture.gif"),
        BadOutput(
            testDescription: "figures in a folder's place",
            arguments: ["-o", "picture.png", "--stats", "folder.png"], says: "folder.png"),
        BadOutput(
            testDescription: "figures in a missing folder",
            arguments: ["-o", "picture.png", "--stats", "nowhere/stats.json"], says: "nowhere"),
    ]
}

@Suite(
    "Bad input", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(2 * Meshd.patience)))
struct BadInputTests {
    @Test("A scene that cannot be read ends in one line and exit code 65", arguments: BadScene.all)
    func scene(_ bad: BadScene) async throws {
        let place = try Workplace()
        if let file = bad.file { try place.write(file, to: "scene.glb") }
        for (name, data) in bad.others { try place.write(data, to: name) }
        let result = try await place.meshd(
            [
                "render", "scene.glb", "-o", "picture.png", "--size", "16x16", "--spp", "1",
                "--local",
            ] + bad.arguments)
        Self.expectOneLine(result, code: 65, says: bad.says)
        #expect(!place.exists("picture.png"), "nothing may have been rendered")
    }

    @Test("Without --local a bad scene is refused before any mesh is asked to render it")
    func sceneOnMesh() async throws {
        let place = try Workplace()
        let missing = try #require(BadScene.all.first { $0.says == "'wood.png'" })
        try place.write(try #require(missing.file), to: "scene.glb")
        let result = try await place.meshd([
            "render", "scene.glb", "-o", "picture.png", "--size", "16x16", "--no-mdns",
        ])
        Self.expectOneLine(result, code: 65, says: missing.says)
        #expect(!place.exists("picture.png"))
    }

    @Test("Arguments that make no sense end in exit code 64", arguments: BadUsage.all)
    func usage(_ bad: BadUsage) async throws {
        let place = try Workplace()
        let result = try await place.meshd(bad.arguments)
        #expect(result.ending == .exit(64), "\(result)")
        let line = result.errors.split(separator: "\n").first.map(String.init) ?? ""
        #expect(Self.isErrorLine(line), "\(result)")
        #expect(line.contains(bad.says), "\(result)")
        #expect(result.output.isEmpty, "\(result)")
        #expect(!place.exists("picture.png"))
    }

    @Test(
        "A picture that cannot be written is said before anything renders, with exit code 73",
        arguments: BadOutput.all)
    func output(_ bad: BadOutput) async throws {
        let place = try Workplace()
        try FileManager.default.createDirectory(
            atPath: place.path("folder.png"), withIntermediateDirectories: false)
        let before = try FileManager.default.contentsOfDirectory(atPath: place.folder).sorted()
        let result = try await place.meshd(
            ["render", "room.glb", "--size", "16x16", "--spp", "1", "--local"] + bad.arguments)
        Self.expectOneLine(result, code: 73, says: bad.says)
        let after = try FileManager.default.contentsOfDirectory(atPath: place.folder).sorted()
        #expect(after == before, "nothing may have been rendered or left behind")
    }

    @Test(
        "Asking a daemon that is not there ends in exit code 69",
        arguments: ["nodes", "status", "frames"])
    func noDaemon(_ command: String) async throws {
        let place = try Workplace()
        for arguments in [[command], [command, "--json"]] {
            let result = try await place.meshd(arguments)
            Self.expectOneLine(result, code: 69, says: "meshd up")
            #expect(result.output.isEmpty)
        }
    }

    @Test(
        "A state folder that cannot be is named with the system's reason",
        arguments: [
            ("/proc/none", "No such file or directory"), ("room.glb", "is no folder"),
            ("room.glb/state", "'room.glb' is no folder"),
        ])
    func stateFolder(_ path: String, _ reason: String) async throws {
        let place = try Workplace()
        let result = try await place.meshd([
            "up", "--listen", "127.0.0.1:0", "--no-mdns", "--state", path,
        ])
        Self.expectOneLine(result, code: 70, says: reason)
        #expect(result.errors.contains("'\(path)'"), "\(result)")
    }

    @Test("A peer whose name nobody knows ends in exit code 69")
    func unknownPeer() async throws {
        let result = try await Workplace().meshd([
            "up", "--listen", "127.0.0.1:0", "--no-mdns", "--peer", "nobody.invalid",
        ])
        Self.expectOneLine(result, code: 69, says: "nobody.invalid")
    }

    private static func isErrorLine(_ line: String) -> Bool {
        ["meshd: ", "error: ", "Error: "].contains { line.hasPrefix($0) }
    }

    private static func expectOneLine(
        _ result: ProgramResult, code: Int32, says: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(result.ending == .exit(code), "\(result)", sourceLocation: sourceLocation)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(result)", sourceLocation: sourceLocation)
        let line = lines.first.map(String.init) ?? ""
        #expect(Self.isErrorLine(line), "\(result)", sourceLocation: sourceLocation)
        #expect(line.contains(says), "\(result)", sourceLocation: sourceLocation)
    }
}
