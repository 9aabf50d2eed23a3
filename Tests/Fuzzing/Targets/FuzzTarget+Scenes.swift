// What a scene is made of: glTF in both of its forms, textures, environments; and a scene that was
// accepted must be rendered without harm.

import MeshCore

@testable import Tracer

/// The files of a scene in memory.
private struct FuzzedFiles: SceneFiles {
    var files: [String: [UInt8]]

    func contents(of name: String) throws(SceneError) -> [UInt8] {
        guard let bytes = files[name] else { throw .missingFile(name) }
        return bytes
    }
}

extension FuzzTarget {
    /// Geometry for scenes whose text is made up: three positions, three indices, then whatever
    /// an accessor finds.
    static let sceneBinary: [UInt8] = {
        var bytes: [UInt8] = []
        for value: Float in [0, 0, 0, 1, 0, 0, 0, 1, 0] {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes += [0, 0, 1, 0, 2, 0]
        for index in 0..<1_024 { bytes.append(UInt8(truncatingIfNeeded: index &* 37 &+ 11)) }
        return bytes
    }()

    /// 2 × 1 pixels, 8-bit RGBA.
    static let scenePicture: [UInt8] = [
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0,
        0, 0, 2, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0xf4, 0x22, 0x7f, 0x8a, 0, 0, 0, 0x11, 0x49, 0x44,
        0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0xf0, 0x9f, 0x91, 0x89, 0x99, 5, 0, 0x0d,
        0x10, 2, 9, 0x57, 0xf0, 0x6b, 0x43, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60,
        0x82,
    ]

    private static func load(_ main: String, _ bytes: [UInt8]) -> SceneImport? {
        let files = FuzzedFiles(
            files: [main: bytes, "s.bin": sceneBinary, "i.png": scenePicture])
        guard
            (try? SceneImporter.referencedFiles(main: main, environment: nil, in: files)) != nil
        else { return nil }
        return try? SceneImporter.load(main: main, environment: nil, from: files)
    }

    static func gltf(_ bytes: [UInt8]) -> Bool { check(load("s.gltf", bytes)) }

    static func glb(_ bytes: [UInt8]) -> Bool { check(load("s.glb", bytes)) }

    /// What an import promises.
    private static func check(_ loaded: SceneImport?) -> Bool {
        guard let scene = loaded?.scene else { return false }
        require(!scene.instances.isEmpty, "a scene shows something")
        for instance in scene.instances {
            require(scene.meshes.indices.contains(instance.mesh), "an instance has its mesh")
        }
        for mesh in scene.meshes {
            require(scene.materials.indices.contains(mesh.material), "a mesh has its material")
            require(mesh.positions.allSatisfy(\.isFinite), "positions are finite")
            require(mesh.normals.allSatisfy(\.isFinite), "normals are finite")
            require(mesh.tangents.allSatisfy(\.isFinite), "tangents are finite")
            let vertices = mesh.positions.count / 3
            require(mesh.indices.allSatisfy { $0 < vertices }, "indices name vertices")
        }
        return true
    }

    /// Renders a small scene of one tile: nothing that an import accepts may trap behind it.
    static func scene(_ bytes: [UInt8]) -> Bool {
        guard let scene = load("s.gltf", bytes)?.scene,
            scene.meshes.reduce(0, { $0 + $1.indices.count }) <= 3_000,
            scene.instances.count <= 100
        else { return false }
        let settings = FrameSettings(width: 8, height: 8, samplesPerPixel: 2, maxDepth: 3)
        guard let space = settings.workSpace,
            let prepared = try? PreparedScene(scene, frame: settings, buildThreads: 1)
        else { return false }
        let renderer = UnitRenderer(scene: prepared, workSpace: space)
        var film = Film(workSpace: space)
        for unit in 0..<space.count {
            try? film.add(unit: unit, renderer.render(space.unit(unit)))
        }
        let image = FilmImage(film)
        require(image.values.allSatisfy { !$0.isNaN }, "a picture has no NaN")
        return true
    }

    static func texture(_ bytes: [UInt8]) -> Bool {
        guard let image = try? ImageDecoder.decode(bytes, file: "i") else { return false }
        require(image.pixels.count == 4 * image.width * image.height, "all pixels are there")
        return true
    }

    static func environment(_ bytes: [UInt8]) -> Bool {
        guard let image = (try? EnvironmentDecoder.decode(bytes, file: "e"))?.environment else {
            return false
        }
        require(image.pixels.count == 3 * image.width * image.height, "all pixels are there")
        require(image.pixels.allSatisfy { $0.isFinite && $0 >= 0 }, "radiance is radiance")
        guard image.width * image.height <= 4_096 else { return true }
        _ = try? EnvironmentLight(image)
        return true
    }
}
