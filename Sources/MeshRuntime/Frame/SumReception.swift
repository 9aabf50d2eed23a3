// A sum as it comes down to one node: the streams of its stripes become one film, when all of them
// are whole and say the same.

import MeshCore
import Tracer
import WorkStealing

/// Receives the stripes of one round's sum, and passes each on.
@EventLoop
final class SumReception {
    let round: RoundID
    private let workSpace: WorkSpace
    private var assembly: FilmAssembly
    private var relays: [SumRelay?]
    private var results: [(extent: FilmExtent, ledger: IntervalSet)?]
    private var openCount: Int
    /// A stripe broke: the others are only passed on.
    private var isBroken = false
    private var watchdog: LoopTimer?
    private var lastProgress = EventLoop.now
    private let stallLimit: Duration
    /// Called once: the sum and the new ledger, or nil when it can't be had.
    private var onFinished: (@EventLoop ((sum: Film, ledger: IntervalSet)?) -> Void)?

    init(
        round: RoundID, stripes: Int, workSpace: WorkSpace,
        stallLimit: Duration = StreamBounds.stallLimit,
        onFinished: @escaping @EventLoop ((sum: Film, ledger: IntervalSet)?) -> Void
    ) {
        self.round = round
        self.workSpace = workSpace
        self.stallLimit = stallLimit * StreamBounds.sumStallsMax
        self.onFinished = onFinished
        assembly = FilmAssembly(workSpace: workSpace)
        relays = Array(repeating: nil, count: stripes)
        results = Array(repeating: nil, count: stripes)
        openCount = stripes
        watchdog = LoopTimer { [weak self] in self?.checkProgress() }
        watchdog?.start(after: self.stallLimit)
    }

    /// Takes a stripe's stream, unless there is one already or the sum is divided otherwise.
    /// - Parameter sender: opens the streams to those that the stripe is passed on to.
    func accept(
        _ stripe: TileStripe, stream: StreamConnection, sender: @EventLoop () -> SumSender
    ) {
        guard onFinished != nil, stripe.count == relays.count, relays[stripe.index] == nil else {
            return stream.abort()
        }
        lastProgress = EventLoop.now
        relays[stripe.index] = SumRelay(
            stream: stream, sender: sender(), stripe: stripe, workSpace: workSpace,
            onTiles: { [weak self] in self?.add($0) },
            onFinished: { [weak self] in self?.ended(stripe.index, $0) })
    }

    private func add(_ tiles: [FilmStreamDecoder.Tile]) {
        lastProgress = EventLoop.now
        guard !isBroken else { return }
        do {
            for tile in tiles { try assembly.add(tile: tile.index, tile.sums) }
        } catch {
            isBroken = true
        }
    }

    private func ended(
        _ stripe: Int, _ result: (extent: FilmExtent, ledger: IntervalSet)?
    ) {
        guard onFinished != nil else { return }
        lastProgress = EventLoop.now
        results[stripe] = result
        if result == nil { isBroken = true }
        openCount -= 1
        if openCount == 0 { finish() }
    }

    /// All stripes have ended.
    private func finish() {
        guard !isBroken, let first = results.first ?? nil,
            results.allSatisfy({ $0.map { $0 == first } ?? false }),
            let sum = try? assembly.finish(first.extent)
        else { return end(nil) }
        end((sum, first.ledger))
    }

    private func end(_ result: (sum: Film, ledger: IntervalSet)?) {
        guard let onFinished else { return }
        self.onFinished = nil
        watchdog?.close()
        watchdog = nil
        assembly = FilmAssembly(workSpace: workSpace)
        onFinished(result)
    }

    private func checkProgress() {
        guard EventLoop.now - lastProgress >= stallLimit else {
            watchdog?.start(at: lastProgress + stallLimit)
            return
        }
        abandon()
    }

    /// Gives up whatever is still on its way.
    func abandon() {
        for relay in relays { relay?.abandon() }
        end(nil)
    }
}
