// Timers of the event loop: for the deadlines of state machines, for time limits, for retries.

import CLibuv
public import MeshCore

/// A timer that can be started again and again. It must be closed; a running timer is kept alive
/// by the loop.
@EventLoop
public final class LoopTimer {
    private var handle: LoopHandle?
    private var action: (@EventLoop () -> Void)?
    /// Whether the timer closes itself once it has fired.
    var closesWhenFired = false

    /// Creates a timer that does not run yet.
    public init(action: @escaping @EventLoop () -> Void) {
        self.action = action
    }

    /// Runs the action once when `delay` is over, never earlier, and at most a millisecond later
    /// on an idle loop. A delay that was running is forgotten. Nothing on a closed timer.
    public func start(after delay: Duration) { start(at: EventLoop.now + max(delay, .zero)) }

    /// Runs the action at `instant`, or in the next turn when that has passed.
    public func start(at instant: Instant) {
        guard action != nil else { return }
        let loop = EventLoop.loop
        do {
            let handle =
                try self.handle
                ?? LoopHandle.open(uv_timer_t.self, owner: self, "create a timer") {
                    uv_timer_init(loop, $0)
                }
            self.handle = handle
            // libuv counts whole milliseconds of the same clock: round the deadline up.
            uv_update_time(loop)
            let (whole, rest) = instant.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
            let deadline = whole + (rest > 0 ? 1 : 0)
            let delay = max(0, deadline - Int64(uv_now(loop)))
            try check(
                uv_timer_start(
                    handle.pointer(to: uv_timer_t.self), timerFired, UInt64(delay), 0),
                "start a timer")
        } catch {
            // Documented to fail only for a null callback or a closed handle.
            preconditionFailure("\(error)")
        }
    }

    /// Forgets the delay that is running, if any.
    public func stop() {
        if let handle { uv_timer_stop(handle.pointer(to: uv_timer_t.self)) }
    }

    /// Ends the timer for good and lets go of its action.
    public func close() {
        action = nil
        handle?.close()
        handle = nil
    }

    fileprivate func fire() {
        let action = action
        if closesWhenFired { close() }
        action?()
    }
}

private func timerFired(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
    LoopHandle.enter(handle, as: LoopTimer.self) { $0.fire() }
}
