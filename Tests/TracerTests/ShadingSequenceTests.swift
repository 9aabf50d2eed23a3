import Testing

@testable import Tracer

// Sampling: the properties of the sequence that the renderer's convergence rests on.

@Suite("The sample sequence")
struct ShadingSequenceTests {
    /// The first `count` points of a pixel's block, as 24-bit integers.
    private func points(
        pixel: UInt32, block: UInt32, seed: UInt32 = 3, from first: UInt32 = 0, count: Int
    ) -> [(x: UInt32, y: UInt32)] {
        var result: [(x: UInt32, y: UInt32)] = []
        for start in stride(from: first, to: first + UInt32(count), by: 8) {
            let lanes = UInt32x8(0, 1, 2, 3, 4, 5, 6, 7) &+ start
            let sequence = PixelSequence8(
                pixel: UInt32x8(repeating: pixel), sample: lanes, seed: seed)
            let (x, y) = sequence.pair(block)
            for lane in 0..<min(8, count) {
                result.append((UInt32(x[lane] * 0x1p24), UInt32(y[lane] * 0x1p24)))
            }
        }
        return result
    }

    @Test(
        "Every elementary interval of each aligned run of 2^k samples holds one point",
        arguments: [(0, 0, 0), (17, 5, 0), (123_456, 9, 256), (8_294_399, 40, 4_096)])
    func stratification(pixel: Int, block: Int, start: Int) {
        for k in 3...8 {
            let run = points(
                pixel: UInt32(pixel), block: UInt32(block), from: UInt32(start), count: 1 << k)
            for a in 0...k {
                var boxes = [Int](repeating: 0, count: 1 << k)
                for (x, y) in run {
                    boxes[Int(x >> (24 - UInt32(a))) << (k - a) | Int(y >> (24 - UInt32(k - a)))] +=
                        1
                }
                #expect(boxes.allSatisfy { $0 == 1 }, "k \(k), 2^\(a) columns")
            }
        }
    }

    @Test("The single value stratifies and differs from the pair only in what it leaves out")
    func singleValue() {
        let lanes = UInt32x8(0, 1, 2, 3, 4, 5, 6, 7)
        let sequence = PixelSequence8(pixel: UInt32x8(repeating: 7), sample: lanes, seed: 1)
        #expect(sequence.value(4) == sequence.pair(4).x)
        let strata = Set((0..<8).map { Int(sequence.value(4)[$0] * 8) })
        #expect(strata.count == 8)
        let quad = sequence.quad(4)
        #expect(quad.z == sequence.pair(5).x && quad.w == sequence.pair(5).y)
    }

    @Test("Lanes are independent of their neighbours")
    func lanes() {
        let mixed = PixelSequence8(
            pixel: UInt32x8(9, 8, 7, 6, 5, 4, 3, 2), sample: UInt32x8(1, 2, 3, 4, 5, 6, 7, 8),
            seed: 11
        ).pair(2)
        for lane in 0..<8 {
            let alone = PixelSequence8(
                pixel: UInt32x8(repeating: UInt32(9 - lane)),
                sample: UInt32x8(repeating: UInt32(lane + 1)), seed: 11
            ).pair(2)
            #expect(alone.x[0] == mixed.x[lane] && alone.y[0] == mixed.y[lane])
        }
    }

    /// Pearson correlation.
    private func correlation(_ a: [Double], _ b: [Double]) -> Double {
        let n = Double(a.count)
        let meanA = a.reduce(0, +) / n
        let meanB = b.reduce(0, +) / n
        var ab = 0.0
        var aa = 0.0
        var bb = 0.0
        for (x, y) in zip(a, b) {
            ab += (x - meanA) * (y - meanB)
            aa += (x - meanA) * (x - meanA)
            bb += (y - meanB) * (y - meanB)
        }
        return ab / (aa * bb).squareRoot()
    }

    @Test("One sample of many pixels is uniform, in every block", arguments: [0, 1, 2, 31])
    func uniformOverPixels(block: Int) {
        // Chi-square over 8 × 8 boxes; 63 degrees of freedom exceed 110 once in 4,000 runs.
        var boxes = [Double](repeating: 0, count: 64)
        let count = 4_096
        for pixel in stride(from: 0, to: count, by: 8) {
            let lanes = UInt32x8(0, 1, 2, 3, 4, 5, 6, 7) &+ UInt32(pixel)
            let sequence = PixelSequence8(pixel: lanes, sample: .init(repeating: 5), seed: 1)
            let (x, y) = sequence.pair(UInt32(block))
            for lane in 0..<8 {
                boxes[Int(x[lane] * 8) * 8 + Int(y[lane] * 8)] += 1
            }
        }
        let expected = Double(count) / 64
        let chiSquare = boxes.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
        #expect(chiSquare < 110 && chiSquare > 30)
    }

    @Test("Neighbouring pixels, blocks and seeds are uncorrelated")
    func decorrelation() {
        // 4,096 values each: correlations have a deviation of 1/64.
        var columns: [[Double]] = [[], [], [], [], [], []]
        for pixel in UInt32(0)..<512 {
            let sample = UInt32x8(0, 1, 2, 3, 4, 5, 6, 7)
            func sequence(_ pixel: UInt32, _ seed: UInt32) -> PixelSequence8 {
                PixelSequence8(pixel: UInt32x8(repeating: pixel), sample: sample, seed: seed)
            }
            let (a, b) = sequence(pixel, 1).pair(0)
            let (c, d) = sequence(pixel, 1).pair(1)
            let e = sequence(pixel + 1, 1).pair(0).x
            let f = sequence(pixel, 2).pair(0).x
            for (column, values) in [a, b, c, d, e, f].enumerated() {
                for lane in 0..<8 { columns[column].append(Double(values[lane])) }
            }
        }
        for first in 0..<6 {
            for second in 0..<first {
                let r = correlation(columns[first], columns[second])
                #expect(abs(r) < 0.06, "columns \(first) and \(second)")
            }
        }
    }

    @Test("Over a pixel's samples, points of two blocks do not line up")
    func shuffledBlocks() {
        // Without shuffling, the first digits of two blocks would be tied; with it, boxes of
        // (x of block 0, x of block 1) over 64 samples and many pixels fill evenly.
        var boxes = [Double](repeating: 0, count: 16)
        for pixel in UInt32(0)..<64 {
            let first = points(pixel: pixel, block: 0, count: 64)
            let second = points(pixel: pixel, block: 1, count: 64)
            for index in 0..<64 {
                boxes[Int(first[index].x >> 22) * 4 + Int(second[index].x >> 22)] += 1
            }
            let r = correlation(first.map { Double($0.x) }, second.map { Double($0.x) })
            #expect(abs(r) < 0.6, "pixel \(pixel)")
        }
        for count in boxes { #expect(abs(count - 256) < 64) }
    }

    @Test("The integral of a smooth function converges faster than with independent samples")
    func convergence() {
        var squares = 0.0
        for pixel in UInt32(0)..<32 {
            let sum = points(pixel: pixel, block: 3, count: 256).reduce(0.0) {
                let x = Double($1.x) * 0x1p-24
                let y = Double($1.y) * 0x1p-24
                return $0 + x * x * y
            }
            let error = sum / 256 - 1.0 / 6
            squares += error * error
        }
        // Independent samples: variance 1/15 − 1/36 over 256, a deviation of 0.0123.
        #expect((squares / 32).squareRoot() < 0.001_2)
    }
}
