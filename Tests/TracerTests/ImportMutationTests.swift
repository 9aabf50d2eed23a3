// Every number of a scene in turn becomes one that no scene should have. Whatever comes of it, an
// error or a picture, the process lives: a trap, or an assertion of a library, would end the tests.

import Foundation
import Testing

@testable import Tracer

@Suite("Mutated scenes")
struct ImportMutationTests {
    /// Placed, mirrored and shared triangles, lights of all kinds, materials of all kinds.
    private static let json = #"""
        {"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0,1,2,3,4,5,6]}],
        "nodes":[{"mesh":0,"matrix":[1,0,0,0,0,1,0,0,0,0,1,0,0.1,0,0,1]},
        {"mesh":0,"translation":[0,0.5,-1],"rotation":[0,0,0.7,0.7],"scale":[2,-1,1]},
        {"mesh":1,"scale":[3,3,3]},{"camera":0,"translation":[0,0,3]},
        {"translation":[0,2,0],"extensions":{"KHR_lights_punctual":{"light":0}}},
        {"translation":[1,2,0],"extensions":{"KHR_lights_punctual":{"light":1}}},
        {"rotation":[-0.7,0,0,0.7],"extensions":{"KHR_lights_punctual":{"light":2}}}],
        "meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1,"material":0}]},
        {"primitives":[{"attributes":{"POSITION":0,"NORMAL":0},"mode":5,"material":1},
        {"attributes":{"POSITION":0},"mode":6,"material":2}]}],
        "materials":[{"pbrMetallicRoughness":{"baseColorFactor":[0.8,0.7,0.6,0.9],
        "metallicFactor":0.5,"roughnessFactor":0.1},"alphaMode":"MASK","alphaCutoff":0.5},
        {"emissiveFactor":[1,0.5,0.2],
        "extensions":{"KHR_materials_emissive_strength":{"emissiveStrength":4}}},
        {"pbrMetallicRoughness":{"baseColorFactor":[1,1,1,0.5],"metallicFactor":0,
        "roughnessFactor":0},"alphaMode":"BLEND",
        "extensions":{"KHR_materials_specular":{"specularFactor":0.5}}}],
        "cameras":[{"type":"perspective","perspective":{"yfov":0.8}}],
        "extensions":{"KHR_lights_punctual":{"lights":[
        {"type":"spot","color":[1,1,0.5],"intensity":20,"range":30,
        "spot":{"innerConeAngle":0.2,"outerConeAngle":0.7}},
        {"type":"point","intensity":5},{"type":"directional","intensity":1}]}},
        "accessors":[{"bufferView":0,"byteOffset":0,"componentType":5126,"count":3,"type":"VEC3"},
        {"bufferView":1,"byteOffset":0,"componentType":5123,"count":3,"type":"SCALAR"}],
        "bufferViews":[{"buffer":0,"byteOffset":0,"byteLength":36},
        {"buffer":0,"byteOffset":36,"byteLength":6}],
        "buffers":[{"uri":"t.bin","byteLength":42}]}
        """#

    private static let numbers = [
        "-1", "0", "1e-45", "1e-38", "1e-20", "1e-10", "0.5", "3", "1e9", "1e12", "1e19", "3.4e38",
        "-3.4e38", "2147483648", "4294967295", "9223372036854775807", "9223372036854775808", "[]",
    ]

    @Test("No number in a scene ends the process", arguments: numbers)
    func mutate(_ number: String) throws {
        let settings = RenderScene.settings(side: 8, samples: 1, depth: 3)
        var rendered = 0
        var refused = 0
        for match in Self.json.matches(of: /[\[:,](-?[0-9][0-9.]*)/) {
            let old = match.output.1
            var text = Self.json
            text.replaceSubrange(old.startIndex..<old.endIndex, with: number)
            let files = MemoryFiles(
                files: ["s.gltf": Array(text.utf8), "t.bin": TriangleFile.binary])
            do {
                let scene = try SceneImporter.load(main: "s.gltf", environment: nil, from: files)
                let image = try RenderScene.render(scene.scene, settings)
                #expect(image.values.allSatisfy { !$0.isNaN }, "\(text)")
                rendered += 1
            } catch is SceneError {
                refused += 1
            }
        }
        #expect(rendered + refused > 100)
        #expect(refused > 0)
    }
}
