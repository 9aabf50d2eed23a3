// A committed sum on its way down the tree: a node passes every piece on to the nodes below it
// while it reads it itself.

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

/// Sends pieces of a sum to the roots of the subtrees over a list of receivers.
///
/// A receiver that is slow or gone is dropped: it fetches a whole film when it misses the sum.
@EventLoop
final class SumSender {
    private var streams: [StreamConnection] = []
    /// Called when a producer that was told to wait may go on.
    var onWritable: (@EventLoop () -> Void)?
    private var watchdog: LoopTimer?
    private var lastProgress = EventLoop.now
    private let stallLimit: Duration

    /// - Parameter receivers: split in halves; the first of each is a child and passes on to the
    ///   rest of its half.
    init(
        frame: FrameID, round: RoundID, ledger: IntervalSet, receivers: [ParticipantID],
        opener: any StreamOpener, stallLimit: Duration = StreamBounds.stallLimit
    ) {
        self.stallLimit = stallLimit
        let middle = (receivers.count + 1) / 2
        for half in [receivers[..<middle], receivers[middle...]] {
            var rest = half
            // A receiver whose address is not known must not keep the sum from its subtree.
            while let child = rest.popFirst() {
                let opening = StreamOpening.sum(
                    frame, round, ledger: ledger, receivers: Array(rest))
                guard let stream = opener.open(opening, to: child) else { continue }
                add(stream)
                break
            }
        }
        watchdog = LoopTimer { [weak self] in self?.dropStalled() }
        watchdog?.start(after: stallLimit)
    }

    private func add(_ stream: StreamConnection) {
        streams.append(stream)
        stream.onDrained = { [weak self] in
            self?.lastProgress = EventLoop.now
            self?.onWritable?()
        }
        stream.onClose = { [weak self, weak stream] _ in
            guard let self else { return }
            self.streams.removeAll { $0 === stream }
            self.onWritable?()
        }
    }

    /// Whether every receiver takes more.
    var isWritable: Bool { streams.allSatisfy(\.isWritable) }

    func send(_ piece: [UInt8]) {
        if isWritable { lastProgress = EventLoop.now }
        for stream in streams { stream.send(kind: StreamKind.film, payload: piece) }
    }

    /// Says that the sum has been sent whole.
    func finish() {
        watchdog?.close()
        watchdog = nil
        onWritable = nil
        for stream in streams {
            stream.onDrained = nil
            stream.closeAfterFlush()
        }
        streams = []
    }

    func abort() {
        let open = streams
        finish()
        for stream in open { stream.abort() }
    }

    private func dropStalled() {
        guard let watchdog else { return }
        if EventLoop.now - lastProgress >= stallLimit {
            for stream in streams where !stream.isWritable { stream.abort() }
            lastProgress = EventLoop.now
        }
        watchdog.start(after: stallLimit)
    }
}

/// Receives one sum and passes it on.
@EventLoop
final class SumRelay {
    let round: RoundID
    let ledger: IntervalSet
    private let stream: StreamConnection
    private let sender: SumSender
    private var reader: FilmReader
    private var watchdog: LoopTimer?
    private var lastProgress = EventLoop.now
    private let stallLimit: Duration
    /// Called once: the sum, or nil when the stream broke.
    private var onFinished: (@EventLoop (Film?) -> Void)?

    init(
        round: RoundID, ledger: IntervalSet, stream: StreamConnection, sender: SumSender,
        workSpace: WorkSpace, stallLimit: Duration = StreamBounds.stallLimit,
        onFinished: @escaping @EventLoop (Film?) -> Void
    ) {
        self.stallLimit = stallLimit * StreamBounds.sumStallsMax
        self.round = round
        self.ledger = ledger
        self.stream = stream
        self.sender = sender
        self.onFinished = onFinished
        reader = FilmReader(workSpace: workSpace)
        sender.onWritable = { [weak self] in
            if self?.sender.isWritable == true { self?.stream.resumeReading() }
        }
        stream.onFrame = { [weak self] kind, payload in
            if kind == StreamKind.film { self?.received(payload) }
        }
        stream.onClose = { [weak self] _ in self?.finish(nil) }
        watchdog = LoopTimer { [weak self] in self?.checkProgress() }
        watchdog?.start(after: self.stallLimit)
        stream.resumeReading()
    }

    private func checkProgress() {
        guard EventLoop.now - lastProgress >= stallLimit else {
            watchdog?.start(at: lastProgress + stallLimit)
            return
        }
        finish(nil)
    }

    private func received(_ piece: [UInt8]) {
        guard onFinished != nil else { return }
        lastProgress = EventLoop.now
        sender.send(piece)
        do {
            if let film = try reader.read(piece) { return finish(film) }
        } catch {
            finish(nil)
            return
        }
        if !sender.isWritable { stream.pauseReading() }
    }

    private func finish(_ film: Film?) {
        guard let onFinished else { return }
        self.onFinished = nil
        watchdog?.close()
        watchdog = nil
        stream.onClose = nil
        if film == nil {
            stream.abort()
            sender.abort()
        } else {
            stream.closeAfterFlush()
            sender.finish()
        }
        onFinished(film)
    }

    func abandon() { finish(nil) }
}
