// How much work a range of units is. Early passes take one sample of each pixel and later ones
// sixteen, so counting units would split work badly; this answers in samples, in constant time.

import MeshCore

/// Prefix sums over the samples of a work space.
struct WorkWeights: Sendable {
    private let tiles: Int
    /// The first sample of each pass, with the samples per pixel at the end.
    private let passStarts: [Int]
    /// The pixels of all tiles before each tile, with the whole frame at the end.
    private let areaBefore: [UInt32]

    init(_ workSpace: WorkSpace) {
        tiles = workSpace.grid.count
        var starts: [Int] = []
        for pass in 0..<workSpace.passCount {
            starts.append(workSpace.unit(pass * workSpace.grid.count).samples.lowerBound)
        }
        passStarts = starts + [workSpace.samplesPerPixel]
        areaBefore = workSpace.grid.pixelsBefore
    }

    /// The units of the first pass: with all of them there is a first image.
    var firstPass: SampleRange { SampleRange(0, tiles) }

    /// The samples of all units below `unit`.
    private func samples(below unit: Int) -> Int {
        let (pass, tile) = unit.quotientAndRemainder(dividingBy: tiles)
        if pass >= passStarts.count - 1 {
            return passStarts[passStarts.count - 1] * Int(areaBefore[tiles])
        }
        let whole = passStarts[pass] * Int(areaBefore[tiles])
        return whole + (passStarts[pass + 1] - passStarts[pass]) * Int(areaBefore[tile])
    }

    /// The samples of a range. Constant time.
    func samples(of range: SampleRange) -> Int {
        samples(below: range.upperBound) - samples(below: range.lowerBound)
    }

    /// The samples of a set of units. Linear in the number of ranges.
    func samples(of units: IntervalSet) -> Int {
        units.ranges.reduce(0) { $0 + samples(of: $1) }
    }

    /// The most units at the upper end of `units` that hold at most `samples`. Logarithmic in a
    /// range, linear in the number of ranges.
    func countAtUpperEnd(of units: IntervalSet, samples limit: Int) -> Int {
        var left = limit
        var count = 0
        for range in units.ranges.reversed() {
            let whole = samples(of: range)
            if whole <= left {
                left -= whole
                count += range.count
                continue
            }
            var low = 0
            var high = range.count - 1
            while low < high {
                let middle = (low + high + 1) / 2
                let piece = SampleRange(range.upperBound - middle, range.upperBound)
                if samples(of: piece) <= left { low = middle } else { high = middle - 1 }
            }
            return count + low
        }
        return count
    }
}
