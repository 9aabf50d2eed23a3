// What an import makes of a scene file and what the tracer prepares for rendering: plain values,
// independent of the file format and of the acceleration structure.

/// A scene as it was imported: scene-linear Rec. 709 colours, metres, y up, right-handed.
public struct SceneDescription: Sendable {
    public var meshes: [TriangleMesh] = []
    public var instances: [MeshInstance] = []
    public var materials: [Material] = []
    public var images: [TextureImage] = []
    public var lights: [PunctualLight] = []
    public var cameras: [Camera] = []
    public var environment: Environment?
    public init() {}
}

/// Triangles of one material in their own space.
public struct TriangleMesh: Sendable {
    /// `3 × vertices` Float32.
    public var positions: [Float]
    /// `3 × vertices` Float32, unit length, or empty: then the triangles are flat.
    public var normals: [Float]
    /// `4 × vertices` Float32, unit length with the bitangent's sign, or empty.
    public var tangents: [Float]
    /// `2 × vertices` Float32, or empty.
    public var textureCoordinates: [Float]
    /// `3 × triangles`, each below the number of vertices (checked on import).
    public var indices: [UInt32]
    /// Index into ``SceneDescription/materials``.
    public var material: Int

    public init(
        positions: [Float], normals: [Float] = [], tangents: [Float] = [],
        textureCoordinates: [Float] = [], indices: [UInt32], material: Int
    ) {
        self.positions = positions
        self.normals = normals
        self.tangents = tangents
        self.textureCoordinates = textureCoordinates
        self.indices = indices
        self.material = material
    }
}

/// A mesh at a place in the world.
public struct MeshInstance: Sendable {
    /// Index into ``SceneDescription/meshes``.
    public var mesh: Int
    public var transform: AffineTransform
    public init(mesh: Int, transform: AffineTransform) {
        self.mesh = mesh
        self.transform = transform
    }
}

/// Columns of a 3 × 4 matrix: `p' = x·p.x + y·p.y + z·p.z + translation`.
public struct AffineTransform: Hashable, Sendable {
    public var x: SIMD3<Float>
    public var y: SIMD3<Float>
    public var z: SIMD3<Float>
    public var translation: SIMD3<Float>
    public init(
        x: SIMD3<Float>, y: SIMD3<Float>, z: SIMD3<Float>, translation: SIMD3<Float>
    ) {
        self.x = x
        self.y = y
        self.z = z
        self.translation = translation
    }
    public static let identity = AffineTransform(
        x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1], translation: [0, 0, 0])
}

/// A metallic-roughness material (glTF 2.0, §3.9).
public struct Material: Sendable {
    public enum AlphaMode: Hashable, Sendable {
        case opaque
        /// Alpha below the cutoff is a hole.
        case mask(cutoff: Float)
        /// Alpha is the probability that a ray is stopped.
        case blend
    }
    public var name = ""
    /// Linear factor.
    public var baseColor: SIMD3<Float> = [1, 1, 1]
    public var alpha: Float = 1
    /// sRGB-encoded colour, linear alpha.
    public var baseColorTexture: TextureReference?
    public var metallic: Float = 1
    /// Perceptual roughness; alpha of the microfacet distribution is its square.
    public var roughness: Float = 1
    /// Green is roughness, blue is metallic.
    public var metallicRoughnessTexture: TextureReference?
    public var normalTexture: TextureReference?
    public var normalScale: Float = 1
    /// Scales the reflectance of a dielectric's specular layer (KHR_materials_specular), 0 … 1.
    public var specular: Float = 1
    /// Radiance with KHR_materials_emissive_strength already multiplied in.
    public var emissive: SIMD3<Float> = [0, 0, 0]
    public var emissiveTexture: TextureReference?
    public var alphaMode = AlphaMode.opaque
    /// Emission leaves the front only unless double-sided; scattering is always two-sided.
    public var isDoubleSided = false
    public init() {}
}

/// An image as a material uses it.
public struct TextureReference: Hashable, Sendable {
    public enum Wrap: Hashable, Sendable { case `repeat`, mirroredRepeat, clampToEdge }
    /// Index into ``SceneDescription/images``.
    public var image: Int
    public var wrapS = Wrap.repeat
    public var wrapT = Wrap.repeat
    /// Nearest instead of bilinear filtering.
    public var isNearest = false
    public init(image: Int) { self.image = image }
}

/// A decoded texture: `height × width × 4` UInt8, row-major from the top, as stored in the file
/// (encoding is a matter of the use).
public struct TextureImage: Sendable {
    public var width: Int
    public var height: Int
    public var pixels: [UInt8]
    public init(width: Int, height: Int, pixels: [UInt8]) {
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}

/// KHR_lights_punctual, placed in the world.
public struct PunctualLight: Sendable {
    public enum Kind: Hashable, Sendable {
        case directional
        case point
        /// Cosines of the angles where the cone begins to fade and where it ends.
        case spot(innerCosine: Float, outerCosine: Float)
    }
    public var kind: Kind
    /// Linear colour times intensity: candela for point and spot, lux for directional, both
    /// taken as radiometric units.
    public var intensity: SIMD3<Float>
    public var position: SIMD3<Float>
    /// The direction the light travels in, unit length.
    public var direction: SIMD3<Float>
    /// Metres; nil for no limit.
    public var range: Float?
    public init(
        kind: Kind, intensity: SIMD3<Float>, position: SIMD3<Float>, direction: SIMD3<Float>,
        range: Float? = nil
    ) {
        self.kind = kind
        self.intensity = intensity
        self.position = position
        self.direction = direction
        self.range = range
    }
}

/// A pinhole camera. It looks along −z of its transform, y up.
public struct Camera: Sendable {
    public enum Projection: Hashable, Sendable {
        /// Vertical field of view in radians.
        case perspective(verticalFieldOfView: Float)
        /// Half the visible height, metres.
        case orthographic(halfHeight: Float)
    }
    public var name: String
    public var projection: Projection
    public var transform: AffineTransform
    public init(name: String, projection: Projection, transform: AffineTransform) {
        self.name = name
        self.projection = projection
        self.transform = transform
    }
}

/// Light from infinity: an equirectangular image, or a constant when it is one pixel.
///
/// `height × width × 3` Float32, row-major from the top (+y), scene-linear radiance. The middle of
/// the image is −z, as glTF viewers have it: direction `d` is at
/// `u = 0.5 + atan2(d.x, -d.z) / 2π`, `v = acos(d.y) / π`.
public struct Environment: Sendable {
    public var width: Int
    public var height: Int
    public var pixels: [Float]
    public init(width: Int, height: Int, pixels: [Float]) {
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}
