// How much work a range of units is. Early passes take one sample of each pixel and later ones
// sixteen, so counting units would split work badly; this answers in samples, in constant time.

import MeshCore

/// The samples of ranges and sets of units of a work space.
struct WorkWeights: Sendable {
    private let workSpace: WorkSpace

    init(_ workSpace: WorkSpace) { self.workSpace = workSpace }

    /// The units of the first pass: with all of them there is a first image.
    var firstPass: SampleRange { workSpace.units(ofPass: 0) }

    /// The samples of a range. Constant time.
    func samples(of range: SampleRange) -> Int { workSpace.sampleCount(of: range) }

    /// The samples of a set of units. Linear in the number of ranges.
    func samples(of units: IntervalSet) -> Int {
        workSpace.sampleCount(of: units)
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
