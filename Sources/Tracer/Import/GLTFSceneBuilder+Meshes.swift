// Mesh primitives (glTF 2.0 §3.7.2) to triangles of one material. Only primitives that a node
// shows are read, and a primitive that several meshes share is read once.

extension GLTFSceneBuilder {
    /// The triangles of a mesh's primitives, as indices into ``SceneDescription/meshes``.
    mutating func meshes(ofMesh index: Int) throws(SceneError) -> [Int] {
        guard let mesh = document.meshes?.element(at: index) else {
            throw malformed("mesh \(index) is not there")
        }
        if let known = importedMeshes[index] { return known }
        let shown = "mesh " + (mesh.name.map { "'\(printable($0))'" } ?? "\(index)")
        var result: [Int] = []
        for primitive in mesh.primitives {
            if let known = importedPrimitives[primitive] {
                if let known { result.append(known) }
                continue
            }
            let imported = try triangles(of: primitive, shown)
            var place: Int?
            if let imported {
                place = scene.meshes.count
                scene.meshes.append(imported)
            }
            importedPrimitives[primitive] = .some(place)
            if let place { result.append(place) }
        }
        importedMeshes[index] = result
        return result
    }

    /// The triangles of a primitive; nil when it makes none.
    private mutating func triangles(
        of primitive: GLTFDocument.Primitive, _ shown: String
    ) throws(SceneError) -> TriangleMesh? {
        let mode = primitive.mode ?? 4
        guard (4...6).contains(mode) else {
            guard (0...3).contains(mode) else {
                throw malformed("\(shown) has the unknown primitive mode \(mode)")
            }
            notices.add("\(shown): points and lines are not rendered")
            return nil
        }
        guard let positionAccessor = primitive.attributes["POSITION"] else {
            notices.add("\(shown) has a primitive without positions, which was left out")
            return nil
        }
        noteIgnoredParts(of: primitive, shown)
        try noteRead(of: positionAccessor)
        let vertexCount = try accessors.count(of: positionAccessor)
        let corners = try corners(of: primitive, vertexCount: vertexCount, mode: mode, shown)
        guard !corners.isEmpty else {
            notices.add("\(shown) has a primitive without triangles, which was left out")
            return nil
        }
        let material = try materialIndex(of: primitive, shown)
        // Exporters let many primitives share one large set of vertices: take only what is used.
        var indices = corners
        var selection: [UInt32]?
        if vertexCount > corners.count {
            var sorted = corners
            sorted.sort()
            var unique: [UInt32] = []
            for corner in sorted where corner != unique.last { unique.append(corner) }
            let used = unique
            indices = corners.map { corner in
                UInt32(used.partitionPoint { $0 >= corner })
            }
            selection = used
        }
        var mesh = TriangleMesh(
            positions: try accessors.floats(positionAccessor, width: 3, selection: selection),
            indices: indices, material: material)
        guard mesh.positions.allSatisfy(\.isFinite) else {
            throw malformed("\(shown) has a position that is not a finite number")
        }
        mesh.normals = try attribute(
            "NORMAL", of: primitive, width: 3, vertexCount, selection, shown)
        mesh.tangents = try attribute(
            "TANGENT", of: primitive, width: 4, vertexCount, selection, shown)
        let set = textureCoordinateSets.element(at: material) ?? 0
        mesh.textureCoordinates = try attribute(
            "TEXCOORD_\(set)", of: primitive, width: 2, vertexCount, selection, shown)
        try finish(&mesh, shown)
        return mesh
    }

    private mutating func noteIgnoredParts(
        of primitive: GLTFDocument.Primitive, _ shown: String
    ) {
        if primitive.attributes["COLOR_0"] != nil {
            notices.add("\(shown): vertex colours are not supported and were ignored")
        }
        if !(primitive.targets ?? []).isEmpty {
            notices.add("\(shown): morph targets are not supported and were ignored")
        }
    }

    /// Counts what an accessor gives without a byte of data behind it: else a few hundred bytes of
    /// text, with many primitives, would become gigabytes of triangles.
    private mutating func noteRead(of accessor: Int) throws(SceneError) {
        elementsWithoutData += try accessors.elementsWithoutData(of: accessor)
        guard elementsWithoutData <= SceneLimits.elementsWithoutDataMax else {
            throw .tooLarge(
                "'\(file)' has more than \(SceneLimits.elementsWithoutDataMax) elements without data"
            )
        }
    }

