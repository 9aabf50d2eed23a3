import MeshCore
import Testing

@testable import Tracer

@Suite("Prepared scenes")
struct RenderSceneTests {
    @Test("An instanced mesh gives the image of its copies")
    func instances() throws {
        let places: [AffineTransform] = [
            AffineTransform(
                x: [0.5, 0, 0], y: [0, 0.5, 0], z: [0, 0, 0.5], translation: [-0.5, 0.2, 0]),
            // Turned, stretched and mirrored.
            AffineTransform(
                x: [0, 0.6, 0], y: [0.3, 0, 0], z: [0, 0, 0.5], translation: [0.5, -0.2, 0]),
        ]
        var mesh = RenderScene.sphere(smooth: true)
        mesh.material = 1
        var shared = RenderScene.make(
            [mesh, RenderScene.quad(side: 6, z: -1)],
            materials: [RenderScene.diffuse(0.7), RenderScene.diffuse(0.4)], environment: 1)
        shared.instances =
            places.map { MeshInstance(mesh: 0, transform: $0) } + [shared.instances[1]]
        var copied = shared
        copied.meshes.append(mesh)
        copied.instances[1].mesh = 2
        let settings = RenderScene.settings(samples: 64)
        let first = try RenderScene.render(shared, settings)
        let second = try RenderScene.render(copied, settings)
        for plane in [FilmImage.Plane.red, .albedoRed, .alpha, .normalX, .normalZ] {
            #expect(abs(first.mean(plane) - second.mean(plane)) < 0.003, "\(plane)")
        }
        #expect(first.mean(.red) > 0.3)
    }

    @Test("An instance squeezed to almost nothing is rendered", arguments: [1e-20, 1e-12, 1e-7])
    func squeezedInstance(_ depth: Float) throws {
        var scene = RenderScene.make(
            [RenderScene.sphere()], materials: [RenderScene.diffuse(0.7)], environment: 1)
        scene.instances[0].transform.z = [0, 0, depth]
        scene.instances.append(scene.instances[0])
        scene.instances[1].transform.translation = [0.1, 0, 0]
        scene.instances.append(MeshInstance(mesh: 0, transform: .identity))
        scene.instances[2].transform.translation = [-0.1, 0, 0]
        scene.instances.append(MeshInstance(mesh: 0, transform: .identity))
        let image = try RenderScene.render(scene, RenderScene.settings(samples: 4))
        #expect(image.middle(.alpha) == 1)
        #expect(abs(image.middle(.albedoRed) - 0.7) < 0.001)
    }

