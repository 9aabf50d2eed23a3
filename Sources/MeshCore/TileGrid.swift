// How a frame is cut into tiles, and in which order they are numbered: neighbours stay together,
// so that a run of units touches few textures and few branches of the scene.

/// The tiles of one frame, numbered along a Hilbert curve.
public struct TileGrid: Hashable, Sendable {
    /// Pixels.
    public let width: Int
    /// Pixels.
    public let height: Int
    /// The side of a tile, pixels.
    public let tileSize: Int
    /// For each tile its column and row in the grid, in tile order.
    private let cells: [SIMD2<Int32>]
    /// The pixels of all tiles before each tile, with those of the whole frame at the end.
    package let pixelsBefore: [UInt32]

    /// The largest side of a frame, pixels.
    public static let sideMax = 65_536
    /// The most pixels of a frame.
    public static let pixelsMax = 1 << 28

    /// Nil for an empty frame or one larger than `sideMax` and `pixelsMax` allow.
    public init?(width: Int, height: Int, tileSize: Int = 32) {
        guard width > 0, height > 0, width <= Self.sideMax, height <= Self.sideMax,
            width * height <= Self.pixelsMax, tileSize >= 8, tileSize <= Self.sideMax
        else { return nil }
        self.width = width
        self.height = height
        self.tileSize = tileSize
        let columns = (width + tileSize - 1) / tileSize
        let rows = (height + tileSize - 1) / tileSize
        var order = 1
        while order < max(columns, rows) { order *= 2 }
        var cells: [SIMD2<Int32>] = []
        cells.reserveCapacity(columns * rows)
        var distance = 0
        while distance < order * order {
            let (x, y) = Self.hilbert(distance, order: order)
            if x < columns, y < rows {
                cells.append(SIMD2(Int32(x), Int32(y)))
                distance += 1
                continue
            }
            // A run of 4^k steps that begins at a multiple of its length fills an aligned square:
            // step over the largest one from here that lies outside, so that a narrow frame
            // costs no more than its own tiles.
            var side = 1
            while distance % (4 * side * side) == 0, 2 * side <= order,
                x / (2 * side) * (2 * side) >= columns || y / (2 * side) * (2 * side) >= rows
            {
                side *= 2
            }
            distance += side * side
        }
        self.cells = cells
        var sum: UInt32 = 0
        var sums: [UInt32] = [0]
        sums.reserveCapacity(cells.count + 1)
        for cell in cells {
            let (x, y) = (Int(cell.x) * tileSize, Int(cell.y) * tileSize)
            sum += UInt32(min(tileSize, width - x) * min(tileSize, height - y))
            sums.append(sum)
        }
        pixelsBefore = sums
    }

    /// The number of tiles.
    public var count: Int { cells.count }

    /// The pixels of a tile: its left and top edge and its size, smaller at the frame's edges.
    public func rectangle(ofTile tile: Int) -> PixelRectangle {
        let x = Int(cells[tile].x) * tileSize
        let y = Int(cells[tile].y) * tileSize
        return PixelRectangle(
            x: x, y: y, width: min(tileSize, width - x), height: min(tileSize, height - y))
    }

    /// The cell at a distance along the Hilbert curve of a square of `order` cells a side
    /// (Wikipedia, Hilbert curve, d2xy).
    private static func hilbert(_ distance: Int, order: Int) -> (x: Int, y: Int) {
        var x = 0
        var y = 0
        var t = distance
        var side = 1
        while side < order {
            let rx = 1 & (t / 2)
            let ry = 1 & (t ^ rx)
            if ry == 0 {
                if rx == 1 {
                    x = side - 1 - x
                    y = side - 1 - y
                }
                swap(&x, &y)
            }
            x += side * rx
            y += side * ry
            t /= 4
            side *= 2
        }
        return (x, y)
    }
}

/// A block of pixels; y grows downwards.
@frozen
public struct PixelRectangle: Hashable, Sendable {
    public let x: Int
    public let y: Int
    public let width: Int
    public let height: Int
    @inlinable public init(x: Int, y: Int, width: Int, height: Int) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }
    /// The number of pixels.
    @inlinable public var area: Int { width * height }
}
