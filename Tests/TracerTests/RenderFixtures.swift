import Foundation
import MeshCore
import Testing

@testable import Tracer

// What the rendering tests share: small scenes with known answers and whole frames.

enum RenderScene {
    /// A camera at `(0, 0, distance)` that looks at the origin and sees `±halfHeight` there.
    static func camera(distance: Float = 4, halfHeight: Float = 1) -> Camera {
        Camera(
            name: "front", projection: .orthographic(halfHeight: halfHeight),
            transform: AffineTransform(
                x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1], translation: [0, 0, distance]))
    }

    static func diffuse(_ albedo: Float) -> Material {
        var material = Material()
        material.baseColor = SIMD3(repeating: albedo)
        material.metallic = 0
        material.roughness = 1
        return material
    }

    /// Two triangles in the plane z = `z` that face +z, with texture coordinates from 0 to 1.
    static func quad(side: Float = 2, z: Float = 0, material: Int = 0) -> TriangleMesh {
        let h = side / 2
        return TriangleMesh(
            positions: [-h, -h, z, h, -h, z, h, h, z, -h, h, z],
            textureCoordinates: [0, 1, 1, 1, 1, 0, 0, 0], indices: [0, 1, 2, 0, 2, 3],
            material: material)
    }

    /// A closed sphere of flat triangles: convex, so that no light meets it twice.
    static func sphere(
        radius: Float = 0.8, rings: Int = 24, smooth: Bool = false, material: Int = 0
    ) -> TriangleMesh {
        var positions: [Float] = []
        var indices: [UInt32] = []
        let columns = 2 * rings
        for ring in 0...rings {
            for column in 0..<columns {
                let polar = IEEEMath.sineCosine(
                    turns: Float8(repeating: Float(ring) / Float(2 * rings)))
                let azimuth = IEEEMath.sineCosine(
                    turns: Float8(repeating: Float(column) / Float(columns)))
                positions += [
                    radius * polar.sine[0] * azimuth.cosine[0], radius * polar.cosine[0],
                    -radius * polar.sine[0] * azimuth.sine[0],
                ]
            }
        }
        for ring in 0..<rings {
            for column in 0..<columns {
                let a = UInt32(ring * columns + column)
                let b = UInt32(ring * columns + (column + 1) % columns)
                let (c, d) = (a + UInt32(columns), b + UInt32(columns))
                indices += [a, c, d, a, d, b]
            }
        }
        return TriangleMesh(
            positions: positions, normals: smooth ? positions.map { $0 / radius } : [],
            indices: indices, material: material)
    }

    /// Meshes at the origin, each once.
    static func make(
        _ meshes: [TriangleMesh], materials: [Material], environment: Float? = nil
    ) -> SceneDescription {
        var scene = SceneDescription()
        scene.meshes = meshes
        scene.instances = meshes.indices.map { MeshInstance(mesh: $0, transform: .identity) }
        scene.materials = materials
        scene.cameras = [camera()]
        if let environment {
            scene.environment = Environment(
                width: 1, height: 1, pixels: [environment, environment, environment])
        }
        return scene
    }

    static func settings(
        side: Int = 32, samples: Int = 16, depth: Int = 8, seed: UInt32 = 7
    ) -> FrameSettings {
        FrameSettings(
            width: side, height: side, samplesPerPixel: samples, maxDepth: depth, seed: seed)
    }

    /// The whole frame, on this thread.
    static func render(
        _ scene: SceneDescription, _ settings: FrameSettings
    ) throws -> FilmImage {
        FilmImage(try film(scene, settings))
    }

    static func film(_ scene: SceneDescription, _ settings: FrameSettings) throws -> Film {
        try film(PreparedScene(scene, frame: settings, buildThreads: 1))
    }

    static func film(_ prepared: PreparedScene) throws -> Film {
        let space = try #require(prepared.settings.workSpace)
        let renderer = UnitRenderer(scene: prepared, workSpace: space)
        var film = Film(workSpace: space)
        for unit in 0..<space.count { try film.add(unit: unit, renderer.render(space.unit(unit))) }
        return film
    }
}

extension FilmImage {
    /// The mean of a plane over a square around the middle of the image.
    func middle(_ plane: Plane, radius: Int = 3) -> Float {
        var sum: Float = 0
        var count: Float = 0
        for y in (height / 2 - radius)..<(height / 2 + radius) {
            for x in (width / 2 - radius)..<(width / 2 + radius) {
                sum += value(plane, x: x, y: y)
                count += 1
            }
        }
        return sum / count
    }

    /// The mean over the whole image.
    func mean(_ plane: Plane) -> Double {
        var sum = 0.0
        for y in 0..<height { for x in 0..<width { sum += Double(value(plane, x: x, y: y)) } }
        return sum / Double(width * height)
    }
}

/// Real scenes, which the tests use where they are at hand.
enum SharedData {
    /// From MESHD_SHARED_DATA, else beside the package; nil when it is not there.
    static let folder: String? = {
        let named = ProcessInfo.processInfo.environment["MESHD_SHARED_DATA"]
        let beside = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../shared/data").standardizedFileURL.path
        let folder = named ?? beside
        return FileManager.default.fileExists(atPath: folder) ? folder : nil
    }()
}
