// A scene made ready for rendering: the acceleration structure, the tables of triangles,
// materials and lights, and the camera of one frame.

/// A scene made ready for rendering one frame. Immutable, shared by all threads.
public final class PreparedScene: Sendable {
    /// The settings the scene was prepared for.
    public let settings: FrameSettings
    /// Triangles that Embree was given; those of an instanced mesh count once.
    public let triangleCount: Int

    let geometry: SceneGeometry
    let kernel: KernelScene
    /// What other frames of the scene choose their cameras from.
    private let cameras: [Camera]
    private let bounds: (lower: SIMD3<Float>, upper: SIMD3<Float>)?
    private let materials: AlignedBuffer<Float>
    private let textures: TextureSet
    private let environment: EnvironmentLight?
    private let lights: LightTable
    private let emissiveTextures: AlignedBuffer<Float>?

    /// Builds everything that rendering needs.
    ///
    /// - Parameters:
    ///   - scene: what was imported; it is not kept.
    ///   - frame: size, samples, depth, seed and camera of the frame.
    ///   - buildThreads: how many threads build the acceleration structure.
    /// - Throws: `SceneError.notFound` for a camera that the scene doesn't have,
    ///   `.malformed` for a description whose indices lie outside its arrays, `.tooLarge` for
    ///   more triangles than 32-bit tables reach.
    public init(
        _ scene: SceneDescription, frame: FrameSettings, buildThreads: Int
    ) throws(SceneError) {
        settings = frame
        cameras = scene.cameras
        // Checks the indices, which the bounds rely on.
        geometry = try SceneGeometry(scene, buildThreads: buildThreads)
        bounds = scene.bounds
        let camera = try Self.cameraFrame(of: cameras, bounds: bounds, frame: frame)
        triangleCount = geometry.records.count
        textures = try TextureSet(images: scene.images)
        environment = try scene.environment.map { source throws(SceneError) in
            try EnvironmentLight(source)
        }
        let emitters = try SceneEmitters(scene, geometry)
        let isBright = (environment?.meanLuminance ?? 0) > 0
        lights = LightTable(
            triangles: emitters.triangles, punctual: scene.lights,
            environment: isBright ? environment : nil,
            sceneRadius: bounds.map { length3($0.upper - $0.lower) * 0.5 } ?? 1)
        let view = lights.view
        let lightOfMaterial = emitters.representatives(
            materialCount: scene.materials.count, in: view)
        materials = Self.materialTable(scene, textures) { material in
            guard let light = lightOfMaterial[material] else { return 0 }
            return view.trianglePdf(
                Int32x8(repeating: Int32(light)), distanceSquared: Float8(repeating: 1),
                cosine: Float8(repeating: 1))[0]
        }
        emissiveTextures = emitters.textureTable(scene, textures)
        var features = SceneFeatures()
        features.hasInstances = geometry.placed.contains { $0.row > 0 }
        features.hasTransparency = scene.materials.contains { $0.letsThrough }
        features.hasDetail =
            geometry.hasAttributes || features.hasInstances
            || scene.materials.contains { !$0.isPlain }
        kernel = KernelScene(
            records: UnsafePointer(geometry.records.base),
            indices: UnsafeRawPointer(geometry.indices.base).assumingMemoryBound(to: Int32.self),
            positions: UnsafePointer(geometry.positions.base),
            attributes: UnsafePointer(geometry.attributes.base),
            instances: UnsafePointer(geometry.instances.base),
            materials: UnsafePointer(materials.base), textures: textures.view, lights: view,
            emissiveTextures: emissiveTextures.map { UnsafePointer($0.base) },
            specularAlbedo: .shared, features: features,
            camera: camera,
            maxDepth: frame.maxDepth, seed: frame.seed, hasLights: !lights.isEmpty,
            testsEmitters: emitters.triangles.count <= KernelScene.testedEmittersMax
                && emissiveTextures == nil && !features.hasTransparency)
    }

    /// The same scene for another frame: shares everything, and takes no time.
    /// - Throws: `SceneError.notFound` for a camera that the scene doesn't have.
    public init(_ other: PreparedScene, frame: FrameSettings) throws(SceneError) {
        settings = frame
        let camera = try Self.cameraFrame(of: other.cameras, bounds: other.bounds, frame: frame)
        triangleCount = other.triangleCount
        geometry = other.geometry
        cameras = other.cameras
        bounds = other.bounds
        materials = other.materials
        textures = other.textures
        environment = other.environment
        lights = other.lights
        emissiveTextures = other.emissiveTextures
        var kernel = other.kernel
        kernel.camera = camera
        kernel.maxDepth = frame.maxDepth
        kernel.seed = frame.seed
        self.kernel = kernel
    }

    private static func cameraFrame(
        of cameras: [Camera], bounds: (lower: SIMD3<Float>, upper: SIMD3<Float>)?,
        frame: FrameSettings
    ) throws(SceneError) -> CameraFrame {
        let camera = try camera(of: cameras, bounds: bounds, frame: frame)
        let made = CameraFrame(camera, width: frame.width, height: frame.height)
        guard made.isUsable else {
            throw .tooLarge(
                "the camera '\(printable(camera.name))' sees or stands too far away")
        }
        return made
    }

    /// So many cameras a message names.
    private static let namesMax = 16

