// The root's side of a round: the tiles of all stripes become one film, and go down the trees
// while others still come up. They count only when the round is committed: then the streams end
// with the new ledger.

import MeshCore
import MeshWire
import Tracer
import WorkStealing

/// Gathers a sum, and sends it down.
///
///     waiting for extents ────all equal──► flowing ──all tiles──► whole ──► released
///              └──────────────────────────────┴──────────────────────┴────► abandoned
@EventLoop
final class SumGathering {
    let round: RoundID
    private let workSpace: WorkSpace
    private var assembly: FilmAssembly
    private var extents: [FilmExtent?]
    private var endedCount = 0
    /// The sum, once it is whole.
    private(set) var film: Film?
    private(set) var isReleased = false
    private var broadcasts: [SumBroadcast] = []
    private var sendingCount = 0

    /// Opens the streams of a stripe to the first of its receivers.
    private let open: @EventLoop (TileStripe) -> SumSender
    /// Called once: the sum is whole.
    var onGathered: (@EventLoop (Film) -> Void)?
    /// Called when the stripes don't fit together: this node's own mistake, or somebody's lie.
    var onFailed: (@EventLoop (String) -> Void)?
    /// Called once: the sum has been released and sent.
    var onSent: (@EventLoop () -> Void)?

    init(
        round: RoundID, workSpace: WorkSpace, stripes: Int,
        open: @escaping @EventLoop (TileStripe) -> SumSender
    ) {
        self.round = round
        self.workSpace = workSpace
        self.open = open
        assembly = FilmAssembly(workSpace: workSpace)
        extents = Array(repeating: nil, count: stripes)
    }

    /// Where a stripe's sum goes.
    func sink(of stripe: TileStripe) -> StripeSink {
        StripeSink(
            onExtent: { [weak self] in self?.learn($0, of: stripe) },
            onTile: { [weak self] in self?.add($1, at: $0, stripe) },
            onEnd: { [weak self] in self?.end(stripe) })
    }

    private func learn(_ extent: FilmExtent, of stripe: TileStripe) {
        extents[stripe.index] = extent
        let known = extents.compactMap(\.self)
        guard known.count == extents.count else { return }
        guard known.allSatisfy({ $0 == extent }) else {
            onFailed?("its stripes are of different units")
            return
        }
        sendingCount = extents.count
        broadcasts = TileStripe.all(extents.count).map { stripe in
            SumBroadcast(
                workSpace: workSpace, extent: extent, stripe: stripe, sender: open(stripe),
                tile: { [weak self] in self?.tile($0) },
                onFinished: { [weak self] in self?.sent() })
        }
        for broadcast in broadcasts { broadcast.schedule() }
    }

    private func tile(_ index: Int) -> FilmTile? { film?.tile(index) ?? assembly.tile(index) }

    private func add(_ tile: FilmTile, at index: Int, _ stripe: TileStripe) {
        do {
            try assembly.add(tile: index, tile)
        } catch {
            onFailed?("\(error)")
            return
        }
        if broadcasts.indices.contains(stripe.index) { broadcasts[stripe.index].schedule() }
    }

    private func end(_ stripe: TileStripe) {
        endedCount += 1
        guard endedCount == extents.count, let extent = extents.first ?? nil else { return }
        do {
            let whole = try assembly.finish(extent)
            assembly = FilmAssembly(workSpace: workSpace)
            film = whole
            for broadcast in broadcasts { broadcast.schedule() }
            onGathered?(whole)
        } catch {
            onFailed?("\(error)")
        }
    }

    /// The sum counts from now on.
    func release(ledger: IntervalSet) {
        isReleased = true
        for broadcast in broadcasts { broadcast.release(ledger) }
    }

    private func sent() {
        sendingCount -= 1
        if sendingCount == 0 { onSent?() }
    }

    /// The sum never counts.
    func abandon() {
        onGathered = nil
        onFailed = nil
        onSent = nil
        for broadcast in broadcasts { broadcast.abandon() }
        broadcasts = []
    }
}

/// The root's sending of one stripe of a sum: each tile when it is there, the end when it is
/// released.
@EventLoop
final class SumBroadcast {
    private let sender: SumSender
    private var writer: FilmStreamWriter
    private let tile: @EventLoop (Int) -> FilmTile?
    private let onFinished: @EventLoop () -> Void
    private var ledger: IntervalSet?
    private var hasEnded = false
    private var isOver = false
    private var isScheduled = false

    /// - Parameter tile: the sum of a tile; nil while it is not whole.
    init(
        workSpace: WorkSpace, extent: FilmExtent, stripe: TileStripe, sender: SumSender,
        tile: @escaping @EventLoop (Int) -> FilmTile?,
        onFinished: @escaping @EventLoop () -> Void
    ) {
        self.sender = sender
        self.tile = tile
        self.onFinished = onFinished
        writer = FilmStreamWriter(workSpace: workSpace, extent: extent, stripe: stripe)
        sender.onWritable = { [weak self] in self?.schedule() }
    }

    /// Goes on when there is a new tile, or the receivers take more.
    func schedule() {
        guard !isScheduled, !isOver else { return }
        isScheduled = true
        EventLoop.nextTurn { [weak self] in self?.step() }
    }

    func release(_ ledger: IntervalSet) {
        self.ledger = ledger
        schedule()
    }

    private func step() {
        isScheduled = false
        guard !isOver, sender.isWritable else { return }
        var bytes: [UInt8] = []
        var isBehind = false
        for _ in 0..<8 where !hasEnded {
            guard let index = writer.nextTile else {
                writer.writeEnd(into: &bytes)
                hasEnded = true
                break
            }
            guard let sums = tile(index) else { break }
            writer.write(tile: index, sums, into: &bytes)
            isBehind = true
        }
        if !bytes.isEmpty { sender.send(kind: StreamKind.film, bytes) }
        guard hasEnded, let ledger else {
            if isBehind { schedule() }
            return
        }
        isOver = true
        var writer = ByteWriter()
        ledger.write(to: &writer)
        sender.send(kind: StreamKind.release, writer.bytes)
        sender.finish()
        onFinished()
    }

    func abandon() {
        isOver = true
        sender.abort()
    }
}
