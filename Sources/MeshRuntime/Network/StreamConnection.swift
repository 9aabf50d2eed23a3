// A stream of frames to one peer, over TCP or a Unix-domain socket.
//
//     connecting ──► greeting ──► ready ──► lingering ──► closed
//          │            │           ├──► parting ──┬────────▲   and its connection goes on
//          └────────────┴───────────┴──────────────┴────────▲
//
// greeting: over TCP the TLS handshake (StreamConnection+Sealing.swift); then both sides send their
// preamble at once and wait for the other's.
// parting: both ends say that the stream is over; then the connection carries another one
// (StreamConnection+Succession.swift).
// lingering: the queue is flushed, our direction is shut, input is read and thrown away until the
// peer closes too: closing at once with input unread would reset the connection and could take
// the last frames, such as the reason of a refusal, away from the peer.

import CLibuv
public import MeshCore
import MeshSecurity

/// A connection that carries frames, with bounded queues both ways.
///
/// Set the callbacks in the turn in which the connection was made; nothing comes before. After
/// `onClose`, which always comes exactly once, nothing comes any more. The loop keeps the
/// connection alive until then.
@EventLoop
public final class StreamConnection {
    /// The peer's address; nil over a Unix-domain socket.
    public internal(set) var remoteAddress: NodeAddress?
    /// What the peer said of itself; nil until the stream is ready.
    public internal(set) var peerPreamble: StreamPreamble?
    /// The node that the peer has proven to be; nil until the stream is ready, and without proof.
    public internal(set) var peerNode: NodeID?
    public private(set) var counters = StreamCounters()

    /// Called once, when both preambles fit. Frames may be sent before already.
    public var onReady: (@EventLoop (StreamPreamble) -> Void)?
    /// Called with each frame: its kind and payload.
    public var onFrame: (@EventLoop (UInt8, [UInt8]) -> Void)?
    /// Called when the queue has fallen to the low mark after having been above the high one.
    public var onDrained: (@EventLoop () -> Void)?
    /// Called when the stream has ended.
    public var onClose: (@EventLoop (StreamCloseReason) -> Void)?
    /// How much of what is sent the system may hold, bytes, if it should not decide by itself; set
    /// before the connection is there.
    var sendBufferBytes: Int32?
    /// Called now and then while much is sent over TCP with the rate, bytes per second, at which
    /// the network takes it; not when it waits for something to send.
    var onDeliveryRate: (@EventLoop (Double) -> Void)?
    /// The node's ear, called before `onClose`.
    var onEnded: (@EventLoop (StreamCloseReason) -> Void)?
    /// The listener's, called when the connection is over, with all its streams.
    var onDisconnected: (@EventLoop (StreamCloseReason) -> Void)?
    /// Called once when a connection that was kept is used again, or is over.
    var onAwakened: (@EventLoop () -> Void)?

    enum State: Equatable {
        case connecting
        case greeting
        case ready
        /// Waiting for the peer's word that the stream is over, or, after it, for ours to be sent.
        case parting(StreamCloseReason, isPeerDone: Bool)
        /// Flushing; then waiting for the peer's end, to be closed for this reason.
        case lingering(StreamCloseReason, isShut: Bool)
        case closed(StreamCloseReason)
    }

    var state = State.connecting
    /// TLS, but for sockets of this machine.
    let session: TLSSession?
    /// Ciphertext that goes before anything else: of handshakes and alerts.
    var replies: [UInt8] = []
    let preamble: StreamPreamble
    /// By what this end proves which node it is.
    let nodeKey: NodeKey?
    /// Who must be at the other end.
    var expectedNode: NodeID?
    let limits: StreamLimits
    var handle: LoopHandle?
    var watchdog: LoopTimer?
    var lastActivity = EventLoop.now

    /// What it is that this stream's connection was and will be besides.
    var succession = StreamSuccession()

    var decoder = FrameDecoder(payloadBytesMax: StreamPreamble.byteCountMax)
    var isPaused = false
    /// Received but not decoded when reading was paused; at most one receive buffer.
    var leftover: [UInt8] = []

    var output = OutputQueue()
    private(set) var isWriting = false
    private var isBlocked = false
    var isFarewellSaid = false
    /// Whether `closeAfterFlush` was called before the peer had proven who it is: what waits goes to
    /// it then, or the stream ends with the reason why not.
    var closesWhenReady = false

