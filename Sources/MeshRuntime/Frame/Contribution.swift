// One node's part in one stripe of the data phase of a round: what its children send and what it
// has itself, added tile by tile, goes to its parent, or to the root's sum. Pixels flow while they
// come.

import MeshCore
import Tracer
import WorkStealing

/// What the root does with a stripe's sum.
struct StripeSink {
    /// Called once, when it is known which units the sum will have.
    let onExtent: @EventLoop (FilmExtent) -> Void
    /// Called with each tile, ascending.
    let onTile: @EventLoop (Int, FilmTile) -> Void
    /// Called once: there are no more tiles.
    let onEnd: @EventLoop () -> Void
}

/// The data phase of one stripe of a round at one node.
///
///     waiting for heads ──► flowing ──► finished
///             └───────────────┴───────► failed
@EventLoop
final class Contribution {
    let round: RoundID
    private var merger: FilmMerger
    private var children: [ParticipantID: StreamConnection] = [:]
    /// Children whose streams wait because others are behind.
    private var paused: Set<ParticipantID> = []
    /// The stream to the parent; nil at the root.
    private let parent: (participant: ParticipantID, stream: StreamConnection)?
    private var writer: FilmStreamWriter?
    /// At the root: where the sum goes.
    private let sink: StripeSink?
    private var hasToldExtent = false
    private var bytes: [UInt8] = []
    private var isScheduled = false
    private var isOver = false
    private var hasEnded = false
    /// When the parent and each child that is not done were last heard. All of them say now and
    /// then that they are there, so that silence names the one at fault, and not somebody who
    /// waits for it.
    private var lastHeard: [ParticipantID: Instant] = [:]
    private let stallLimit: Duration
    private var lastCheck = EventLoop.now
    private var watchdog: LoopTimer?

    /// The parent has all of it. Called once.
    private let onDelivered: @EventLoop () -> Void
    /// Called once when the round can't be finished here, with the node that is the cause.
    private let onFailed: @EventLoop (ParticipantID, String) -> Void

    /// - Parameters:
    ///   - parent: an opened stream to the parent; nil at the root, which has a sink.
    ///   - stallLimit: a neighbour that is silent for this long has failed.
    init(
        round: RoundID, merger: FilmMerger,
        parent: (participant: ParticipantID, stream: StreamConnection)?,
        sink: StripeSink?, stallLimit: Duration = StreamBounds.stallLimit,
        onDelivered: @escaping @EventLoop () -> Void,
        onFailed: @escaping @EventLoop (ParticipantID, String) -> Void
    ) {
        self.round = round
        self.merger = merger
        self.parent = parent
        self.stallLimit = stallLimit
        self.sink = sink
        self.onDelivered = onDelivered
        self.onFailed = onFailed
        for child in merger.pendingChildren { lastHeard[child] = EventLoop.now }
        watchdog = LoopTimer { [weak self] in self?.checkNeighbours() }
        watchdog?.start(after: stallLimit / 4)
        if let parent { listen(to: parent.participant, on: parent.stream) }
        schedule()
    }

    private func listen(to parent: ParticipantID, on stream: StreamConnection) {
        lastHeard[parent] = EventLoop.now
        stream.onDrained = { [weak self] in self?.schedule() }
        stream.onFrame = { [weak self] kind, payload in
            guard let self, !self.isOver else { return }
            self.lastHeard[parent] = EventLoop.now
            switch kind {
            case StreamKind.received where self.hasEnded:
                self.close(isWhole: true)
                self.onDelivered()
            case StreamKind.received:
                self.fail(parent, "it confirmed what was not sent")
            case StreamKind.failed:
                self.failed(payload, saidBy: parent)
            default: break
            }
        }
        stream.onClose = { [weak self] reason in
            self?.fail(parent, "the stream to it broke: \(reason)")
        }
    }

    /// Takes over a child's stream; that of anybody else is closed.
    func accept(_ stream: StreamConnection, from child: ParticipantID) {
        guard !isOver, merger.expects(child), children[child] == nil else {
            stream.abort()
            return
        }
        children[child] = stream
        lastHeard[child] = EventLoop.now
        stream.onFrame = { [weak self] kind, payload in
            guard let self, !self.isOver else { return }
            self.lastHeard[child] = EventLoop.now
            switch kind {
            case StreamKind.film: self.received(payload, from: child)
            case StreamKind.failed: self.failed(payload, saidBy: child)
            default: break
            }
        }
        stream.onClose = { [weak self] reason in
            guard let self, !self.merger.hasAll(of: child) else { return }
            self.fail(child, "its stream broke: \(reason)")
        }
        stream.resumeReading()
    }

