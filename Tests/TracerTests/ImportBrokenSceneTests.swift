// Broken and hostile scenes: each is one clear line, and none a crash.

import Foundation
import Testing

@testable import Tracer

/// A change to the fixture's text, and what must stand in the error.
struct Breakage: Sendable, CustomTestStringConvertible {
    let name: String
    let old: String
    let new: String
    let error: String
    init(_ name: String, _ old: String, _ new: String, _ error: String) {
        self.name = name
        self.old = old
        self.new = new
        self.error = error
    }
    var testDescription: String { name }

    static let all: [Breakage] = [
        .init("no JSON", #"{"asset""#, #"{asset""#, "not valid JSON"),
        .init("no glTF", #""asset":{"version":"2.0"},"#, "", "it is not glTF"),
        .init("glTF 1", #""version":"2.0""#, #""version":"1.0""#, "glTF version '1.0'"),
        .init("a wrong type", #""mesh":0"#, #""mesh":"x""#, "nodes[0].mesh is not a whole number"),
        .init("a huge number", #""mesh":0"#, #""mesh":1e99"#, "malformed"),
        .init("a huge exponent", #""name":"n""#, #""translation":[1e999,0,0]"#, "malformed"),
        .init("an unknown scene", #""scene":0"#, #""scene":7"#, "scene 7 is not there"),
        .init("an unknown node", #""nodes":[0]"#, #""nodes":[5]"#, "node 5 is not there"),
        .init("a negative node", #""nodes":[0]"#, #""nodes":[-1]"#, "node -1 is not there"),
        .init("an unknown mesh", #""mesh":0"#, #""mesh":3"#, "mesh 3 is not there"),
        .init("an unknown camera", #""mesh":0"#, #""camera":3"#, "camera 3 is not there"),
        .init("its own child", #""mesh":0"#, #""mesh":0,"children":[0]"#, "its own ancestor"),
        .init("two parents", #""nodes":[0]"#, #""nodes":[0,0]"#, "two parents"),
        .init(
            "a matrix of 3", #""name":"n""#, #""matrix":[1,2,3]"#, "a matrix of 3 numbers"),
        .init(
            "no rotation", #""name":"n""#, #""rotation":[0,0,0,0]"#, "rotation without direction"),
        .init(
            "far away", #""name":"n""#, #""translation":[1e30,0,0]"#, "reaches farther"),
        .init(
            "an overflow of scales", #""name":"n""#, #""scale":[1e38,1e38,1e38]"#, "reaches"),
        .init(
            "an unknown accessor", #""POSITION":0"#, #""POSITION":9"#, "accessor 9 is not there"),
        .init("a wrong accessor", #""POSITION":0"#, #""POSITION":1"#, "'SCALAR' instead of 'VEC3'"),
        .init("an unknown mode", #""indices":1"#, #""indices":1,"mode":12"#, "primitive mode 12"),
        .init(
            "an unknown material", #""indices":1"#, #""indices":1,"material":4"#, "material 4"),
        .init("float indices", #""indices":1"#, #""indices":0"#, "instead of 'SCALAR'"),
        .init(
            "signed indices", #""componentType":5123"#, #""componentType":5122"#,
            "indices that are not unsigned"),
        .init(
            "an unknown component type", #""componentType":5126"#, #""componentType":1"#,
            "unknown component type 1"),
        .init("too many vertices", #""count":3,"type":"VEC3""#, #""count":4,"type":"VEC3""#, "end"),
        .init(
            "too few vertices", #""count":3,"type":"VEC3""#, #""count":2,"type":"VEC3""#,
            "the index 2, but only 2 vertices"),
        .init(
            "a negative count", #""count":3,"type":"VEC3""#, #""count":-3,"type":"VEC3""#,
            "impossible count -3"),
        .init(
            "an overflowing count", #""count":3,"type":"VEC3""#,
            #""count":9223372036854775807,"type":"VEC3""#, "impossible count"),
        .init(
            "a large count", #""count":3,"type":"SCALAR""#, #""count":4000000000,"type":"SCALAR""#,
            "behind the end of buffer view 1"),
        .init(
            "zeros without end", #"{"bufferView":1,"componentType":5123,"count":3"#,
            #"{"componentType":5123,"count":100000000"#, "elements without data"),
        .init(
            "vertices of zeros without end", #"{"bufferView":0,"componentType":5126,"count":3"#,
            #"{"componentType":5126,"count":2000000"#, "elements without data"),
        .init(
            "an offset behind the end", #""componentType":5126"#,
            #""byteOffset":4,"componentType":5126"#, "behind the end of buffer view 0"),
        .init(
            "a negative offset", #""componentType":5126"#,
            #""byteOffset":-4,"componentType":5126"#, "behind the end"),
        .init(
            "an overflowing offset", #""componentType":5126"#,
            #""byteOffset":9223372036854775807,"componentType":5126"#, "behind the end"),
        .init(
            "an overflowing view", #""byteOffset":36,"byteLength":6"#,
            #""byteOffset":9223372036854775807,"byteLength":9223372036854775807"#,
            "buffer view 1 reaches behind the end of buffer 0"),
        .init(
            "a narrow stride", #""byteLength":36"#, #""byteLength":36,"byteStride":4"#,
            "impossible stride 4"),
        .init(
            "a wide stride", #""byteLength":36"#,
            #""byteLength":36,"byteStride":4611686018427387904"#, "impossible stride"),
        .init("no such buffer", #""buffer":0"#, #""buffer":2"#, "uses buffer 2"),
        .init("no such view", #""bufferView":0"#, #""bufferView":8"#, "buffer view 8"),
        .init("a short buffer", #""byteLength":42"#, #""byteLength":43"#, "42 of 43 bytes"),
        .init(
            "an empty buffer view", #""byteLength":36"#, #""byteLength":0"#, "behind the end"),
        .init("no data", #""uri":"t.bin","#, "", "buffer 0 has no data"),
        .init("a missing file", "t.bin", "u.bin", "missing file 'u.bin'"),
        .init("a file outside", "t.bin", "../t.bin", "outside the scene's folder"),
        .init("a hidden file outside", "t.bin", "a/%2e%2e/../../t.bin", "outside the scene's"),
        .init("an absolute file", "t.bin", "/etc/passwd", "absolute path"),
        .init("a URL", "t.bin", "https://example.org/t.bin", "the scheme 'https:'"),
        .init("a line break in a name", "t.bin", #"a\nb"#, "is no file name"),
        .init("bad base64", "t.bin", "data:;base64,###", "not valid base64"),
        .init("a data URI without data", "t.bin", "data:", "without a comma"),
        .init("a plain data URI", "t.bin", "data:,abc", "not base64"),
        .init(
            "a required extension", #""scene":0"#,
            #""scene":0,"extensionsRequired":["KHR_draco_mesh_compression"]"#,
            "needs the extension KHR_draco_mesh_compression"),
        .init("nothing to show", #""nodes":[0]"#, #""nodes":[]"#, "no triangles to render"),
        .init("only points", #""indices":1"#, #""indices":1,"mode":0"#, "no triangles to render"),
        .init(
            "a sparse accessor that is too long", #""count":3,"type":"VEC3""#,
            #""count":3,"type":"VEC3","sparse":{"count":4,"indices":{"bufferView":1,"#
                + #""componentType":5123},"values":{"bufferView":0}}"#, "replaces 4 of 3"),
        .init(
            "a sparse accessor out of range", #""count":3,"type":"VEC3""#,
            #""count":3,"type":"VEC3","sparse":{"count":2,"indices":{"bufferView":0,"#
                + #""byteOffset":12,"componentType":5123},"values":{"bufferView":0}}"#,
            "do not ascend or are out of range"),
    ]
}

@Suite("Broken scenes")
struct ImportBrokenSceneTests {
    @Test("A broken file is refused in one line", arguments: Breakage.all)
    func brokenText(_ breakage: Breakage) throws {
        #expect(TriangleFile.json.contains(breakage.old), "the case changes the file")
        let files = TriangleFile.files(replacing: breakage.old, with: breakage.new)
        let error = try #require(TriangleFile.failure(files))
        #expect(error.description.contains(breakage.error), "\(error)")
        #expect(!error.description.contains("\n"))
        #expect(error.description.count < 400)
    }

    @Test("Without a change the file is read")
    func intact() {
        #expect(TriangleFile.failure(TriangleFile.files()) == nil)
    }

    @Test(
        "A camera with nonsense numbers is refused",
        arguments: [
            #"{"type":"perspective"}"#, #"{"type":"fisheye"}"#, #"{"type":"orthographic"}"#,
            #"{"type":"perspective","perspective":{"yfov":0}}"#,
            #"{"type":"perspective","perspective":{"yfov":-1}}"#,
            #"{"type":"perspective","perspective":{"yfov":4}}"#,
            #"{"type":"orthographic","orthographic":{"xmag":1,"ymag":0}}"#,
        ])
    func nonsenseCameras(_ camera: String) throws {
        let files = TriangleFile.files(
            replacing: #""mesh":0,"name":"n"}],"#,
            with: #""mesh":0,"camera":0}],"cameras":["# + camera + "],")
        #expect(try #require(TriangleFile.failure(files)).description.contains("camera 0"))
    }

    @Test(
        "A light with nonsense numbers is refused",
        arguments: [
            #"{"type":"sun"}"#, #"{"type":"point","intensity":-1}"#,
            #"{"type":"point","range":0}"#, #"{"type":"point","color":[1]}"#,
            #"{"type":"spot","spot":{"innerConeAngle":1,"outerConeAngle":0.5}}"#,
        ])
    func nonsenseLights(_ light: String) throws {
        let files = TriangleFile.files(
            replacing: #""mesh":0,"name":"n"}],"#,
            with: #""mesh":0,"extensions":{"KHR_lights_punctual":{"light":0}}}],"#
                + #""extensions":{"KHR_lights_punctual":{"lights":["# + light + "]}},")
        #expect(try #require(TriangleFile.failure(files)).description.contains("light 0"))
    }

    @Test(
        "A position that is no finite number is refused",
        arguments: [Float.nan, .infinity, -.infinity])
    func nonFinitePosition(_ value: Float) throws {
        let positions = TriangleFile.bytes([0, 0, 0, 1, value, 0, 0, 1, 0] as [Float])
        let files = TriangleFile.files(binary: positions + TriangleFile.binary.suffix(6))
        #expect(try #require(TriangleFile.failure(files)).description.contains("finite"))
    }

    @Test("A .glb that ends early is refused, wherever it ends")
    func truncatedContainer() throws {
        let text = TriangleFile.json.replacingOccurrences(of: #""uri":"t.bin","#, with: "")
        let whole = TriangleFile.container(text, TriangleFile.binary)
        #expect(TriangleFile.failure(MemoryFiles(files: ["s.gltf": whole])) == nil)
        for length in 0..<whole.count {
            let files = MemoryFiles(files: ["s.gltf": Array(whole.prefix(length))])
            let error = try #require(TriangleFile.failure(files), "\(length) bytes")
            #expect(!error.description.contains("\n"))
        }
    }

    @Test("Any single byte of a .glb may be wrong", arguments: 0..<8)
    func corruptContainer(_ bit: Int) {
        let text = TriangleFile.json.replacingOccurrences(of: #""uri":"t.bin","#, with: "")
        let whole = TriangleFile.container(text, TriangleFile.binary)
        var refused = 0
        for position in whole.indices {
            var bytes = whole
            bytes[position] ^= 1 << UInt8(bit)
            if TriangleFile.failure(MemoryFiles(files: ["s.gltf": bytes])) != nil { refused += 1 }
        }
        #expect(refused > whole.count / 4)
    }

    @Test("JSON that nests without end is refused")
    func deepNesting() throws {
        let depth = 100_000
        let text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let nested = TriangleFile.json.replacingOccurrences(
            of: #""scene":0"#, with: #""scene":0,"extras":"# + text)
        for json in [text, nested] {
            let files = MemoryFiles(files: ["s.gltf": Array(json.utf8)])
            #expect(try #require(TriangleFile.failure(files)).description.contains("malformed"))
        }
    }

    @Test("A chain of nodes deeper than any stack is walked")
    func deepNodes() throws {
        let depth = 200_000
        let chain = (1..<depth).map { #"{"children":["# + "\($0)" + "]}" }
        let files = TriangleFile.files(
            replacing: #"[{"mesh":0,"name":"n"}]"#,
            with: "[" + chain.joined(separator: ",") + #",{"mesh":0}]"#)
        let scene = try SceneImporter.load(main: "s.gltf", environment: nil, from: files).scene
        #expect(scene.instances.count == 1)
    }

    @Test("Many nodes may show one mesh of many primitives that make no triangles")
    func manyPointMeshes() throws {
        let points = [String](repeating: #"{"attributes":{"POSITION":0},"mode":0}"#, count: 30_000)
        let shown = [String](repeating: #"{"mesh":1}"#, count: 30_000)
        var text = TriangleFile.json.replacingOccurrences(
            of: #""nodes":[{"mesh":0,"name":"n"}]"#,
            with: #""nodes":[{"mesh":0},"# + shown.joined(separator: ",") + "]")
        text = text.replacingOccurrences(of: #""scene":0,"scenes":[{"nodes":[0]}],"#, with: "")
        text = text.replacingOccurrences(
            of: #""indices":1}]}]"#,
            with: #""indices":1}]},{"primitives":["# + points.joined(separator: ",") + "]}]")
        let files = MemoryFiles(files: ["s.gltf": Array(text.utf8), "t.bin": TriangleFile.binary])
        let scene = try SceneImporter.load(main: "s.gltf", environment: nil, from: files).scene
        #expect(scene.instances.count == 1)
    }

    @Test("Many primitives of zeros are refused: a short text makes no gigabytes")
    func manyZeros() throws {
        let primitives = (0..<40).map { #"{"attributes":{"POSITION":0,"A\#($0)":0}}"# }
        var text = TriangleFile.json.replacingOccurrences(
            of: #"{"attributes":{"POSITION":0},"indices":1}"#,
            with: primitives.joined(separator: ","))
        text = text.replacingOccurrences(
            of: #"{"bufferView":0,"componentType":5126,"count":3"#,
            with: #"{"componentType":5126,"count":60000"#)
        let files = MemoryFiles(files: ["s.gltf": Array(text.utf8), "t.bin": TriangleFile.binary])
        let reason = try #require(TriangleFile.failure(files)).description
        #expect(reason.contains("elements without data"))
    }

    @Test("A cycle of nodes is refused, with scenes and without")
    func cycles() throws {
        let cycle = #""nodes":[{"children":[1]},{"children":[0],"mesh":0}]"#
        let files = TriangleFile.files(replacing: #""nodes":[{"mesh":0,"name":"n"}]"#, with: cycle)
        #expect(try #require(TriangleFile.failure(files)).description.contains("ancestor"))
        var bare = TriangleFile.json.replacingOccurrences(
            of: #""nodes":[{"mesh":0,"name":"n"}]"#, with: cycle)
        bare = bare.replacingOccurrences(of: #""scene":0,"scenes":[{"nodes":[0]}],"#, with: "")
        let other = MemoryFiles(files: ["s.gltf": Array(bare.utf8), "t.bin": TriangleFile.binary])
        #expect(try #require(TriangleFile.failure(other)).description.contains("child of another"))
    }
}
