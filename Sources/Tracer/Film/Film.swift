// The accumulated frame, or a part of it. A film tells the truth about itself (docs/PROTOCOL.md
// §3): its coverage is exactly what was added to it, and only three operations change it: add a
// unit it lacks, add a film of disjoint coverage, be replaced whole.

public import MeshCore

/// Sums of samples over the touched tiles of one frame, with the coverage of the units in them.
///
/// A value: a copy shares its tiles until one of the two changes, and then only the tiles that
/// change are copied, so a snapshot for a viewer or a seal costs 32 bytes a tile. A touched tile
/// takes 60 bytes a pixel, an untouched one nothing.
public struct Film: Equatable, Sendable {
    /// The frame that the film belongs to.
    public let workSpace: WorkSpace
    /// The units whose samples the film holds.
    public private(set) var coverage: IntervalSet
    /// By tile index; nil exactly where the coverage has no unit of the tile.
    private var tiles: [FilmTile?]

    /// Bytes that a touched tile takes for each of its pixels.
    public static let bytesPerPixel =
        FilmTile.widePlanes * MemoryLayout<Int64>.size
        + FilmTile.narrowPlanes * MemoryLayout<Int32>.size

    /// An empty film.
    public init(workSpace: WorkSpace) {
        self.workSpace = workSpace
        coverage = IntervalSet()
        tiles = [FilmTile?](repeating: nil, count: workSpace.grid.count)
    }

    /// Takes tiles that are known to agree with the coverage.
    init(workSpace: WorkSpace, coverage: IntervalSet, tiles: [FilmTile?]) {
        self.workSpace = workSpace
        self.coverage = coverage
        self.tiles = tiles
    }

    public var isEmpty: Bool { coverage.isEmpty }
    /// Whether every unit of the frame is in the film.
    public var isComplete: Bool { coverage == IntervalSet(workSpace.all) }

    /// The samples of all pixels that the film holds.
    public var sampleCount: Int { workSpace.sampleCount(of: coverage) }

    /// Samples that were NaN or infinite and were counted as zero.
    public var nonFiniteSamples: Int64 {
        tiles.reduce(0) { $0 &+ ($1?.nonFiniteSamples ?? 0) }
    }

    /// The tile's sums; nil when the film has none of its units.
    /// - Precondition: the frame has the tile.
    public func tile(_ index: Int) -> FilmTile? { tiles[index] }

    /// The touched tiles, ascending.
    public var touchedTiles: [Int] { tiles.indices.filter { tiles[$0] != nil } }

    /// Bytes of sums that the film holds.
    public var sizeBytes: Int {
        tiles.reduce(0) { $0 + ($1?.pixelCount ?? 0) * Self.bytesPerPixel }
    }

    /// Adds the sums of one unit.
    /// - Throws: ``FilmError`` when the film has the unit, or the frame has none such; the film is
    ///   then unchanged.
    public mutating func add(unit: Int, _ tile: FilmTile) throws(FilmError) {
        guard workSpace.all.contains(unit) else { throw .unitOutside(unit) }
        guard !coverage.contains(unit) else { throw .unitCoveredAlready(unit) }
        let index = unit % workSpace.grid.count
        guard tile.pixelCount == workSpace.grid.rectangle(ofTile: index).area else {
            throw .wrongPixelCount(tile: index)
        }
        addSums(tile, toTile: index)
        coverage.insert(unit)
    }

    /// Adds a film of other units of the same frame.
    /// - Throws: ``FilmError`` when the two share a unit or belong to different frames; the film
    ///   is then unchanged.
    public mutating func add(_ other: Film) throws(FilmError) {
        guard workSpace == other.workSpace else { throw .differentWorkSpace }
        guard coverage.isDisjoint(with: other.coverage) else {
            throw .overlap(firstUnit: coverage.intersection(other.coverage).first ?? 0)
        }
        for (index, tile) in other.tiles.enumerated() {
            if let tile { addSums(tile, toTile: index) }
        }
        coverage.formUnion(other.coverage)
    }

    /// Becomes another film of the same frame.
    /// - Throws: ``FilmError/differentWorkSpace``.
    public mutating func replace(with other: Film) throws(FilmError) {
        guard workSpace == other.workSpace else { throw .differentWorkSpace }
        self = other
    }

    /// Moves what the film holds out of it, and leaves it empty.
    public mutating func seal() -> Film {
        var sealed = Film(workSpace: workSpace)
        swap(&self, &sealed)
        return sealed
    }

    /// Adds in place: the optional chain lends the stored tile, so nothing is copied unless
    /// another film shares it.
    private mutating func addSums(_ tile: FilmTile, toTile index: Int) {
        if tiles[index]?.add(tile) == nil { tiles[index] = tile }
    }

    /// Traps unless the touched tiles are exactly those of the coverage, each of the right size.
    public func checkInvariants() {
        precondition(workSpace.all.count >= coverage.upperBound)
        let demanded = workSpace.touchedTiles(of: coverage)
        for (index, tile) in tiles.enumerated() {
            precondition((tile != nil) == demanded[index])
            guard let tile else { continue }
            let area = workSpace.grid.rectangle(ofTile: index).area
            precondition(tile.pixelCount == area)
            precondition(tile.wide.count == FilmTile.widePlanes * area)
            precondition(tile.narrow.count == FilmTile.narrowPlanes * area)
        }
    }
}

extension WorkSpace {
    /// For each tile, whether it is in the stripe and the coverage has a unit of it.
    /// - Precondition: the coverage lies in the work space.
    func touchedTiles(of coverage: IntervalSet, in stripe: TileStripe) -> [Bool] {
        var touched = touchedTiles(of: coverage)
        guard stripe != .whole else { return touched }
        for tile in touched.indices where !stripe.contains(tile: tile) { touched[tile] = false }
        return touched
    }

    /// For each tile, whether the coverage has a unit of it.
    /// - Precondition: the coverage lies in the work space.
    /// - Complexity: tiles plus ranges plus units of ranges shorter than a pass.
    func touchedTiles(of coverage: IntervalSet) -> [Bool] {
        precondition(coverage.upperBound <= count)
        var touched = [Bool](repeating: false, count: grid.count)
        for range in coverage.ranges {
            guard range.count < grid.count else {
                return [Bool](repeating: true, count: grid.count)
            }
            for unit in range.lowerBound..<range.upperBound { touched[unit % grid.count] = true }
        }
        return touched
    }

    /// For each tile, how many samples of each of its pixels the coverage has.
    /// - Precondition: the coverage lies in the work space.
    func samplesPerPixel(ofTilesIn coverage: IntervalSet) -> [Int] {
        precondition(coverage.upperBound <= count)
        var samples = [Int](repeating: 0, count: grid.count)
        for range in coverage.ranges {
            var lower = range.lowerBound
            while lower < range.upperBound {
                let pass = lower / grid.count
                let upper = min(range.upperBound, (pass + 1) * grid.count)
                let perPixel = unit(lower).samples.count
                for unit in lower..<upper { samples[unit - pass * grid.count] += perPixel }
                lower = upper
            }
        }
        return samples
    }
}
