// Eight vectors, or eight colours, as structure of arrays: what the shading stages compute with.
//
// API: `Vector8(x, y, z)`, `Vector8(repeating: SIMD3)`, `+ − ×`, `dot`, `cross`, `length`,
// `normalised`, `luminance`, `select(mask, a, b)`, `gather3`, `Basis8(normal:)`.

/// Eight vectors of three components; colours keep red, green, blue in x, y, z.
struct Vector8: Sendable {
    var x: Float8
    var y: Float8
    var z: Float8

    @inline(__always)
    init(_ x: Float8, _ y: Float8, _ z: Float8) {
        self.x = x
        self.y = y
        self.z = z
    }

    /// The same vector in every lane. In stages write `SIMD3(x, y, z)`: the literal `[x, y, z]`
    /// makes an array first.
    @inline(__always)
    init(repeating vector: SIMD3<Float>) {
        x = Float8(repeating: vector.x)
        y = Float8(repeating: vector.y)
        z = Float8(repeating: vector.z)
    }

    /// The same number in every component.
    @inline(__always)
    init(gray value: Float8) {
        x = value
        y = value
        z = value
    }

    /// All components zero. Computed, because a stored one costs an initialisation check a use.
    @inline(__always)
    static var zero: Vector8 { Vector8(gray: Float8(repeating: 0)) }

    /// The vector of one lane.
    @inline(__always)
    subscript(lane: Int) -> SIMD3<Float> {
        get { SIMD3(x[lane], y[lane], z[lane]) }
        set {
            x[lane] = newValue.x
            y[lane] = newValue.y
            z[lane] = newValue.z
        }
    }

    @inline(__always)
    static func + (a: Vector8, b: Vector8) -> Vector8 {
        Vector8(a.x + b.x, a.y + b.y, a.z + b.z)
    }

    @inline(__always)
    static func - (a: Vector8, b: Vector8) -> Vector8 {
        Vector8(a.x - b.x, a.y - b.y, a.z - b.z)
    }

    /// Component by component.
    @inline(__always)
    static func * (a: Vector8, b: Vector8) -> Vector8 {
        Vector8(a.x * b.x, a.y * b.y, a.z * b.z)
    }

    @inline(__always)
    static func * (a: Vector8, b: Float8) -> Vector8 { Vector8(a.x * b, a.y * b, a.z * b) }

    @inline(__always)
    static func * (a: Vector8, b: Float) -> Vector8 { Vector8(a.x * b, a.y * b, a.z * b) }

    @inline(__always)
    static prefix func - (a: Vector8) -> Vector8 { Vector8(-a.x, -a.y, -a.z) }

    @inline(__always)
    static func += (a: inout Vector8, b: Vector8) { a = a + b }

    @inline(__always)
    static func *= (a: inout Vector8, b: Vector8) { a = a * b }

    @inline(__always)
    static func *= (a: inout Vector8, b: Float8) { a = a * b }

    @inline(__always)
    var lengthSquared: Float8 { dot(self, self) }

    @inline(__always)
    var length: Float8 { squareRoot(lengthSquared) }

    /// Divided by its length by one IEEE division; not a number for the zero vector.
    @inline(__always)
    var normalised: Vector8 { self * (1 / length) }

    /// Rec. 709 luminance of a colour.
    @inline(__always)
    var luminance: Float8 { x * 0.2126 + y * 0.7152 + z * 0.0722 }

    /// The largest component.
    @inline(__always)
    var largest: Float8 { maximum(maximum(x, y), z) }
}

@inline(__always)
func dot(_ a: Vector8, _ b: Vector8) -> Float8 { a.x * b.x + a.y * b.y + a.z * b.z }

@inline(__always)
func cross(_ a: Vector8, _ b: Vector8) -> Vector8 {
    Vector8(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

/// Lane by lane `mask ? a : b`.
@inline(__always)
func select(_ mask: Mask8, _ a: Vector8, _ b: Vector8) -> Vector8 {
    Vector8(select(mask, a.x, b.x), select(mask, a.y, b.y), select(mask, a.z, b.z))
}

/// Three consecutive numbers of each lane: `base[index ... index + 2]`.
/// - Precondition: the indices lie inside the table; it is not checked.
@inline(__always)
func gather3(_ base: UnsafePointer<Float>, _ index: Int32x8) -> Vector8 {
    Vector8(gather(base, index), gather(base + 1, index), gather(base + 2, index))
}

/// Orthonormal bases around unit normals, without branches and continuous but for one seam (Duff
/// et al., Building an Orthonormal Basis, Revisited, JCGT 6(1), 2017).
struct Basis8: Sendable {
    let tangent: Vector8
    let bitangent: Vector8
    let normal: Vector8

    @inline(__always)
    init(normal n: Vector8) {
        let sign = copySign(Float8(repeating: 1), n.z)
        let a = -1 / (sign + n.z)
        let b = n.x * n.y * a
        tangent = Vector8(1 + sign * n.x * n.x * a, sign * b, -sign * n.x)
        bitangent = Vector8(b, sign + n.y * n.y * a, -n.y)
        normal = n
    }

    /// From the basis to the world.
    @inline(__always)
    func world(_ local: Vector8) -> Vector8 {
        tangent * local.x + bitangent * local.y + normal * local.z
    }

    /// From the world into the basis.
    @inline(__always)
    func local(_ world: Vector8) -> Vector8 {
        Vector8(dot(world, tangent), dot(world, bitangent), dot(world, normal))
    }
}
