// The door through which scenes come in: a glTF file and what it refers to become a
// SceneDescription. Everything outside this folder sees only these functions, and every fault of
// the input leaves them as a SceneError.

/// A scene that was read, with what the user should know about it.
public struct SceneImport: Sendable {
    public var scene: SceneDescription
    /// One line each for the user: what was ignored, what was added (a camera, an environment).
    public var notices: [String]
    /// What of it takes memory.
    public var footprint: SceneFootprint

    public init(
        scene: SceneDescription, notices: [String] = [],
        footprint: SceneFootprint = SceneFootprint()
    ) {
        self.scene = scene
        self.notices = notices
        self.footprint = footprint
    }
}

/// Reads glTF 2.0 scenes (.gltf with its files, .glb) and environment images (Radiance .hdr,
/// OpenEXR).
public struct SceneImporter: Sendable {
    /// The names of every file that ``load(main:environment:from:)`` will read: relative,
    /// '/'-separated, percent-decoded, each once; the main file first, the environment last.
    ///
    /// Reads the main file only, and of that only its JSON; whether the others are there is for
    /// the caller to find out.
    /// - Throws: ``SceneError`` when the main file is missing or no glTF 2.0, or when it refers to
    ///   a file outside of its folder.
    public static func referencedFiles(
        main: String, environment: String?, in files: any SceneFiles
    ) throws(SceneError) -> [String] {
        let container = try GLTFContainer(try files.contents(of: main), file: main)
        var names = [main]
        var known: Set<String> = [main]
        func add(_ name: String) {
            if known.insert(name).inserted { names.append(name) }
        }
        for buffer in container.document.buffers ?? [] {
            guard let uri = buffer.uri, !DataURI.isDataURI(uri) else { continue }
            add(try SceneFileName.resolve(uri, beside: main))
        }
        for image in try container.document.usedImages(file: main) {
            let uri = container.document.images?[image].uri
            guard let uri, !DataURI.isDataURI(uri) else { continue }
            add(try SceneFileName.resolve(uri, beside: main))
        }
        if let environment { add(environment) }
        return names
    }

    /// Reads a scene.
    ///
    /// A file without any light gets a neutral environment, with a notice; one without a camera
    /// has an empty ``SceneDescription/cameras``, with a notice.
    /// - Parameters:
    ///   - main: The name of the .gltf or .glb file.
    ///   - environment: The name of an environment image that lights the scene.
    ///   - files: Where the bytes come from.
    ///   - admit: Called with what is known of the scene, before memory is taken for it, and again
    ///     when more is known: what it throws ends the import.
    /// - Throws: ``SceneError`` for whatever is wrong with any of the files. A scene that is
    ///   returned has at least one triangle, only finite numbers, and only indices in range.
    public static func load(
        main: String, environment: String?, from files: any SceneFiles,
        admit: (SceneFootprint) throws(SceneError) -> Void = { _ in }
    ) throws(SceneError) -> SceneImport {
        let text = try files.contents(of: main)
        let container = try GLTFContainer(text, file: main)
        var footprint = container.document.footprint
        footprint.fileBytes += text.count
        if let environment {
            footprint.environmentPixels = try EnvironmentDecoder.pixels(
                of: try files.contents(of: environment), file: environment)
        }
        try admit(footprint)
        var builder = try GLTFSceneBuilder(
            container, file: main, files: files, footprint: footprint)
        try builder.build(admit)
        var scene = builder.scene
        var notices = builder.notices
        if let environment {
            let image = try EnvironmentDecoder.decode(
                try files.contents(of: environment), file: environment)
            if image.replacedValues > 0 {
                notices.add(
                    "'\(printable(environment))': \(image.replacedValues) values that are "
                        + "negative or not finite were taken as black")
            }
            scene.environment = image.environment
        } else if !scene.hasLight {
            scene.environment = .neutral
            notices.add("the scene has no light: a neutral environment was added")
        }
        if scene.cameras.isEmpty {
            notices.add("the scene has no camera: the view is framed to its bounds")
        }
        return SceneImport(
            scene: scene, notices: notices.lines, footprint: builder.footprint)
    }
}

extension SceneDescription {
    /// Whether anything in it gives light.
    var hasLight: Bool {
        if environment != nil || lights.contains(where: { $0.intensity.max() > 0 }) { return true }
        return instances.contains { instance in
            materials[meshes[instance.mesh].material].emissive.max() > 0
        }
    }
}

extension Environment {
    /// A soft dome without colour: bright above, half as bright at the horizon, dim below.
    static var neutral: Environment {
        let width = 64
        let height = 32
        var pixels: [Float] = []
        pixels.reserveCapacity(width * height * 3)
        for row in 0..<height {
            // A smoothstep over the height of the sky.
            let up = 1 - (Float(row) + 0.5) / Float(height)
            let radiance = 0.3 + 0.8 * up * up * (3 - 2 * up)
            pixels.append(contentsOf: repeatElement(radiance, count: width * 3))
        }
        return Environment(width: width, height: height, pixels: pixels)
    }
}