    @Test(
        "A camera whose rays make no sense is refused",
        arguments: [
            Camera.Projection.orthographic(halfHeight: 1e30),
            .orthographic(halfHeight: .nan), .perspective(verticalFieldOfView: .nan),
        ])
    func senselessCamera(_ projection: Camera.Projection) {
        var scene = RenderScene.make([RenderScene.quad()], materials: [RenderScene.diffuse(1)])
        scene.cameras[0].projection = projection
        #expect(throws: SceneError.self) {
            try PreparedScene(scene, frame: RenderScene.settings(), buildThreads: 1)
        }
        scene.cameras[0] = RenderScene.camera(distance: 1e19)
        #expect(throws: SceneError.self) {
            try PreparedScene(scene, frame: RenderScene.settings(), buildThreads: 1)
        }
    }

    @Test("A scene prepared for one frame renders another as if prepared for it")
    func reuse() throws {
        var scene = RenderScene.make(
            [RenderScene.sphere(smooth: true), RenderScene.quad(side: 6, z: -1)],
            materials: [RenderScene.diffuse(0.7)], environment: 1)
        var other = RenderScene.camera(distance: 3)
        other.name = "other"
        scene.cameras.append(other)
        let first = try PreparedScene(
            scene, frame: RenderScene.settings(side: 8, samples: 1), buildThreads: 1)
        var settings = RenderScene.settings(side: 40, samples: 4)
        settings.seed = 7
        settings.maxDepth = 3
        settings.cameraName = "other"
        let reused = try RenderScene.film(try PreparedScene(first, frame: settings))
        #expect(reused == (try RenderScene.film(scene, settings)))
        settings.cameraName = nil
        #expect(reused != (try RenderScene.film(scene, settings)))
        settings.cameraName = "none"
        #expect(throws: SceneError.self) { try PreparedScene(first, frame: settings) }
    }

    @Test("A mirrored mesh shines where the original's front was")
    func mirroredEmitter() throws {
        var light = RenderScene.diffuse(0)
        light.emissive = [2, 2, 2]
        var scene = RenderScene.make([RenderScene.quad(side: 4)], materials: [light])
        scene.instances[0].transform.x = [-1, 0, 0]
        let image = try RenderScene.render(scene, RenderScene.settings(side: 8, samples: 1))
        #expect(image.middle(.red) == 2)
        #expect(image.middle(.normalZ) == 1)
    }

    @Test("A masked surface is a hole where alpha is below the cutoff, and only there")
    func mask() throws {
        // The upper half of the picture is opaque.
        let texels: [UInt8] = [255, 255, 255, 255, 255, 255, 255, 0]
        var masked = RenderScene.diffuse(1)
        masked.emissive = [1, 1, 1]
        masked.alphaMode = .mask(cutoff: 0.5)
        var reference = TextureReference(image: 0)
        reference.isNearest = true
        masked.baseColorTexture = reference
        var scene = RenderScene.make(
            [RenderScene.quad(side: 2), RenderScene.quad(side: 6, z: -1, material: 1)],
            materials: [masked, RenderScene.diffuse(0)])
        scene.images = [TextureImage(width: 1, height: 2, pixels: texels)]
        let image = try RenderScene.render(scene, RenderScene.settings(samples: 4, depth: 1))
        #expect(image.value(.red, x: 16, y: 8) == 1)
        #expect(image.value(.depth, x: 16, y: 8) == 4)
        #expect(image.value(.red, x: 16, y: 24) == 0)
        #expect(image.value(.depth, x: 16, y: 24) == 5)
    }

    @Test("A blended surface stops its share of the rays and of the light")
    func blend() throws {
        var pane = RenderScene.diffuse(0)
        pane.alpha = 0.25
        pane.alphaMode = .blend
        var scene = RenderScene.make(
            [RenderScene.quad(side: 8), RenderScene.quad(side: 8, z: 1, material: 1)],
            materials: [RenderScene.diffuse(1), pane])
        scene.lights = [
            PunctualLight(
                kind: .directional, intensity: [.pi, .pi, .pi], position: [0, 0, 0],
                direction: [0, 0, -1])
        ]
        let image = try RenderScene.render(scene, RenderScene.settings(samples: 64, depth: 2))
        // The camera sees the wall with 0.75; the light loses a quarter on its way.
        #expect(abs(image.middle(.red) - 0.75 * 0.75) < 0.01)
        #expect(image.middle(.alpha) == 1)
    }

    @Test("A textured emitter lights as its texture says")
    func texturedEmitter() throws {
        var light = RenderScene.diffuse(0)
        light.emissive = [4, 4, 4]
        light.emissiveTexture = TextureReference(image: 0)
        func floor(_ pixel: [UInt8]) throws -> Double {
            var lamp = RenderScene.quad(side: 1, z: 1, material: 1)
            lamp.indices = [0, 2, 1, 0, 3, 2]
            var scene = RenderScene.make(
                [RenderScene.quad(side: 8), lamp],
                materials: [RenderScene.diffuse(0.8), light])
            scene.images = [TextureImage(width: 1, height: 1, pixels: pixel)]
            scene.cameras = [RenderScene.camera(distance: 0.9)]
            let image = try RenderScene.render(scene, RenderScene.settings(samples: 16, depth: 2))
            return image.mean(.red)
        }
        let bright = try floor([255, 255, 255, 255])
        // Code 188 is half the light in sRGB.
        #expect(bright > 0.2)
        #expect(abs(try floor([188, 188, 188, 255]) / bright - 0.5029) < 0.002)
    }

    @Test("The first hit gives depth, coverage, albedo and normal")
    func firstHit() throws {
        var material = RenderScene.diffuse(1)
        material.baseColor = [0.25, 0.5, 0.75]
        let scene = RenderScene.make(
            [RenderScene.quad(side: 1)], materials: [material], environment: 1)
        let image = try RenderScene.render(scene, RenderScene.settings(samples: 4, depth: 2))
        #expect(image.middle(.alpha) == 1)
        #expect(image.middle(.depth) == 4)
        #expect(image.middle(.albedoRed) == 0.25)
        #expect(image.middle(.albedoGreen) == 0.5)
        #expect(image.middle(.albedoBlue) == 0.75)
        #expect(image.middle(.normalZ) == 1)
        #expect(image.value(.alpha, x: 1, y: 1) == 0)
        #expect(image.value(.red, x: 1, y: 1) == 1)
    }

    @Test("A normal map tilts the normal along the texture's axes")
    func normalMap() throws {
        // 45° towards +s, then towards −t, which is up.
        for (pixel, x, y) in [([218, 128, 218, 255], 1, 0), ([128, 218, 218, 255], 0, 1)]
            as [([UInt8], Float, Float)]
        {
            var material = RenderScene.diffuse(1)
            material.normalTexture = TextureReference(image: 0)
            var scene = RenderScene.make(
                [RenderScene.quad()], materials: [material], environment: 1)
            scene.images = [TextureImage(width: 1, height: 1, pixels: pixel)]
            let image = try RenderScene.render(scene, RenderScene.settings(samples: 1))
            #expect(abs(image.middle(.normalX) - x * 0.707) < 0.01)
            #expect(abs(image.middle(.normalY) - y * 0.707) < 0.01)
            #expect(abs(image.middle(.normalZ) - 0.707) < 0.01)
        }
    }

    @Test("A camera that is not there is named, with those that are")
    func missingCamera() throws {
        let scene = RenderScene.make([RenderScene.quad()], materials: [RenderScene.diffuse(1)])
        var settings = RenderScene.settings()
        settings.cameraName = "side"
        #expect(throws: SceneError.notFound("the scene has no camera 'side'; it has 'front'")) {
            try PreparedScene(scene, frame: settings, buildThreads: 1)
        }
        settings.cameraName = "front"
        #expect(try PreparedScene(scene, frame: settings, buildThreads: 1).triangleCount == 2)
    }

    @Test("Indices outside of their arrays are refused")
    func malformedScenes() {
        let good = RenderScene.make([RenderScene.quad()], materials: [RenderScene.diffuse(1)])
        var broken: [SceneDescription] = []
        var scene = good
        scene.meshes[0].indices[3] = 4
        broken.append(scene)
        scene = good
        scene.meshes[0].material = 1
        broken.append(scene)
        scene = good
        scene.instances[0].mesh = 2
        broken.append(scene)
        scene = good
        scene.meshes[0].normals = [0, 0, 1]
        broken.append(scene)
        for scene in broken {
            #expect(throws: SceneError.self) {
                try PreparedScene(scene, frame: RenderScene.settings(), buildThreads: 1)
            }
        }
    }

    @Test("An empty scene renders its environment")
    func emptyScene() throws {
        let scene = RenderScene.make([], materials: [], environment: 0.5)
        let image = try RenderScene.render(scene, RenderScene.settings(side: 8, samples: 2))
        #expect(image.mean(.red) == 0.5)
        #expect(image.mean(.alpha) == 0)
    }

    @Test("The framing camera sees all of the scene", arguments: [0.5, 1, 2] as [Float])
    func framing(aspect: Float) throws {
        var scene = RenderScene.make(
            [RenderScene.sphere(radius: 3)], materials: [RenderScene.diffuse(1)], environment: 1)
        scene.instances[0].transform.translation = [10, -4, 2]
        scene.cameras = []
        var settings = RenderScene.settings(side: 64, samples: 1)
        settings.width = Int(64 * aspect)
        let image = try RenderScene.render(scene, settings)
        #expect(image.value(.alpha, x: image.width / 2, y: image.height / 2) == 1)
        #expect(image.mean(.alpha) > 0.1)
        for x in 0..<image.width {
            #expect(image.value(.alpha, x: x, y: 0) == 0)
            #expect(image.value(.alpha, x: x, y: image.height - 1) == 0)
        }
    }
}
