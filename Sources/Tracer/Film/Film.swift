// The accumulated frame, or a part of it. A film tells the truth about itself (docs/PROTOCOL.md
// §3): its coverage is exactly what was added to it, and only these operations change it: add a
// unit it lacks, waive units it lacks, add a film of disjoint coverage, be replaced whole.

public import MeshCore

/// Sums of samples over the touched tiles of one frame, with the coverage of the units in them.
///
/// A value: a copy shares its tiles until one of the two changes, and then only the tiles that
/// change are copied, so a snapshot for a viewer or a seal costs 32 bytes a tile. A touched tile
/// takes 60 bytes a pixel, 68 in an adaptive frame, an untouched one nothing.
public struct Film: Equatable, Sendable {
    /// The frame that the film belongs to.
    public let workSpace: WorkSpace
    /// The units that are in the film.
    public private(set) var extent: FilmExtent
    /// By tile index; nil exactly where the extent has no samples of the tile.
    private var tiles: [FilmTile?]

    /// Bytes that a touched tile takes for each of its pixels.
    public static func bytesPerPixel(isAdaptive: Bool) -> Int {
        FilmTile.widePlanes(isAdaptive: isAdaptive) * MemoryLayout<Int64>.size
            + FilmTile.narrowPlanes * MemoryLayout<Int32>.size
    }

    /// An empty film.
    public init(workSpace: WorkSpace) {
        self.workSpace = workSpace
        extent = FilmExtent()
        tiles = [FilmTile?](repeating: nil, count: workSpace.grid.count)
    }

    /// Takes tiles that are known to agree with the extent.
    init(workSpace: WorkSpace, extent: FilmExtent, tiles: [FilmTile?]) {
        self.workSpace = workSpace
        self.extent = extent
        self.tiles = tiles
    }

    /// The units that are in the film, waived ones among them.
    public var coverage: IntervalSet { extent.coverage }
    /// The units that the film covers without samples.
    public var waived: IntervalSet { extent.waived }
    public var isEmpty: Bool { extent.isEmpty }
    /// Whether every unit of the frame is in the film.
    public var isComplete: Bool { coverage == IntervalSet(workSpace.all) }

    /// The samples of all pixels that the film holds.
    public var sampleCount: Int { workSpace.sampleCount(of: extent) }

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
        let perPixel = Self.bytesPerPixel(isAdaptive: workSpace.isAdaptive)
        return tiles.reduce(0) { $0 + ($1?.pixelCount ?? 0) * perPixel }
    }

    /// Adds the sums of one unit.
    /// - Throws: ``FilmError`` when the film has the unit, or the frame has none such; the film is
    ///   then unchanged.
    public mutating func add(unit: Int, _ tile: FilmTile) throws(FilmError) {
        guard workSpace.all.contains(unit) else { throw .unitOutside(unit) }
        guard !coverage.contains(unit) else { throw .unitCoveredAlready(unit) }
        let index = workSpace.unit(unit).tile
        try workSpace.check(tile, at: index)
        addSums(tile, toTile: index)
        extent.insert(unit)
    }

    /// Covers units of tiles that don't need them, without samples.
    /// - Throws: ``FilmError`` when the film has one of the units, the frame has none such, or they
    ///   are for all tiles; the film is then unchanged.
    public mutating func waive(_ units: IntervalSet) throws(FilmError) {
        guard units.upperBound <= workSpace.count else {
            throw .unitOutside(units.upperBound - 1)
        }
        guard workSpace.canWaive(units) else { throw .notWaivable(units.first ?? 0) }
        if let unit = coverage.intersection(units).first { throw .unitCoveredAlready(unit) }
        extent.waive(units)
    }

    /// Adds a film of other units of the same frame.
    /// - Throws: ``FilmError`` when the two share a unit or belong to different frames; the film
    ///   is then unchanged.
    public mutating func add(_ other: Film) throws(FilmError) {
        guard workSpace == other.workSpace else { throw .differentWorkSpace }
        guard extent.isDisjoint(with: other.extent) else {
            throw .overlap(firstUnit: coverage.intersection(other.coverage).first ?? 0)
        }
        for (index, tile) in other.tiles.enumerated() {
            if let tile { addSums(tile, toTile: index) }
        }
        extent.formUnion(other.extent)
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

    /// Traps unless the touched tiles are exactly those of which the extent has samples, each of
    /// the right size, and nothing is waived that must not be.
    public func checkInvariants() {
        precondition(workSpace.all.count >= coverage.upperBound)
        precondition(coverage.isSuperset(of: waived) && workSpace.canWaive(waived))
        let demanded = workSpace.touchedTiles(of: extent)
        for (index, tile) in tiles.enumerated() {
            precondition((tile != nil) == demanded[index])
            guard let tile else { continue }
            let area = workSpace.grid.rectangle(ofTile: index).area
            precondition(tile.pixelCount == area)
            let widePlanes = FilmTile.widePlanes(isAdaptive: workSpace.isAdaptive)
            precondition(tile.wide.count == widePlanes * area)
            precondition(tile.narrow.count == FilmTile.narrowPlanes * area)
        }
    }
}

extension WorkSpace {
    /// Refuses a tile of another size or frame.
    /// - Precondition: the frame has a tile `index`.
    func check(_ tile: FilmTile, at index: Int) throws(FilmError) {
        guard tile.pixelCount == grid.rectangle(ofTile: index).area else {
            throw .wrongPixelCount(tile: index)
        }
        guard tile.isAdaptive == isAdaptive else { throw .wrongPlanes(tile: index) }
    }
}
