// Why a film refuses what it is given. A film that tells the truth about itself must refuse
// rather than guess, so each operation that changes a coverage can end in one of these.

/// What keeps a tile or a film from being added.
public enum FilmError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The film holds this unit already.
    case unitCoveredAlready(Int)
    /// Two films share units; the first of them.
    case overlap(firstUnit: Int)
    /// The two films belong to frames of other sizes or sample counts.
    case differentWorkSpace
    /// The frame has no such unit.
    case unitOutside(Int)
    /// A unit that is for all tiles, so that no tile can be spared it.
    case notWaivable(Int)
    /// The frame has no such tile.
    case tileOutside(Int)
    /// The tile has another number of pixels than its place in the frame.
    case wrongPixelCount(tile: Int)
    /// The tile has the planes of an adaptive frame, and its frame is not, or the other way round.
    case wrongPlanes(tile: Int)
    /// The coverage names units of a tile that never came.
    case missingTile(Int)
    /// A tile came of which the coverage names no unit.
    case tileWithoutUnits(Int)

    public var description: String {
        switch self {
        case .unitCoveredAlready(let unit): "the film holds unit \(unit) already"
        case .overlap(let unit): "the films overlap, first at unit \(unit)"
        case .differentWorkSpace: "the films belong to different frames"
        case .unitOutside(let unit): "the frame has no unit \(unit)"
        case .notWaivable(let unit): "unit \(unit) is for all tiles"
        case .tileOutside(let tile): "the frame has no tile \(tile)"
        case .wrongPixelCount(let tile): "tile \(tile) has the wrong number of pixels"
        case .wrongPlanes(let tile): "tile \(tile) has the planes of another kind of frame"
        case .missingTile(let tile): "tile \(tile) of the coverage is missing"
        case .tileWithoutUnits(let tile): "tile \(tile) has no unit in the coverage"
        }
    }
}
