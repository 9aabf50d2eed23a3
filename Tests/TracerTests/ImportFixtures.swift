// Scenes made in memory for the import's tests.

import Foundation
import Synchronization

@testable import Tracer

/// Files in memory.
struct MemoryFiles: SceneFiles {
    var files: [String: [UInt8]] = [:]

    func contents(of name: String) throws(SceneError) -> [UInt8] {
        guard let bytes = files[name] else { throw .missingFile(name) }
        return bytes
    }
}

/// Files in memory that count how often each is read.
final class CountingFiles: SceneFiles {
    private let files: MemoryFiles
    private let reads = Mutex<[String: Int]>([:])

    init(_ files: MemoryFiles) { self.files = files }

    var counts: [String: Int] { reads.withLock { $0 } }

    func contents(of name: String) throws(SceneError) -> [UInt8] {
        reads.withLock { $0[name, default: 0] += 1 }
        return try files.contents(of: name)
    }
}

/// One triangle in the plane z = 0, as text that a test changes before it is read.
struct TriangleFile: Sendable {
    static let json = """
        {"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],
        "nodes":[{"mesh":0,"name":"n"}],
        "meshes":[{"name":"m","primitives":[{"attributes":{"POSITION":0},"indices":1}]}],
        "accessors":[
        {"bufferView":0,"componentType":5126,"count":3,"type":"VEC3"},
        {"bufferView":1,"componentType":5123,"count":3,"type":"SCALAR"}],
        "bufferViews":[{"buffer":0,"byteOffset":0,"byteLength":36},
        {"buffer":0,"byteOffset":36,"byteLength":6}],
        "buffers":[{"uri":"t.bin","byteLength":42}]}
        """

    /// Positions (0,0,0), (1,0,0), (0,1,0), then the indices 0, 1, 2.
    static let binary: [UInt8] =
        bytes([0, 0, 0, 1, 0, 0, 0, 1, 0] as [Float]) + bytes([0, 1, 2] as [UInt16])

    static func bytes<Number>(_ numbers: [Number]) -> [UInt8] {
        numbers.withUnsafeBytes { Array($0) }
    }

    /// The file with `old` replaced by `new`, beside its binary.
    static func files(
        replacing old: String = "", with new: String = "", binary: [UInt8] = binary
    ) -> MemoryFiles {
        let text = old.isEmpty ? json : json.replacingOccurrences(of: old, with: new)
        return MemoryFiles(files: ["s.gltf": Array(text.utf8), "t.bin": binary])
    }

    /// A .glb of a text and binary data.
    static func container(_ text: String, _ binary: [UInt8]) -> [UInt8] {
        var json = Array(text.utf8)
        while json.count % 4 != 0 { json.append(0x20) }
        var data = binary
        while data.count % 4 != 0 { data.append(0) }
        let total = UInt32(12 + 8 + json.count + 8 + data.count)
        return Array("glTF".utf8) + bytes([2, total] as [UInt32])
            + bytes([UInt32(json.count)]) + Array("JSON".utf8) + json
            + bytes([UInt32(data.count)]) + Array("BIN\0".utf8) + data
    }

    /// What an import of `s.gltf` says; nil when it works.
    static func failure(_ files: MemoryFiles, environment: String? = nil) -> SceneError? {
        do {
            _ = try SceneImporter.load(main: "s.gltf", environment: environment, from: files)
            return nil
        } catch {
            return error
        }
    }
}
