// What a scene's files say of themselves before they are decoded, and that nothing is decoded that
// does not fit.

import Foundation
import Testing

@testable import Tracer

@Suite("The footprint of a scene")
struct ImportFootprintTests {
    /// The last footprint that an import of `s.gltf` tells of.
    private static func footprint(
        _ files: MemoryFiles, environment: String? = nil
    ) throws(SceneError) -> SceneFootprint {
        try SceneImporter.load(main: "s.gltf", environment: environment, from: files).footprint
    }

    @Test("Triangles, vertices and instances are counted, shared ones once")
    func geometry() throws {
        let files = TriangleFile.files(
            replacing: #""nodes":[0]}],"# + "\n" + #""nodes":[{"mesh":0,"name":"n"}]"#,
            with: #""nodes":[0,1,2]}],"nodes":[{"mesh":0},{"mesh":0},{"mesh":0}]"#)
        let footprint = try Self.footprint(files)
        #expect(footprint.triangles == 1 && footprint.vertices == 3)
        #expect(footprint.instances == 3)
        let text = try #require(files.files["s.gltf"])
        #expect(footprint.fileBytes == text.count + 42)
        #expect(footprint.texturePixels == 0 && footprint.environmentPixels == 0)
        #expect(footprint.bytes > 42 && footprint.bytes < 1 << 20)
    }

    @Test("An environment counts by its header")
    func environment() throws {
        var files = TriangleFile.files()
        let header = "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 3\n"
        files.files["sky.hdr"] = Array(header.utf8) + [UInt8](repeating: 128, count: 24)
        #expect(try Self.footprint(files, environment: "sky.hdr").environmentPixels == 6)
    }

    @Test("What is refused by its counts is not read, and by its headers not decoded")
    func refusedEarly() throws {
        let files = CountingFiles(TriangleFile.files())
        let reason = SceneError.tooLarge("no")
        #expect(throws: reason) {
            try SceneImporter.load(main: "s.gltf", environment: nil, from: files) {
                footprint throws(SceneError) in
                #expect(footprint.triangles == 1)
                throw reason
            }
        }
        #expect(files.counts == ["s.gltf": 1], "the buffer was not read")
    }

    @Test("Textures are added when their headers are known, before their pixels are decoded")
    func textures() throws {
        let json = TriangleFile.json.replacingOccurrences(
            of: #""nodes":["#,
            with: #""images":[{"uri":"t.png"}],"textures":[{"source":0}],"#
                + #""materials":[{"normalTexture":{"index":0}}],"nodes":["#)
        // Only a header: to decode it is an error.
        let chunk: [UInt8] = Array("IHDR".utf8) + [0, 0, 1, 0, 0, 0, 2, 0, 8, 6, 0, 0, 0]
        let header: [UInt8] =
            [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13] + chunk
            + Self.crc(chunk)
        let files = MemoryFiles(files: [
            "s.gltf": Array(json.utf8), "t.bin": TriangleFile.binary, "t.png": header,
        ])
        var seen: [Int] = []
        #expect(throws: SceneError.tooLarge("no")) {
            try SceneImporter.load(main: "s.gltf", environment: nil, from: files) {
                footprint throws(SceneError) in
                seen.append(footprint.texturePixels)
                if footprint.texturePixels > 0 { throw .tooLarge("no") }
            }
        }
        #expect(seen == [0, 256 * 512])
    }

    /// The checksum of a PNG's chunk.
    private static func crc(_ bytes: [UInt8]) -> [UInt8] {
        var crc: UInt32 = .max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
        }
        crc = ~crc
        return (0..<4).map { UInt8(truncatingIfNeeded: crc >> UInt32(24 - 8 * $0)) }
    }

    @Test(
        "Absurd counts make a large footprint and no trap",
        arguments: [Int.max, Int.min, -1, 1 << 40])
    func absurd(count: Int) throws {
        let files = TriangleFile.files(
            replacing: #""count":3,"type":"VEC3""#, with: #""count":\#(count),"type":"VEC3""#)
        var seen: SceneFootprint?
        #expect(throws: SceneError.self) {
            try SceneImporter.load(main: "s.gltf", environment: nil, from: files) {
                seen = $0
            }
        }
        #expect(try #require(seen).bytes >= 0)
        var most = SceneFootprint()
        (most.triangles, most.vertices, most.instances) = (.max, .max, .max)
        (most.texturePixels, most.environmentPixels, most.fileBytes) = (.max, .max, .max)
        #expect(most.bytes >= 1 << 59)
    }
}
