// How noisy a film is, by itself: the mean of all samples and that of some of them differ by about as
// much as the mean of all is wrong. So an adaptive frame knows which tiles want more samples
// (Dammertz, Hanika, Keller and Lensch, A Hierarchical Automatic Stopping Condition for Monte Carlo
// Global Illumination, 2009; Cycles' adaptive sampling does so for each pixel).

import MeshCore

extension Film {
    /// The estimated error of a tile: that of its noisiest block of 8 × 8 pixels, so that a small
    /// spot is not averaged away. Nil without samples of the tile, and in a frame that is not
    /// adaptive.
    ///
    /// The error of a block is the quadratic mean over its pixels of
    ///
    ///     |L − C| √(c / (1 − c)) / √(L + 0.0001)
    ///
    /// where L is the mean luminance of all samples, C that of the control samples
    /// (``ControlSamples``), both scene-linear, and c the share of the control samples. Were samples
    /// independent, the numerator's square would be that of the standard error of L on average; as
    /// they are spread evenly, it is more: less is promised than kept. So 0.01 is an error of at
    /// most about 0.01 where the luminance is 1, of 0.005 where it is 0.25 and of 0.02 where it is 4:
    /// the eye sees less of it in the light.
    ///
    /// Cycles' noise threshold bounds the same quotient, of the sums over red, green and blue instead
    /// of luminance (in grey √3 times as much), and of each pixel by itself.
    ///
    /// It depends on nothing but the tile's sums and its number of samples, and is made of IEEE
    /// operations on doubles, in a fixed order: all nodes find the same.
    /// - Precondition: the frame has the tile.
    public func noise(ofTile index: Int) -> Double? {
        var worst: Double?
        forEachNoiseBlock(ofTile: index) { _, noise in worst = max(worst ?? 0, noise) }
        return worst
    }

    /// Whether a tile of an adaptive frame should get its next stage: it is noisier than the target,
    /// or has no samples yet. A tile of which something was waived wants no more, and neither does
    /// one that has everything.
    /// - Parameter noiseTarget: in the unit of ``noise(ofTile:)``.
    /// - Precondition: the frame has the tile.
    public func wantsMore(tile index: Int, noiseTarget: Float) -> Bool {
        let rest = workSpace.units(ofTile: index)
        guard rest.allSatisfy({ waived.intersection($0).isEmpty }),
            rest.contains(where: { coverage.intersection($0).count < $0.count })
        else { return false }
        guard let noise = noise(ofTile: index) else { return true }
        return noise > Double(noiseTarget)
    }

    /// Calls `body` with the estimated error of each block of a tile, row by row; not at all without
    /// samples of the tile, and in a frame that is not adaptive.
    ///
    /// Blocks are of 8 × 8 pixels from the tile's first on, cut at its right and lower edge, and are
    /// given in the tile's coordinates.
    func forEachNoiseBlock(
        ofTile index: Int, _ body: (_ block: PixelRectangle, _ noise: Double) -> Void
    ) {
        guard let tile = tile(index), tile.isAdaptive else { return }
        let count = workSpace.sampleCounts(ofTile: index, in: extent)
        guard count.control > 0, count.control < count.all else { return }
        let rectangle = workSpace.grid.rectangle(ofTile: index)
        let side = NoiseBlocks.side
        for y in stride(from: 0, to: rectangle.height, by: side) {
            for x in stride(from: 0, to: rectangle.width, by: side) {
                let block = PixelRectangle(
                    x: x, y: y, width: min(side, rectangle.width - x),
                    height: min(side, rectangle.height - y))
                body(block, NoiseBlocks.noise(tile, block, rowLength: rectangle.width, count))
            }
        }
    }
}

/// How many samples a pixel has, and how many of them are control samples.
struct SampleCounts {
    var all = 0
    var control = 0
}

extension WorkSpace {
    /// The units of a tile, of each stage in turn; those of the first stage, which are not
    /// neighbours, one by one.
    func units(ofTile tile: Int) -> [SampleRange] {
        let passes = units(ofStage: 0).count / grid.count
        return (0..<passes).map {
            SampleRange($0 * grid.count + tile, $0 * grid.count + tile + 1)
        } + (1..<stageCount).map { units(ofTile: tile, inStage: $0) }
    }

    /// How many samples of each of its pixels an extent has of a tile.
    /// - Precondition: the extent lies in the work space.
    func sampleCounts(ofTile tile: Int, in extent: FilmExtent) -> SampleCounts {
        var counts = SampleCounts()
        for range in units(ofTile: tile) {
            let held = extent.coverage.intersection(range)
                .subtracting(extent.waived.intersection(range))
            for part in held.ranges {
                let samples =
                    unit(part.lowerBound).samples
                    .lowerBound..<unit(part.upperBound - 1).samples.upperBound
                counts.all += samples.count
                counts.control += ControlSamples.count(in: samples)
            }
        }
        return counts
    }
}

/// The error of a block of pixels.
private enum NoiseBlocks {
    /// Pixels. Of 64 estimates the quadratic mean is right to about a tenth.
    static let side = 8
    /// Added to the luminance: in the dark an error is measured against this, as in Cycles.
    static let darkness = 1e-4

    static func noise(
        _ tile: FilmTile, _ block: PixelRectangle, rowLength: Int, _ count: SampleCounts
    ) -> Double {
        let pixels = tile.pixelCount
        // Powers of two: the products are exact.
        let step = 1 / Double(1 << FilmTile.beautyFractionBits)
        let (red, green, blue) = ControlSamples.weights
        let unit = step / 65_536
        let (all, control) = (Double(count.all), Double(count.control))
        let scale = control / (all - control)
        var sum = 0.0
        for row in block.y..<(block.y + block.height) {
            for column in block.x..<(block.x + block.width) {
                let pixel = row * rowLength + column
                let r = Double(tile.wide[pixel]) * Double(red)
                let g = Double(tile.wide[pixels + pixel]) * Double(green)
                let b = Double(tile.wide[2 * pixels + pixel]) * Double(blue)
                let luminance = (r + g + b) * unit / all
                let other = Double(tile.wide[4 * pixels + pixel]) * step / control
                let difference = luminance - other
                // Sums are negative only in films of somebody who lies.
                sum += difference * difference * scale / (max(0, luminance) + darkness)
            }
        }
        return (sum / Double(block.area)).squareRoot()
    }
}
