// From "this ray meets that triangle" to everything shading wants to know, in IEEE operations.

import CTracerSIMD

/// Eight rays where they meet triangles.
struct SurfaceHit8 {
    /// Lanes that hit, at a positive and finite distance, a bit each.
    var bits: UInt32
    var distance: Float8
    var position: Vector8
    /// Unit length, on the front side of the triangle.
    var normal: Vector8
    /// Cosine between the ray's direction and `normal`: negative where the ray meets the front.
    var cosine: Float8
    /// Triangle and vertex data that not every scene needs.
    var triangle: Int32x8
    var instanceRow: Int32x8
    var attributeOffset: Int32x8
    var vertex: Vector8
    var material: Int32x8

    /// How far from the surface a new ray begins, so that it does not meet the surface it comes
    /// from: some hundred rounding errors of the numbers that led to the position.
    @inline(__always)
    var clearance: Float8 {
        let largest = maximum(
            maximum(magnitude(position.x), magnitude(position.y)), magnitude(position.z))
        let start = maximum(maximum(magnitude(vertex.x), magnitude(vertex.y)), magnitude(vertex.z))
        return maximum(maximum(largest, start), distance) * Self.relativeClearance
    }

    private static var relativeClearance: Float { 2e-5 }
}

extension KernelScene {
    /// Distance, position and normal of eight hits.
    ///
    /// - Parameters:
    ///   - triangle: numbers, valid in the lanes of `bits`.
    ///   - instanceRow: rows in the instance table, zero in scenes without instances.
    @inline(__always)
    func surface(
        origin: Vector8, direction: Vector8, triangle: UInt32x8, instanceRow: UInt32x8,
        bits: UInt32, hasInstances: Bool
    ) -> SurfaceHit8 {
        let safe = select(
            triangle.signed .== -1, UInt32x8(repeating: 0), triangle)
        let record = RecordFields(
            records, strideBytes: MemoryLayout<TriangleRecord>.stride, row: safe)
        var vertex = record.vector0
        var normal = record.vector4
        let row = instanceRow.signed
        if hasInstances {
            let place = row &* InstanceRow.stride
            vertex = transformPoint(vertex, place)
            normal = transformNormal(normal, place).normalised
        }
        let cosine = dot(normal, direction)
        let distance = dot(vertex - origin, normal) / cosine
        let position = origin + direction * distance
        let farthest = maximum(
            maximum(magnitude(position.x), magnitude(position.y)), magnitude(position.z))
        // A degenerate triangle or a ray within its plane has no distance, or one that no
        // triangle is at: the path ends.
        let isHit =
            (distance .> 0) .& (distance .< Float.infinity) .& (farthest .< EmbreeScene.originMax)
        return SurfaceHit8(
            bits: bits & UInt32(bitPattern: isHit.bits), distance: distance,
            position: position, normal: normal, cosine: cosine,
            triangle: safe.signed, instanceRow: row, attributeOffset: record.number7.bits,
            vertex: vertex, material: record.number3.bits)
    }

    @inline(__always)
    func transformPoint(_ p: Vector8, _ place: Int32x8) -> Vector8 {
        transformDirection(p, place) + gather3(instances + 9, place)
    }

    @inline(__always)
    func transformDirection(_ d: Vector8, _ place: Int32x8) -> Vector8 {
        gather3(instances, place) * d.x + gather3(instances + 3, place) * d.y
            + gather3(instances + 6, place) * d.z
    }

    /// Not unit length.
    @inline(__always)
    func transformNormal(_ n: Vector8, _ place: Int32x8) -> Vector8 {
        let columns = instances + InstanceRow.normals
        return gather3(columns, place) * n.x + gather3(columns + 3, place) * n.y
            + gather3(columns + 6, place) * n.z
    }
}

/// Where on their triangles eight hits are.
struct SurfacePoint8 {
    /// Vertex numbers.
    var corner: (Int32x8, Int32x8, Int32x8)
    var edge1: Vector8
    var edge2: Vector8
    /// The weights of the three vertices.
    var weight: (Float8, Float8, Float8)
    /// Offsets of the vertices' attributes; of row 0 where there are none.
    var attribute: (Int32x8, Int32x8, Int32x8)
    var hasAttributes: Mask8
    /// Texture coordinates; zero where there are none.
    var s: Float8
    var t: Float8
}

