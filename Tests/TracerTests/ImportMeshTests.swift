// What well-formed scenes become.

import Testing

@testable import Tracer

@Suite("Imported scenes")
struct ImportMeshTests {
    private func load(
        _ old: String = "", _ new: String = "", binary: [UInt8] = TriangleFile.binary
    ) throws -> SceneImport {
        try SceneImporter.load(
            main: "s.gltf", environment: nil,
            from: TriangleFile.files(replacing: old, with: new, binary: binary))
    }

    /// A file of one primitive whose accessors are given, beside its binary.
    private func load(
        attributes: String, accessors: String, views: String, binary: [UInt8], extra: String = ""
    ) throws -> SceneImport {
        let json = """
            {"asset":{"version":"2.0"},"nodes":[{"mesh":0}],\(extra)
            "meshes":[{"primitives":[{"attributes":{\(attributes)}}]}],
            "accessors":[\(accessors)],"bufferViews":[\(views)],
            "buffers":[{"byteLength":\(binary.count)}]}
            """
        let files = MemoryFiles(files: ["s.gltf": TriangleFile.container(json, binary)])
        return try SceneImporter.load(main: "s.gltf", environment: nil, from: files)
    }

    @Test("A bare triangle gets a light, no camera, and a line about each")
    func bareTriangle() throws {
        let result = try load()
        #expect(result.scene.meshes[0].positions == [0, 0, 0, 1, 0, 0, 0, 1, 0])
        #expect(result.scene.meshes[0].indices == [0, 1, 2])
        #expect(result.scene.materials.count == 1)
        #expect(result.scene.materials[0].metallic == 1)
        let environment = try #require(result.scene.environment)
        #expect(environment.pixels.count == environment.width * environment.height * 3)
        #expect(result.scene.cameras.isEmpty)
        #expect(result.notices.count == 2)
        #expect(result.notices[0].contains("no light"))
        #expect(result.notices[1].contains("no camera"))
    }

    @Test(
        "Strips and fans become triangles that face the same side",
        arguments: [
            (4, [0, 1, 2, 3, 4, 5]), (5, [0, 1, 2, 1, 3, 2, 2, 3, 4, 3, 5, 4]),
            (6, [1, 2, 0, 2, 3, 0, 3, 4, 0, 4, 5, 0]),
        ] as [(Int, [UInt32])])
    func modes(mode: Int, expected: [UInt32]) throws {
        let positions = (0..<18).map { Float($0) }
        let json = """
            {"asset":{"version":"2.0"},"nodes":[{"mesh":0}],
            "meshes":[{"primitives":[{"attributes":{"POSITION":0},"mode":\(mode)}]}],
            "accessors":[{"bufferView":0,"componentType":5126,"count":6,"type":"VEC3"}],
            "bufferViews":[{"buffer":0,"byteLength":72}],"buffers":[{"byteLength":72}]}
            """
        let files = MemoryFiles(files: [
            "s.gltf": TriangleFile.container(json, TriangleFile.bytes(positions))
        ])
        let scene = try SceneImporter.load(main: "s.gltf", environment: nil, from: files).scene
        #expect(scene.meshes[0].indices == expected)
    }

    @Test(
        "Every component type is read, and scaled where it is normalised",
        arguments: [
            (5120, false, TriangleFile.bytes([-128, 127, 64] as [Int8]), [-128, 127, 64]),
            (5120, true, TriangleFile.bytes([-128, 127, 0] as [Int8]), [-1, 1, 0]),
            (5121, true, [0, 255, 51], [0, 1, 0.2]),
            (5122, false, TriangleFile.bytes([-3, 4, 5] as [Int16]), [-3, 4, 5]),
            (5122, true, TriangleFile.bytes([-32768, 32767, 0] as [Int16]), [-1, 1, 0]),
            (5123, true, TriangleFile.bytes([0, 65535, 13107] as [UInt16]), [0, 1, 0.2]),
            (5125, false, TriangleFile.bytes([7, 8, 9] as [UInt32]), [7, 8, 9]),
        ] as [(Int, Bool, [UInt8], [Float])])
    func components(code: Int, isNormalized: Bool, vertex: [UInt8], expected: [Float]) throws {
        let padded = vertex + [UInt8](repeating: 0, count: 12 - vertex.count)
        let scene = try load(
            attributes: #""POSITION":0"#,
            accessors: """
                {"bufferView":0,"componentType":\(code),"normalized":\(isNormalized),"count":3,
                "type":"VEC3"}
                """,
            views: #"{"buffer":0,"byteLength":36,"byteStride":12}"#,
            binary: padded + padded + padded
        ).scene
        #expect(scene.meshes[0].positions == expected + expected + expected)
    }