    private static func camera(
        of cameras: [Camera], bounds: (lower: SIMD3<Float>, upper: SIMD3<Float>)?,
        frame: FrameSettings
    ) throws(SceneError) -> Camera {
        guard frame.width > 0, frame.height > 0, frame.maxDepth > 0 else {
            throw .malformed(file: "frame", reason: "a size or depth of zero")
        }
        if let name = frame.cameraName {
            if let camera = cameras.first(where: { $0.name == name }) { return camera }
            let listed = cameras.prefix(namesMax).map { "'\(printable($0.name))'" }
            let more = cameras.count > namesMax ? " and others" : ""
            let there =
                listed.isEmpty ? "it has none" : "it has \(listed.joined(separator: ", "))\(more)"
            throw .notFound("the scene has no camera '\(printable(name))'; \(there)")
        }
        if let first = cameras.first { return first }
        return frameCamera(for: bounds, aspect: Float(frame.width) / Float(frame.height))
    }

    /// Rows of ``MaterialRow``; `lightDensity` gives the density of light sampling on a
    /// material's surfaces.
    private static func materialTable(
        _ scene: SceneDescription, _ textures: TextureSet, lightDensity: (Int) -> Float
    ) -> AlignedBuffer<Float> {
        let stride = Int(MaterialRow.stride)
        let table = AlignedBuffer<Float>(count: stride * scene.materials.count)
        for (number, material) in scene.materials.enumerated() {
            let row = table.base + stride * number
            for axis in 0..<3 {
                row[MaterialRow.baseColor + axis] = material.baseColor[axis]
                row[MaterialRow.emission + axis] = material.emissive[axis]
            }
            let shines = material.emissive.max() > 0
            row[MaterialRow.shiningSides] = !shines ? 0 : material.isDoubleSided ? 2 : 1
            row[MaterialRow.lightDensity] = lightDensity(number)
            row[MaterialRow.metallic] = material.metallic
            row[MaterialRow.roughness] = material.roughness
            row[MaterialRow.alpha] = material.alpha
            row[MaterialRow.cutoff] =
                switch material.alphaMode {
                case .opaque: MaterialRow.opaque
                case .mask(let cutoff): max(cutoff, 0)
                case .blend: MaterialRow.blend
                }
            func slot(_ field: Int, _ reference: TextureReference?) {
                row[field] = Float(bitPattern: UInt32(textures.slot(for: reference)))
            }
            slot(MaterialRow.baseColorSlot, material.baseColorTexture)
            slot(MaterialRow.metallicRoughnessSlot, material.metallicRoughnessTexture)
            slot(MaterialRow.normalSlot, material.normalTexture)
            slot(MaterialRow.emissiveSlot, material.emissiveTexture)
            row[MaterialRow.normalScale] = material.normalScale
            row[MaterialRow.specular] = material.effectiveSpecular
        }
        return table
    }
}

extension Material {
    /// Rays may pass.
    var letsThrough: Bool {
        switch alphaMode {
        case .opaque: false
        case .mask(let cutoff): baseColorTexture != nil || alpha < cutoff
        case .blend: baseColorTexture != nil || alpha < 1
        }
    }

    /// Lambertian and without textures.
    fileprivate var isPlain: Bool {
        isLambertian && baseColorTexture == nil && normalTexture == nil
            && emissiveTexture == nil && !letsThrough
    }
}

extension SceneDescription {
    /// The box around all instances; nil for an empty scene.
    ///
    /// It is exact unless the instances have very many vertices in all: then those of a mesh that
    /// is placed often are taken for the corners of their box.
    var bounds: (lower: SIMD3<Float>, upper: SIMD3<Float>)? {
        var visits = 0
        for instance in instances { visits += meshes[instance.mesh].positions.count / 3 }
        let isExact = visits <= Self.exactVerticesMax
        var corners: [Int: [Float]] = [:]
        var lower = SIMD3<Float>(repeating: .infinity)
        var upper = SIMD3<Float>(repeating: -.infinity)
        for instance in instances {
            var positions = meshes[instance.mesh].positions
            if !isExact {
                positions = corners[instance.mesh] ?? Self.corners(of: positions)
                corners[instance.mesh] = positions
            }
            Self.extend(&lower, &upper, by: positions, placed: instance.transform)
        }
        return lower.x <= upper.x ? (lower, upper) : nil
    }

    /// Some tenths of a second are well spent on exact bounds, hours are not.
    private static let exactVerticesMax = 1 << 26

    private static func extend(
        _ lower: inout SIMD3<Float>, _ upper: inout SIMD3<Float>, by positions: [Float],
        placed transform: AffineTransform
    ) {
        for index in stride(from: 0, to: positions.count - 2, by: 3) {
            let p = transform.point(
                SIMD3(positions[index], positions[index + 1], positions[index + 2]))
            guard p.x.isFinite, p.y.isFinite, p.z.isFinite else { continue }
            lower.replace(with: p, where: p .< lower)
            upper.replace(with: p, where: p .> upper)
        }
    }

    /// The eight corners of the box around vertices; none for none.
    private static func corners(of positions: [Float]) -> [Float] {
        var lower = SIMD3<Float>(repeating: .infinity)
        var upper = SIMD3<Float>(repeating: -.infinity)
        extend(&lower, &upper, by: positions, placed: .identity)
        guard lower.x <= upper.x else { return [] }
        return (0..<8).flatMap { corner -> [Float] in
            [
                corner & 1 == 0 ? lower.x : upper.x, corner & 2 == 0 ? lower.y : upper.y,
                corner & 4 == 0 ? lower.z : upper.z,
            ]
        }
    }
}
