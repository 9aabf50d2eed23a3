// How much memory a scene takes on a machine that renders it, by what its files say of themselves
// before any of it is decoded: counts of elements, and the sizes in the headers of images.

/// What of a scene takes memory.
public struct SceneFootprint: Hashable, Sendable {
    /// Of each mesh once, however often it is placed.
    public var triangles = 0
    public var vertices = 0
    /// Meshes as they are placed.
    public var instances = 0
    /// Pixels of all textures that are used.
    public var texturePixels = 0
    public var environmentPixels = 0
    /// Bytes of the glTF file and its buffers, and of the textures as they are encoded.
    public var fileBytes = 0

    public init() {}

    /// The most memory that importing, building and rendering take at a time, bytes; an estimate.
    ///
    /// An import holds the files, the text decoded, and what becomes of them; a build the
    /// imported scene, the tables made of it, and Embree's structure with what building it takes.
    /// Measured at 1 and 4 million triangles: 1.13 to 1.32 times what was taken.
    public var bytes: Int {
        // Counts come from outside: floating point has no overflow.
        let imported =
            Double(triangles) * Self.importedBytesPerTriangle
            + Double(vertices) * Self.importedBytesPerVertex
            + 4 * Double(texturePixels) + 12 * Double(environmentPixels)
        let importing = 1.25 * Double(fileBytes) + 12 * Double(environmentPixels)
        let building =
            Double(triangles) * Self.builtBytesPerTriangle
            + Double(vertices) * Self.builtBytesPerVertex
            + Double(instances) * Self.bytesPerInstance
            + 4 * Double(texturePixels) + 20 * Double(environmentPixels)
        return Int(min(imported + max(importing, building), 1e18))
    }

    /// Three indices.
    private static let importedBytesPerTriangle = 12.0
    /// Position, normal, tangent, texture coordinates.
    private static let importedBytesPerVertex = 48.0
    /// Indices, record, and Embree's structure while it is built.
    private static let builtBytesPerTriangle = 12.0 + 32 + 128
    /// Position and attributes.
    private static let builtBytesPerVertex = 12.0 + 48
    /// Most of it Embree's; see ``SceneLimits/instancesMax``.
    private static let bytesPerInstance = 720.0
}

extension GLTFDocument {
    /// What the file says of its geometry and its buffers. What it says wrongly is found when it is
    /// imported.
    var footprint: SceneFootprint {
        var footprint = SceneFootprint()
        for buffer in buffers ?? [] {
            footprint.fileBytes += Self.bounded(buffer.byteLength)
        }
        var shown: Set<Int> = []
        var counted: Set<Primitive> = []
        for node in nodes ?? [] {
            guard let index = node.mesh, let mesh = meshes?.element(at: index) else { continue }
            footprint.instances += mesh.primitives.count
            guard shown.insert(index).inserted else { continue }
            for primitive in mesh.primitives where counted.insert(primitive).inserted {
                count(primitive, in: &footprint)
            }
        }
        return footprint
    }

    private func count(_ primitive: Primitive, in footprint: inout SceneFootprint) {
        func elements(_ accessor: Int?) -> Int? {
            accessor.flatMap { accessors?.element(at: $0) }.map { Self.bounded($0.count) }
        }
        guard let positions = elements(primitive.attributes["POSITION"]) else { return }
        let corners = elements(primitive.indices) ?? positions
        // In strips and fans each corner but the first two makes a triangle.
        let triangles = (primitive.mode ?? 4) == 4 ? corners / 3 : corners
        footprint.triangles += triangles
        let material = primitive.material.flatMap { materials?.element(at: $0) }
        let isUnshared =
            primitive.attributes["NORMAL"] == nil && material?.normalTexture != nil
        footprint.vertices += isUnshared ? 3 * triangles : min(positions, 3 * triangles)
    }

    /// A count from outside, such that sums of as many as a file can have do not overflow.
    private static func bounded(_ count: Int) -> Int { min(max(count, 0), 1 << 36) }
}
