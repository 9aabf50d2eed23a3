// Films without pixels: a tally per unit stands for them. Each unit has a random number, and a
// film's value is the sum of the numbers of the units that were added to it. A unit that was added
// twice, or is missing, or a coverage that says what is not so, shows in the value but for a
// chance of 2⁻⁶⁴.

import MeshCore

/// The numbers of a frame's units, as prefix sums.
struct UnitTallies: Sendable {
    let workSpace: WorkSpace
    private let sums: [UInt64]
    /// The relative cost of a sample in each tile; mean one over the frame's pixels.
    let tileCosts: [Double]
    /// For each tile of an adaptive frame how many stages it needs: what a node's tracer would find,
    /// whoever rendered it.
    let stagesNeeded: [Int]

    init(workSpace: WorkSpace, seed: UInt64, costs: CostDistribution) {
        self.workSpace = workSpace
        var random = RandomNumbers(seed: seed)
        var sums: [UInt64] = [0]
        sums.reserveCapacity(workSpace.count + 1)
        for _ in 0..<workSpace.count { sums.append(sums[sums.count - 1] &+ random.next()) }
        self.sums = sums
        let raw = costs.draw(workSpace.grid, using: &random)
        let grid = workSpace.grid
        let work = raw.enumerated().reduce(0) { sum, tile in
            sum + tile.element * Double(grid.rectangle(ofTile: tile.offset).area)
        }
        let mean = work / Double(grid.width * grid.height)
        tileCosts = raw.map { $0 / mean }
        // Few tiles need many; by a generator of its own, so that fixed frames are what they were.
        var draws = RandomNumbers(seed: seed ^ 0x7a3c_91d5_0e88_4b21)
        stagesNeeded = (0..<grid.count).map { _ in
            var stages = 1
            while stages < workSpace.stageCount, draws.below(5) < 3 { stages += 1 }
            return stages
        }
    }

    /// What a film of exactly this coverage is worth.
    func value(of coverage: IntervalSet) -> UInt64 {
        coverage.ranges.reduce(0) { $0 &+ sums[$1.upperBound] &- sums[$1.lowerBound] }
    }

    /// The work of a unit in samples of average cost.
    func cost(of unit: Int) -> Double {
        let piece = workSpace.unit(unit)
        let area = workSpace.grid.rectangle(ofTile: piece.tile).area
        return Double(piece.samples.count * area) * tileCosts[piece.tile]
    }

    /// The bytes of a film's stream, or of one stripe of it: its head, and the tiles that it touches.
    func streamBytes(
        of coverage: IntervalSet, waived: IntervalSet = IntervalSet(), stripe: TileStripe,
        bytesPerPixel: Double
    ) -> Int {
        let tiles = min(coverage.count - waived.count, workSpace.grid.count)
        let pixels = workSpace.grid.width * workSpace.grid.height
        let share = Double(tiles) / Double(workSpace.grid.count * stripe.count)
        return 64 + 8 * coverage.ranges.count + Int(share * Double(pixels) * bytesPerPixel)
    }
}

/// A film, partial film or buffer.
struct SimulatedFilm: Hashable, Sendable {
    private(set) var coverage = IntervalSet()
    /// Of the coverage, the units that nobody had to render.
    private(set) var waived = IntervalSet()
    private(set) var value: UInt64 = 0

    init() {}

    /// A film of one unit, just rendered.
    init(unit: Int, _ tallies: UnitTallies) {
        coverage = IntervalSet(SampleRange(unit, unit + 1))
        value = tallies.value(of: coverage)
    }

    /// A film that covers units without a sample of them.
    init(waiving units: IntervalSet) {
        coverage = units
        waived = units
    }

    /// Keeps one set in memory for this coverage and an equal one.
    mutating func share(_ equal: IntervalSet) {
        if coverage == equal { coverage = equal }
    }

    /// A film of some units.
    init(units: IntervalSet, _ tallies: UnitTallies) {
        coverage = units
        value = tallies.value(of: units)
    }

    /// Puts a film together from its stripes. Each brings its own share of the value, and all
    /// shares together are one: a stripe that lacks a contribution, or has it twice, gives a film
    /// whose value is wrong.
    /// - Returns: nil when they are not of the same coverage.
    init?(stripes: [SimulatedFilm]) {
        guard let first = stripes.first,
            stripes.allSatisfy({ $0.coverage == first.coverage && $0.waived == first.waived })
        else { return nil }
        coverage = first.coverage
        waived = first.waived
        var rest: UInt64 = 1
        for (index, film) in stripes.enumerated() {
            let isLast = index == stripes.count - 1
            let share = isLast ? rest : 0x9e37_79b9_7f4a_7c15 &* UInt64(2 * index + 1)
            value &+= share &* film.value
            rest &-= share
        }
    }

    /// Adds a film; false, and nothing happens, when the two overlap.
    /// - Parameter isChecked: false in a planted bug only.
    mutating func add(_ other: SimulatedFilm, isChecked: Bool = true) -> Bool {
        guard !isChecked || coverage.isDisjoint(with: other.coverage) else { return false }
        coverage.formUnion(other.coverage)
        waived.formUnion(other.waived)
        value &+= other.value
        return true
    }
}

extension UnitTallies {
    /// Whether a film is worth what it says that it holds.
    func isTrue(_ film: SimulatedFilm) -> Bool {
        value(of: film.coverage) &- value(of: film.waived) == film.value
    }
}