    /// The vertices of each triangle's corners, `3 × triangles`, each below `vertexCount`.
    private mutating func corners(
        of primitive: GLTFDocument.Primitive, vertexCount: Int, mode: Int, _ shown: String
    ) throws(SceneError) -> [UInt32] {
        let listed: Int
        if let accessor = primitive.indices {
            try noteRead(of: accessor)
            listed = try accessors.count(of: accessor)
        } else {
            listed = vertexCount
        }
        let triangles = mode == 4 ? listed / 3 : max(listed - 2, 0)
        // The bound comes before anything is allocated.
        triangleCount += triangles
        guard triangleCount <= SceneLimits.trianglesMax, listed <= 3 * SceneLimits.trianglesMax
        else {
            throw .tooLarge("'\(file)' has more than \(SceneLimits.trianglesMax) triangles")
        }
        var list: [UInt32]
        if let accessor = primitive.indices {
            list = try accessors.indices(accessor)
            if let wrong = list.first(where: { $0 >= vertexCount }) {
                throw malformed("\(shown) has the index \(wrong), but only \(vertexCount) vertices")
            }
        } else {
            list = (0..<listed).map { UInt32($0) }
        }
        if mode == 4 {
            if listed % 3 != 0 { notices.add("\(shown) ends with an incomplete triangle") }
            list.removeLast(listed % 3)
            return list
        }
        var corners: [UInt32] = []
        corners.reserveCapacity(3 * triangles)
        for first in 0..<triangles {
            if mode == 6 {
                corners += [list[first + 1], list[first + 2], list[0]]
            } else {
                // Every other triangle of a strip is turned, so that all face the same side.
                let odd = first % 2
                corners += [list[first], list[first + 1 + odd], list[first + 2 - odd]]
            }
        }
        return corners
    }

    private mutating func materialIndex(
        of primitive: GLTFDocument.Primitive, _ shown: String
    ) throws(SceneError) -> Int {
        if let index = primitive.material {
            guard document.materials?.element(at: index) != nil else {
                throw malformed("\(shown) uses material \(index), which is not there")
            }
            return index
        }
        if let defaultMaterial { return defaultMaterial }
        let index = scene.materials.count
        scene.materials.append(Material())
        defaultMaterial = index
        return index
    }

    /// A vertex attribute, empty when the primitive has none.
    private mutating func attribute(
        _ name: String, of primitive: GLTFDocument.Primitive, width: Int, _ vertexCount: Int,
        _ selection: [UInt32]?, _ shown: String
    ) throws(SceneError) -> [Float] {
        guard let accessor = primitive.attributes[name] else { return [] }
        try noteRead(of: accessor)
        let count = try accessors.count(of: accessor)
        guard count == vertexCount else {
            throw malformed("\(shown) has \(count) of \(name) for \(vertexCount) vertices")
        }
        return try accessors.floats(accessor, width: width, selection: selection)
    }

    /// Makes the frames of a mesh's vertices whole: what is missing or broken is computed.
    private mutating func finish(_ mesh: inout TriangleMesh, _ shown: String) throws(SceneError) {
        guard mesh.textureCoordinates.allSatisfy(\.isFinite) else {
            throw malformed("\(shown) has a texture coordinate that is not a finite number")
        }
        let limit = SceneLimits.textureCoordinateMax
        for index in mesh.textureCoordinates.indices {
            mesh.textureCoordinates[index] = min(max(mesh.textureCoordinates[index], -limit), limit)
        }
        let material = scene.materials[mesh.material]
        let isTextured =
            material.baseColorTexture != nil || material.metallicRoughnessTexture != nil
            || material.normalTexture != nil || material.emissiveTexture != nil
        if isTextured, mesh.textureCoordinates.isEmpty {
            notices.add("\(shown) has a textured material but no texture coordinates for it")
        }
        let needsTangents = material.normalTexture != nil && !mesh.textureCoordinates.isEmpty
        // The specification: flat normals where there are none, and then no tangents of the file.
        if mesh.normals.isEmpty {
            mesh.tangents = []
            guard needsTangents else { return }
            mesh.unshareVertices()
        }
        mesh.normalizeNormals()
        if needsTangents { mesh.completeTangents() } else { mesh.tangents = [] }
    }
}
