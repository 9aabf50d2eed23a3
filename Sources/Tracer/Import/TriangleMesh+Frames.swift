// The shading frames of imported vertices: unit normals, and tangents for normal maps where the
// file has none or broken ones.

extension TriangleMesh {
    var vertexCount: Int { positions.count / 3 }

    /// Gives each triangle vertices of its own, for flat shading.
    mutating func unshareVertices() {
        var positions: [Float] = []
        var textureCoordinates: [Float] = []
        positions.reserveCapacity(3 * indices.count)
        textureCoordinates.reserveCapacity(2 * indices.count)
        for index in indices {
            let vertex = Int(index)
            positions += self.positions[(3 * vertex)..<(3 * vertex + 3)]
            if !self.textureCoordinates.isEmpty {
                textureCoordinates += self.textureCoordinates[(2 * vertex)..<(2 * vertex + 2)]
            }
        }
        self.positions = positions
        self.textureCoordinates = textureCoordinates
        normals = [Float](repeating: 0, count: positions.count)
        tangents = []
        indices = indices.indices.map { UInt32($0) }
    }

    /// Makes normals unit length; one that has no direction becomes the mean of the vertex's
    /// triangles, weighted by their areas.
    mutating func normalizeNormals() {
        var broken: [Int] = []
        for vertex in 0..<vertexCount {
            if let unit = Self.vector(normals, vertex).normalizedOrNil {
                Self.store(unit, vertex, &normals)
            } else {
                broken.append(vertex)
            }
        }
        guard !broken.isEmpty else { return }
        var sums = [SIMD3<Float>](repeating: .zero, count: vertexCount)
        for first in stride(from: 0, to: indices.count, by: 3) {
            let (a, b, c) = (Int(indices[first]), Int(indices[first + 1]), Int(indices[first + 2]))
            let origin = Self.vector(positions, a)
            let normal = (Self.vector(positions, b) - origin)
                .crossProduct(Self.vector(positions, c) - origin)
            for vertex in [a, b, c] { sums[vertex] += normal }
        }
        for vertex in broken {
            Self.store(sums[vertex].normalizedOrNil ?? [0, 1, 0], vertex, &normals)
        }
    }

    /// Makes tangents unit length with a sign of ±1, and computes them all when they are missing
    /// or one has no direction: the direction in which u grows, the mean over the vertex's
    /// triangles weighted by their angles' area, made perpendicular to the normal
    /// (Lengyel, Foundations of Game Engine Development 2, §7.5).
    mutating func completeTangents() {
        if tangents.count == 4 * vertexCount, normalizeTangents() { return }
        var along = [SIMD3<Float>](repeating: .zero, count: vertexCount)
        var across = along
        for first in stride(from: 0, to: indices.count, by: 3) {
            let (a, b, c) = (Int(indices[first]), Int(indices[first + 1]), Int(indices[first + 2]))
            let origin = Self.vector(positions, a)
            let edge1 = Self.vector(positions, b) - origin
            let edge2 = Self.vector(positions, c) - origin
            let u1 = textureCoordinates[2 * b] - textureCoordinates[2 * a]
            let v1 = textureCoordinates[2 * b + 1] - textureCoordinates[2 * a + 1]
            let u2 = textureCoordinates[2 * c] - textureCoordinates[2 * a]
            let v2 = textureCoordinates[2 * c + 1] - textureCoordinates[2 * a + 1]
            let determinant = u1 * v2 - u2 * v1
            guard determinant != 0 else { continue }
            // The area as weight; the determinant gives only the orientation.
            let area = edge1.crossProduct(edge2).squaredLength.squareRoot()
            let sign: Float = determinant > 0 ? 1 : -1
            let uDirection = ((edge1 * v2 - edge2 * v1) * sign).normalizedOrNil ?? .zero
            let vDirection = ((edge2 * u1 - edge1 * u2) * sign).normalizedOrNil ?? .zero
            for vertex in [a, b, c] {
                along[vertex] += uDirection * area
                across[vertex] += vDirection * area
            }
        }
        tangents = [Float](repeating: 0, count: 4 * vertexCount)
        for vertex in 0..<vertexCount {
            let normal = Self.vector(normals, vertex)
            let flat = along[vertex] - normal * normal.dotProduct(along[vertex])
            let tangent = flat.normalizedOrNil ?? Self.perpendicular(to: normal)
            let bitangent = normal.crossProduct(tangent)
            tangents[4 * vertex] = tangent.x
            tangents[4 * vertex + 1] = tangent.y
            tangents[4 * vertex + 2] = tangent.z
            tangents[4 * vertex + 3] = bitangent.dotProduct(across[vertex]) < 0 ? -1 : 1
        }
    }

    /// False when a tangent of the file has no direction.
    private mutating func normalizeTangents() -> Bool {
        for vertex in 0..<vertexCount {
            let stored = SIMD3(
                tangents[4 * vertex], tangents[4 * vertex + 1], tangents[4 * vertex + 2])
            guard let unit = stored.normalizedOrNil else { return false }
            tangents[4 * vertex] = unit.x
            tangents[4 * vertex + 1] = unit.y
            tangents[4 * vertex + 2] = unit.z
            tangents[4 * vertex + 3] = tangents[4 * vertex + 3] < 0 ? -1 : 1
        }
        return true
    }

    private static func vector(_ values: [Float], _ vertex: Int) -> SIMD3<Float> {
        SIMD3(values[3 * vertex], values[3 * vertex + 1], values[3 * vertex + 2])
    }

    private static func store(_ value: SIMD3<Float>, _ vertex: Int, _ values: inout [Float]) {
        values[3 * vertex] = value.x
        values[3 * vertex + 1] = value.y
        values[3 * vertex + 2] = value.z
    }

    /// Any unit vector perpendicular to a unit vector.
    private static func perpendicular(to normal: SIMD3<Float>) -> SIMD3<Float> {
        let axis: SIMD3<Float> = abs(normal.x) < 0.5 ? [1, 0, 0] : [0, 1, 0]
        return axis.crossProduct(normal).normalizedOrNil ?? [1, 0, 0]
    }
}
