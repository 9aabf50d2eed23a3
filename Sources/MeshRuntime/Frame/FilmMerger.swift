// The inner node of a reduce tree: own sealed partials and the streams of the children become one
// stream, tile by tile, while it still comes in. Sans-I/O.

import MeshCore
import Tracer

/// Why a child's stream can't be used.
struct MergeFailure: Error, CustomStringConvertible {
    /// Whose stream it is.
    let cause: ParticipantID
    let description: String
}

/// Adds films that are partly here and partly on their way.
///
/// The own films are only read: a sealed partial stays what it is until it is committed.
struct FilmMerger {
    private struct Child {
        let participant: ParticipantID
        var decoder: FilmStreamDecoder
        /// Tiles that have come and are not added yet, ascending.
        var tiles: [FilmStreamDecoder.Tile] = []
        var next = 0
        var hasEnded: Bool { decoder.isComplete }
        var waiting: Int { tiles.count - next }
        /// The index in the frame of the next tile that waits.
        var nextIndex: Int? { waiting > 0 ? tiles[next].index : nil }

        /// The tile that was merged last is let go; the array is cut now and then, so that a
        /// child that is always ahead does not pile up what is done with.
        mutating func takeNext() -> PackedTile {
            let sums = tiles[next].sums
            next += 1
            if next == tiles.count || next >= 64 {
                tiles.removeFirst(next)
                next = 0
            }
            return sums
        }
    }

    enum Step {
        /// The sum of the next tile that any source has.
        case tile(Int, FilmTile)
        /// A child's next tile is not here yet.
        case blocked
        case end
    }

    let workSpace: WorkSpace
    /// The tiles that are merged.
    let stripe: TileStripe
    private let own: [Film]
    private var children: [Child]
    private var cursor = 0
    /// The units of all sources, once every child has said which it brings.
    private(set) var extent: FilmExtent?

    /// - Throws: ``MergeFailure`` naming `identity` when the own films overlap.
    init(
        workSpace: WorkSpace, stripe: TileStripe = .whole, own: [Film],
        children: [ParticipantID], identity: ParticipantID
    ) throws(MergeFailure) {
        self.workSpace = workSpace
        self.stripe = stripe
        self.own = own
        self.children = children.map {
            Child(
                participant: $0,
                decoder: FilmStreamDecoder(workSpace: workSpace, stripe: stripe))
        }
        try unite(identity: identity)
    }

    /// The children whose streams are not complete.
    var pendingChildren: [ParticipantID] {
        children.filter { !$0.hasEnded }.map(\.participant)
    }

    /// Whether a node is one of the children.
    func expects(_ participant: ParticipantID) -> Bool {
        children.contains { $0.participant == participant }
    }

    /// Tiles of a child that wait for the others': its stream should pause above some number.
    func waitingTiles(of participant: ParticipantID) -> Int {
        children.first { $0.participant == participant }?.waiting ?? 0
    }

    /// Whether a child's stream has arrived to its end.
    func hasAll(of participant: ParticipantID) -> Bool {
        children.first { $0.participant == participant }?.hasEnded ?? false
    }

    /// Takes a piece of a child's stream.
    mutating func receive(
        _ piece: [UInt8], from participant: ParticipantID
    ) throws(MergeFailure) {
        guard let index = children.firstIndex(where: { $0.participant == participant }) else {
            return
        }
        do {
            children[index].tiles += try children[index].decoder.read(piece)
        } catch {
            throw MergeFailure(cause: participant, description: "\(error)")
        }
        if extent == nil { try unite(identity: participant) }
    }

    /// The sum of the next tile.
    mutating func next() -> Step {
        guard extent != nil else { return .blocked }
        while cursor < workSpace.grid.count {
            guard stripe.contains(tile: cursor) else {
                cursor += 1
                continue
            }
            if children.contains(where: { $0.waiting == 0 && !$0.hasEnded }) { return .blocked }
            var sum: FilmTile?
            // Own tiles are shared: adding to one in its place would copy it first.
            var isShared = true
            for film in own {
                guard let tile = film.tile(cursor) else { continue }
                if sum?.add(tile) == nil { sum = tile }
            }
            for index in children.indices {
                guard children[index].nextIndex == cursor else { continue }
                let tile = children[index].takeNext()
                if isShared {
                    sum = tile.unpacked(addedTo: sum)
                    isShared = false
                } else {
                    sum?.add(tile)
                }
            }
            cursor += 1
            if let sum { return .tile(cursor - 1, sum) }
        }
        return children.allSatisfy(\.hasEnded) ? .end : .blocked
    }

    /// Unites the extents once all are known; they must not share a unit.
    private mutating func unite(identity: ParticipantID) throws(MergeFailure) {
        var union = FilmExtent()
        for film in own {
            guard union.isDisjoint(with: film.extent) else {
                throw MergeFailure(cause: identity, description: "own partial films overlap")
            }
            union.formUnion(film.extent)
        }
        for child in children {
            guard let extent = child.decoder.extent else { return }
            guard union.isDisjoint(with: extent) else {
                throw MergeFailure(
                    cause: child.participant, description: "its units are in another film too")
            }
            union.formUnion(extent)
        }
        extent = union
    }
}