    init(
        preamble: StreamPreamble, session: TLSSession?, nodeKey: NodeKey? = nil,
        limits: StreamLimits
    ) {
        self.session = session
        self.nodeKey = nodeKey
        precondition(limits.queuedBytesLow <= limits.queuedBytesHigh)
        precondition(limits.queuedBytesHigh <= limits.queuedBytesMax)
        precondition(limits.payloadBytesMax < limits.queuedBytesMax)
        self.preamble = preamble
        self.limits = limits
    }

    // MARK: - Sending

    /// Bytes that wait to be given to the system.
    public var queuedBytes: Int {
        guard let handle else { return output.byteCount }
        return output.byteCount
            + uv_stream_get_write_queue_size(handle.pointer(to: uv_stream_t.self))
    }

    /// Whether a producer may go on: the stream lives, and its queue has not risen above the high
    /// mark since it was last below the low one.
    public var isWritable: Bool { !isBlocked && isOpen }

    /// Whether frames are still taken.
    public var isOpen: Bool {
        guard !closesWhenReady else { return false }
        return switch state {
        case .connecting, .greeting, .ready: true
        case .parting, .lingering, .closed: false
        }
    }

    /// Whether what the peer sends is looked at.
    var isListening: Bool {
        switch state {
        case .parting(_, let isPeerDone): !isPeerDone
        case .greeting: true
        default: isOpen
        }
    }

    /// Queues a frame.
    /// - Parameter kind: the frame's kind, not zero.
    /// - Parameter payload: at most `payloadBytesMax` bytes; copied or sealed once.
    /// - Returns: whether the frame was taken; not when the stream is closing.
    @discardableResult
    public func send(kind: UInt8, payload: [UInt8]) -> Bool {
        precondition(kind != StreamPreamble.frameKind, "kind 0 is the preamble's")
        precondition(payload.count <= limits.payloadBytesMax, "a frame above the limit")
        guard isOpen else { return false }
        guard queuedBytes + payload.count <= limits.queuedBytesMax else {
            end(.queueFull)
            return false
        }
        guard enqueue(kind: kind, payload: payload) else { return false }
        counters.framesSent += 1
        flush()
        if queuedBytes > limits.queuedBytesHigh { isBlocked = true }
        return true
    }

    /// Starts the next write unless one is in progress, which will start it.
    func flush() {
        // Until the peer's machine has answered, and the preamble has gone ahead, frames wait.
        guard !isWriting, let handle, state != .connecting, let blocks = nextWrite() else { return }
        let request = WriteRequest(blocks)
        isWriting = true
        let code = request.start(handle.pointer(to: uv_stream_t.self), streamWritten)
        if code < 0 { end(.failed(NetworkError(code: code, operation: "send"))) }
    }

    fileprivate func written(_ byteCount: Int, status: Int32) {
        isWriting = false
        guard status >= 0 else {
            end(.failed(NetworkError(code: status, operation: "send")))
            return
        }
        counters.bytesSent += byteCount
        lastActivity = EventLoop.now
        measureDelivery(written: byteCount)
        flush()
        if case .lingering(let reason, isShut: false) = state {
            shutDown(reason)
        } else if case .parting = state {
            handOver()
        } else if isBlocked, queuedBytes <= limits.queuedBytesLow {
            isBlocked = false
            onDrained?()
        }
    }

    // MARK: - Receiving

    /// Stops the delivery of frames, and soon, by TCP's flow control, the peer's sending.
    public func pauseReading() {
        guard isOpen, !isPaused else { return }
        isPaused = true
        if let handle { uv_read_stop(handle.pointer(to: uv_stream_t.self)) }
    }

    /// Delivers frames again, from the next turn on.
    public func resumeReading() {
        guard isOpen, isPaused else { return }
        listen()
    }

    func decodeLeftover() {
        guard isListening, !isPaused, !leftover.isEmpty else { return }
        let bytes = leftover
        leftover = []
        bytes.withUnsafeBytes { decode($0) }
        if !isPaused, isListening { startReading() }
    }

    func startReading() {
        guard let handle else { return }
        let stream = handle.pointer(to: uv_stream_t.self)
        let code = uv_read_start(stream, provideReadBuffer, streamRead)
        if code < 0, code != UV_EALREADY.rawValue {
            end(.failed(NetworkError(code: code, operation: "receive")))
        }
    }

