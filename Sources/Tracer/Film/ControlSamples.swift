// Which of a pixel's samples an adaptive frame adds up once more, to see by how much their mean and
// that of all differ.

/// The control samples of each pixel: samples 8 to 15 and, of the samples between each two powers of
/// two from 16 on, the upper half.
///
/// Each such run is aligned, so that it is spread as evenly as the sequence can be, by itself and
/// whatever shuffles it (``PixelSequence8``); so are the runs of the other samples. Only so does the
/// difference of the two shrink nearly as fast as the error of both: where little but the place in
/// the pixel varies, the odd samples say 11 times the error of 16 samples, and every other pair of
/// samples, as Cycles takes them, 7 times; these say 2.3 times it (at edges 2.9, 1.6 and 1.3 times;
/// never less than the error in any case that was tried).
enum ControlSamples {
    /// - Parameter sample: its index in the pixel's sequence.
    static func contains(_ sample: Int) -> Bool {
        guard sample >= 16 else { return sample >= 8 }
        let top = Int.bitWidth - 1 - sample.leadingZeroBitCount
        return sample >> (top - 1) & 1 == 1
    }

    /// How many of a range of samples are control samples.
    static func count(in samples: Range<Int>) -> Int {
        count(below: samples.upperBound) - count(below: samples.lowerBound)
    }

    private static func count(below sample: Int) -> Int {
        var count = 0
        var end = 16
        while end / 2 < sample {
            count += max(0, min(sample, end) - (end == 16 ? 8 : end / 4 * 3))
            end *= 2
        }
        return count
    }

    /// The parts of red, green and blue in luminance (Rec. 709), in 1/65,536: they add up to one.
    static let weights: (red: Int64, green: Int64, blue: Int64) = (13_933, 46_871, 4_732)

    /// The luminance of one sample, in the steps of its channels and rounded to the nearest.
    ///
    /// Of integers, so that it is exact. Clamped channels have at most 46 bits: nothing overflows.
    @inline(__always)
    static func luminance(_ red: Int64, _ green: Int64, _ blue: Int64) -> Int64 {
        let (r, g, b) = weights
        return (r &* red &+ g &* green &+ b &* blue &+ (1 << 15)) >> 16
    }
}
