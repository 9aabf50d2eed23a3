// The linear space of a frame's work: every unit, (pass, tile), has one number, the same on every
// node, so that any piece of the frame is named by two integers.

/// The units of one frame: pass-major, `tiles` units a pass.
///
/// Pass sizes are 1, 1, 2, 4, 8, then 16 samples, the last cut to fit, so that a first image
/// comes soon and later runs are long.
public struct WorkSpace: Hashable, Sendable {
    public let grid: TileGrid
    public let samplesPerPixel: Int
    /// The first sample of each pass, with `samplesPerPixel` at the end.
    private let passStarts: [Int]

    /// The most samples a pixel can have: sums of that many clamped samples fit the film.
    public static let samplesPerPixelMax = 65_536

    /// Nil unless `1 <= samplesPerPixel <= samplesPerPixelMax`.
    public init?(grid: TileGrid, samplesPerPixel: Int) {
        guard samplesPerPixel >= 1, samplesPerPixel <= Self.samplesPerPixelMax else { return nil }
        self.grid = grid
        self.samplesPerPixel = samplesPerPixel
        var starts = [0]
        var start = 0
        while start < samplesPerPixel {
            let size = start < 2 ? 1 : min(start, 16)
            start = min(start + size, samplesPerPixel)
            starts.append(start)
        }
        passStarts = starts
    }

    public var passCount: Int { passStarts.count - 1 }
    /// The number of units.
    public var count: Int { passCount * grid.count }
    /// All units.
    public var all: SampleRange { SampleRange(0, count) }

    /// The units of one pass.
    public func units(ofPass pass: Int) -> SampleRange {
        SampleRange(pass * grid.count, (pass + 1) * grid.count)
    }

    /// What a unit is: a tile and the samples of its pixels, as a part of the one declared
    /// sequence of each pixel.
    /// - Precondition: `0 <= unit < count`.
    public func unit(_ unit: Int) -> Unit {
        let (pass, tile) = unit.quotientAndRemainder(dividingBy: grid.count)
        return Unit(tile: tile, samples: passStarts[pass]..<passStarts[pass + 1])
    }

    /// The samples of all pixels that `coverage` holds.
    /// - Precondition: `coverage.upperBound <= count`.
    public func sampleCount(of coverage: IntervalSet) -> Int {
        var sum = 0
        for range in coverage.ranges {
            var lower = range.lowerBound
            while lower < range.upperBound {
                let pass = lower / grid.count
                let upper = min(range.upperBound, (pass + 1) * grid.count)
                let samples = passStarts[pass + 1] - passStarts[pass]
                // Whole passes by area, pieces of passes tile by tile.
                if upper - lower == grid.count {
                    sum += samples * grid.width * grid.height
                } else {
                    for unit in lower..<upper {
                        let tile = unit - pass * grid.count
                        sum += samples * grid.rectangle(ofTile: tile).area
                    }
                }
                lower = upper
            }
        }
        return sum
    }

    /// One unit of work.
    public struct Unit: Hashable, Sendable {
        public let tile: Int
        public let samples: Range<Int>
    }
}
