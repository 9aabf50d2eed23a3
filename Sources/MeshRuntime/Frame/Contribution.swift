// One node's part in the data phase of a round: what its children send and what it has itself,
// added tile by tile, goes to its parent, or into the root's buffer. Pixels flow while they come.

import MeshCore
import Tracer
import WorkStealing

/// The data phase of one round at one node.
///
///     waiting for heads ──► flowing ──► finished
///             └───────────────┴───────► failed
@EventLoop
final class Contribution {
    let round: RoundID
    private var merger: FilmMerger
    private var children: [ParticipantID: StreamConnection] = [:]
    /// The stream to the parent; nil at the root.
    private let parent: (participant: ParticipantID, stream: StreamConnection)?
    private var writer: FilmStreamWriter?
    private var assembly: FilmAssembly
    private var bytes: [UInt8] = []
    private var isScheduled = false
    private var isOver = false
    private var hasEnded = false
    private var lastProgress = EventLoop.now
    private var watchdog: LoopTimer?

    /// At the root: the sum of all films. Called once.
    private let onGathered: @EventLoop (Film) -> Void
    /// Called once when the round can't be finished here, with the node that is the cause.
    private let onFailed: @EventLoop (ParticipantID, String) -> Void

    /// - Parameter parent: an opened stream to the parent; nil at the root.
    init(
        round: RoundID, merger: FilmMerger,
        parent: (participant: ParticipantID, stream: StreamConnection)?,
        onGathered: @escaping @EventLoop (Film) -> Void,
        onFailed: @escaping @EventLoop (ParticipantID, String) -> Void
    ) {
        self.round = round
        self.merger = merger
        self.parent = parent
        self.onGathered = onGathered
        self.onFailed = onFailed
        assembly = FilmAssembly(workSpace: merger.workSpace)
        watchdog = LoopTimer { [weak self] in self?.checkProgress() }
        watchdog?.start(after: StreamBounds.stallLimit)
        if let parent {
            parent.stream.onDrained = { [weak self] in self?.schedule() }
            parent.stream.onFrame = { [weak self] kind, _ in
                // The parent has all of it: the stream has done its work.
                if kind == StreamKind.received { self?.finish() }
            }
            parent.stream.onClose = { [weak self] reason in
                self?.fail(parent.participant, "the stream to it broke: \(reason)")
            }
        }
        schedule()
    }

    /// Takes over a child's stream.
    func accept(_ stream: StreamConnection, from child: ParticipantID) {
        guard !isOver, children[child] == nil else {
            stream.abort()
            return
        }
        children[child] = stream
        stream.onFrame = { [weak self] kind, payload in
            guard kind == StreamKind.film else { return }
            self?.received(payload, from: child)
        }
        stream.onClose = { [weak self] reason in
            guard let self, !self.merger.hasAll(of: child) else { return }
            self.fail(child, "its stream broke: \(reason)")
        }
        stream.resumeReading()
    }

    private func received(_ piece: [UInt8], from child: ParticipantID) {
        guard !isOver else { return }
        lastProgress = EventLoop.now
        do {
            try merger.receive(piece, from: child)
        } catch {
            fail(error.cause, error.description)
            return
        }
        if merger.hasAll(of: child) {
            children[child]?.send(kind: StreamKind.received, payload: [])
        } else if merger.waitingTiles(of: child) > StreamBounds.waitingTilesHigh {
            children[child]?.pauseReading()
        }
        schedule()
    }

    private func schedule() {
        guard !isScheduled, !isOver else { return }
        isScheduled = true
        EventLoop.nextTurn { [weak self] in self?.flow() }
    }

    /// Moves some tiles on.
    private func flow() {
        isScheduled = false
        guard !isOver, !hasEnded else { return }
        for _ in 0..<StreamBounds.tilesPerTurn {
            if let parent, !parent.stream.isWritable { return }
            switch merger.next() {
            case .blocked:
                resumeChildren()
                flush()
                return
            case .end:
                end()
                return
            case .tile(let index, let sum):
                lastProgress = EventLoop.now
                take(index, sum)
                if isOver { return }
            }
        }
        resumeChildren()
        schedule()
    }

    private func take(_ index: Int, _ sum: FilmTile) {
        guard parent != nil else {
            do {
                try assembly.add(tile: index, sum)
            } catch {
                fail(round.term.root, "\(error)")
            }
            return
        }
        if writer == nil, let coverage = merger.coverage {
            writer = FilmStreamWriter(workSpace: merger.workSpace, coverage: coverage)
        }
        writer?.write(tile: index, sum, into: &bytes)
        if bytes.count >= StreamBounds.pieceBytes { flush() }
    }

    private func end() {
        guard let coverage = merger.coverage else { return }
        hasEnded = true
        guard parent != nil else {
            do {
                let film = try assembly.finish(coverage: coverage)
                finish()
                onGathered(film)
            } catch {
                fail(round.term.root, "\(error)")
            }
            return
        }
        if writer == nil {
            writer = FilmStreamWriter(workSpace: merger.workSpace, coverage: coverage)
        }
        writer?.writeEnd(into: &bytes)
        flush()
    }

    private func flush() {
        guard !bytes.isEmpty, let parent else { return }
        parent.stream.send(kind: StreamKind.film, payload: bytes)
        bytes.removeAll(keepingCapacity: true)
    }

    private func resumeChildren() {
        for (child, stream) in children
        where merger.waitingTiles(of: child) < StreamBounds.waitingTilesLow {
            stream.resumeReading()
        }
    }

    private func checkProgress() {
        let silence = EventLoop.now - lastProgress
        guard silence >= StreamBounds.stallLimit else {
            watchdog?.start(after: StreamBounds.stallLimit - silence)
            return
        }
        let cause = merger.pendingChild ?? parent?.participant ?? round.term.root
        fail(cause, "nothing came for \(silence.seconds) s")
    }

    private func fail(_ cause: ParticipantID, _ reason: String) {
        guard !isOver else { return }
        finish()
        onFailed(cause, reason)
    }

    /// Ends this node's part, however far it is.
    func abandon() { finish() }

    private func finish() {
        isOver = true
        watchdog?.close()
        watchdog = nil
        for stream in children.values { stream.closeAfterFlush() }
        children = [:]
        parent?.stream.onClose = nil
        if hasEnded { parent?.stream.closeAfterFlush() } else { parent?.stream.abort() }
    }
}
