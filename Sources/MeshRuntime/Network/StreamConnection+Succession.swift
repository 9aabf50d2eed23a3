// How a connection carries one stream after another (docs/adr/0023-successive-streams.md). When
// both ends have said that a stream is over, in good order, what it was made of, the socket, the
// session and the proof of who is there, goes over to a new `StreamConnection`. So a stream still
// begins and ends once, and who holds one that is over holds nothing of the next.
//
//     opener                                     acceptor
//     opening, frames ─────────────────────────► welcome (not for a connection's first stream)
//     end ◄────────────────────────────────────► end, in either order
//     kept for the next one to that peer         waits for the next opening
//
// What ends in any other way ends with its connection.

import CLibuv
import MeshCore
import MeshSecurity

/// Keeps the connections whose streams have ended well.
@EventLoop
protocol StreamKeeper: AnyObject {
    /// Whether the connection of a stream that ends may be kept.
    func hasRoom(for stream: StreamConnection) -> Bool
    /// Takes over a connection that is ready for another stream; sets its callbacks at once.
    func keep(_ stream: StreamConnection)
}

/// What a stream's connection was before and may be afterwards.
struct StreamSuccession {
    /// Who keeps the connection; nil, or one that is gone, for a connection of one stream.
    weak var keeper: (any StreamKeeper)?
    /// Where this end has connected to, to open every stream on it; nil where it was accepted.
    var target: NodeAddress?
    var isOpener: Bool { target != nil }
    /// How many streams the connection has carried before.
    var predecessors = 0
    /// Whether the opener of a later stream is yet to be told that its opening has arrived.
    var owesWelcome = false
}

/// Kinds of frames by which the ends agree where a stream ends on its connection.
enum SuccessionKind {
    /// Nothing more of this stream comes from here.
    static let end: UInt8 = 13
    /// A later stream's opening has arrived: its peer is there.
    static let welcome: UInt8 = 14
}

extension StreamConnection {
    /// A stream that ends with more than this many bytes to send is not worth its connection.
    private static let unsentBytesMax = 64 << 10

    /// Whether the connection has carried another stream before this one.
    var isSuccessor: Bool { succession.predecessors > 0 }

    /// Whether both ends know of successive streams.
    private var bothKnowSuccession: Bool {
        preamble.features.contains(.successiveStreams)
            && peerPreamble?.features.contains(.successiveStreams) ?? false
    }

    private var mayBeSucceeded: Bool {
        bothKnowSuccession && session.map { !$0.isWorn } ?? true
            && succession.keeper?.hasRoom(for: self) ?? false
    }

    /// Whether the stream is over and its connection is not handed over yet.
    var isHandingOver: Bool {
        if case .parting(_, isPeerDone: true) = state { true } else { false }
    }

    /// Why a stream that is being closed or over is so.
    var reasonOfClosing: StreamCloseReason? {
        switch state {
        case .lingering(let reason, _), .parting(let reason, _): reason
        default: nil
        }
    }

    // MARK: - The end of a stream

    /// Ends a stream on which everything has been said: what is queued is sent, frames that still
    /// come are thrown away, and the connection is kept for another stream if both ends can.
    /// Otherwise as `closeAfterFlush`.
    func finish() {
        guard state == .ready, mayBeSucceeded else { return closeAfterFlush() }
        guard enqueue(kind: SuccessionKind.end, payload: []) else { return }
        part(.closedHere, isPeerDone: false)
    }

    private func part(_ reason: StreamCloseReason, isPeerDone: Bool) {
        state = .parting(reason, isPeerDone: isPeerDone)
        lastActivity = EventLoop.now
        watch()
        flush()
        guard isPeerDone else { return listen() }
        // What comes now is the next stream's.
        if let handle { uv_read_stop(handle.pointer(to: uv_stream_t.self)) }
        EventLoop.nextTurn { self.handOver() }
    }

    /// Reads on, whether reading was paused or not.
    func listen() {
        isPaused = false
        guard state != .connecting else { return }
        if leftover.isEmpty {
            startReading()
        } else {
            EventLoop.nextTurn { self.decodeLeftover() }
        }
    }

    /// Deals with the frames that are of the connection, after the preamble.
    /// - Returns: whether this is one, or one that is thrown away.
    func isOfSuccession(
        _ frame: StreamFrame, _ theirs: StreamPreamble
    ) throws(FrameError) -> Bool {
        if state == .greeting {
            guard frame.kind == SuccessionKind.welcome else {
                throw .welcomeMissing(kind: frame.kind)
            }
            becomeReady(theirs)
            return true
        }
        if frame.kind == SuccessionKind.end, bothKnowSuccession {
            hearEnd()
            return true
        }
        if case .parting = state { return true }
        if succession.owesWelcome {
            succession.owesWelcome = false
            awaken()
            if enqueue(kind: SuccessionKind.welcome, payload: []) { flush() }
        }
        return !isOpen
    }

    /// The peer says that the stream is over.
    private func hearEnd() {
        if case .parting(let reason, isPeerDone: false) = state {
            part(reason, isPeerDone: true)
            return
        }
        // A stream that was never opened is no reason to go on; nor is much that nobody will read.
        let frames = succession.isOpener ? counters.framesSent : counters.framesReceived
        guard frames > 0, mayBeSucceeded, output.byteCount <= Self.unsentBytesMax else {
            return end(.closedByPeer)
        }
        guard enqueue(kind: SuccessionKind.end, payload: []) else { return }
        part(.closedByPeer, isPeerDone: true)
    }

    /// Gives the connection to its next stream, once all of this one has been sent.
    func handOver() {
        guard case .parting(let reason, isPeerDone: true) = state, !isWriting,
            output.byteCount == 0, replies.isEmpty
        else { return }
        guard handle != nil, let keeper = succession.keeper else { return end(reason) }
        let next = StreamConnection(
            preamble: preamble, session: session, nodeKey: nodeKey, limits: limits)
        next.takeOver(from: self)
        state = .closed(reason)
        watchdog?.close()
        watchdog = nil
        handle = nil
        onDisconnected = nil
        announceEndOfStream(reason)
        keeper.keep(next)
        next.listen()
    }

    private func takeOver(from other: StreamConnection) {
        succession = other.succession
        succession.predecessors += 1
        succession.owesWelcome = !succession.isOpener
        remoteAddress = other.remoteAddress
        expectedNode = other.expectedNode
        peerPreamble = other.peerPreamble
        peerNode = other.peerNode
        onDisconnected = other.onDisconnected
        decoder = other.decoder
        leftover = other.leftover
        other.leftover = []
        state = .ready
        guard let handle = other.handle else { return }
        handle.transfer(to: self)
        attach(handle)
    }

    // MARK: - The begin of a later stream

    /// Opens another stream on a connection that this end has opened and kept. Set its callbacks at
    /// once, and send its opening; it is ready when the peer has answered that.
    func beginAgain() {
        precondition(succession.isOpener && isSuccessor && state == .ready)
        onFrame = nil
        onClose = nil
        awaken()
        state = .greeting
        lastActivity = EventLoop.now
        watch()
    }

    /// The connection is used again, or over.
    func awaken() {
        let awakened = onAwakened
        onAwakened = nil
        awakened?()
    }
}
