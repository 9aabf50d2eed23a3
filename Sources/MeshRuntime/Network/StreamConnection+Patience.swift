// How long a stream waits: for a connection, for the peer's introduction, for anything at all.

import CLibuv
import MeshCore

extension StreamConnection {
    private var timeout: Duration? {
        switch state {
        case .connecting: limits.connectTimeout
        case .greeting: limits.preambleTimeout
        case .ready: limits.idleTimeout
        case .lingering, .parting: limits.lingerTimeout
        case .closed: nil
        }
    }

    func watch() {
        if let timeout {
            watchdog?.start(at: lastActivity + timeout)
        } else {
            watchdog?.stop()
        }
    }

    func timerFired() {
        guard let timeout else { return }
        // Only a ready or closing stream earns more time by moving.
        let mayExtend = state != .connecting && state != .greeting
        if mayExtend, EventLoop.now < lastActivity + timeout {
            watch()
            return
        }
        switch state {
        case .connecting: end(.connectTimedOut)
        case .greeting: end(.preambleTimedOut)
        case .ready:
            // A pause is our own doing.
            if isPaused {
                lastActivity = EventLoop.now
                watch()
            } else {
                end(.idle)
            }
        case .lingering(let reason, _), .parting(let reason, _): end(reason)
        case .closed: break
        }
    }
}