extension KernelScene {
    /// Barycentric and texture coordinates of eight hits.
    @inline(__always)
    func point(_ hit: SurfaceHit8) -> SurfacePoint8 {
        let first = hit.triangle &* 3
        let corner = (
            gather(indices, first), gather(indices + 1, first), gather(indices + 2, first)
        )
        var vertex1 = gather3(positions, corner.1 &* 3)
        var vertex2 = gather3(positions, corner.2 &* 3)
        if features.hasInstances {
            let place = hit.instanceRow &* InstanceRow.stride
            vertex1 = transformPoint(vertex1, place)
            vertex2 = transformPoint(vertex2, place)
        }
        let edge1 = vertex1 - hit.vertex
        let edge2 = vertex2 - hit.vertex
        let offset = hit.position - hit.vertex
        let area = cross(edge1, edge2)
        let scale = 1 / area.lengthSquared
        let zero = Float8(repeating: 0)
        let u = maximum(dot(cross(offset, edge2), area) * scale, zero)
        let v = maximum(dot(cross(edge1, offset), area) * scale, zero)
        let w = maximum(1 - u - v, zero)
        let hasAttributes = hit.attributeOffset .>= 0
        @inline(__always)
        func attribute(_ corner: Int32x8) -> Int32x8 {
            let row = (corner &+ hit.attributeOffset) & 0x7fff_ffff
            return select(hasAttributes, row, Int32x8(repeating: 0)) &* VertexAttributes.stride
        }
        let rows = (attribute(corner.0), attribute(corner.1), attribute(corner.2))
        let coordinates = attributes + VertexAttributes.textureCoordinates
        @inline(__always)
        func blend(_ field: Int) -> Float8 {
            gather(coordinates + field, rows.0) * w + gather(coordinates + field, rows.1) * u
                + gather(coordinates + field, rows.2) * v
        }
        return SurfacePoint8(
            corner: corner, edge1: edge1, edge2: edge2, weight: (w, u, v), attribute: rows,
            hasAttributes: hasAttributes, s: select(hasAttributes, blend(0), zero),
            t: select(hasAttributes, blend(1), zero))
    }

    /// The vertices' normals, interpolated, unit length, on the front side; the triangle's own
    /// where there are none.
    @inline(__always)
    func interpolatedNormal(_ hit: SurfaceHit8, _ point: SurfacePoint8) -> Vector8 {
        var normal =
            gather3(attributes, point.attribute.0) * point.weight.0
            + gather3(attributes, point.attribute.1) * point.weight.1
            + gather3(attributes, point.attribute.2) * point.weight.2
        if features.hasInstances {
            normal = transformNormal(normal, hit.instanceRow &* InstanceRow.stride)
        }
        let length = normal.lengthSquared
        let isUsable = point.hasAttributes .& (length .> 0) .& (length .< Float.infinity)
        let unit = normal * (1 / squareRoot(length))
        // Winding decides which side is the front.
        let turned = select(dot(unit, hit.normal) .< 0, -unit, unit)
        return select(isUsable, turned, hit.normal)
    }

    /// The tangent and bitangent of the texture at eight hits, at right angles to `normal`: from
    /// the vertices, or where they have none from the texture coordinates of the triangle.
    @inline(__always)
    func tangents(
        _ hit: SurfaceHit8, _ point: SurfacePoint8, normal: Vector8
    ) -> (tangent: Vector8, bitangent: Vector8) {
        let base = attributes + VertexAttributes.tangent
        var tangent =
            gather3(base, point.attribute.0) * point.weight.0
            + gather3(base, point.attribute.1) * point.weight.1
            + gather3(base, point.attribute.2) * point.weight.2
        var sign = gather(base + 3, point.attribute.0)
        if features.hasInstances {
            let place = hit.instanceRow &* InstanceRow.stride
            tangent = transformDirection(tangent, place)
            sign *= gather(instances + InstanceRow.handedness, place)
        }
        // From the derivatives of the coordinates; t points down, the bitangent up.
        let coordinates = attributes + VertexAttributes.textureCoordinates
        let s0 = gather(coordinates, point.attribute.0)
        let t0 = gather(coordinates + 1, point.attribute.0)
        let s1 = gather(coordinates, point.attribute.1) - s0
        let t1 = gather(coordinates + 1, point.attribute.1) - t0
        let s2 = gather(coordinates, point.attribute.2) - s0
        let t2 = gather(coordinates + 1, point.attribute.2) - t0
        let determinant = s1 * t2 - s2 * t1
        let isTurned = determinant .< 0
        let along = point.edge1 * t2 - point.edge2 * t1
        let derived = select(isTurned, -along, along)
        let hasTangent = tangent.lengthSquared .> 0
        let one = Float8(repeating: 1)
        tangent = select(hasTangent, tangent, derived)
        // The edges of a mirrored triangle turn the other way than its front normal.
        let isMirrored = dot(cross(point.edge1, point.edge2), hit.normal) .< 0
        let derivedSign = select(isTurned .^ isMirrored, one, -one)
        sign = select(hasTangent, sign, derivedSign)
        let flat = tangent - normal * dot(normal, tangent)
        let length = flat.lengthSquared
        let isUsable = (length .> 0) .& (length .< Float.infinity)
        let unit = select(
            isUsable, flat * (1 / squareRoot(length)), Basis8(normal: normal).tangent)
        return (unit, cross(normal, unit) * sign)
    }
}
