// Which triangles of a scene shine, with which textures, and how much of them is there at all.

/// The emissive triangles of all instances, in the world.
struct SceneEmitters {
    private(set) var triangles: [EmissiveTriangle] = []
    /// For each light its material and the texture coordinates of its vertices.
    private var sources: [(material: Int, coordinates: [Float])] = []

    /// The most triangles that may shine, those of each instance counted: each takes about 250
    /// bytes, and an instance of a shining mesh only as many as its node has in the file.
    static let trianglesMax = 1 << 24

    /// - Throws: `SceneError.tooLarge` when more than ``trianglesMax`` triangles shine.
    init(_ scene: SceneDescription, _ geometry: SceneGeometry) throws(SceneError) {
        try Self.checkSize(scene, geometry)
        var means: [Int: SIMD3<Float>] = [:]
        for placed in geometry.placed {
            let mesh = scene.meshes[placed.mesh]
            let material = scene.materials[mesh.material]
            guard material.emissive.max() > 0 else { continue }
            let mean = means[mesh.material] ?? Self.meanEmission(material, scene)
            means[mesh.material] = mean
            guard mean.max() > 0 else { continue }
            append(placed, mesh, material, mean, geometry)
        }
    }

    private static func checkSize(
        _ scene: SceneDescription, _ geometry: SceneGeometry
    ) throws(SceneError) {
        var count = 0
        for placed in geometry.placed
        where scene.materials[scene.meshes[placed.mesh].material].emissive.max() > 0 {
            count += placed.triangles.count
            guard count <= trianglesMax else {
                throw .tooLarge("more than \(trianglesMax) triangles of the scene give light")
            }
        }
    }

    private mutating func append(
        _ placed: PlacedMesh, _ mesh: TriangleMesh, _ material: Material, _ mean: SIMD3<Float>,
        _ geometry: SceneGeometry
    ) {
        let isMirrored = placed.transform.determinant < 0
        let needsCoordinates =
            !mesh.textureCoordinates.isEmpty
            && (material.emissiveTexture != nil
                || (material.letsThrough && material.baseColorTexture != nil))
        func corner(_ vertex: UInt32) -> SIMD3<Float> {
            let p = geometry.positions.base + 3 * Int(vertex)
            return placed.transform.point(SIMD3(p[0], p[1], p[2]))
        }
        for (number, triangle) in placed.triangles.enumerated() {
            let index = geometry.indices.base + 3 * triangle
            let a = corner(index[0])
            var edge1 = corner(index[1]) - a
            var edge2 = corner(index[2]) - a
            let area = cross3(edge1, edge2)
            guard length3(area) > 0, length3(area).isFinite else { continue }
            var order = [0, 1, 2]
            // The front is where the record's normal points; a mirrored mesh turns around.
            let record = geometry.records.base[triangle]
            let normal = SIMD3(record.normalX, record.normalY, record.normalZ)
            let isTurned = placed.row > 0 ? isMirrored : dot3(area, normal) < 0
            if isTurned {
                swap(&edge1, &edge2)
                order = [0, 2, 1]
            }
            triangles.append(
                EmissiveTriangle(
                    vertex: a, edge1: edge1, edge2: edge2, radiance: mean,
                    isDoubleSided: material.isDoubleSided))
            guard needsCoordinates else {
                sources.append((mesh.material, []))
                continue
            }
            let coordinates = order.flatMap { place -> [Float] in
                let vertex = Int(mesh.indices[3 * number + place])
                return [
                    mesh.textureCoordinates[2 * vertex], mesh.textureCoordinates[2 * vertex + 1],
                ]
            }
            sources.append((mesh.material, coordinates))
        }
    }

    /// For each material the light by which the density of all its lights is known: the first,
    /// unless the choice of lights, which has 32 bits, knows its share too roughly (a sliver may
    /// have a share of nothing); then the likeliest. Nil for a material without lights.
    func representatives(materialCount: Int, in lights: LightView) -> [Int?] {
        var result = [Int?](repeating: nil, count: materialCount)
        let enough = Self.shareMin / Float(lights.triangleCount + lights.punctualCount)
        for (light, source) in sources.enumerated() {
            if let known = result[source.material] {
                let probability = lights.probability(ofLight: known)
                guard probability < enough, lights.probability(ofLight: light) > probability
                else { continue }
            }
            result[source.material] = light
        }
        return result
    }

    /// Of the mean probability: 2⁻⁸, so that a step of 2⁻³² is less than a rounding error.
    private static let shareMin: Float = 0x1p-8

    /// The emission with the mean of its texture.
    private static func meanEmission(
        _ material: Material, _ scene: SceneDescription
    ) -> SIMD3<Float> {
        guard let texture = material.emissiveTexture else { return material.emissive }
        let decoded = (0..<256).map { Double(TextureSet.decodeSRGB(Float($0) / 255)) }
        let image = scene.images[texture.image]
        var sum = SIMD3<Double>(repeating: 0)
        for texel in stride(from: 0, to: image.pixels.count - 3, by: 4) {
            sum += SIMD3(
                decoded[Int(image.pixels[texel])], decoded[Int(image.pixels[texel + 1])],
                decoded[Int(image.pixels[texel + 2])])
        }
        let mean = sum / Double(max(image.pixels.count / 4, 1))
        return material.emissive * SIMD3(Float(mean.x), Float(mean.y), Float(mean.z))
    }

    /// Rows of ``EmissiveTextureRow``; nil if no light is textured or lets rays through.
    func textureTable(
        _ scene: SceneDescription, _ textures: TextureSet
    ) -> AlignedBuffer<Float>? {
        let varies = scene.materials.map { $0.emissiveTexture != nil || $0.letsThrough }
        guard sources.contains(where: { varies[$0.material] }) else { return nil }
        let stride = Int(EmissiveTextureRow.stride)
        let table = AlignedBuffer<Float>(count: stride * sources.count)
        for (number, source) in sources.enumerated() {
            let material = scene.materials[source.material]
            let row = table.base + stride * number
            for axis in 0..<3 { row[EmissiveTextureRow.factor + axis] = material.emissive[axis] }
            let slot = textures.slot(for: material.emissiveTexture)
            row[EmissiveTextureRow.slot] = Float(bitPattern: UInt32(slot))
            row[EmissiveTextureRow.material] = Float(bitPattern: UInt32(source.material))
            for (offset, value) in source.coordinates.enumerated() {
                row[EmissiveTextureRow.coordinates + offset] = value
            }
        }
        return table
    }
}
