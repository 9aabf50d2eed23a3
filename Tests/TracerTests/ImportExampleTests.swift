// The demonstration scene: its script runs, and what it writes is read without complaint.

import Foundation
import Testing

@testable import Tracer

@Suite("The demonstration scene")
struct ImportExampleTests {
    /// Runs the script, found from this file; false when there is no python3.
    private func make(into folder: String) throws -> Bool {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", package.appendingPathComponent("Examples/make-scene.py").path, folder,
        ]
        try process.run()
        process.waitUntilExit()
        // 127 is what env returns for a program that is not there.
        guard process.terminationStatus != 127 else { return false }
        #expect(process.terminationStatus == 0)
        return true
    }

    @Test("It is the same on every run, small, and reads without a notice")
    func demonstration() throws {
        let root = NSTemporaryDirectory() + "meshd-example-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: root) }
        guard try make(into: root + "/a") else { return }
        _ = try make(into: root + "/b")

        let first = FolderFiles(folder: root + "/a")
        let second = FolderFiles(folder: root + "/b")
        let names = try SceneImporter.referencedFiles(
            main: "still-life.gltf", environment: "studio.hdr", in: first)
        #expect(names.count == 9)
        var size = 0
        for name in names {
            let bytes = try first.contents(of: name)
            #expect(try bytes == second.contents(of: name), "\(name)")
            size += bytes.count
        }
        #expect(size < 10_000_000)

        let result = try SceneImporter.load(
            main: "still-life.gltf", environment: "studio.hdr", from: first)
        #expect(result.notices.isEmpty)
        let scene = result.scene
        #expect(scene.cameras.map(\.name) == ["Camera"])
        #expect(scene.images.count == 6)
        #expect(scene.instances.count > scene.meshes.count, "some meshes are shown many times")
        let triangles = scene.meshes.reduce(0) { $0 + $1.indices.count / 3 }
        #expect((100_000...300_000).contains(triangles))
        // Every surface's normals are on the side its triangles face.
        for mesh in scene.meshes {
            #expect(mesh.inwardTriangles == 0)
        }
    }
}

extension TriangleMesh {
    /// The triangles whose winding disagrees with their first vertex's normal.
    fileprivate var inwardTriangles: Int {
        func vector(_ values: [Float], _ index: UInt32) -> SIMD3<Float> {
            let start = 3 * Int(index)
            return SIMD3(values[start], values[start + 1], values[start + 2])
        }
        return stride(from: 0, to: indices.count, by: 3).count { first in
            let origin = vector(positions, indices[first])
            let face = (vector(positions, indices[first + 1]) - origin)
                .crossProduct(vector(positions, indices[first + 2]) - origin)
            let side = (0..<3).reduce(Float(0)) {
                $0 + face.dotProduct(vector(normals, indices[first + $1]))
            }
            return side < -1e-9
        }
    }
}
