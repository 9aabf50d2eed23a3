// The linear space of a frame's work: every unit, a tile in a pass, has one number, the same on
// every node, so that any piece of the frame is named by two integers.

/// The units of one frame.
///
/// Pass sizes are 1, 1, 2, 4, 8, then 16 samples, the last cut to fit, so that a first image
/// comes soon and later runs are long. Passes are grouped into *stages*. A frame of fixed samples
/// has one stage. An adaptive frame has one of 16 samples, and then stages that add half of what
/// was there, in whole passes: a tile that needs no more is spared the next stage, and has at most
/// half as many samples again as it needs (docs/PROTOCOL.md §9).
///
/// In the first stage units are numbered pass by pass, `grid.count` units each; in later ones, which
/// only some tiles need, tile by tile, so that a tile's part of a stage is one range.
public struct WorkSpace: Hashable, Sendable {
    public let grid: TileGrid
    /// The most samples of a pixel; exactly those in a frame that is not adaptive.
    public let samplesPerPixel: Int
    /// Whether later stages are for those tiles only that need them.
    public let isAdaptive: Bool
    /// The first sample of each pass, with `samplesPerPixel` at the end.
    private let passStarts: [Int]
    /// The passes of each stage.
    private let stagePasses: [Range<Int>]

    /// The most samples a pixel can have: sums of that many clamped samples fit the film.
    public static let samplesPerPixelMax = 65_536
    /// The samples of an adaptive frame's first stage, and of each pass after it.
    private static let passSizeMax = 16

    /// Nil unless `1 <= samplesPerPixel <= samplesPerPixelMax`.
    public init?(grid: TileGrid, samplesPerPixel: Int, isAdaptive: Bool = false) {
        guard samplesPerPixel >= 1, samplesPerPixel <= Self.samplesPerPixelMax else { return nil }
        self.grid = grid
        self.samplesPerPixel = samplesPerPixel
        self.isAdaptive = isAdaptive
        var starts = [0]
        var start = 0
        while start < samplesPerPixel {
            let size = start < 2 ? 1 : min(start, Self.passSizeMax)
            start = min(start + size, samplesPerPixel)
            starts.append(start)
        }
        passStarts = starts
        stagePasses = isAdaptive ? Self.stages(starts) : [0..<starts.count - 1]
    }

    /// The passes of an adaptive frame's stages.
    private static func stages(_ passStarts: [Int]) -> [Range<Int>] {
        var stages: [Range<Int>] = []
        var pass = 0
        while pass < passStarts.count - 1 {
            let start = passStarts[pass]
            let size = max(passSizeMax, start / 2 / passSizeMax * passSizeMax)
            var end = pass + 1
            while end < passStarts.count - 1, passStarts[end] < start + size { end += 1 }
            stages.append(pass..<end)
            pass = end
        }
        return stages
    }

    public var passCount: Int { passStarts.count - 1 }
    public var stageCount: Int { stagePasses.count }
    /// The number of units.
    public var count: Int { passCount * grid.count }
    /// All units.
    public var all: SampleRange { SampleRange(0, count) }

    /// The units of a pass of the first stage.
    /// - Precondition: the first stage has the pass.
    public func units(ofPass pass: Int) -> SampleRange {
        precondition(stagePasses[0].contains(pass))
        return SampleRange(pass * grid.count, (pass + 1) * grid.count)
    }

    /// The units of one stage.
    public func units(ofStage stage: Int) -> SampleRange {
        let passes = stagePasses[stage]
        return SampleRange(passes.lowerBound * grid.count, passes.upperBound * grid.count)
    }

    /// The units of one tile in a stage after the first.
    /// - Precondition: `0 < stage < stageCount`, and the frame has the tile.
    public func units(ofTile tile: Int, inStage stage: Int) -> SampleRange {
        precondition(stage > 0 && tile < grid.count)
        let passes = stagePasses[stage]
        let start = passes.lowerBound * grid.count + tile * passes.count
        return SampleRange(start, start + passes.count)
    }

