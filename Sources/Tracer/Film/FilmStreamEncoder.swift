// The byte format in which films travel between nodes, written piece by piece so that a large
// film never exists twice in memory, and a parent in the reduce tree passes sums on while they
// still come in.

public import MeshCore

/// Stream of one contribution. Integers are varints unless a width is given, little-endian.
///
///     stream   = "mfs1" · UInt32 length of the head · head · tile* · 0
///     head     = width · height · tile size · samples per pixel · coverage · adaptive?
///     adaptive = 1 · waived units
///     coverage = number of ranges · (gap before the range · its length less one)*
///     tile     = index less the index before (−1 before the first) · UInt32 length · packed tile
///
/// Waived units are written as the coverage is, of which they are a part; the head of a frame that
/// is not adaptive ends with the coverage. The tiles are exactly those of which there are units that
/// are not waived, ascending; a step of zero ends them. The
/// stream of a stripe has the same head, and of the tiles only those of the stripe.
public enum FilmStream {
    /// The first four bytes; the digit is the format's version.
    static let magic = Array("mfs1".utf8)

    /// The head's bytes.
    static func head(workSpace: WorkSpace, extent: FilmExtent) -> [UInt8] {
        var writer = ByteWriter()
        let grid = workSpace.grid
        for number in [grid.width, grid.height, grid.tileSize, workSpace.samplesPerPixel] {
            writer.writeVarint(UInt64(number))
        }
        extent.coverage.write(to: &writer)
        if workSpace.isAdaptive {
            writer.writeVarint(adaptive)
            extent.waived.write(to: &writer)
        }
        return writer.bytes
    }

    /// Stands in the head before the waived units.
    static let adaptive: UInt64 = 1

    /// The most bytes of a head: geometry, and two varints of 48 bits for each range.
    static func headSizeMax(isAdaptive: Bool) -> Int {
        64 + (isAdaptive ? 2 : 1) * IntervalSet.rangesMax * 14
    }
}

/// Writes a stream of sums whose extent is known and whose tiles come one at a time.
public struct FilmStreamWriter: Sendable {
    private let workSpace: WorkSpace
    /// Whether each tile must come.
    private let demanded: [Bool]
    private var previous = -1
    private let head: [UInt8]
    private var started = false

    /// - Precondition: the extent lies in the work space; coverage and waived units have at most
    ///   `IntervalSet.rangesMax` ranges each.
    public init(workSpace: WorkSpace, extent: FilmExtent, stripe: TileStripe = .whole) {
        precondition(extent.coverage.ranges.count <= IntervalSet.rangesMax)
        precondition(extent.waived.ranges.count <= IntervalSet.rangesMax)
        precondition(workSpace.canWaive(extent.waived))
        self.workSpace = workSpace
        demanded = workSpace.touchedTiles(of: extent, in: stripe)
        head = FilmStream.head(workSpace: workSpace, extent: extent)
    }

    /// The tile that must be written next; nil when only the end is missing.
    public var nextTile: Int? { demanded[(previous + 1)...].firstIndex(of: true) }

    /// Appends the sums of the next tile, with the head before the first.
    /// - Precondition: `index` is ``nextTile``.
    public mutating func write(tile index: Int, _ tile: FilmTile, into bytes: inout [UInt8]) {
        precondition(index == nextTile)
        precondition(tile.pixelCount == workSpace.grid.rectangle(ofTile: index).area)
        precondition(tile.isAdaptive == workSpace.isAdaptive)
        writeHeadOnce(into: &bytes)
        var step = ByteWriter()
        step.writeVarint(UInt64(index - previous))
        bytes.append(contentsOf: step.bytes)
        previous = index
        let place = bytes.count
        bytes.append(contentsOf: [0, 0, 0, 0])
        tile.pack(into: &bytes)
        let length = UInt32(bytes.count - place - 4)
        for byte in 0..<4 {
            bytes[place + byte] = UInt8(truncatingIfNeeded: length >> UInt32(8 * byte))
        }
    }

    /// Appends the end of the stream, with the head before it when there was no tile.
    /// - Precondition: no tile is missing.
    public mutating func writeEnd(into bytes: inout [UInt8]) {
        precondition(nextTile == nil)
        writeHeadOnce(into: &bytes)
        bytes.append(0)
    }

    private mutating func writeHeadOnce(into bytes: inout [UInt8]) {
        guard !started else { return }
        started = true
        bytes.append(contentsOf: FilmStream.magic)
        var length = ByteWriter()
        length.write(UInt32(head.count))
        bytes.append(contentsOf: length.bytes)
        bytes.append(contentsOf: head)
    }
}

/// Writes the stream of a whole film, some tiles at a time.
public struct FilmStreamEncoder: Sendable {
    private let film: Film
    private var writer: FilmStreamWriter
    private var ended = false

    public init(_ film: Film) {
        self.film = film
        writer = FilmStreamWriter(workSpace: film.workSpace, extent: film.extent)
    }

    /// The stream's next bytes, holding at most `tiles` tiles; nil after the end.
    /// - Precondition: `tiles > 0`.
    public mutating func nextChunk(tiles: Int) -> [UInt8]? {
        precondition(tiles > 0)
        guard !ended else { return nil }
        var bytes: [UInt8] = []
        for _ in 0..<tiles {
            guard let index = writer.nextTile, let tile = film.tile(index) else {
                writer.writeEnd(into: &bytes)
                ended = true
                break
            }
            writer.write(tile: index, tile, into: &bytes)
        }
        return bytes
    }
}
