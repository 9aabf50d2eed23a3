// The random numbers of a frame: one Owen-scrambled Sobol sequence per pixel, addressable by
// (pixel, sample, block), so that any node renders any sub-range of a pixel's samples and gets the
// points the frame declared.
//
// Every block of two dimensions is the two-dimensional Sobol sequence, a (0, 2)-sequence in base
// 2: each aligned run of 2^k samples has exactly one point in every elementary interval of area
// 2^-k. Blocks are padded: the sample's index is shuffled per block by a nested uniform scramble,
// which keeps the runs and breaks the correlation between blocks, and both coordinates are
// Owen-scrambled (Burley, Practical Hash-based Owen Scrambling, JCGT 9(4), 2020; the permutation
// is Vegdahl's, Owen Scrambling Based on LK Hashing, 2021). The second Sobol matrix is Pascal's
// triangle modulo 2, which five shift-and-xor steps apply (Ahmed, An Implementation Algorithm of
// 2D Sobol Sequence Fast, Elegant, and Compact, EGSR 2024).
//
// API: `PixelSequence8(pixel:sample:seed:)` once per eight paths (two words a lane, to be kept or
// made again); then `pair(block)`, `pairBits(block)`, `quad(block)` = blocks b and b + 1, `value(block)`. Blocks are
// numbered by the caller: another number, an independent pattern.

/// The sequences of eight pixels, each at one sample.
struct PixelSequence8: Sendable {
    /// Hash of pixel and seed.
    var key: UInt32x8
    /// The sample's index with its bits reversed.
    var reversedIndex: UInt32x8

    /// - Parameters:
    ///   - pixel: the pixel's number in the frame, the same for every unit that renders it.
    ///   - sample: the sample's number in the frame, from zero.
    ///   - seed: the frame's; another seed, another image.
    @inline(__always)
    init(pixel: UInt32x8, sample: UInt32x8, seed: UInt32) {
        key = Self.hash(pixel ^ Self.hash(UInt32x8(repeating: seed &+ 0x9e37_79b9)))
        reversedIndex = reverseBits(sample)
    }

    /// Two numbers in `0 ..< 1` that stratify jointly over a pixel's samples.
    @inline(__always)
    func pair(_ block: UInt32) -> (x: Float8, y: Float8) {
        let (x, y) = pairBits(block)
        return (Float8(unitFrom: x), Float8(unitFrom: y))
    }

    /// The same two numbers times 2³², with all their digits.
    @inline(__always)
    func pairBits(_ block: UInt32) -> (x: UInt32x8, y: UInt32x8) {
        let seed = blockSeed(block)
        // The shuffled index, reversed: read as a fraction it is the first Sobol dimension.
        let reversed = Self.permute(reversedIndex, seed)
        let index = reverseBits(reversed)
        // The second dimension with its bits reversed: row i of Pascal's triangle holds the
        // subsets of i's digits, so each digit is handled by one step.
        let x = Self.permute(index, seed &* 0x9e37_79b1 ^ 0x68bc_21eb)
        let y = Self.permute(Self.pascal(index), seed &* 0x85eb_ca77 ^ 0x02e5_be93)
        return (reverseBits(x), reverseBits(y))
    }

    /// Four numbers in `0 ..< 1`: the pairs of `block` and `block + 1`.
    @inline(__always)
    func quad(_ block: UInt32) -> (x: Float8, y: Float8, z: Float8, w: Float8) {
        let (x, y) = pair(block)
        let (z, w) = pair(block &+ 1)
        return (x, y, z, w)
    }

    /// One number in `0 ..< 1` that stratifies over a pixel's samples.
    @inline(__always)
    func value(_ block: UInt32) -> Float8 {
        let seed = blockSeed(block)
        let index = reverseBits(Self.permute(reversedIndex, seed))
        let x = Self.permute(index, seed &* 0x9e37_79b1 ^ 0x68bc_21eb)
        return Float8(unitFrom: reverseBits(x))
    }

    @inline(__always)
    private func blockSeed(_ block: UInt32) -> UInt32x8 {
        Self.hash(key ^ UInt32x8(repeating: (block &+ 1) &* 0x9e37_79b9))
    }

    /// Wellons' lowbias32, an integer hash with full avalanche.
    @inline(__always)
    static func hash(_ value: UInt32x8) -> UInt32x8 {
        var x = value
        x ^= x &>> 16
        x &*= 0x7feb_352d
        x ^= x &>> 15
        x &*= 0x846c_a68b
        x ^= x &>> 16
        return x
    }

    /// A permutation in which each bit depends on the lower ones only: on reversed digits, a
    /// nested uniform scramble.
    @inline(__always)
    static func permute(_ value: UInt32x8, _ seed: UInt32x8) -> UInt32x8 {
        var x = value
        x ^= x &* 0x3d20_adea
        x &+= seed
        x &*= (seed &>> 16) | 1
        x ^= x &* 0x0552_6c56
        x ^= x &* 0x53a2_2864
        return x
    }

    /// The second Sobol dimension of an index, lowest digit first: bit r of the result is the sum
    /// modulo 2 over the digits c of the index with r's binary digits contained in c's.
    @inline(__always)
    private static func pascal(_ index: UInt32x8) -> UInt32x8 {
        var x = index
        x ^= (x &>> 1) & 0x5555_5555
        x ^= (x &>> 2) & 0x3333_3333
        x ^= (x &>> 4) & 0x0f0f_0f0f
        x ^= (x &>> 8) & 0x00ff_00ff
        x ^= (x &>> 16) & 0x0000_ffff
        return x
    }
}
