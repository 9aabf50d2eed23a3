// From meshes and instances to the tables of the triangles: meshes that are used once go to the
// world, the others keep their space and are placed by reference.

/// Where an instance's triangles are.
struct PlacedMesh {
    /// Index into the scene's meshes.
    var mesh: Int
    /// In the numbering of all triangles.
    var triangles: Range<Int>
    /// Row in the instance table: 0 for a baked mesh.
    var row: Int
    /// From the triangles' space to the world; the identity for a baked mesh.
    var transform: AffineTransform
}

/// All triangles of a scene in one numbering, baked ones first.
final class SceneGeometry: Sendable {
    /// `3 × vertices`.
    let positions: AlignedBuffer<Float>
    /// `3 × triangles`, vertices.
    let indices: AlignedBuffer<UInt32>
    let records: AlignedBuffer<TriangleRecord>
    /// `VertexAttributes.stride × rows`.
    let attributes: AlignedBuffer<Float>
    /// `InstanceRow.stride × rows`.
    let instances: AlignedBuffer<Float>
    let embree: EmbreeScene
    let placed: [PlacedMesh]
    let hasAttributes: Bool

    /// So many vertices, and triangles, can be reached with 32-bit gathers.
    static let verticesMax = Int(Int32.max) / 12
    static let trianglesMax = Int(Int32.max) / 3

    /// - Throws: `SceneError.malformed` for an index that is out of range, `.tooLarge` beyond the
    ///   bounds.
    init(_ scene: SceneDescription, buildThreads: Int) throws(SceneError) {
        try Self.validate(scene)
        var uses = [Int](repeating: 0, count: scene.meshes.count)
        for instance in scene.instances where instance.transform.isReferable {
            uses[instance.mesh] += 1
        }
        func isShared(_ instance: MeshInstance) -> Bool {
            uses[instance.mesh] > 1 && instance.transform.isReferable
        }
        // Baked meshes come first, so that Embree's triangle numbers are ours.
        let baked = scene.instances.filter { !isShared($0) }
        let shared = scene.meshes.indices.filter { uses[$0] > 1 }
        let order = baked.map { ($0.mesh, $0.transform) } + shared.map { ($0, .identity) }
        let meshes = order.map { scene.meshes[$0.0] }
        let vertexCount = meshes.reduce(0) { $0 + $1.positions.count / 3 }
        let triangleCount = meshes.reduce(0) { $0 + $1.indices.count / 3 }
        guard vertexCount <= Self.verticesMax, triangleCount <= Self.trianglesMax else {
            throw .tooLarge("the scene has \(triangleCount) triangles, too many")
        }
        let attributeRows = meshes.reduce(0) { $0 + ($1.hasAttributes ? $1.vertexRows : 0) }
        hasAttributes = attributeRows > 0
        positions = AlignedBuffer(count: 3 * vertexCount)
        indices = AlignedBuffer(count: 3 * triangleCount)
        records = AlignedBuffer(count: triangleCount)
        attributes = AlignedBuffer(count: Int(VertexAttributes.stride) * attributeRows)
        var ranges: [Range<Int>] = []
        var (vertex, triangle, row) = (0, 0, 0)
        for (mesh, transform) in order {
            let source = scene.meshes[mesh]
            let writer = MeshWriter(
                mesh: source, transform: transform, firstVertex: vertex, firstTriangle: triangle,
                firstRow: row)
            writer.write(
                positions: positions.base, indices: indices.base, records: records.base,
                attributes: attributes.base)
            ranges.append(triangle..<(triangle + source.indices.count / 3))
            vertex += source.vertexRows
            triangle += source.indices.count / 3
            row += source.hasAttributes ? source.vertexRows : 0
        }
        var rangeOfShared: [Int: Int] = [:]
        for (number, mesh) in shared.enumerated() { rangeOfShared[mesh] = number }
        let references = scene.instances.filter(isShared)
        instances = Self.instanceTable(references) { mesh in
            ranges[baked.count + (rangeOfShared[mesh] ?? 0)].lowerBound
        }
        var placed = baked.indices.map {
            PlacedMesh(
                mesh: baked[$0].mesh, triangles: ranges[$0], row: 0, transform: .identity)
        }
        for (number, instance) in references.enumerated() {
            placed.append(
                PlacedMesh(
                    mesh: instance.mesh,
                    triangles: ranges[baked.count + (rangeOfShared[instance.mesh] ?? 0)],
                    row: number + 1, transform: instance.transform))
        }
        self.placed = placed
        embree = try EmbreeScene(
            positions: positions, indices: indices,
            baked: baked.indices.last.map { ranges[$0].upperBound } ?? 0,
            shared: Array(ranges.dropFirst(baked.count)),
            instances: references.map {
                EmbreeScene.Instance(
                    geometry: rangeOfShared[$0.mesh] ?? 0, transform: $0.transform)
            }, threads: buildThreads)
    }

    /// Row 0 is the world; row i + 1 the reference i.
    private static func instanceTable(
        _ references: [MeshInstance], firstTriangle: (Int) -> Int
    ) -> AlignedBuffer<Float> {
        let stride = Int(InstanceRow.stride)
        let table = AlignedBuffer<Float>(count: stride * (references.count + 1))
        func write(_ transform: AffineTransform, _ first: Int, row: Int) {
            let base = table.base + stride * row
            for (index, value) in transform.columns.enumerated() { base[index] = value }
            let normals = transform.normalColumns
            for (column, vector) in [normals.x, normals.y, normals.z].enumerated() {
                for axis in 0..<3 {
                    base[InstanceRow.normals + 3 * column + axis] = vector[axis]
                }
            }
            base[InstanceRow.handedness] = transform.determinant < 0 ? -1 : 1
            base[InstanceRow.firstTriangle] = Float(bitPattern: UInt32(first))
        }
        write(.identity, 0, row: 0)
        for (number, instance) in references.enumerated() {
            write(instance.transform, firstTriangle(instance.mesh), row: number + 1)
        }
        return table
    }

