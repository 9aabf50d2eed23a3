// Elementary functions of eight lanes from additions, multiplications, divisions and square roots
// alone. The C library's versions pick fused instructions by processor and change between
// releases; these give the same bits everywhere. Polynomials: Moshier, Cephes Mathematical
// Library 2.8, single precision. The errors stated are the largest that the tests tolerate, over
// the range stated.
//
// API: `IEEEMath.sineCosine(turns:)`, `atan2`, `acos`, `exp2`, `exp`, `log2`, `log`, `pow`, and
// `power` for single numbers when tables are built.

enum IEEEMath {
    static let pi: Float = 0x1.921fb6p+1

    /// Sine and cosine of 2π·`turns`. Absolute error below 1.5e-7 for |turns| ≤ 4.
    @inline(__always)
    static func sineCosine(turns: Float8) -> (sine: Float8, cosine: Float8) {
        // Reduce to an eighth of a turn around the nearest quarter; the difference is exact.
        let quarter = nearest8(turns * 4)
        let x = (turns - quarter * 0.25) * 6.283_185_307
        let quadrant = Int32x8(truncating: quarter)
        let z = x * x
        var sine = z * -1.951_529_589_1e-4 + 8.332_160_873_6e-3
        sine = (sine * z - 1.666_665_461_1e-1) * z * x + x
        var cosine = z * 2.443_315_711_809_948e-5 - 1.388_731_625_493_765e-3
        cosine = (cosine * z + 4.166_664_568_298_827e-2) * z * z
        cosine = cosine - z * 0.5 + 1
        // Odd quadrants swap the two; the signs follow the quadrant.
        let isOdd = (quadrant & 1) .!= 0
        let sineSign = (quadrant & 2) &<< 30
        let cosineSign = ((quadrant &+ 1) & 2) &<< 30
        return (
            Float8(bits: select(isOdd, cosine, sine).bits ^ sineSign),
            Float8(bits: select(isOdd, sine, cosine).bits ^ cosineSign)
        )
    }

    /// The angle of (x, y) in −π … π. Absolute error below 4e-7; zero for the origin.
    @inline(__always)
    static func atan2(_ y: Float8, _ x: Float8) -> Float8 {
        let absoluteY = magnitude(y)
        let absoluteX = magnitude(x)
        let large = maximum(absoluteX, absoluteY)
        let small = minimum(absoluteX, absoluteY)
        // atan(small / large); above tan(π/8): π/4 + atan((small − large) / (small + large)).
        let isUpper = small .> large * 0.414_213_56
        let numerator = select(isUpper, small - large, small)
        let denominator = maximum(
            select(isUpper, small + large, large), Float8(repeating: Float.leastNormalMagnitude))
        let t = numerator / denominator
        let z = t * t
        var angle = z * 8.053_744_495_38e-2 - 1.387_768_560_32e-1
        angle = angle * z + 1.997_771_064_78e-1
        angle = (angle * z - 3.333_294_915_39e-1) * z * t + t
        angle = select(isUpper, angle + 0.785_398_163_397, angle)
        angle = select(absoluteY .> absoluteX, 1.570_796_326_795 - angle, angle)
        angle = select(x .< 0, 3.141_592_653_59 - angle, angle)
        return copySign(angle, y)
    }

    /// The angle whose cosine is `x`, 0 … π; `x` is clamped to −1 … 1. Absolute error below 4e-7.
    @inline(__always)
    static func acos(_ x: Float8) -> Float8 {
        let a = minimum(magnitude(x), Float8(repeating: 1))
        let isOuter = a .> 0.5
        let half = (1 - a) * 0.5
        let z = select(isOuter, half, a * a)
        let s = select(isOuter, squareRoot(half), a)
        var arcsine = z * 4.216_319_904_8e-2 + 2.418_131_104_9e-2
        arcsine = arcsine * z + 4.547_002_599_8e-2
        arcsine = arcsine * z + 7.495_300_268_6e-2
        arcsine = (arcsine * z + 1.666_675_242_2e-1) * z * s + s
        // For |x| first, then mirrored.
        let angle = select(isOuter, arcsine * 2, 1.570_796_326_795 - arcsine)
        return select(x .< 0, 3.141_592_653_59 - angle, angle)
    }