    private func received(_ piece: [UInt8], from child: ParticipantID) {
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
            paused.insert(child)
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
        if let sink, !hasToldExtent, let extent = merger.extent {
            hasToldExtent = true
            sink.onExtent(extent)
            if isOver { return }
        }
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
                take(index, sum)
                if isOver { return }
            }
        }
        resumeChildren()
        schedule()
    }

    private func take(_ index: Int, _ sum: FilmTile) {
        if let sink { return sink.onTile(index, sum) }
        if writer == nil { begin() }
        writer?.write(tile: index, sum, into: &bytes)
        if bytes.count >= StreamBounds.pieceBytes { flush() }
    }

    private func begin() {
        guard let extent = merger.extent else { return }
        writer = FilmStreamWriter(
            workSpace: merger.workSpace, extent: extent, stripe: merger.stripe)
    }

    private func end() {
        hasEnded = true
        if let sink {
            close(isWhole: true)
            return sink.onEnd()
        }
        if writer == nil { begin() }
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
        where paused.contains(child)
            && merger.waitingTiles(of: child) < StreamBounds.waitingTilesLow
        {
            paused.remove(child)
            lastHeard[child] = EventLoop.now
            stream.resumeReading()
        }
    }

    // MARK: - Failure

    /// Tells the neighbours that this node is there, and finds the one that is not.
    private func checkNeighbours() {
        let now = EventLoop.now
        if now - lastCheck > stallLimit / 2 {
            // It was this node that stood still: what the others sent is yet to be read.
            for neighbour in lastHeard.keys { lastHeard[neighbour] = now }
        }
        lastCheck = now
        for stream in children.values { stream.send(kind: StreamKind.alive, payload: []) }
        parent?.stream.send(kind: StreamKind.alive, payload: [])
        var suspects = merger.pendingChildren.filter { !paused.contains($0) }
        if let parent { suspects.append(parent.participant) }
        for suspect in suspects {
            guard let heard = lastHeard[suspect], now - heard >= stallLimit else { continue }
            fail(suspect, "it is silent")
            return
        }
        watchdog?.start(after: stallLimit / 4)
    }

    /// A neighbour says that the round failed, and because of whom.
    private func failed(_ payload: [UInt8], saidBy neighbour: ParticipantID) {
        var reader = ByteReader(payload)
        guard let node = try? reader.read(UInt64.self), let boot = try? reader.read(UInt64.self)
        else { return fail(neighbour, "it failed without a cause") }
        fail(ParticipantID(node: NodeID(node), boot: boot), "as \(neighbour) says")
    }

    /// Ends this node's part, and tells the neighbours because of whom.
    func fail(_ cause: ParticipantID, _ reason: String) {
        guard !isOver else { return }
        var writer = ByteWriter()
        writer.write(cause.node.rawValue)
        writer.write(cause.boot)
        // Otherwise they would take this node, whose streams end, for the cause.
        for stream in children.values {
            stream.send(kind: StreamKind.failed, payload: writer.bytes)
        }
        parent?.stream.send(kind: StreamKind.failed, payload: writer.bytes)
        close(isWhole: false)
        onFailed(cause, reason)
    }

    /// Ends this node's part, however far it is.
    func abandon() {
        guard !isOver else { return }
        let streams = Array(children.values) + [parent?.stream].compactMap(\.self)
        close(isWhole: false)
        for stream in streams { stream.abort() }
    }

    /// - Parameter isWhole: whether all has arrived at its receivers, so that the connections may
    ///   carry other streams.
    private func close(isWhole: Bool) {
        isOver = true
        watchdog?.close()
        watchdog = nil
        for stream in Array(children.values) + [parent?.stream].compactMap(\.self) {
            stream.onClose = nil
            if isWhole { stream.finish() } else { stream.closeAfterFlush() }
        }
        children = [:]
    }
}