    fileprivate func received(_ count: Int, _ bytes: UnsafeRawPointer?) {
        if count == UV_EOF.rawValue {
            let cause = isShakingHands ? StreamCloseReason.closedInHandshake : .closedByPeer
            end(reasonOfClosing ?? cause)
        } else if count < 0 {
            let error = NetworkError(code: Int32(clamping: count), operation: "receive")
            end(reasonOfClosing ?? .failed(error))
        } else if count > 0 {
            counters.bytesReceived += count
            // What a stream receives that is over here counts for nothing, its patience included.
            guard isListening else { return }
            if reasonOfClosing == nil { lastActivity = EventLoop.now }
            let input = UnsafeRawBufferPointer(start: bytes, count: count)
            if let session { open(input, with: session) } else { decode(input) }
        }
    }

    /// Delivers the frames in `bytes`; what a pause leaves over is kept.
    func decode(_ bytes: UnsafeRawBufferPointer) {
        var input = bytes
        do throws(FrameError) {
            while !isPaused, isListening, let frame = try decoder.next(from: &input) {
                try accept(frame)
            }
            if isPaused && isOpen || isHandingOver { leftover = Array(input) }
        } catch {
            end(.garbage(error))
        }
    }

    private func accept(_ frame: StreamFrame) throws(FrameError) {
        if let peerPreamble {
            if frame.kind == StreamPreamble.frameKind { throw .preambleRepeated }
            if try isOfSuccession(frame, peerPreamble) { return }
            counters.framesReceived += 1
            onFrame?(frame.kind, frame.payload)
            return
        }
        let theirs = try StreamPreamble(frame: frame)
        do {
            try preamble.match(theirs)
        } catch {
            // Our own preamble, from which the peer sees the same mismatch, must arrive.
            linger(.incompatible(error))
            return
        }
        do throws(TLSError) {
            peerNode = try node(provenBy: theirs)
        } catch {
            end(.untrusted(error))
            return
        }
        peerPreamble = theirs
        decoder.payloadBytesMax = limits.payloadBytesMax
        becomeReady(theirs)
    }

    /// The peer has answered.
    func becomeReady(_ theirs: StreamPreamble) {
        state = .ready
        watch()
        onReady?(theirs)
        if closesWhenReady, state == .ready { linger(.closedHere) }
    }

    // MARK: - Opening

    /// Begins to use a handle that is being connected.
    func attach(_ handle: LoopHandle) {
        self.handle = handle
        watchdog = LoopTimer { [weak self] in self?.timerFired() }
        watch()
    }

    /// Introduces this side and listens to the other's introduction.
    func opened(isTCP: Bool) {
        guard state == .connecting, let handle else { return }
        if isTCP {
            let tcp = handle.pointer(to: uv_tcp_t.self)
            // None of these is worth losing a connection for.
            uv_tcp_nodelay(tcp, 1)
            if var size = sendBufferBytes { uv_send_buffer_size(handle.base, &size) }
            uv_tcp_keepalive(tcp, 1, UInt32(limits.keepAliveDelay.seconds.rounded(.up)))
            let address = try? SocketAddress.read("read the peer's address") {
                uv_tcp_getpeername(tcp, $0, $1)
            }
            remoteAddress = address ?? remoteAddress
        }
        state = .greeting
        lastActivity = EventLoop.now
        watch()
        if let session {
            // A pause is one of frames; the handshake goes on.
            startReading()
            reply(of: session)
        } else {
            introduce()
            if !isPaused, isListening { startReading() }
        }
    }

    /// Sends the preamble, before the frames that wait.
    func introduce() {
        var greeting = OutputQueue()
        greeting.append(kind: StreamPreamble.frameKind, payload: signed(preamble).bytes)
        swap(&greeting, &output)
        output.append(contentsOf: greeting)
        sealWaiting()
        flush()
    }
}

private func streamRead(
    _ stream: UnsafeMutablePointer<uv_stream_t>?, _ count: Int,
    _ buffer: UnsafePointer<uv_buf_t>?
) {
    nonisolated(unsafe) let bytes = UnsafeRawPointer(buffer?.pointee.base)
    LoopHandle.enter(stream, as: StreamConnection.self) { $0.received(count, bytes) }
}

private func streamWritten(_ request: UnsafeMutablePointer<uv_write_t>?, _ status: Int32) {
    let stream = request?.pointee.handle
    let byteCount = WriteRequest.finish(request)
    LoopHandle.enter(stream, as: StreamConnection.self) {
        $0.written(byteCount, status: status)
    }
}