    /// The stage of a unit.
    /// - Precondition: `0 <= unit < count`.
    /// - Complexity: linear in the number of stages.
    public func stage(ofUnit unit: Int) -> Int {
        let row = unit / grid.count
        return stagePasses.firstIndex { row < $0.upperBound } ?? stageCount - 1
    }

    /// The tile of a unit, and its pass.
    private func place(ofUnit unit: Int) -> (tile: Int, pass: Int) {
        let (row, rest) = unit.quotientAndRemainder(dividingBy: grid.count)
        guard row >= stagePasses[0].upperBound else { return (rest, row) }
        let passes = stagePasses[stage(ofUnit: unit)]
        let (tile, pass) = (unit - passes.lowerBound * grid.count)
            .quotientAndRemainder(dividingBy: passes.count)
        return (tile, passes.lowerBound + pass)
    }

    /// What a unit is: a tile and the samples of its pixels, as a part of the one declared
    /// sequence of each pixel.
    /// - Precondition: `0 <= unit < count`.
    public func unit(_ unit: Int) -> Unit {
        let (tile, pass) = place(ofUnit: unit)
        return Unit(tile: tile, samples: passStarts[pass]..<passStarts[pass + 1])
    }

    /// The samples of all pixels of all units below `unit`.
    /// - Precondition: `0 <= unit <= count`.
    package func samples(below unit: Int) -> Int {
        let area = grid.width * grid.height
        guard unit < count else { return samplesPerPixel * area }
        let (tile, pass) = place(ofUnit: unit)
        let before = Int(grid.pixelsBefore[tile])
        if pass < stagePasses[0].upperBound {
            return passStarts[pass] * area + samples(ofPass: pass) * before
        }
        let passes = stagePasses[stage(ofUnit: unit)]
        let start = passStarts[passes.lowerBound]
        let inTile = Int(grid.pixelsBefore[tile + 1]) - before
        return start * area + (passStarts[passes.upperBound] - start) * before
            + (passStarts[pass] - start) * inTile
    }

    private func samples(ofPass pass: Int) -> Int { passStarts[pass + 1] - passStarts[pass] }

    /// The samples of all pixels that a range of units holds.
    package func sampleCount(of range: SampleRange) -> Int {
        samples(below: range.upperBound) - samples(below: range.lowerBound)
    }

    /// The samples of all pixels that `coverage` holds, if none of it is waived.
    /// - Precondition: `coverage.upperBound <= count`.
    /// - Complexity: linear in the number of ranges.
    public func sampleCount(of coverage: IntervalSet) -> Int {
        coverage.ranges.reduce(0) { $0 + sampleCount(of: $1) }
    }

    /// Calls `body` for each run of tiles of a range of units that have as many samples per pixel
    /// in it: tile by tile at worst, pass by pass or stage by stage in the main.
    /// - Precondition: the range lies in the work space.
    package func forEachRun(
        of range: SampleRange, _ body: (_ tiles: Range<Int>, _ samplesPerPixel: Int) -> Void
    ) {
        var lower = range.lowerBound
        while lower < range.upperBound {
            let (tile, pass) = place(ofUnit: lower)
            if pass < stagePasses[0].upperBound {
                let upper = min(range.upperBound, (pass + 1) * grid.count)
                body(tile..<tile + upper - lower, samples(ofPass: pass))
                lower = upper
                continue
            }
            let passes = stagePasses[stage(ofUnit: lower)]
            let end = min(range.upperBound, passes.upperBound * grid.count)
            let whole = pass == passes.lowerBound ? (end - lower) / passes.count : 0
            if whole > 0 {
                body(tile..<tile + whole, passStarts[passes.upperBound] - passStarts[pass])
                lower += whole * passes.count
            } else {
                let last = min(passes.upperBound, pass + end - lower)
                body(tile..<tile + 1, passStarts[last] - passStarts[pass])
                lower += last - pass
            }
        }
    }

    /// One unit of work.
    public struct Unit: Hashable, Sendable {
        public let tile: Int
        public let samples: Range<Int>
    }
}
