import MeshCore
import Testing

@testable import Tracer

// Emitters that are awkward: with holes, with slivers, very many.

@Suite("Emitters in scenes")
struct RenderLightTests {
    /// The mean light on a floor under a lamp.
    private func floor(
        _ lamp: TriangleMesh, _ material: Material, images: [TextureImage] = [], depth: Int = 2
    ) throws -> Double {
        var scene = RenderScene.make(
            [RenderScene.quad(side: 8), lamp], materials: [RenderScene.diffuse(0.8), material])
        scene.images = images
        scene.cameras = [RenderScene.camera(distance: 0.9)]
        let settings = RenderScene.settings(samples: 64, depth: depth)
        return try RenderScene.render(scene, settings).mean(.red)
    }

    /// A quad above the floor that faces it.
    private func lamp(side: Float = 1) -> TriangleMesh {
        var lamp = RenderScene.quad(side: side, z: 1, material: 1)
        lamp.indices = [0, 2, 1, 0, 3, 2]
        return lamp
    }

    private var shining: Material {
        var material = RenderScene.diffuse(0)
        material.emissive = [4, 4, 4]
        return material
    }

    @Test("The holes of a masked emitter give no light", arguments: [2, 4])
    func maskedEmitter(depth: Int) throws {
        var holes = shining
        holes.alphaMode = .mask(cutoff: 0.5)
        var reference = TextureReference(image: 0)
        reference.isNearest = true
        holes.baseColorTexture = reference
        // The outer ring of 4 × 4 texels is a hole.
        var texels = [UInt8](repeating: 255, count: 64)
        for place in 0..<16 where !(1...2).contains(place % 4) || !(1...2).contains(place / 4) {
            texels[4 * place + 3] = 0
        }
        let image = TextureImage(width: 4, height: 4, pixels: texels)
        let masked = try floor(lamp(side: 2), holes, images: [image], depth: depth)
        let small = try floor(lamp(side: 1), shining, depth: depth)
        #expect(small > 0.2)
        #expect(abs(masked / small - 1) < 0.01)
        let nothing = TextureImage(width: 1, height: 1, pixels: [255, 255, 255, 0])
        #expect(try floor(lamp(), holes, images: [nothing], depth: depth) == 0)
    }

    @Test("A blended emitter gives its share of light", arguments: [2, 4])
    func blendedEmitter(depth: Int) throws {
        var pane = shining
        pane.alphaMode = .blend
        pane.alpha = 0.25
        let whole = try floor(lamp(), shining, depth: depth)
        #expect(abs(try floor(lamp(), pane, depth: depth) / whole - 0.25) < 0.003)
    }

    @Test("An emitter that begins with a sliver gives no more light", arguments: [2, 4])
    func sliver(depth: Int) throws {
        var slivered = lamp()
        slivered.positions += [-0.5, -0.5, 1, -0.5, -0.4999999, 1, -0.499999, -0.5, 1]
        slivered.textureCoordinates = []
        slivered.indices = [4, 5, 6] + slivered.indices
        let whole = try floor(lamp(), shining, depth: depth)
        #expect(abs(try floor(slivered, shining, depth: depth) / whole - 1) < 0.01)
    }

    @Test("The weight of a way to a light is a number however small the light is")
    func hugeDensities() {
        func weight(_ chosen: Float, _ other: Float) -> Float {
            Scatter.weight(Float8(repeating: chosen), Float8(repeating: other))[0]
        }
        #expect(weight(3, 1) == 0.9)
        #expect(weight(1e20, 1) == 1)
        #expect(weight(1, 1e20) == 0)
        #expect(weight(1e20, 1e20) == 0.5)
        #expect(abs(weight(3e30, 1e30) - 0.9) < 1e-6)
    }

    @Test("More emissive triangles than a table may have are refused")
    func tooManyEmitters() {
        var mesh = RenderScene.sphere(rings: 64)
        mesh.material = 0
        var scene = RenderScene.make([mesh], materials: [shining])
        let each = mesh.indices.count / 3
        scene.instances = (0...(SceneEmitters.trianglesMax / each)).map { number in
            var place = AffineTransform.identity
            place.translation.x = Float(2 * number)
            return MeshInstance(mesh: 0, transform: place)
        }
        do {
            _ = try PreparedScene(scene, frame: RenderScene.settings(), buildThreads: 1)
            Issue.record("the scene was prepared")
        } catch {
            #expect(error.description.contains("give light"), "\(error)")
        }
    }

    @Test("The bounds of very many instances take no time, and hold them all")
    func manyInstances() throws {
        var mesh = RenderScene.quad()
        let count = 1_000_000
        mesh.positions = (0..<(3 * count)).map { Float($0 % 7) - 3 }
        var scene = RenderScene.make([mesh], materials: [RenderScene.diffuse(1)])
        scene.instances = (0..<100_000).map { number in
            var place = AffineTransform.identity
            place.translation.x = Float(number)
            return MeshInstance(mesh: 0, transform: place)
        }
        let bounds = try #require(scene.bounds)
        #expect(bounds.lower == SIMD3(-3, -3, -3))
        #expect(bounds.upper == SIMD3(100_002, 3, 3))
    }

    @Test("What is not a number counts as zero in the auxiliary channels too")
    func notNumbers() throws {
        let scene = RenderScene.make(
            [RenderScene.quad(side: 8)], materials: [RenderScene.diffuse(.nan)], environment: 1)
        let settings = RenderScene.settings(side: 8, samples: 2)
        let image = try RenderScene.render(scene, settings)
        #expect(image.mean(.red) == 0)
        #expect(image.mean(.albedoRed) == 0)
        #expect(image.mean(.alpha) == 1)
    }

    @Test("The names of cameras that are there are shown safely, and not all of thousands")
    func cameraNames() throws {
        var scene = RenderScene.make([RenderScene.quad()], materials: [RenderScene.diffuse(1)])
        var camera = scene.cameras[0]
        camera.name = "a\u{1b}[31m\nb" + String(repeating: "c", count: 1_000)
        scene.cameras = [Camera](repeating: camera, count: 4_000)
        var settings = RenderScene.settings()
        settings.cameraName = "x\ny"
        do {
            _ = try PreparedScene(scene, frame: settings, buildThreads: 1)
            Issue.record("the camera was found")
        } catch {
            #expect(!error.description.contains("\n") && !error.description.contains("\u{1b}"))
            #expect(error.description.count < 10_000)
        }
    }
}
