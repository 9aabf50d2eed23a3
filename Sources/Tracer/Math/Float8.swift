// Eight lanes of one quantity: the unit in which the tracer shades. Swift's SIMD8 has arithmetic
// and comparisons as single instructions, but lowers selection, square roots, rounding, conversion
// and gathering to scalar loops; these go through inline C here.
//
// API: `Float8`, `Int32x8`, `UInt32x8`, `Mask8`; `select(mask, a, b)`, `minimum`, `maximum`,
// `clamp`, `squareRoot`, `floor8`, `nearest8`, `Int32x8(truncating:)`, `Float8(converting:)`,
// `gather(base, index)`, `reverseBits`, `mask.bits`, `mask.isEmpty`.

import CTracerSIMD

/// Eight single-precision numbers.
typealias Float8 = SIMD8<Float>
/// Eight signed integers, such as indices.
typealias Int32x8 = SIMD8<Int32>
/// Eight unsigned integers, such as hashes.
typealias UInt32x8 = SIMD8<UInt32>
/// Eight truth values, as comparisons of the three types above give them.
typealias Mask8 = SIMDMask<SIMD8<Int32>>

/// Lane by lane `mask ? a : b`.
@inline(__always)
func select(_ mask: Mask8, _ a: Float8, _ b: Float8) -> Float8 {
    ctracer_select(mask.lanes, a, b)
}

/// Lane by lane `mask ? a : b`.
@inline(__always)
func select(_ mask: Mask8, _ a: Int32x8, _ b: Int32x8) -> Int32x8 {
    (a & mask.lanes) | (b & ~mask.lanes)
}

/// Lane by lane `mask ? a : b`.
@inline(__always)
func select(_ mask: Mask8, _ a: UInt32x8, _ b: UInt32x8) -> UInt32x8 {
    select(mask, a.signed, b.signed).unsigned
}

/// The smaller of each lane; `b` where either is not a number.
@inline(__always)
func minimum(_ a: Float8, _ b: Float8) -> Float8 { ctracer_min(a, b) }

/// The larger of each lane; `b` where either is not a number.
@inline(__always)
func maximum(_ a: Float8, _ b: Float8) -> Float8 { ctracer_max(a, b) }

/// The smaller of each lane.
@inline(__always)
func minimum(_ a: Int32x8, _ b: Int32x8) -> Int32x8 { ctracer_min_int(a, b) }

/// The larger of each lane.
@inline(__always)
func maximum(_ a: Int32x8, _ b: Int32x8) -> Int32x8 { ctracer_max_int(a, b) }

/// Each lane moved into `low ... high`; what is not a number becomes `low`.
@inline(__always)
func clamp(_ a: Float8, _ low: Float8, _ high: Float8) -> Float8 {
    minimum(maximum(a, low), high)
}

/// The correctly rounded square root.
@inline(__always)
func squareRoot(_ a: Float8) -> Float8 { ctracer_sqrt(a) }

/// Rounded towards minus infinity.
@inline(__always)
func floor8(_ a: Float8) -> Float8 { ctracer_floor(a) }

/// Rounded to the nearest integer, ties to even.
@inline(__always)
func nearest8(_ a: Float8) -> Float8 { ctracer_round(a) }

/// The absolute value.
@inline(__always)
func magnitude(_ a: Float8) -> Float8 {
    Float8(bits: a.bits & Int32x8(repeating: 0x7fff_ffff))
}

/// `magnitude` with the sign bit of `sign`.
@inline(__always)
func copySign(_ magnitude: Float8, _ sign: Float8) -> Float8 {
    let signBit = Int32x8(repeating: Int32.min)
    return Float8(bits: (magnitude.bits & ~signBit) | (sign.bits & signBit))
}

/// Lane by lane `base[index]`.
/// - Precondition: every index lies inside the table; it is not checked.
@inline(__always)
func gather(_ base: UnsafePointer<Float>, _ index: Int32x8) -> Float8 {
    ctracer_gather_float(base, index)
}

/// Lane by lane `base[index]`.
/// - Precondition: every index lies inside the table; it is not checked.
@inline(__always)
func gather(_ base: UnsafePointer<Int32>, _ index: Int32x8) -> Int32x8 {
    ctracer_gather_int(base, index)
}

/// The bits of each lane in the opposite order.
@inline(__always)
func reverseBits(_ a: UInt32x8) -> UInt32x8 {
    ctracer_reverse_bits(a.signed).unsigned
}

/// The upper halves of the 64-bit products.
@inline(__always)
func multiplyHigh(_ a: UInt32x8, _ b: UInt32x8) -> UInt32x8 {
    ctracer_multiply_high(a.signed, b.signed).unsigned
}

extension SIMD8<Float> {
    /// The numbers whose IEEE 754 representations are given.
    @inline(__always)
    init(bits: Int32x8) { self = unsafeBitCast(bits, to: Float8.self) }

    /// The IEEE 754 representations.
    @inline(__always)
    var bits: Int32x8 { unsafeBitCast(self, to: Int32x8.self) }

    /// Integers to numbers, rounded to the nearest.
    @inline(__always)
    init(converting integers: Int32x8) { self = ctracer_to_float(integers) }

    /// The upper 24 bits of each lane as a number in `0 ..< 1`.
    @inline(__always)
    init(unitFrom integers: UInt32x8) {
        self = Float8(converting: (integers &>> 8).signed) * 0x1p-24
    }
}

extension SIMD8<Int32> {
    /// Numbers to integers, rounded towards zero; Int32's minimum where that is impossible.
    @inline(__always)
    init(truncating numbers: Float8) { self = ctracer_to_int(numbers) }

    /// The same bits without sign.
    @inline(__always)
    var unsigned: UInt32x8 { unsafeBitCast(self, to: UInt32x8.self) }
}

extension SIMD8<UInt32> {
    /// The same bits with sign.
    @inline(__always)
    var signed: Int32x8 { unsafeBitCast(self, to: Int32x8.self) }
}

extension SIMDMask<SIMD8<Int32>> {
    /// All bits of a lane set or none.
    @inline(__always)
    var lanes: Int32x8 { unsafeBitCast(self, to: Int32x8.self) }

    /// Bit i is lane i.
    @inline(__always)
    var bits: Int32 { ctracer_mask_bits(lanes) }

    /// No lane is true.
    @inline(__always)
    var isEmpty: Bool { bits == 0 }

    /// Every lane is true.
    @inline(__always)
    var isFull: Bool { bits == 0xff }
}

// Comparisons of integer lanes with one number: the standard library's are scalar loops, while
// its comparisons of two vectors are single instructions.
extension SIMD8<Int32> {
    @inline(__always)
    static func .== (a: Self, b: Int32) -> Mask8 { a .== Self(repeating: b) }
    @inline(__always)
    static func .!= (a: Self, b: Int32) -> Mask8 { a .!= Self(repeating: b) }
    @inline(__always)
    static func .< (a: Self, b: Int32) -> Mask8 { a .< Self(repeating: b) }
    @inline(__always)
    static func .> (a: Self, b: Int32) -> Mask8 { a .> Self(repeating: b) }
    @inline(__always)
    static func .<= (a: Self, b: Int32) -> Mask8 { a .<= Self(repeating: b) }
    @inline(__always)
    static func .>= (a: Self, b: Int32) -> Mask8 { a .>= Self(repeating: b) }
}
