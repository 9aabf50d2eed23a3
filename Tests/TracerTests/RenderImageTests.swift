import Foundation
import Testing

@testable import MeshCore
@testable import Tracer

@Suite("Rendered images")
struct RenderImageTests {
    @Test("A white convex body in a white world can't be seen", arguments: [0, 1] as [UInt32])
    func furnace(seed: UInt32) throws {
        let scene = RenderScene.make(
            [RenderScene.sphere()], materials: [RenderScene.diffuse(1)], environment: 1)
        let image = try RenderScene.render(scene, RenderScene.settings(samples: 64, seed: seed))
        #expect(abs(image.mean(.red) - 1) < 0.004)
        #expect(abs(image.middle(.red) - 1) < 0.02)
    }

    @Test("A white dielectric of any roughness can't be seen in a white world")
    func furnaceOfDielectric() throws {
        for roughness in [0.2, 0.5, 0.9] as [Float] {
            var material = RenderScene.diffuse(1)
            material.roughness = roughness
            let scene = RenderScene.make(
                [RenderScene.sphere()], materials: [material], environment: 1)
            let image = try RenderScene.render(scene, RenderScene.settings(samples: 64))
            #expect(abs(image.mean(.red) - 1) < 0.02, "roughness \(roughness)")
        }
    }

    @Test("A white metal loses only what its facets shadow, and gains nothing")
    func furnaceOfMetal() throws {
        for (roughness, lossMax) in [(0.1, 0.01), (0.3, 0.02), (0.6, 0.12)] as [(Float, Double)] {
            var material = RenderScene.diffuse(1)
            material.roughness = roughness
            material.metallic = 1
            let scene = RenderScene.make(
                [RenderScene.sphere(smooth: true)], materials: [material], environment: 1)
            let image = try RenderScene.render(scene, RenderScene.settings(samples: 64))
            #expect(image.mean(.red) < 1.005, "roughness \(roughness)")
            #expect(image.mean(.red) > 1 - lossMax, "roughness \(roughness)")
        }
    }

    @Test("A point light on a white wall gives the inverse square of its distance over π")
    func pointLight() throws {
        var scene = RenderScene.make(
            [RenderScene.quad(side: 20)], materials: [RenderScene.diffuse(0.5)])
        scene.lights = [
            PunctualLight(
                kind: .point, intensity: [8, 4, 2], position: [0, 0, 2], direction: [0, 0, -1])
        ]
        scene.cameras = [RenderScene.camera(halfHeight: 0.01)]
        let image = try RenderScene.render(scene, RenderScene.settings(side: 8, samples: 4))
        #expect(abs(image.middle(.red) - 0.5 / .pi * 8 / 4) < 1e-4)
        #expect(abs(image.middle(.blue) - 0.5 / .pi * 2 / 4) < 1e-4)
    }

    @Test("A triangle shines to the front only, unless its material is double-sided")
    func shiningSides() throws {
        for (isDoubleSided, expected) in [(false, 0), (true, 3)] as [(Bool, Float)] {
            var material = RenderScene.diffuse(0)
            material.emissive = [3, 3, 3]
            material.isDoubleSided = isDoubleSided
            var scene = RenderScene.make([RenderScene.quad(side: 4)], materials: [material])
            let front = try RenderScene.render(scene, RenderScene.settings(side: 8, samples: 1))
            #expect(front.middle(.red) == 3)
            // Seen from behind: turned by half a turn around y.
            scene.instances[0].transform = AffineTransform(
                x: [-1, 0, 0], y: [0, 1, 0], z: [0, 0, -1], translation: [0, 0, 0])
            let back = try RenderScene.render(scene, RenderScene.settings(side: 8, samples: 1))
            #expect(back.middle(.red) == expected)
        }
    }

    @Test("The last vertex finds the same light by tests of the emitters as by tracing the ray")
    func lastVertex() throws {
        // Seventeen emitters are traced, the same area in two triangles is tested.
        func scene(pieces: Int) -> SceneDescription {
            var light = RenderScene.diffuse(0)
            light.emissive = [5, 5, 5]
            light.isDoubleSided = true
            var meshes = [RenderScene.quad(side: 8)]
            let side = 2 / Float(pieces)
            for row in 0..<pieces {
                for column in 0..<pieces {
                    var piece = RenderScene.quad(side: side, z: 1.5, material: 1)
                    let x = (Float(column) + 0.5) * side - 1 + 2.5
                    let y = (Float(row) + 0.5) * side - 1
                    for vertex in 0..<4 {
                        piece.positions[3 * vertex] += x
                        piece.positions[3 * vertex + 1] += y
                    }
                    meshes.append(piece)
                }
            }
            return RenderScene.make(meshes, materials: [RenderScene.diffuse(0.8), light])
        }
        let settings = RenderScene.settings(samples: 64, depth: 2)
        let tested = try RenderScene.render(scene(pieces: 1), settings)
        let traced = try RenderScene.render(scene(pieces: 3), settings)
        #expect(tested.mean(.red) > 0.05)
        #expect(abs(tested.mean(.red) / traced.mean(.red) - 1) < 0.01)
    }

