// Reads a film's stream from pieces of any size, as they come from a connection. Nothing in the
// bytes is believed: what a stream may contain follows from the frame, which this node knows.

public import MeshCore

/// An incremental reader of the format of ``FilmStream``.
///
///     head ──► tile ──► end
///      │        │ ▲│
///      │        └─┘│
///      └──► failed ◄┘
public struct FilmStreamDecoder: Sendable {
    /// One tile of the stream.
    public struct Tile: Sendable {
        /// The tile's index in the frame.
        public let index: Int
        public let sums: PackedTile
    }

    private enum State {
        case head, tile, end
        case failed(MalformedBytes)
    }

    /// The frame whose films are accepted.
    public let workSpace: WorkSpace
    /// The tiles that the stream has.
    public let stripe: TileStripe
    /// The units in the stream; nil until its head is there.
    public private(set) var extent: FilmExtent?
    private var state = State.head
    private var demanded: [Bool] = []
    private var previous = -1
    /// Bytes that are not read yet: never more than one piece, one tile or one head.
    private var pending: [UInt8] = []

    public init(workSpace: WorkSpace, stripe: TileStripe = .whole) {
        self.workSpace = workSpace
        self.stripe = stripe
    }

    /// Whether the whole stream was read.
    public var isComplete: Bool { if case .end = state { true } else { false } }

    /// Reads a piece of the stream. The tiles that lie whole in it share its memory.
    /// - Returns: the tiles that it completes, ascending.
    /// - Throws: ``MalformedBytes`` for anything that is not a film of this frame; each later call
    ///   throws it again.
    public mutating func read(_ piece: [UInt8]) throws(MalformedBytes) -> [Tile] {
        var source = piece
        if !pending.isEmpty {
            // Moved out, so that it grows in place.
            swap(&source, &pending)
            source.append(contentsOf: pending)
            pending = []
        }
        var tiles: [Tile] = []
        var offset = 0
        do throws(MalformedBytes) {
            while try step(source, &offset, &tiles) {}
        } catch {
            state = .failed(error)
            throw error
        }
        if offset == 0 {
            pending = source
        } else if offset < source.count {
            pending = Array(source[offset...])
        }
        return tiles
    }

    /// Says that no more bytes come.
    /// - Throws: ``MalformedBytes/truncated`` when the stream is not complete.
    public mutating func finish() throws(MalformedBytes) {
        switch state {
        case .end: return
        case .failed(let error): throw error
        case .head, .tile:
            state = .failed(.truncated)
            throw .truncated
        }
    }

    /// Reads one element; false when its bytes are not all there.
    private mutating func step(
        _ source: [UInt8], _ offset: inout Int, _ tiles: inout [Tile]
    ) throws(MalformedBytes) -> Bool {
        switch state {
        case .head: return try readHead(source, &offset)
        case .tile: return try readTile(source, &offset, &tiles)
        case .end:
            guard offset == source.count else { throw .invalid("bytes after a film's end") }
            return false
        case .failed(let error): throw error
        }
    }

    private mutating func readHead(
        _ source: [UInt8], _ offset: inout Int
    ) throws(MalformedBytes) -> Bool {
        let magic = FilmStream.magic
        let seen = min(magic.count, source.count)
        guard source[..<seen].elementsEqual(magic[..<seen]) else {
            throw .invalid("start of a film's stream")
        }
        guard source.count >= magic.count + 4 else { return false }
        let length = length(source, at: magic.count)
        guard length <= FilmStream.headSizeMax(isAdaptive: workSpace.isAdaptive) else {
            throw .invalid("length of a film's head")
        }
        let end = magic.count + 4 + length
        guard source.count >= end else { return false }
        var reader = ByteReader(Array(source[(magic.count + 4)..<end]))
        let grid = workSpace.grid
        for expected in [grid.width, grid.height, grid.tileSize, workSpace.samplesPerPixel] {
            guard try reader.readVarint() == UInt64(expected) else {
                throw .invalid("film: it belongs to another frame")
            }
        }
        let extent = try readExtent(&reader)
        demanded = workSpace.touchedTiles(of: extent, in: stripe)
        self.extent = extent
        offset = end
        state = .tile
        return true
    }

    /// Reads the rest of the head: the coverage and, of an adaptive frame, what is waived.
    private func readExtent(_ reader: inout ByteReader) throws(MalformedBytes) -> FilmExtent {
        let coverage = try IntervalSet(from: &reader)
        guard coverage.upperBound <= workSpace.count else {
            throw .invalid("coverage: it leaves the frame")
        }
        var waived = IntervalSet()
        if workSpace.isAdaptive {
            guard reader.remaining > 0, try reader.readVarint() == FilmStream.adaptive else {
                throw .invalid("film: it belongs to a frame that is not adaptive")
            }
            waived = try IntervalSet(from: &reader)
            guard workSpace.canWaive(waived) else {
                throw .invalid("waived units: they are for all tiles")
            }
            guard coverage.isSuperset(of: waived) else {
                throw .invalid("waived units: they are not in the coverage")
            }
        }
        guard reader.remaining == 0 else { throw .invalid("length of a film's head") }
        return FilmExtent(coverage: coverage, waived: waived)
    }

    private mutating func readTile(
        _ source: [UInt8], _ offset: inout Int, _ tiles: inout [Tile]
    ) throws(MalformedBytes) -> Bool {
        guard let (distance, place) = try readStep(source, offset) else { return false }
        guard distance > 0 else {
            guard !demanded[(previous + 1)...].contains(true) else {
                throw .invalid("film: a tile of its coverage is missing")
            }
            offset = place
            state = .end
            return true
        }
        guard distance < demanded.count - previous else { throw .invalid("tile index") }
        let index = previous + distance
        guard demanded[index] else { throw .invalid("tile without a unit in the coverage") }
        guard !demanded[(previous + 1)..<index].contains(true) else {
            throw .invalid("film: a tile of its coverage is missing")
        }
        guard source.count - place >= 4 else { return false }
        let pixelCount = workSpace.grid.rectangle(ofTile: index).area
        let length = length(source, at: place)
        let isAdaptive = workSpace.isAdaptive
        let most = FilmTile.packedSizeMax(pixelCount: pixelCount, isAdaptive: isAdaptive)
        guard length <= most else {
            throw .invalid("length of a packed tile")
        }
        let start = place + 4
        guard source.count - start >= length else { return false }
        let packed = try PackedTile(
            checking: source[start..<(start + length)], pixelCount: pixelCount,
            isAdaptive: isAdaptive)
        tiles.append(Tile(index: index, sums: packed))
        previous = index
        offset = start + length
        return true
    }

    /// The varint at an offset, with the offset behind it; nil when it is not all there.
    private func readStep(
        _ source: [UInt8], _ offset: Int
    ) throws(MalformedBytes) -> (distance: Int, place: Int)? {
        var distance = 0
        // A tile index has at most 28 bits.
        for digit in 0..<5 {
            guard offset + digit < source.count else { return nil }
            let byte = source[offset + digit]
            distance |= Int(byte & 0x7f) << (7 * digit)
            if byte < 0x80 { return (distance, offset + digit + 1) }
        }
        throw .invalid("tile index")
    }

    /// The UInt32 at a place that is there.
    private func length(_ source: [UInt8], at place: Int) -> Int {
        (0..<4).reduce(0) { $0 | Int(source[place + $1]) << (8 * $1) }
    }
}
