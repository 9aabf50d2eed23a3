// The JSON of a glTF 2.0 file (specification §5, by the names it uses), as far as the tracer uses
// it. Indices are checked where they are followed.

/// The root of a glTF file.
struct GLTFDocument: Decodable, Sendable {
    var asset: Asset
    var scene: Int?
    var scenes: [Scene]?
    var nodes: [Node]?
    var meshes: [Mesh]?
    var accessors: [Accessor]?
    var bufferViews: [BufferView]?
    var buffers: [Buffer]?
    var materials: [Material]?
    var textures: [Texture]?
    var images: [Image]?
    var samplers: [Sampler]?
    var cameras: [Camera]?
    var animations: [Present]?
    var extensionsUsed: [String]?
    var extensionsRequired: [String]?
    var extensions: Extensions?

    struct Asset: Decodable, Sendable {
        var version: String
        var minVersion: String?
    }

    struct Scene: Decodable, Sendable {
        var nodes: [Int]?
    }

    struct Node: Decodable, Sendable {
        var name: String?
        var children: [Int]?
        var mesh: Int?
        var camera: Int?
        var skin: Int?
        var matrix: [Float]?
        var translation: [Float]?
        var rotation: [Float]?
        var scale: [Float]?
        var extensions: NodeExtensions?
    }

    struct NodeExtensions: Decodable, Sendable {
        var KHR_lights_punctual: LightReference?
    }

    struct LightReference: Decodable, Sendable {
        var light: Int
    }

    struct Mesh: Decodable, Sendable {
        var name: String?
        var primitives: [Primitive]
    }

    struct Primitive: Decodable, Hashable, Sendable {
        var attributes: [String: Int]
        var indices: Int?
        var material: Int?
        var mode: Int?
        var targets: [[String: Int]]?
    }

    struct Accessor: Decodable, Sendable {
        var bufferView: Int?
        var byteOffset: Int?
        var componentType: Int
        var normalized: Bool?
        var count: Int
        var type: String
        var sparse: Sparse?
    }

    struct Sparse: Decodable, Sendable {
        var count: Int
        var indices: SparseIndices
        var values: SparseValues
    }

    struct SparseIndices: Decodable, Sendable {
        var bufferView: Int
        var byteOffset: Int?
        var componentType: Int
    }

    struct SparseValues: Decodable, Sendable {
        var bufferView: Int
        var byteOffset: Int?
    }

    struct BufferView: Decodable, Sendable {
        var buffer: Int
        var byteOffset: Int?
        var byteLength: Int
        var byteStride: Int?
    }

    struct Buffer: Decodable, Sendable {
        var uri: String?
        var byteLength: Int
    }

    struct Material: Decodable, Sendable {
        var name: String?
        var pbrMetallicRoughness: MetallicRoughness?
        var normalTexture: TextureInfo?
        var emissiveTexture: TextureInfo?
        var emissiveFactor: [Float]?
        var alphaMode: String?
        var alphaCutoff: Float?
        var doubleSided: Bool?
        var extensions: MaterialExtensions?
    }

    struct MetallicRoughness: Decodable, Sendable {
        var baseColorFactor: [Float]?
        var baseColorTexture: TextureInfo?
        var metallicFactor: Float?
        var roughnessFactor: Float?
        var metallicRoughnessTexture: TextureInfo?
    }

    struct TextureInfo: Decodable, Sendable {
        var index: Int
        var texCoord: Int?
        var scale: Float?
    }

    struct MaterialExtensions: Decodable, Sendable {
        var KHR_materials_emissive_strength: EmissiveStrength?
        var KHR_materials_specular: Specular?
    }

    struct Specular: Decodable, Sendable {
        var specularFactor: Float?
        var specularTexture: Present?
        var specularColorFactor: [Float]?
        var specularColorTexture: Present?
    }

    struct EmissiveStrength: Decodable, Sendable {
        var emissiveStrength: Float?
    }

    struct Texture: Decodable, Sendable {
        var source: Int?
        var sampler: Int?
    }

    struct Image: Decodable, Sendable {
        var uri: String?
        var mimeType: String?
        var bufferView: Int?
    }

    struct Sampler: Decodable, Sendable {
        var magFilter: Int?
        var wrapS: Int?
        var wrapT: Int?
    }

    struct Camera: Decodable, Sendable {
        var name: String?
        var type: String
        var perspective: Perspective?
        var orthographic: Orthographic?
    }

    struct Perspective: Decodable, Sendable {
        var yfov: Float
    }

    struct Orthographic: Decodable, Sendable {
        var ymag: Float
    }

    struct Extensions: Decodable, Sendable {
        var KHR_lights_punctual: Lights?
    }

    struct Lights: Decodable, Sendable {
        var lights: [Light]?
    }

    struct Light: Decodable, Sendable {
        var type: String
        var color: [Float]?
        var intensity: Float?
        var range: Float?
        var spot: Spot?
    }

    struct Spot: Decodable, Sendable {
        var innerConeAngle: Float?
        var outerConeAngle: Float?
    }

    /// Something whose presence is all that matters.
    struct Present: Decodable, Sendable {
        init(from decoder: any Decoder) {}
    }
}

extension GLTFDocument {
    /// The extensions that an import understands.
    static let supportedExtensions: Set<String> = [
        "KHR_lights_punctual", "KHR_materials_emissive_strength", "KHR_materials_specular",
        "KHR_mesh_quantization",
    ]

    /// The images that materials use, by their index, each once, in the order of first use.
    /// - Throws: ``SceneError/malformed(file:reason:)`` when a texture's or image's index is out
    ///   of range.
    func usedImages(file: String) throws(SceneError) -> [Int] {
        var images: [Int] = []
        var known: Set<Int> = []
        for (index, material) in (materials ?? []).enumerated() {
            for info in material.textures {
                let image = try image(ofTexture: info.index, material: index, file: file)
                if let image, known.insert(image).inserted { images.append(image) }
            }
        }
        return images
    }

    /// The image of a texture; nil when only an extension knows it.
    func image(
        ofTexture index: Int, material: Int, file: String
    ) throws(SceneError) -> Int? {
        guard let texture = textures?.element(at: index) else {
            throw .malformed(
                file: file, reason: "material \(material) uses texture \(index), which is not there"
            )
        }
        guard let source = texture.source else { return nil }
        guard images?.element(at: source) != nil else {
            throw .malformed(
                file: file, reason: "texture \(index) uses image \(source), which is not there")
        }
        return source
    }
}

extension GLTFDocument.Material {
    /// The textures that are used, in a fixed order.
    var textures: [GLTFDocument.TextureInfo] {
        let all = [
            pbrMetallicRoughness?.baseColorTexture,
            pbrMetallicRoughness?.metallicRoughnessTexture, normalTexture, emissiveTexture,
        ]
        return all.compactMap { $0 }
    }
}

extension Array {
    /// The element at an index that came from outside; nil when there is none.
    func element(at index: Int) -> Element? {
        index >= 0 && index < count ? self[index] : nil
    }
}
