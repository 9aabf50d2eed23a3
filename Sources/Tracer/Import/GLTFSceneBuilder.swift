// Builds a SceneDescription from a glTF document, in the order buffers, materials with their
// images, nodes with the meshes they use. Each concern is an extension in a file of its own.

/// One import in progress.
struct GLTFSceneBuilder {
    /// The main file's name, as it stands in messages.
    let file: String
    /// The main file's name, as references are resolved beside it.
    let main: String
    let document: GLTFDocument
    let files: any SceneFiles
    let accessors: GLTFAccessors

    var scene = SceneDescription()
    /// What of the scene takes memory, as far as is known.
    var footprint: SceneFootprint
    var notices = Notices()
    /// The set of texture coordinates that each material uses.
    var textureCoordinateSets: [Int] = []
    /// The material of primitives that name none, once one was met.
    var defaultMaterial: Int?
    /// What each primitive that was met became; nil for one that makes no triangles.
    var importedPrimitives: [GLTFDocument.Primitive: Int?] = [:]
    /// What each mesh that was met became: many nodes may show one of many primitives.
    var importedMeshes: [Int: [Int]] = [:]
    var triangleCount = 0
    /// Elements that primitives read and that stand in no buffer.
    var elementsWithoutData = 0

    init(
        _ container: GLTFContainer, file: String, files: any SceneFiles,
        footprint: SceneFootprint
    ) throws(SceneError) {
        self.footprint = footprint
        self.file = printable(file)
        self.main = file
        self.document = container.document
        self.files = files
        var buffers: [[UInt8]] = []
        var read: [String: [UInt8]] = [:]
        for (index, buffer) in (container.document.buffers ?? []).enumerated() {
            buffers.append(
                try Self.bytes(
                    of: buffer, index, container: container, main: file, files: files, read: &read))
        }
        accessors = GLTFAccessors(
            file: printable(file), document: container.document, buffers: buffers)
    }

    /// Builds the whole scene.
    /// - Parameter admit: called before images are decoded.
    mutating func build(
        _ admit: (SceneFootprint) throws(SceneError) -> Void
    ) throws(SceneError) {
        for name in document.extensionsUsed ?? []
        where !GLTFDocument.supportedExtensions.contains(name) {
            notices.add("the extension \(printable(name)) is not supported and was ignored")
        }
        if !(document.animations ?? []).isEmpty {
            notices.add("animations are not supported: the scene is as the file has it at rest")
        }
        try addMaterials(admit)
        try addNodes()
        guard !scene.instances.isEmpty else {
            throw malformed("it has no triangles to render")
        }
        try checkExtent()
    }

    func malformed(_ reason: String) -> SceneError { .malformed(file: file, reason: reason) }

    /// The bytes of a buffer, as many as it declares or more; `read` keeps the files by name.
    private static func bytes(
        of buffer: GLTFDocument.Buffer, _ index: Int, container: GLTFContainer, main: String,
        files: any SceneFiles, read: inout [String: [UInt8]]
    ) throws(SceneError) -> [UInt8] {
        let bytes: [UInt8]
        var source = "buffer \(index)"
        if let uri = buffer.uri {
            if DataURI.isDataURI(uri) {
                bytes = try DataURI.bytes(of: uri, what: source, file: printable(main))
            } else {
                let name = try SceneFileName.resolve(uri, beside: main)
                // Once, however many buffers name it.
                if let known = read[name] {
                    bytes = known
                } else {
                    bytes = try files.contents(of: name)
                    read[name] = bytes
                }
                source = "'\(printable(name))'"
            }
        } else if index == 0, let binary = container.binary {
            bytes = binary
        } else {
            throw .malformed(file: printable(main), reason: "buffer \(index) has no data")
        }
        guard buffer.byteLength >= 0, bytes.count >= buffer.byteLength else {
            throw .malformed(
                file: printable(main),
                reason: "\(source) has \(bytes.count) of \(buffer.byteLength) bytes")
        }
        return bytes
    }

    /// Refuses what lies so far away that Float can't compute with it.
    private func checkExtent() throws(SceneError) {
        var reaches: [Float] = []
        for mesh in scene.meshes {
            reaches.append(mesh.positions.reduce(0) { max($0, abs($1)) })
        }
        for instance in scene.instances {
            let transform = instance.transform
            let size = max(
                transform.x.absoluteMax, transform.y.absoluteMax, transform.z.absoluteMax)
            let reach = 3 * size * reaches[instance.mesh] + transform.translation.absoluteMax
            guard reach <= SceneLimits.coordinateMax else {
                throw .tooLarge(
                    "'\(file)' reaches farther than \(SceneLimits.coordinateMax) metres")
            }
        }
    }
}

extension SIMD3 where Scalar == Float {
    /// The largest magnitude of a component.
    var absoluteMax: Float { Swift.max(abs(x), abs(y), abs(z)) }
    var squaredLength: Float { x * x + y * y + z * z }
    var isFinite: Bool { x.isFinite && y.isFinite && z.isFinite }

    func dotProduct(_ other: SIMD3<Float>) -> Float {
        x * other.x + y * other.y + z * other.z
    }

    func crossProduct(_ other: SIMD3<Float>) -> SIMD3<Float> {
        SIMD3(
            y * other.z - z * other.y, z * other.x - x * other.z, x * other.y - y * other.x)
    }

    /// The same direction with unit length; nil for what has no direction.
    var normalizedOrNil: SIMD3<Float>? {
        // Scaled by the largest component first, so that squares neither vanish nor overflow.
        let scale = absoluteMax
        guard scale > 0, isFinite else { return nil }
        let scaled = self / scale
        guard scaled.isFinite else { return nil }
        return scaled / scaled.squaredLength.squareRoot()
    }
}
