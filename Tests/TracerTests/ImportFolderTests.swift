// Files on disk: what may be read, and what leads out of the scene's folder.

import Foundation
import Testing

@testable import Tracer

@Suite("Scene folders")
struct ImportFolderTests {
    /// A new folder with a scene in `scene/` and a file beside it, removed at the end.
    private final class Folder {
        let path = NSTemporaryDirectory() + "meshd-import-" + UUID().uuidString
        init() throws {
            let files = FileManager.default
            try files.createDirectory(
                atPath: path + "/scene/parts", withIntermediateDirectories: true)
            try write("secret", "secret.bin")
            try write("inside", "scene/parts/a b.bin")
            try files.createSymbolicLink(
                atPath: path + "/scene/out.bin", withDestinationPath: "../secret.bin")
            try files.createSymbolicLink(
                atPath: path + "/scene/in.bin", withDestinationPath: "parts/a b.bin")
        }
        func write(_ text: String, _ name: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    @Test("Files inside are read, also through links that stay inside")
    func inside() throws {
        let folder = try Folder()
        let files = FolderFiles(folder: folder.path + "/scene")
        #expect(try files.contents(of: "parts/a b.bin") == Array("inside".utf8))
        #expect(try files.contents(of: "in.bin") == Array("inside".utf8))
    }

    @Test(
        "Names that lead out are refused",
        arguments: [
            "", "../secret.bin", "parts/../../secret.bin", "/etc/passwd", "out.bin", "a\0b",
            "file:///etc/passwd", "parts",
        ])
    func outside(_ name: String) throws {
        let folder = try Folder()
        let files = FolderFiles(folder: folder.path + "/scene")
        let error = #expect(throws: SceneError.self) { try files.contents(of: name) }
        guard case .unreadableFile = error else {
            Issue.record("\(name): \(String(describing: error))")
            return
        }
    }

    @Test("A file that is not there is named, and so is a pipe that would never end")
    func missing() throws {
        let folder = try Folder()
        let files = FolderFiles(folder: folder.path + "/scene")
        #expect(throws: SceneError.missingFile("x.png")) { try files.contents(of: "x.png") }
        #expect(throws: SceneError.missingFile("in.bin/x")) { try files.contents(of: "in.bin/x") }
        #expect(mkfifo(folder.path + "/scene/pipe", 0o600) == 0)
        #expect(throws: SceneError.unreadableFile("pipe", reason: "it is not a regular file")) {
            try files.contents(of: "pipe")
        }
    }

    @Test("All files of a scene are listed, decoded and relative to the root")
    func referencedFiles() throws {
        let json = """
            {"asset":{"version":"2.0"},"nodes":[],
            "buffers":[{"uri":"a%20b.bin","byteLength":1},{"uri":"../c.bin","byteLength":1},
            {"uri":"data:;base64,AA==","byteLength":1},{"uri":"./a%20b.bin","byteLength":1}],
            "images":[{"uri":"unused.png"},{"uri":"t.png"}],"textures":[{"source":1}],
            "materials":[{"normalTexture":{"index":0}}]}
            """
        let files = MemoryFiles(files: ["sub/s.gltf": Array(json.utf8)])
        let names = try SceneImporter.referencedFiles(
            main: "sub/s.gltf", environment: "sky.hdr", in: files)
        #expect(names == ["sub/s.gltf", "sub/a b.bin", "c.bin", "sub/t.png", "sky.hdr"])
    }

    @Test("A file that many buffers name is read once, and one that nothing uses never")
    func readsOnce() throws {
        let buffer = #"{"uri":"t.bin","byteLength":42}"#
        let files = CountingFiles(
            TriangleFile.files(
                replacing: #""buffers":["# + buffer + "]",
                with: #""images":[{"uri":"unused.png"}],"buffers":["#
                    + Array(repeating: buffer, count: 50).joined(separator: ",") + "]"))
        _ = try SceneImporter.load(main: "s.gltf", environment: nil, from: files)
        #expect(files.counts == ["s.gltf": 1, "t.bin": 1])
    }

    @Test("A texture that is missing is named")
    func missingTexture() throws {
        let json = TriangleFile.json.replacingOccurrences(
            of: #""nodes":["#,
            with: #""images":[{"uri":"t.png"}],"textures":[{"source":0}],"#
                + #""materials":[{"normalTexture":{"index":0}}],"nodes":["#)
        let files = MemoryFiles(files: [
            "s.gltf": Array(json.utf8), "t.bin": TriangleFile.binary,
        ])
        #expect(TriangleFile.failure(files) == .missingFile("t.png"))
    }
}
