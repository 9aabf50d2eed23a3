// How a stream ends together with its connection: after what was queued, or at once.

import CLibuv
import MeshSecurity

extension StreamConnection {
    /// Takes no more frames, sends what is queued, waits for the peer's end, and closes.
    public func closeAfterFlush() {
        guard isOpen else { return }
        if state == .ready {
            linger(.closedHere)
        } else if output.byteCount == 0, state == .connecting || isShakingHands {
            end(.closedHere)
        } else {
            closesWhenReady = true
            listen()
        }
    }

    /// Closes at once; what is queued is lost.
    public func abort() { end(.closedHere) }

    func linger(_ reason: StreamCloseReason) {
        state = .lingering(reason, isShut: false)
        lastActivity = EventLoop.now
        leftover = []
        isPaused = false
        watch()
        startReading()
        shutDown(reason)
    }

    /// Shuts our direction once everything has been sent.
    func shutDown(_ reason: StreamCloseReason) {
        guard case .lingering(_, isShut: false) = state, !isWriting, output.byteCount == 0,
            let handle
        else { return }
        if let session, !isFarewellSaid {
            isFarewellSaid = true
            session.finish()
            reply(of: session)
            if isWriting { return }
        }
        state = .lingering(reason, isShut: true)
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        let stream = handle.pointer(to: uv_stream_t.self)
        if uv_shutdown(request, stream, streamShut) < 0 {
            request.deallocate()
            end(reason)
        }
    }

    /// Ends the stream now. `onClose` follows in a later turn.
    func end(_ reason: StreamCloseReason) {
        if case .closed = state { return }
        state = .closed(reason)
        watchdog?.close()
        watchdog = nil
        leftover = []
        output = OutputQueue()
        if let handle {
            handle.close { self.announceEnd(reason) }
        } else {
            EventLoop.nextTurn { self.announceEnd(reason) }
        }
        handle = nil
    }

    private func announceEnd(_ reason: StreamCloseReason) {
        let disconnected = onDisconnected
        onDisconnected = nil
        disconnected?(reason)
        awaken()
        announceEndOfStream(reason)
    }

    func announceEndOfStream(_ reason: StreamCloseReason) {
        let (ended, close) = (onEnded, onClose)
        onEnded = nil
        onReady = nil
        onFrame = nil
        onDrained = nil
        onDeliveryRate = nil
        onClose = nil
        ended?(reason)
        close?(reason)
    }
}

private func streamShut(_ request: UnsafeMutablePointer<uv_shutdown_t>?, _ status: Int32) {
    // The peer's end, or the time limit, closes the stream.
    request?.deallocate()
}
