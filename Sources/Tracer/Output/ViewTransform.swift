// From scene-linear light to what a screen shows. AgX keeps bright saturated light from turning
// into flat primaries: it rolls off towards white, as film does, without skewing hues.
//
// Troy Sobotka's AgX in the form of Benjamin Wrensch, "Minimal AgX Implementation" (2023): his
// matrices, his range of stops and his sixth-order fit of the base contrast curve.

import Glibc

/// A filmic view of scene-linear Rec. 709 values.
public struct ViewTransform: Hashable, Sendable {
    /// How the picture is graded after the curve.
    public enum Look: String, Sendable, CaseIterable {
        /// AgX as it is: soft contrast.
        case base
        /// More contrast and saturation (power 1.35, saturation 1.4).
        case punchy
    }

    /// Stops; each doubles the light before the curve.
    public var exposure: Float
    public var look: Look

    public init(exposure: Float = 0, look: Look = .base) {
        self.exposure = exposure
        self.look = look
    }

    /// The stops around middle grey that the curve covers, as log₂ of light.
    private static let stopsMin: Float = -12.47393
    private static let stopsMax: Float = 4.026069

    /// The display's sRGB values, encoded, 0 … 1.
    /// - Parameter light: red, green, blue in scene-linear Rec. 709; any value, not-a-number too.
    public func apply(_ light: SIMD3<Float>) -> SIMD3<Float> {
        // Into the wider, inset primaries, where no channel of a saturated light is zero.
        let scaled = light * exp2f(exposure)
        let inset =
            SIMD3<Float>(0.842479062253094, 0.0423282422610123, 0.0423756549057051) * scaled.x
            + SIMD3<Float>(0.0784335999999992, 0.878468636469772, 0.0784336) * scaled.y
            + SIMD3<Float>(0.0792237451477643, 0.0791661274605434, 0.879142973793104) * scaled.z
        // Log encoding, then the contrast curve.
        var encoded = SIMD3<Float>()
        for channel in 0..<3 {
            // `max` in this order turns not-a-number into the smallest light.
            let positive = inset[channel] > 1e-10 ? inset[channel] : 1e-10
            let stops = min(max(log2f(positive), Self.stopsMin), Self.stopsMax)
            encoded[channel] = (stops - Self.stopsMin) / (Self.stopsMax - Self.stopsMin)
        }
        let graded = grade(Self.contrast(encoded))
        // Back to the display's primaries.
        let display =
            SIMD3<Float>(1.19687900512017, -0.0528968517574562, -0.0529716355144438) * graded.x
            + SIMD3<Float>(-0.0980208811401368, 1.15190312990417, -0.0980434501171241) * graded.y
            + SIMD3<Float>(-0.0990297440797205, -0.0989611768448433, 1.15107367264116) * graded.z
        // The curve's output is meant for a display of gamma 2.2: recode it for sRGB.
        let clamped = display.clamped(
            lowerBound: SIMD3(repeating: 0), upperBound: SIMD3(repeating: 1))
        return SIMD3(Self.recode(clamped.x), Self.recode(clamped.y), Self.recode(clamped.z))
    }

    private static func contrast(_ x: SIMD3<Float>) -> SIMD3<Float> {
        let x2 = x * x
        let x4 = x2 * x2
        let high = 15.5 * x4 * x2 - 40.14 * x4 * x + 31.96 * x4
        let low = -6.868 * x2 * x + 0.4298 * x2 + 0.1191 * x
        return high + low - SIMD3(repeating: 0.00232)
    }

    private func grade(_ value: SIMD3<Float>) -> SIMD3<Float> {
        guard look == .punchy else { return value }
        var result = SIMD3<Float>()
        for channel in 0..<3 { result[channel] = powf(max(value[channel], 0), 1.35) }
        let luma = (result * SIMD3(0.2126, 0.7152, 0.0722)).sum()
        return SIMD3(repeating: luma) + 1.4 * (result - SIMD3(repeating: luma))
    }

    /// The sRGB code for what gamma 2.2 shows at `value`, by a table: powers are slow.
    private static func recode(_ value: Float) -> Float {
        let place = value * Float(recoding.count - 2)
        let index = Int(place)
        let low = recoding[index]
        return low + (recoding[index + 1] - low) * (place - Float(index))
    }

    /// `recode` at 4,097 even steps, and the last once more.
    private static let recoding: [Float] = (0...4_097).map { step in
        let linear = powf(min(Float(step) / 4_096, 1), 2.2)
        return linear <= 0.0031308 ? 12.92 * linear : 1.055 * powf(linear, 1 / 2.4) - 0.055
    }

    /// `height × width × 3` bytes of sRGB, row-major. A pixel without samples is black. Dithered
    /// by interleaved gradient noise (Jimenez, Next Generation Post Processing in Call of Duty,
    /// 2014), another for each channel, so that smooth shades do not band.
    public func bytes(of image: FilmImage) -> [UInt8] {
        let area = image.width * image.height
        return [UInt8](unsafeUninitializedCapacity: 3 * area) { bytes, count in
            image.values.withUnsafeBufferPointer { values in
                for pixel in 0..<area {
                    let (y, x) = pixel.quotientAndRemainder(dividingBy: image.width)
                    let light = SIMD3(
                        values[pixel], values[area + pixel], values[2 * area + pixel])
                    let shown =
                        image.samples[pixel] == 0 ? SIMD3<Float>(repeating: 0) : apply(light)
                    for channel in 0..<3 {
                        let noise = Self.noise(x + 47 * channel, y + 17 * channel)
                        let code = shown[channel] * 255 + noise
                        bytes[3 * pixel + channel] = UInt8(min(max(code, 0), 255))
                    }
                }
            }
            count = 3 * area
        }
    }

    /// 0 ..< 1; added before truncation it rounds up in proportion to the fraction.
    private static func noise(_ x: Int, _ y: Int) -> Float {
        let inner = 0.06711056 * Float(x) + 0.00583715 * Float(y)
        let product = 52.9829189 * (inner - inner.rounded(.down))
        return product - product.rounded(.down)
    }
}
