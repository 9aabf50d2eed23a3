// Real files, where they are at hand: found through MESHD_SHARED_DATA, else beside the package.

import Foundation
import Testing

@testable import Tracer

/// The folder of shared scenes; nil when it is not there.
private let sharedData: String? = {
    let named = ProcessInfo.processInfo.environment["MESHD_SHARED_DATA"]
    let beside = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../shared/data").standardizedFileURL.path
    let folder = named ?? beside
    return FileManager.default.fileExists(atPath: folder) ? folder : nil
}()

@Suite("Real scenes", .enabled(if: sharedData != nil))
struct ImportRealSceneTests {
    @Test("The Cornell box comes in whole, with its camera and its light")
    func cornellBox() throws {
        let files = FolderFiles(folder: try #require(sharedData))
        let result = try SceneImporter.load(
            main: "bench/cornell.glb", environment: nil, from: files)
        let scene = result.scene
        #expect(result.notices.isEmpty)
        #expect(scene.meshes.count == 4)
        #expect(scene.instances.count == 4)
        #expect(scene.meshes.map { $0.indices.count / 3 } == [30, 2, 2, 2])
        #expect(scene.materials[1].baseColor == [0.63, 0.065, 0.05])
        #expect(abs(scene.materials[3].emissive.x - 17) < 1e-5)
        #expect(scene.environment == nil)
        let camera = try #require(scene.cameras.first)
        #expect(camera.name == "Camera")
        #expect(camera.projection == .perspective(verticalFieldOfView: 0.685_914_4))
        #expect(camera.transform.translation == [0, 0, 3.9])
        #expect(camera.transform.z == [0, 0, 1])
        #expect(scene.meshes.allSatisfy { $0.positions.allSatisfy { abs($0) <= 1 } })
    }

    @Test("The helmet comes in whole, with its textures, tangents and environment")
    func flightHelmet() throws {
        let files = FolderFiles(folder: try #require(sharedData))
        let main = "FlightHelmet/FlightHelmet.gltf"
        let environment = "env/spiaggia_di_mondello_1k.hdr"
        let names = try SceneImporter.referencedFiles(
            main: main, environment: environment, in: files)
        #expect(names.count == 1 + 1 + 15 + 1)
        #expect(names[1] == "FlightHelmet/FlightHelmet.bin")
        #expect(names.last == environment)

        let scene = try SceneImporter.load(main: main, environment: environment, from: files).scene
        #expect(scene.meshes.count == 6)
        #expect(scene.meshes[0].vertexCount == 10_472)
        #expect(scene.meshes[0].indices.count == 59_040)
        #expect(scene.meshes.allSatisfy { $0.tangents.count == 4 * $0.vertexCount })
        #expect(scene.images.count == 15)
        #expect(scene.images.allSatisfy { $0.pixels.count == 4 * $0.width * $0.height })
        let heights = scene.meshes.flatMap { mesh in
            stride(from: 1, to: mesh.positions.count, by: 3).map { mesh.positions[$0] }
        }
        let highest = try #require(heights.max())
        #expect(abs(highest - 0.716) < 1e-5)
        let sky = try #require(scene.environment)
        #expect(sky.width == 1024 && sky.height == 512)
        #expect(sky.pixels.allSatisfy { $0.isFinite && $0 >= 0 })
        #expect((sky.pixels.max() ?? 0) > 100, "the sun is in the picture")
    }
}