    /// Importers check this already; a scene from elsewhere must not make the tracer read outside
    /// its tables.
    private static func validate(_ scene: SceneDescription) throws(SceneError) {
        func malformed(_ reason: String) -> SceneError { .malformed(file: "scene", reason: reason) }
        for instance in scene.instances where !scene.meshes.indices.contains(instance.mesh) {
            throw malformed("an instance of mesh \(instance.mesh), which is not there")
        }
        for (number, mesh) in scene.meshes.enumerated() {
            let vertices = mesh.positions.count / 3
            guard mesh.positions.count % 3 == 0, mesh.indices.count % 3 == 0,
                [0, 3 * vertices].contains(mesh.normals.count),
                [0, 4 * vertices].contains(mesh.tangents.count),
                [0, 2 * vertices].contains(mesh.textureCoordinates.count)
            else { throw malformed("mesh \(number) has arrays of wrong lengths") }
            guard scene.materials.indices.contains(mesh.material) else {
                throw malformed("mesh \(number) has material \(mesh.material), not there")
            }
            guard mesh.indices.allSatisfy({ Int($0) < vertices }) else {
                throw malformed("mesh \(number) has an index past its \(vertices) vertices")
            }
        }
    }
}

extension TriangleMesh {
    fileprivate var hasAttributes: Bool { !normals.isEmpty || !textureCoordinates.isEmpty }
    fileprivate var vertexRows: Int { positions.count / 3 }
}

/// Writes one mesh into the tables.
private struct MeshWriter {
    let mesh: TriangleMesh
    let transform: AffineTransform
    let firstVertex: Int
    let firstTriangle: Int
    /// Of attributes.
    let firstRow: Int

    func write(
        positions: UnsafeMutablePointer<Float>, indices: UnsafeMutablePointer<UInt32>,
        records: UnsafeMutablePointer<TriangleRecord>, attributes: UnsafeMutablePointer<Float>
    ) {
        let isIdentity = transform == .identity
        let to = positions + 3 * firstVertex
        for vertex in 0..<mesh.vertexRows {
            let p = vector(mesh.positions, 3 * vertex)
            let world = isIdentity ? p : transform.point(p)
            (to[3 * vertex], to[3 * vertex + 1], to[3 * vertex + 2]) = (world.x, world.y, world.z)
        }
        if mesh.hasAttributes { writeAttributes(attributes) }
        let offset =
            mesh.hasAttributes
            ? UInt32(truncatingIfNeeded: firstRow - firstVertex) & 0x7fff_ffff
            : TriangleRecord.noAttributes
        let flip: Float = transform.determinant < 0 ? -1 : 1
        let material = UInt32(mesh.material)
        func corner(_ vertex: Int) -> SIMD3<Float> {
            SIMD3(to[3 * vertex], to[3 * vertex + 1], to[3 * vertex + 2])
        }
        for triangle in 0..<(mesh.indices.count / 3) {
            let a = Int(mesh.indices[3 * triangle])
            let b = Int(mesh.indices[3 * triangle + 1])
            let c = Int(mesh.indices[3 * triangle + 2])
            let index = indices + 3 * (firstTriangle + triangle)
            index[0] = UInt32(firstVertex + a)
            index[1] = UInt32(firstVertex + b)
            index[2] = UInt32(firstVertex + c)
            let origin = corner(a)
            let area = cross3(corner(b) - origin, corner(c) - origin)
            let length = length3(area)
            let normal = length > 0 ? area * (flip / length) : SIMD3(repeating: 0)
            records[firstTriangle + triangle] = TriangleRecord(
                x: origin.x, y: origin.y, z: origin.z, material: material, normalX: normal.x,
                normalY: normal.y, normalZ: normal.z, attributeOffset: offset)
        }
    }

    private func writeAttributes(_ attributes: UnsafeMutablePointer<Float>) {
        let stride = Int(VertexAttributes.stride)
        let normals = transform.normalColumns
        let isIdentity = transform == .identity
        for vertex in 0..<mesh.vertexRows {
            let row = attributes + stride * (firstRow + vertex)
            if !mesh.normals.isEmpty {
                let n = vector(mesh.normals, 3 * vertex)
                let turned = normals.x * n.x + normals.y * n.y + normals.z * n.z
                let length = length3(turned)
                let unit = isIdentity ? n : length > 0 ? turned * (1 / length) : turned
                (row[0], row[1], row[2]) = (unit.x, unit.y, unit.z)
            }
            if !mesh.textureCoordinates.isEmpty {
                row[VertexAttributes.textureCoordinates] = mesh.textureCoordinates[2 * vertex]
                row[VertexAttributes.textureCoordinates + 1] =
                    mesh.textureCoordinates[2 * vertex + 1]
            }
            if !mesh.tangents.isEmpty {
                let t = transform.direction(vector(mesh.tangents, 4 * vertex))
                let tangent = row + VertexAttributes.tangent
                (tangent[0], tangent[1], tangent[2]) = (t.x, t.y, t.z)
                let sign: Float = transform.determinant < 0 ? -1 : 1
                tangent[3] = mesh.tangents[4 * vertex + 3] * sign
            }
        }
    }

    private func vector(_ from: [Float], _ index: Int) -> SIMD3<Float> {
        SIMD3(from[index], from[index + 1], from[index + 2])
    }
}
