// The tables that shading reads at a hit, laid out so that one or two cache lines a hit suffice.

/// What most hits need of a triangle: 32 bytes, one load, eight transposed at a time.
struct TriangleRecord: BitwiseCopyable {
    /// The first vertex, in the space of the triangle's mesh (the world for baked ones).
    var x, y, z: Float
    /// Row in the material table.
    var material: UInt32
    /// The geometric normal on the front side, unit length; zero for a degenerate triangle.
    var normalX, normalY, normalZ: Float
    /// Added to a vertex number it gives the vertex's row of attributes; ``noAttributes`` for
    /// triangles that have neither normals nor texture coordinates.
    var attributeOffset: UInt32

    static var noAttributes: UInt32 { 0x8000_0000 }
}

/// Normal, texture coordinates and tangent of a vertex: `attributeStride` floats.
enum VertexAttributes {
    static var stride: Int32 { 12 }
    static var normal: Int { 0 }
    static var textureCoordinates: Int { 3 }
    /// With the bitangent's sign; all zero where the file has none.
    static var tangent: Int { 5 }
}

/// A row of the instance table. Row 0 is the world itself.
enum InstanceRow {
    static var stride: Int32 { 24 }
    /// Columns of the 3 × 4 matrix.
    static var transform: Int { 0 }
    /// Columns of the matrix for normals.
    static var normals: Int { 12 }
    /// The number of the mesh's first triangle (bits).
    static var firstTriangle: Int { 21 }
    /// −1 where the transform mirrors, else 1.
    static var handedness: Int { 22 }
}

/// A row of the material table.
enum MaterialRow {
    static var strideBytes: Int { 96 }
    static var stride: Int32 { 24 }
    static var baseColor: Int { 0 }
    /// 0: dark, 1: the front shines, 2: both sides.
    static var shiningSides: Int { 3 }
    static var emission: Int { 4 }
    /// The density, per area, with which light sampling chooses a point of such a surface.
    static var lightDensity: Int { 7 }
    static var metallic: Int { 8 }
    static var roughness: Int { 9 }
    static var alpha: Int { 10 }
    /// Below it alpha is a hole; negative: alpha is a probability; see ``opaque``.
    static var cutoff: Int { 11 }
    static var baseColorSlot: Int { 12 }
    static var metallicRoughnessSlot: Int { 13 }
    static var normalSlot: Int { 14 }
    static var emissiveSlot: Int { 15 }
    static var normalScale: Int { 16 }
    static var specular: Int { 17 }

    /// The cutoff of materials that stop every ray.
    static var opaque: Float { -2 }
    /// The cutoff of materials that stop a ray with the probability alpha.
    static var blend: Float { -1 }
}

/// What the stages may leave out in a scene.
struct SceneFeatures: Hashable, Sendable {
    /// Some mesh is placed by reference.
    var hasInstances = false
    /// Some material has a texture, a specular layer or metal, or some mesh has vertex normals.
    var hasDetail = false
    /// Some material lets rays through.
    var hasTransparency = false
}