    @Test("A frame's bits do not depend on the number of threads")
    func threads() throws {
        let scene = RenderScene.make(
            [RenderScene.sphere(), RenderScene.quad(side: 6, z: -1)],
            materials: [RenderScene.diffuse(0.7)], environment: 0.8)
        var settings = RenderScene.settings(side: 96, samples: 8)
        settings.height = 80
        let space = try #require(settings.workSpace)
        let whole = try RenderScene.film(scene, settings)
        for threads in [2, 3] {
            let prepared = try PreparedScene(scene, frame: settings, buildThreads: threads)
            let parts = PartialFilms(count: threads, space: space)
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                let renderer = UnitRenderer(scene: prepared, workSpace: space)
                for unit in stride(from: thread, to: space.count, by: threads) {
                    parts.add(renderer.render(space.unit(unit)), unit: unit, thread: thread)
                }
            }
            #expect(try parts.sum() == whole)
        }
    }

    @Test("A tile's sums do not depend on how its samples are split into units")
    func splitSamples() throws {
        let scene = RenderScene.make(
            [RenderScene.sphere(smooth: true), RenderScene.quad(side: 6, z: -1)],
            materials: [RenderScene.diffuse(0.7)], environment: 0.8)
        let settings = RenderScene.settings(samples: 32)
        let space = try #require(settings.workSpace)
        let prepared = try PreparedScene(scene, frame: settings, buildThreads: 1)
        let renderer = UnitRenderer(scene: prepared, workSpace: space)
        func sum(_ bounds: [Int]) -> FilmTile {
            var tile = FilmTile(pixelCount: 32 * 32)
            for (lower, upper) in zip(bounds, bounds.dropFirst()) {
                tile.add(renderer.render(WorkSpace.Unit(tile: 0, samples: lower..<upper)))
            }
            return tile
        }
        let whole = sum([0, 32])
        #expect(whole.wide.contains { $0 != 0 })
        #expect(sum([0, 1, 2, 4, 8, 16, 32]) == whole)
        #expect(sum([0, 5, 12, 13, 30, 32]) == whole)
    }

    @Test("The Cornell box has the mean that every correct renderer gives")
    func cornell() throws {
        guard let folder = SharedData.folder, let prepared = try cornellBox(folder) else { return }
        let result = try #require(
            TracerBenchmark(scene: prepared, threads: 2).run(samplesPerPixel: Self.samples))
        let reference = SIMD3(0.2206, 0.1438, 0.0412)
        for channel in 0..<3 {
            let ratio = result.mean[channel] / reference[channel]
            #expect(abs(ratio - 1) < Self.tolerance, "channel \(channel): \(result.mean)")
        }
        #expect(result.nonFiniteSamples == 0)
    }

    // A debug build traces ten times slower: it renders fewer pixels.
    #if DEBUG
        private static let side = 96
        private static let samples = 16
        private static let tolerance = 0.02
    #else
        private static let side = 512
        private static let samples = 64
        private static let tolerance = 0.003
    #endif

    private func cornellBox(_ folder: String) throws -> PreparedScene? {
        let files = FolderFiles(folder: folder + "/bench")
        guard
            let scene = try? SceneImporter.load(
                main: "cornell.glb", environment: nil, from: files)
        else { return nil }
        return try PreparedScene(
            scene.scene,
            frame: FrameSettings(width: Self.side, height: Self.side, maxDepth: 8),
            buildThreads: 2)
    }
}

/// The films of some threads.
private final class PartialFilms: @unchecked Sendable {
    // Unchecked: each thread writes its own element only; the sum is taken after all have ended.
    private let films: UnsafeMutableBufferPointer<Film>

    init(count: Int, space: WorkSpace) {
        films = .allocate(capacity: count)
        films.initialize(repeating: Film(workSpace: space))
    }

    deinit {
        films.deinitialize()
        films.deallocate()
    }

    func add(_ tile: FilmTile, unit: Int, thread: Int) {
        do { try films[thread].add(unit: unit, tile) } catch { preconditionFailure("\(error)") }
    }

    func sum() throws -> Film {
        var sum = films[0]
        for film in films.dropFirst() { try sum.add(film) }
        return sum
    }
}
