// The sums of one tile's samples, in integers, so that adding is exact and order can't matter.

/// Sums over the samples of the pixels of one tile.
///
/// | channel | planes | type | fraction bits | a sample is clamped to |
/// | --- | --- | --- | --- | --- |
/// | beauty R, G, B | 3 | Int64 | 24 | 0 … 2²² |
/// | depth (distance from the camera, metres; hits only) | 1 | Int64 | 16 | 0 … 2³⁰ |
/// | coverage (hits) | 1 | Int32 | 0 | 0, 1 |
/// | albedo R, G, B | 3 | Int32 | 14 | 0 … 1 |
/// | normal X, Y, Z (world) | 3 | Int32 | 14 | −1 … 1 |
/// | luminance of the control samples; adaptive frames only | 1 | Int64 | 24 | 0 … 2²² |
///
/// A sample is rounded to the nearest step, ties to even. With at most 2¹⁶ samples a pixel no sum
/// overflows. 60 bytes a pixel, and 68 in adaptive frames.
public struct FilmTile: Hashable, Sendable {
    /// Pixels of the tile, row-major in its rectangle.
    public let pixelCount: Int
    /// `4 × pixelCount`: planes red, green, blue, depth; in adaptive frames `5 × pixelCount`, with
    /// the luminance of the control samples (``ControlSamples``).
    public var wide: [Int64]
    /// `7 × pixelCount`: planes coverage, albedo red, green, blue, normal x, y, z.
    public var narrow: [Int32]
    /// Samples that were NaN or infinite and were counted as zero.
    public var nonFiniteSamples: Int64

    /// The number of 64-bit planes.
    public static func widePlanes(isAdaptive: Bool) -> Int { isAdaptive ? 5 : 4 }
    /// The number of 32-bit planes.
    public static let narrowPlanes = 7
    public static let beautyFractionBits = 24
    public static let depthFractionBits = 16
    public static let narrowFractionBits = 14
    public static let beautySampleMax: Float = 4_194_304
    public static let depthSampleMax: Float = 1_073_741_824

    /// All sums zero.
    /// - Parameter isAdaptive: whether the tile is of an adaptive frame.
    public init(pixelCount: Int, isAdaptive: Bool = false) {
        self.pixelCount = pixelCount
        wide = [Int64](
            repeating: 0, count: Self.widePlanes(isAdaptive: isAdaptive) * pixelCount)
        narrow = [Int32](repeating: 0, count: Self.narrowPlanes * pixelCount)
        nonFiniteSamples = 0
    }

    /// Takes planes of the right sizes.
    init(pixelCount: Int, wide: [Int64], narrow: [Int32], nonFiniteSamples: Int64) {
        self.pixelCount = pixelCount
        self.wide = wide
        self.narrow = narrow
        self.nonFiniteSamples = nonFiniteSamples
    }

    /// Whether the tile has the plane that only adaptive frames have.
    public var isAdaptive: Bool { wide.count > Self.widePlanes(isAdaptive: false) * pixelCount }

    /// Adds the sums of the same tile over other samples.
    /// - Precondition: both have the same number of pixels and the same planes.
    public mutating func add(_ other: FilmTile) {
        precondition(pixelCount == other.pixelCount && wide.count == other.wide.count)
        wide.withUnsafeMutableBufferPointer { sums in
            other.wide.withUnsafeBufferPointer { added in
                for index in 0..<sums.count { sums[index] &+= added[index] }
            }
        }
        narrow.withUnsafeMutableBufferPointer { sums in
            other.narrow.withUnsafeBufferPointer { added in
                for index in 0..<sums.count { sums[index] &+= added[index] }
            }
        }
        nonFiniteSamples &+= other.nonFiniteSamples
    }
}
