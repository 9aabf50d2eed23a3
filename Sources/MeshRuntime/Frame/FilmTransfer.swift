// A whole film from one node to another: sent piece by piece as the receiver takes it, read into
// an assembly and only then a film.

import MeshCore
import MeshWire
import Tracer

/// Sends a film over one stream, and closes it.
@EventLoop
final class FilmSender {
    private var encoder: FilmStreamEncoder
    private let send: @EventLoop ([UInt8]) -> Void
    private let isWritable: @EventLoop () -> Bool
    private let onFinished: @EventLoop () -> Void
    private var isOver = false
    private var isScheduled = false

    init(
        _ film: Film, send: @escaping @EventLoop ([UInt8]) -> Void,
        isWritable: @escaping @EventLoop () -> Bool,
        onFinished: @escaping @EventLoop () -> Void
    ) {
        encoder = FilmStreamEncoder(film)
        self.send = send
        self.isWritable = isWritable
        self.onFinished = onFinished
        schedule()
    }

    /// Sends on a stream, then waits for the peer to close it.
    /// - Parameter onClosed: called when the stream has ended.
    static func answer(
        _ stream: StreamConnection, with film: Film, onClosed: @escaping @EventLoop () -> Void
    ) {
        // The stream's callbacks keep the sender alive until the stream has ended.
        let sender = FilmSender(
            film, send: { stream.send(kind: StreamKind.film, payload: $0) },
            isWritable: { stream.isWritable }, onFinished: { stream.closeAfterFlush() })
        stream.onDrained = { sender.schedule() }
        stream.onClose = { _ in
            sender.stop()
            onClosed()
        }
    }

    func stop() { isOver = true }

    /// Goes on after the receiver has taken what was queued.
    func schedule() {
        guard !isScheduled, !isOver else { return }
        isScheduled = true
        EventLoop.nextTurn { self.step() }
    }

    private func step() {
        isScheduled = false
        guard !isOver, isWritable() else { return }
        if let piece = encoder.nextChunk(tiles: 8) {
            send(piece)
            schedule()
        } else {
            isOver = true
            onFinished()
        }
    }
}

/// Fetches a whole film, from the first of several nodes that gives it.
@EventLoop
final class FilmFetch {
    private let frame: FrameID
    private let workSpace: WorkSpace
    private weak var opener: (any StreamOpener)?
    private var sources: [ParticipantID]
    private var stream: StreamConnection?
    private var watchdog: LoopTimer?
    private var onFinished: (@EventLoop (Film?, ParticipantID?) -> Void)?
    private var lastProgress = EventLoop.now
    private let stallLimit: Duration

    init(
        frame: FrameID, workSpace: WorkSpace, sources: [ParticipantID],
        opener: any StreamOpener, stallLimit: Duration = StreamBounds.stallLimit,
        onFinished: @escaping @EventLoop (Film?, ParticipantID?) -> Void
    ) {
        self.frame = frame
        self.workSpace = workSpace
        self.opener = opener
        self.sources = sources
        self.onFinished = onFinished
        self.stallLimit = stallLimit
        watchdog = LoopTimer { [weak self] in self?.checkProgress() }
        watchdog?.start(after: stallLimit)
        EventLoop.nextTurn { [weak self] in self?.tryNext() }
    }

    private func tryNext() {
        guard onFinished != nil else { return }
        stream?.abort()
        stream = nil
        guard !sources.isEmpty else {
            finish(nil, nil)
            return
        }
        let source = sources.removeFirst()
        guard let stream = opener?.open(.film(frame), to: source) else {
            tryNext()
            return
        }
        self.stream = stream
        lastProgress = EventLoop.now
        var reader = FilmReader(workSpace: workSpace)
        stream.onFrame = { [weak self] kind, payload in
            guard let self, self.stream === stream else { return }
            self.lastProgress = EventLoop.now
            guard kind == StreamKind.film else {
                self.tryNext()
                return
            }
            do {
                if let film = try reader.read(payload) { self.finish(film, source) }
            } catch {
                self.tryNext()
            }
        }
        stream.onClose = { [weak self] _ in
            guard let self, self.stream === stream else { return }
            self.tryNext()
        }
    }

    private func checkProgress() {
        if EventLoop.now - lastProgress >= stallLimit { tryNext() }
        watchdog?.start(at: lastProgress + stallLimit)
    }

    private func finish(_ film: Film?, _ source: ParticipantID?) {
        guard let onFinished else { return }
        self.onFinished = nil
        watchdog?.close()
        watchdog = nil
        stream?.onClose = nil
        stream?.closeAfterFlush()
        stream = nil
        onFinished(film, source)
    }

    func abandon() {
        onFinished = nil
        watchdog?.close()
        watchdog = nil
        stream?.abort()
        stream = nil
    }
}

/// Reads one film from the pieces of its stream.
struct FilmReader {
    private var decoder: FilmStreamDecoder
    private var assembly: FilmAssembly

    init(workSpace: WorkSpace) {
        decoder = FilmStreamDecoder(workSpace: workSpace)
        assembly = FilmAssembly(workSpace: workSpace)
    }

    /// The film once its stream is complete.
    mutating func read(_ piece: [UInt8]) throws -> Film? {
        for tile in try decoder.read(piece) { try assembly.add(tile: tile.index, tile.sums) }
        guard decoder.isComplete, let extent = decoder.extent else { return nil }
        return try assembly.finish(extent)
    }
}
