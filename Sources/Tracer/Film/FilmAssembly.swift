// A sum of films that arrives tile by tile, from several streams at once. It becomes a film only
// when all of it is there: until then it has no coverage, so a broken stream can't leave half a
// contribution in a film.

public import MeshCore

/// The tiles of a film whose coverage is not known to be complete yet.
public struct FilmAssembly: Sendable {
    /// The frame that the tiles belong to.
    public let workSpace: WorkSpace
    private var tiles: [FilmTile?]

    public init(workSpace: WorkSpace) {
        self.workSpace = workSpace
        tiles = [FilmTile?](repeating: nil, count: workSpace.grid.count)
    }

    /// The sums that came for a tile so far.
    /// - Precondition: the frame has the tile.
    public func tile(_ index: Int) -> FilmTile? { tiles[index] }

    /// Adds a tile of one of the streams to what others brought for it.
    /// - Throws: ``FilmError`` when the frame has no such tile, or one of another size.
    public mutating func add(tile index: Int, _ tile: FilmTile) throws(FilmError) {
        guard tiles.indices.contains(index) else { throw .tileOutside(index) }
        try workSpace.check(tile, at: index)
        if tiles[index]?.add(tile) == nil { tiles[index] = tile }
    }

    /// Adds a tile of a stream, as the other `add`.
    /// - Throws: ``FilmError`` when the frame has no such tile, or one of another size.
    public mutating func add(tile index: Int, _ packed: PackedTile) throws(FilmError) {
        guard tiles.indices.contains(index) else { throw .tileOutside(index) }
        guard packed.pixelCount == workSpace.grid.rectangle(ofTile: index).area else {
            throw .wrongPixelCount(tile: index)
        }
        guard packed.isAdaptive == workSpace.isAdaptive else { throw .wrongPlanes(tile: index) }
        if tiles[index]?.add(packed) == nil { tiles[index] = packed.unpacked() }
    }

    /// Adds all tiles of a film, as when a node's own partial joins what came from its children.
    /// - Throws: ``FilmError/differentWorkSpace``.
    public mutating func add(_ film: Film) throws(FilmError) {
        guard workSpace == film.workSpace else { throw .differentWorkSpace }
        for index in tiles.indices {
            if let tile = film.tile(index) { try add(tile: index, tile) }
        }
    }

    /// The film of the tiles, with the union of the extents that their streams carried.
    /// - Throws: ``FilmError`` when the extent leaves the frame, waives what must not be waived, or
    ///   demands other tiles than those that came.
    public consuming func finish(_ extent: FilmExtent) throws(FilmError) -> Film {
        guard extent.coverage.upperBound <= workSpace.count else {
            throw .unitOutside(extent.coverage.upperBound - 1)
        }
        guard workSpace.canWaive(extent.waived) else {
            throw .notWaivable(extent.waived.first ?? 0)
        }
        let demanded = workSpace.touchedTiles(of: extent)
        for index in demanded.indices where demanded[index] != (tiles[index] != nil) {
            throw demanded[index] ? .missingTile(index) : .tileWithoutUnits(index)
        }
        return Film(workSpace: workSpace, extent: extent, tiles: tiles)
    }
}