    /// 2 to the power `x`. Relative error below 2e-7; zero below −126, infinite from 128.
    @inline(__always)
    static func exp2(_ x: Float8) -> Float8 {
        let bounded = clamp(x, Float8(repeating: -127), Float8(repeating: 128))
        let whole = nearest8(bounded)
        let f = bounded - whole
        var y = f * 1.535_336_188_319_500e-4 + 1.339_887_440_266_574e-3
        y = y * f + 9.618_437_357_674_640e-3
        y = y * f + 5.550_332_471_162_809e-2
        y = y * f + 2.402_264_791_363_012e-1
        y = (y * f + 6.931_472_028_550_421e-1) * f + 1
        // The scale in two factors, because 2¹²⁸ has no representation while the result may.
        let exponent = Int32x8(truncating: whole)
        let firstHalf = exponent &>> 1
        let first = Float8(bits: (firstHalf &+ 127) &<< 23)
        let second = Float8(bits: (exponent &- firstHalf &+ 127) &<< 23)
        let scaled = select(x .< 128, y * first * second, Float8(repeating: .infinity))
        return select(x .< -126, Float8(repeating: 0), scaled)
    }

    /// e to the power `x`. Relative error below 2e-7 for −87 … 88.
    @inline(__always)
    static func exp(_ x: Float8) -> Float8 {
        let bounded = clamp(x, Float8(repeating: -87.3), Float8(repeating: 88.7))
        let whole = nearest8(bounded * 1.442_695_040_888_963)
        // ln 2 in two parts, the first with few digits, so that the product is exact.
        let r = bounded - whole * 0.693_359_375 - whole * -2.121_944_4e-4
        var y = r * 1.987_569_15e-4 + 1.398_199_950_7e-3
        y = y * r + 8.333_451_907_3e-3
        y = y * r + 4.166_579_589_4e-2
        y = y * r + 1.666_666_545_9e-1
        y = (y * r + 5.000_000_120_1e-1) * r * r + r + 1
        let exponent = Int32x8(truncating: whole)
        let firstHalf = exponent &>> 1
        let first = Float8(bits: (firstHalf &+ 127) &<< 23)
        let second = Float8(bits: (exponent &- firstHalf &+ 127) &<< 23)
        let scaled = select(x .< 88.73, y * first * second, Float8(repeating: .infinity))
        return select(x .< -87.34, Float8(repeating: 0), scaled)
    }

    /// Splits positive normal numbers: `x = (1 + f)·2^e` with `1 + f` in √½ … √2, and
    /// `ln(1 + f) = f − f²/2 + r`.
    @inline(__always)
    private static func logarithmParts(_ x: Float8) -> (f: Float8, r: Float8, e: Float8) {
        let isUpper = (x.bits & 0x007f_ffff) .> 0x0035_04f3
        let shift = select(isUpper, Int32x8(repeating: 1), Int32x8(repeating: 0))
        let exponent = (x.bits &>> 23) &- 127 &+ shift
        let f = Float8(bits: (x.bits & 0x007f_ffff) | ((127 &- shift) &<< 23)) - 1
        var y = f * 7.037_683_629_2e-2 - 1.151_461_031_0e-1
        y = y * f + 1.167_699_874_0e-1
        y = y * f - 1.242_014_084_6e-1
        y = y * f + 1.424_932_278_7e-1
        y = y * f - 1.666_805_766_5e-1
        y = y * f + 2.000_071_476_5e-1
        y = y * f - 2.499_999_399_3e-1
        y = y * f + 3.333_333_117_4e-1
        return (f, y * f * f * f, Float8(converting: exponent))
    }

    /// The binary logarithm of positive normal numbers; minus infinity for smaller ones. Absolute
    /// error below 2e-7 near one, relative error below 2e-7 elsewhere.
    @inline(__always)
    static func log2(_ x: Float8) -> Float8 {
        let (f, rest, e) = logarithmParts(x)
        let r = rest - f * f * 0.5
        // log2(e) = 1 + 0.4427: the parts of one are added last, smallest first.
        let result = r * 0.442_695_040_889 + f * 0.442_695_040_889 + r + f + e
        return select(
            x .< Float.leastNormalMagnitude, Float8(repeating: -.infinity), result)
    }

    /// The natural logarithm of positive normal numbers; minus infinity for smaller ones. Absolute
    /// error below 2e-7 near one, relative error below 2e-7 elsewhere.
    @inline(__always)
    static func log(_ x: Float8) -> Float8 {
        let (f, rest, e) = logarithmParts(x)
        let r = rest + e * -2.121_944_4e-4 - f * f * 0.5
        return select(
            x .< Float.leastNormalMagnitude, Float8(repeating: -.infinity),
            f + r + e * 0.693_359_375)
    }

    /// `x` to the power `y` for x ≥ 0, y > 0. The relative error grows with the exponent of the
    /// result: below 2e-7·(1 + |log2 of the result|).
    @inline(__always)
    static func pow(_ x: Float8, _ y: Float8) -> Float8 { exp2(log2(x) * y) }

    /// ``pow(_:_:)`` of single numbers, for tables that are built once.
    static func power(_ x: Float, _ y: Float) -> Float {
        pow(Float8(repeating: x), Float8(repeating: y))[0]
    }
}
