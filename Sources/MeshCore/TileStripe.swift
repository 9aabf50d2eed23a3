// A part of a frame's tiles that travels along a tree of its own, so that every node's link is
// used in full (docs/PROTOCOL.md §5).

/// Every `count`-th tile of a frame, from the tile `index` on: tiles `t` with `t % count == index`.
public struct TileStripe: Hashable, Sendable {
    public let index: Int
    public let count: Int

    /// The most stripes of a frame that are accepted from outside.
    public static let countMax = 64
    /// All tiles.
    public static let whole = TileStripe(0, of: 1)

    /// - Precondition: `0 <= index < count <= countMax`
    public init(_ index: Int, of count: Int) {
        precondition(0 <= index && index < count && count <= Self.countMax)
        self.index = index
        self.count = count
    }

    /// All stripes of a frame that is divided into so many.
    public static func all(_ count: Int) -> [TileStripe] {
        (0..<count).map { TileStripe($0, of: count) }
    }

    public func contains(tile: Int) -> Bool { tile % count == index }
}
