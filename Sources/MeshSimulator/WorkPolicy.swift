// Other ways to distribute a frame, to compare stealing with: what renderers on a network do. They
// run on the same nodes, network, films and rounds; only who gets which unit is another matter.

/// How the units of a frame get to the nodes.
public enum WorkPolicy: String, Hashable, Sendable, CaseIterable {
    /// As meshd does.
    case stealing
    /// Each node gets the same number of tiles at the begin.
    case staticCount = "static-count"
    /// Each node gets tiles in proportion to its speed, which is known.
    case staticSpeed = "static-speed"
    /// An idle node asks the root for the next tile, with all its samples.
    case tileQueue = "tile-queue"
    /// An idle node asks the root for the next batch of samples of a tile: a unit.
    case batchQueue = "batch-queue"
    /// An idle node asks nodes at random, one after the other, and gets half of what one holds.
    case randomHalf = "random-half"

    /// In a few words, for tables.
    public var title: String {
        switch self {
        case .stealing: "stealing (meshd)"
        case .staticCount: "static tiles by node count"
        case .staticSpeed: "static tiles by known speed"
        case .tileQueue: "central queue of tiles"
        case .batchQueue: "central queue of sample batches"
        case .randomHalf: "plain random half-stealing"
        }
    }

    /// Whether a node asks for work when it has none.
    var asks: Bool { self == .tileQueue || self == .batchQueue || self == .randomHalf }
    var isStatic: Bool { self == .staticCount || self == .staticSpeed }
}
