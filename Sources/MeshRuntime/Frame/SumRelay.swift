// A sum on its way down the trees of its stripes: a node passes every piece on to the nodes below
// it while it reads it itself.

import MeshCore
import MeshWire
import Tracer
import WorkStealing

/// Opens streams to other nodes; what a frame's driver needs of the node it belongs to.
@EventLoop
protocol StreamOpener: AnyObject {
    /// An opened stream; nil when the participant's address is not known.
    func open(_ opening: StreamOpening, to participant: ParticipantID) -> StreamConnection?
}

/// Sends pieces of one stripe of a sum to the first node of each branch of its tree.
///
/// A receiver that cannot be reached gives its place to the next of its branch. One that is slow or
/// goes away later is dropped, with its branch: they fetch a whole film when they miss the sum.
@EventLoop
final class SumSender {
    /// The streams to one branch.
    private final class Branch {
        /// Those below the present receiver.
        var rest: ArraySlice<ParticipantID>
        var stream: StreamConnection?
        /// Whether the receiver has answered.
        var isReady = false
        /// What was sent before that, for the next receiver if this one does not.
        var held: [(kind: UInt8, payload: [UInt8])] = []
        var heldBytes = 0

        init(_ nodes: [ParticipantID]) { rest = nodes[...] }
    }

    private let frame: FrameID
    private let round: RoundID
    private let stripe: TileStripe
    private weak var opener: (any StreamOpener)?
    private var branches: [Branch] = []
    /// Called when a producer that was told to wait may go on.
    var onWritable: (@EventLoop () -> Void)?
    private var watchdog: LoopTimer?
    private var lastProgress = EventLoop.now
    private let stallLimit: Duration
    /// All has been sent; what waits for a connection is still held.
    private var isFinished = false

    /// - Parameter branches: of the stripe's tree below this node, as ``ReduceTree/branches``.
    init(
        frame: FrameID, round: RoundID, stripe: TileStripe, branches: [[ParticipantID]],
        opener: any StreamOpener, stallLimit: Duration = StreamBounds.stallLimit
    ) {
        self.frame = frame
        self.round = round
        self.stripe = stripe
        self.opener = opener
        self.stallLimit = stallLimit
        self.branches = branches.map(Branch.init)
        for branch in self.branches { connect(branch) }
        self.branches.removeAll { $0.stream == nil }
        watchdog = LoopTimer { [weak self] in self?.dropStalled() }
        watchdog?.start(after: stallLimit)
    }

    /// Opens a stream to the next of a branch whose address is known.
    private func connect(_ branch: Branch) {
        branch.stream = nil
        while let child = branch.rest.popFirst() {
            let opening = StreamOpening.sum(frame, round, stripe, receivers: Array(branch.rest))
            guard let stream = opener?.open(opening, to: child) else { continue }
            stream.sendBufferBytes = StreamBounds.treeBufferBytes
            branch.stream = stream
            stream.onReady = { [weak self, weak branch] _ in
                guard let branch else { return }
                branch.isReady = true
                branch.held = []
                branch.heldBytes = 0
                self?.progressed()
                if self?.isFinished == true { self?.closeIfReady() }
            }
            stream.onDrained = { [weak self] in self?.progressed() }
            stream.onClose = { [weak self, weak branch] _ in
                guard let self, let branch else { return }
                self.closed(branch)
            }
            for (kind, payload) in branch.held { stream.send(kind: kind, payload: payload) }
            return
        }
    }

    private func closed(_ branch: Branch) {
        if branch.isReady { branch.stream = nil } else { connect(branch) }
        branches.removeAll { $0.stream == nil }
        progressed()
    }

    private func progressed() {
        lastProgress = EventLoop.now
        onWritable?()
    }

    /// Whether every receiver takes more.
    var isWritable: Bool { branches.allSatisfy(isWritable) }

    private func isWritable(_ branch: Branch) -> Bool {
        branch.isReady
            ? branch.stream?.isWritable ?? true : branch.heldBytes < StreamBounds.heldBytesMax
    }

