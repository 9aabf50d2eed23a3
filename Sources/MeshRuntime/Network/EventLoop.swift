// The thread on which a node lives, as a global actor.
//
// Isolation model: one libuv loop per process, on one thread of its own. Whatever touches a
// socket, a timer, discovery or the node's state machines is marked `@EventLoop` (classes,
// functions, closures), and the compiler sees to it that nothing else calls it without `await`
// or `EventLoop.submit`. A callback that libuv or Avahi makes runs on that thread already and
// enters the isolation by `EventLoop.assumeIsolated`, which checks this at run time. So there are
// no locks here, and no class needs `@unchecked Sendable`. Several nodes in one process (tests)
// share the loop.
//
//     @EventLoop final class Driver { … }             // state of the loop
//     EventLoop.submit { driver.rendered(unit) }      // from a device's thread, does not wait
//     let status = await driver.status                // from any task
//     EventLoop.schedule(after: .seconds(1)) { … }    // on the loop
//     EventLoop.nextTurn { … }                        // the next piece of some long work

import CLibuv
public import MeshCore

/// The isolation of everything that runs on the node's event loop.
@globalActor
public final actor EventLoop {
    public static let shared = EventLoop()
    let executor: LoopExecutor

    private init() {
        do {
            executor = try LoopExecutor()
        } catch {
            // Without its one thread and descriptor a node is nothing: no caller could go on.
            fatalError("\(error)")
        }
    }

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// The loop itself.
    @EventLoop static var loop: UnsafeMutablePointer<uv_loop_t> { shared.executor.loop }

    /// The present, on the monotonic clock.
    public static var now: Instant { Instant(nanoseconds: Int64(uv_hrtime())) }

    /// Whether the caller runs on the loop's thread.
    public static var isCurrentThread: Bool { shared.executor.isCurrentThread }

    /// Runs `work` on the loop, in the order of submission, and does not wait for it. From any
    /// thread.
    public static func submit(_ work: @escaping @Sendable @EventLoop () -> Void) {
        shared.executor.submit { assumeIsolated(work) }
    }

    /// Runs `work` once, not before `delay` is over.
    /// - Returns: the timer, to cancel it; it need not be kept.
    @EventLoop @discardableResult
    public static func schedule(
        after delay: Duration, _ work: @escaping @EventLoop () -> Void
    ) -> LoopTimer {
        let timer = LoopTimer(action: work)
        timer.closesWhenFired = true
        timer.start(after: delay)
        return timer
    }

    /// Runs `work` in one of the next turns of the loop, after sockets have had theirs: long work
    /// is cut in pieces, each of which asks for the next.
    @EventLoop public static func nextTurn(_ work: @escaping @EventLoop () -> Void) {
        turns.append(work)
    }

    @EventLoop private static let turns = TurnQueue()

    /// Whether the loop closes everything, so that its sockets and timers must not be used.
    @EventLoop static var isStopping: Bool { shared.executor.isStopping }

    /// Closes every socket and timer still open, frees them, and ends the loop's thread: the last
    /// act of a process. None of their callbacks comes any more, nothing submitted afterwards
    /// runs, no `await` for the loop returns.
    /// - Precondition: not called on the loop's thread.
    public nonisolated static func stop() { shared.executor.stop() }

    /// Calls `operation` as isolated to the loop, for a callback that C code makes on its thread.
    /// - Precondition: the caller runs on the loop's thread.
    public nonisolated static func assumeIsolated<T>(
        _ operation: @EventLoop () throws -> T
    ) rethrows -> T {
        shared.preconditionIsolated()
        return try withoutActuallyEscaping(operation) {
            (isolated: @escaping @EventLoop () throws -> T) throws -> T in
            // Only the static isolation goes, whose condition was checked above: as
            // `MainActor.assumeIsolated` does.
            try unsafe unsafeBitCast(isolated, to: (() throws -> T).self)()
        }
    }
}

/// Work for later turns of the loop: a little of it per turn, sockets in between.
@EventLoop
private final class TurnQueue {
    private var waiting: [@EventLoop () -> Void] = []
    private var idle: LoopHandle?
    private var isRunning = false
    /// How long one turn may spend here before sockets are served again: short against the
    /// hundreds of milliseconds after which a probe counts as unanswered.
    private let turnLength = Duration.milliseconds(2)

    func append(_ work: @escaping @EventLoop () -> Void) {
        waiting.append(work)
        if isRunning { return }
        isRunning = true
        do {
            let loop = EventLoop.loop
            let idle =
                try idle
                ?? LoopHandle.open(uv_idle_t.self, owner: self, "create an idle handle") {
                    uv_idle_init(loop, $0)
                }
            self.idle = idle
            try check(uv_idle_start(idle.pointer(to: uv_idle_t.self), turnStarted), "start a turn")
        } catch {
            // Documented to fail only for a null callback.
            preconditionFailure("\(error)")
        }
    }

    func run() {
        let end = EventLoop.now + turnLength
        // Work that is added meanwhile waits for the next turn.
        let batch = waiting
        waiting = []
        var done = 0
        repeat {
            batch[done]()
            done += 1
        } while done < batch.count && EventLoop.now < end
        waiting.insert(contentsOf: batch[done...], at: 0)
        if waiting.isEmpty, let idle {
            isRunning = false
            uv_idle_stop(idle.pointer(to: uv_idle_t.self))
        }
    }
}

private func turnStarted(_ handle: UnsafeMutablePointer<uv_idle_t>?) {
    LoopHandle.enter(handle, as: TurnQueue.self) { $0.run() }
}
