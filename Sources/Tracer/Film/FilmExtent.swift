// What is in a film. In an adaptive frame the film of a tile that needs no more samples covers the
// units it was spared, so that the frame can become complete; that nothing was added for them must
// travel wherever the coverage does.

public import MeshCore

/// The units of a film, and which of them it has without samples.
public struct FilmExtent: Hashable, Sendable {
    /// The units that are in the film.
    public private(set) var coverage: IntervalSet
    /// Those of the coverage that were waived: their tiles did not need them, and the film holds no
    /// samples of them. Empty unless the frame is adaptive.
    public private(set) var waived: IntervalSet

    /// Nothing.
    public init() {
        coverage = IntervalSet()
        waived = IntervalSet()
    }

    /// - Precondition: `waived` is a part of `coverage`.
    public init(coverage: IntervalSet, waived: IntervalSet = IntervalSet()) {
        precondition(coverage.isSuperset(of: waived))
        self.coverage = coverage
        self.waived = waived
    }

    public var isEmpty: Bool { coverage.isEmpty }

    /// The units whose samples the film holds.
    public var sampled: IntervalSet { coverage.subtracting(waived) }

    public func isDisjoint(with other: FilmExtent) -> Bool {
        coverage.isDisjoint(with: other.coverage)
    }

    /// Adds what another film covers.
    /// - Precondition: the two share no unit.
    public mutating func formUnion(_ other: FilmExtent) {
        assert(isDisjoint(with: other))
        coverage.formUnion(other.coverage)
        waived.formUnion(other.waived)
    }

    /// Adds a unit with its samples.
    mutating func insert(_ unit: Int) { coverage.insert(unit) }

    /// Adds units without samples.
    /// - Precondition: none of them is covered.
    mutating func waive(_ units: IntervalSet) {
        assert(coverage.isDisjoint(with: units))
        coverage.formUnion(units)
        waived.formUnion(units)
    }
}

extension WorkSpace {
    /// Whether a film may waive units: those of later stages, which only some tiles need.
    func canWaive(_ units: IntervalSet) -> Bool {
        guard let first = units.first else { return true }
        return isAdaptive && first >= self.units(ofStage: 0).upperBound
            && units.upperBound <= count
    }

    /// The samples of all pixels that a film of this extent holds.
    /// - Precondition: the extent lies in the work space.
    public func sampleCount(of extent: FilmExtent) -> Int {
        sampleCount(of: extent.coverage) - sampleCount(of: extent.waived)
    }

    /// For each tile, whether it is in the stripe and the extent has samples of it.
    /// - Precondition: the extent lies in the work space.
    func touchedTiles(of extent: FilmExtent, in stripe: TileStripe) -> [Bool] {
        var touched = touchedTiles(of: extent)
        guard stripe != .whole else { return touched }
        for tile in touched.indices where !stripe.contains(tile: tile) { touched[tile] = false }
        return touched
    }

    /// For each tile, whether the extent has samples of it.
    /// - Precondition: the extent lies in the work space.
    /// - Complexity: ranges, plus tiles for each stage, plus units of ranges shorter than a pass.
    func touchedTiles(of extent: FilmExtent) -> [Bool] {
        precondition(extent.coverage.upperBound <= count)
        var touched = [Bool](repeating: false, count: grid.count)
        let firstStage = units(ofStage: 0)
        for range in extent.sampled.ranges {
            let inFirst = min(range.upperBound, firstStage.upperBound) - range.lowerBound
            guard inFirst < grid.count else {
                return [Bool](repeating: true, count: grid.count)
            }
            forEachRun(of: range) { tiles, _ in
                for tile in tiles { touched[tile] = true }
            }
        }
        return touched
    }

    /// For each tile, how many samples of each of its pixels the extent has.
    /// - Precondition: the extent lies in the work space.
    func samplesPerPixel(ofTilesIn extent: FilmExtent) -> [Int] {
        precondition(extent.coverage.upperBound <= count)
        var samples = [Int](repeating: 0, count: grid.count)
        for range in extent.sampled.ranges {
            forEachRun(of: range) { tiles, perPixel in
                for tile in tiles { samples[tile] += perPixel }
            }
        }
        return samples
    }
}