    func send(kind: UInt8, _ payload: [UInt8]) {
        if isWritable { lastProgress = EventLoop.now }
        for branch in branches {
            if !branch.isReady {
                branch.held.append((kind, payload))
                branch.heldBytes += payload.count
            }
            branch.stream?.send(kind: kind, payload: payload)
        }
    }

    /// Says that the sum has been sent whole.
    func finish() {
        onWritable = nil
        isFinished = true
        closeIfReady()
    }

    /// After the end: lets the streams go whose receivers have answered.
    private func closeIfReady() {
        for branch in branches where branch.isReady { release(branch.stream) }
        branches.removeAll(where: \.isReady)
        // The timer keeps this sender alive for the others.
        watchdog?.close()
        watchdog = branches.isEmpty ? nil : LoopTimer { self.dropStalled() }
        watchdog?.start(after: stallLimit)
    }

    private func release(_ stream: StreamConnection?) {
        stream?.onReady = nil
        stream?.onDrained = nil
        stream?.onClose = nil
        stream?.finish()
    }

    func abort() {
        onWritable = nil
        isFinished = true
        watchdog?.close()
        watchdog = nil
        for branch in branches {
            branch.stream?.onClose = nil
            branch.stream?.abort()
        }
        branches = []
    }

    private func dropStalled() {
        guard let watchdog else { return }
        if EventLoop.now - lastProgress >= stallLimit {
            let stalled = branches.filter { isFinished || !isWritable($0) }
            lastProgress = EventLoop.now
            for branch in stalled { branch.stream?.abort() }
        }
        guard !isFinished || !branches.isEmpty else {
            watchdog.close()
            self.watchdog = nil
            return
        }
        watchdog.start(after: stallLimit)
    }
}

/// Receives one stripe of a sum and passes it on.
@EventLoop
final class SumRelay {
    private let stream: StreamConnection
    private let sender: SumSender
    private var decoder: FilmStreamDecoder
    private var isOver = false
    /// Called with the tiles of each piece.
    private let onTiles: @EventLoop ([FilmStreamDecoder.Tile]) -> Void
    /// Called once: what the stripe covers and the ledger after it, or nil when the stream broke.
    private let onFinished: @EventLoop ((extent: FilmExtent, ledger: IntervalSet)?) -> Void

    init(
        stream: StreamConnection, sender: SumSender, stripe: TileStripe, workSpace: WorkSpace,
        onTiles: @escaping @EventLoop ([FilmStreamDecoder.Tile]) -> Void,
        onFinished: @escaping @EventLoop ((extent: FilmExtent, ledger: IntervalSet)?) -> Void
    ) {
        self.stream = stream
        self.sender = sender
        self.onTiles = onTiles
        self.onFinished = onFinished
        decoder = FilmStreamDecoder(workSpace: workSpace, stripe: stripe)
        sender.onWritable = { [weak self] in
            if self?.sender.isWritable == true { self?.stream.resumeReading() }
        }
        stream.onFrame = { [weak self] kind, payload in self?.received(kind, payload) }
        stream.onClose = { [weak self] _ in self?.finish(nil) }
        stream.resumeReading()
    }

    private func received(_ kind: UInt8, _ payload: [UInt8]) {
        guard !isOver else { return }
        switch kind {
        case StreamKind.film:
            sender.send(kind: kind, payload)
            do {
                onTiles(try decoder.read(payload))
            } catch {
                return finish(nil)
            }
        case StreamKind.release:
            sender.send(kind: kind, payload)
            var reader = ByteReader(payload)
            guard decoder.isComplete, let extent = decoder.extent,
                let ledger = try? IntervalSet(from: &reader), reader.remaining == 0
            else { return finish(nil) }
            return finish((extent, ledger))
        default: break
        }
        if !isOver, !sender.isWritable { stream.pauseReading() }
    }

    private func finish(_ result: (extent: FilmExtent, ledger: IntervalSet)?) {
        guard !isOver else { return }
        isOver = true
        stream.onClose = nil
        if result == nil {
            stream.abort()
            sender.abort()
        } else {
            stream.finish()
            sender.finish()
        }
        onFinished(result)
    }

    func abandon() { finish(nil) }
}