    @Test("A sparse accessor replaces some elements, of zeros or of others")
    func sparse() throws {
        let sparse = """
            "count":3,"type":"VEC3","sparse":{"count":2,"indices":{"bufferView":1,"byteOffset":2,
            "componentType":5123},"values":{"bufferView":0,"byteOffset":12}}
            """
        let over = try load(#""count":3,"type":"VEC3""#, sparse).scene
        #expect(over.meshes[0].positions == [0, 0, 0, 1, 0, 0, 0, 1, 0])
        let alone = try load(
            #""bufferView":0,"componentType":5126,"count":3,"type":"VEC3""#,
            #""componentType":5126,"#
                + sparse.replacing("\"byteOffset\":12", with: "\"byteOffset\":0")
        ).scene
        #expect(alone.meshes[0].positions == [0, 0, 0, 0, 0, 0, 1, 0, 0])
    }

    @Test("Only the vertices that are used are taken")
    func compaction() throws {
        let positions = (0..<300).map { Float($0) }
        let json = """
            {"asset":{"version":"2.0"},"nodes":[{"mesh":0}],
            "meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1}]}],
            "accessors":[{"bufferView":0,"componentType":5126,"count":100,"type":"VEC3",
            "sparse":{"count":1,"indices":{"bufferView":1,"componentType":5121},
            "values":{"bufferView":0}}},
            {"bufferView":1,"componentType":5121,"count":3,"type":"SCALAR"}],
            "bufferViews":[{"buffer":0,"byteLength":1200},
            {"buffer":0,"byteOffset":1200,"byteLength":3}],"buffers":[{"byteLength":1203}]}
            """
        let binary = TriangleFile.bytes(positions) + [90, 7, 50]
        let files = MemoryFiles(files: ["s.gltf": TriangleFile.container(json, binary)])
        let mesh = try SceneImporter.load(main: "s.gltf", environment: nil, from: files)
            .scene.meshes[0]
        #expect(mesh.indices == [2, 0, 1])
        #expect(mesh.positions == [21, 22, 23, 150, 151, 152, 0, 1, 2])
    }

    @Test("One geometry under many nodes is one mesh with many instances")
    func instancing() throws {
        let result = try load(
            #""nodes":[{"mesh":0,"name":"n"}]"#,
            #""nodes":[{"children":[1,2],"translation":[1,2,3]},{"mesh":0,"scale":[2,2,2]},"#
                + #"{"mesh":0,"rotation":[0,0,0.70710678,0.70710678],"translation":[0,0,5]}]"#)
        let scene = result.scene
        #expect(scene.meshes.count == 1)
        #expect(scene.instances.map(\.mesh) == [0, 0])
        #expect(scene.instances[0].transform.translation == [1, 2, 3])
        #expect(scene.instances[0].transform.x == [2, 0, 0])
        let turned = scene.instances[1].transform
        #expect(turned.translation == [1, 2, 8])
        #expect((turned.x - [0, 1, 0]).absoluteMax < 1e-6)
        #expect((turned.y - [-1, 0, 0]).absoluteMax < 1e-6)
    }

    @Test("A matrix is read by columns; a node scaled to nothing is left out")
    func matrices() throws {
        let scene = try load(
            #""name":"n""#, #""matrix":[1,2,3,0,4,5,7,0,7,8,9,0,10,11,12,1]"#
        ).scene
        let transform = scene.instances[0].transform
        #expect(transform.x == [1, 2, 3])
        #expect(transform.z == [7, 8, 9])
        #expect(transform.translation == [10, 11, 12])
        #expect(throws: SceneError.self) {
            try load(#""name":"n""#, #""scale":[1,0,1]"#)
        }
    }

    @Test("Cameras and lights stand where their nodes are, without their scale")
    func camerasAndLights() throws {
        let result = try load(
            #""nodes":[{"mesh":0,"name":"n"}],"#,
            #""nodes":[{"mesh":0,"children":[1]},{"name":"eye","camera":0,"scale":[3,3,3],"#
                + #""rotation":[0,1,0,0],"translation":[1,0,0],"#
                + #""extensions":{"KHR_lights_punctual":{"light":0}}}],"#
                + #""cameras":[{"type":"perspective","perspective":{"yfov":0.5,"znear":1}}],"#
                + #""extensions":{"KHR_lights_punctual":{"lights":[{"type":"spot","intensity":4,"#
                + #""color":[1,0.5,0],"spot":{"innerConeAngle":0,"outerConeAngle":0.5}}]}},"#
                + #""extensionsUsed":["KHR_lights_punctual","KHR_made_up"],"#)
        let camera = try #require(result.scene.cameras.first)
        #expect(camera.name == "eye")
        #expect(camera.projection == .perspective(verticalFieldOfView: 0.5))
        #expect(camera.transform.translation == [1, 0, 0])
        #expect((camera.transform.z - [0, 0, -1]).absoluteMax < 1e-6)
        #expect((camera.transform.x - [-1, 0, 0]).absoluteMax < 1e-6)
        let light = try #require(result.scene.lights.first)
        #expect(light.intensity == [4, 2, 0])
        #expect((light.direction - [0, 0, 1]).absoluteMax < 1e-6)
        guard case .spot(let inner, let outer) = light.kind else {
            Issue.record("the light is \(light.kind)")
            return
        }
        #expect(inner == 1)
        #expect(abs(outer - 0.877_582_6) < 1e-6)
        #expect(result.scene.environment == nil)
        #expect(result.notices == ["the extension KHR_made_up is not supported and was ignored"])
    }

    @Test("Materials come in with factors, emission, alpha and sides")
    func materials() throws {
        let material = try load(
            #""indices":1}]}],"#,
            #""indices":1,"material":0}]}],"materials":[{"name":"paint","doubleSided":true,"#
                + #""alphaMode":"MASK","alphaCutoff":0.25,"emissiveFactor":[1,0.5,0],"#
                + #""extensions":{"KHR_materials_emissive_strength":{"emissiveStrength":8},"#
                + #""KHR_materials_specular":{"specularFactor":0.5}},"#
                + #""pbrMetallicRoughness":{"baseColorFactor":[0.1,0.2,0.3,0.4],"#
                + #""metallicFactor":0.5,"roughnessFactor":7}}],"#
        )
        let paint = try #require(material.scene.materials.first)
        #expect(paint.name == "paint")
        #expect(paint.baseColor == [0.1, 0.2, 0.3])
        #expect(paint.alpha == 0.4)
        #expect(paint.metallic == 0.5)
        #expect(paint.roughness == 1)
        #expect(paint.emissive == [8, 4, 0])
        #expect(paint.specular == 0.5)
        #expect(paint.alphaMode == .mask(cutoff: 0.25))
        #expect(paint.isDoubleSided)
        #expect(material.notices.contains { $0.contains("roughnessFactor") })
        #expect(!material.notices.contains { $0.contains("no light") })
    }

    @Test("Normals become unit length, and a broken one is computed from its triangles")
    func normals() throws {
        let normals: [Float] = [0, 0, 5, 0, 0, 0, .nan, 0, 0]
        let mesh = try load(
            attributes: #""POSITION":0,"NORMAL":1"#,
            accessors: #"{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3"},"#
                + #"{"bufferView":0,"byteOffset":36,"componentType":5126,"count":3,"type":"VEC3"}"#,
            views: #"{"buffer":0,"byteLength":72}"#,
            binary: TriangleFile.binary.prefix(36) + TriangleFile.bytes(normals)
        ).scene.meshes[0]
        #expect(mesh.normals == [0, 0, 1, 0, 0, 1, 0, 0, 1])
    }

    @Test("Tangents follow u, and their sign tells mirrored textures apart", arguments: [1, -1])
    func tangents(_ mirror: Float) throws {
        var mesh = TriangleMesh(
            positions: [0, 0, 0, 1, 0, 0, 0, 1, 0], normals: [0, 0, 1, 0, 0, 1, 0, 0, 1],
            textureCoordinates: [0, 0, mirror, 0, 0, 1], indices: [0, 1, 2], material: 0)
        mesh.completeTangents()
        #expect(mesh.tangents == Array(repeatElement([mirror, 0, 0, mirror], count: 3).joined()))
    }
}
