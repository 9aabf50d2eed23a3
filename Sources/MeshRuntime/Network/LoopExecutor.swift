// A thread that owns a libuv loop, as a Swift executor: what other threads submit, and the jobs
// of an actor bound to it, run between the loop's own callbacks, one at a time.

import CLibuv
import Glibc
import Synchronization

/// Owns one `uv_loop_t` and the thread that runs it.
///
/// The loop is woken through an event descriptor and not by `uv_async_send`: in libuv 1.44 the
/// loop spins until the sender has come back from that call, and a render thread of low priority
/// that is preempted in it costs the loop whole time slices (measured: 80 % of the loop's time).
///
/// `@unchecked Sendable`, because: `loop`, `wake` and `signal` are assigned once in `init`; what
/// the pointers point to is touched by the loop's thread only, and `signal` is written to under
/// `inbox`'s lock while `stopped` is false, so before it is closed; `isStopping` is the loop's
/// thread's; everything else is a `Mutex` or an `Atomic`.
final class LoopExecutor: SerialExecutor, @unchecked Sendable {
    /// For the loop's thread only.
    let loop: UnsafeMutablePointer<uv_loop_t>
    private let wake: UnsafeMutablePointer<uv_poll_t>
    /// An event descriptor (eventfd(2)) that other threads write to.
    private let signal: Int32
    private let inbox = Mutex(Inbox())
    /// The loop's thread once it runs, zero before and after.
    private let threadIdentity = Atomic<UInt>(0)
    /// Whether the loop is closing everything: nobody's code is called any more. Read and written
    /// on the loop's thread only.
    private(set) var isStopping = false

    private enum Entry {
        case job(UnownedJob)
        case work(@Sendable () -> Void)
    }

    private struct Inbox {
        var entries: [Entry] = []
        var signalled = false
        var stopped = false
        var thread: pthread_t?
    }

    /// Creates the loop and starts its thread.
    /// - Throws: `NetworkError` when the machine has no descriptors or threads left.
    init() throws(NetworkError) {
        loop = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        try check(uv_loop_init(loop), "create an event loop")
        signal = meshd_event_descriptor()
        try check(signal < 0 ? -errno : 0, "create an event loop's signal")
        try check(uv_poll_init(loop, wake, signal), "watch an event loop's signal")
        try check(
            uv_poll_start(wake, Int32(UV_READABLE.rawValue), loopWoken),
            "watch an event loop's signal")
        // The loop's thread keeps the executor alive until the loop has ended.
        let retained = Unmanaged.passRetained(self)
        wake.pointee.data = retained.toOpaque()
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, loopThreadMain, retained.toOpaque())
        if code != 0 {
            retained.release()
            throw NetworkError(code: -code, operation: "start the event loop's thread")
        }
        let started = thread
        inbox.withLock { $0.thread = started }
    }

    /// Whether the caller runs on the loop's thread.
    var isCurrentThread: Bool {
        threadIdentity.load(ordering: .relaxed) == UInt(pthread_self())
    }

    func isIsolatingCurrentContext() -> Bool? { isCurrentThread }
    func checkIsolated() { precondition(isCurrentThread, "not on the event loop's thread") }

    func enqueue(_ job: consuming ExecutorJob) { append(.job(UnownedJob(job))) }

    /// Runs `work` on the loop's thread, after everything that was submitted before. Ignored once
    /// the loop has been stopped.
    func submit(_ work: @escaping @Sendable () -> Void) { append(.work(work)) }

    private func append(_ entry: Entry) {
        inbox.withLock { inbox in
            if inbox.stopped { return }
            inbox.entries.append(entry)
            if !inbox.signalled {
                inbox.signalled = true
                eventfd_write(signal, 1)
            }
        }
    }

    /// Runs what other threads have submitted so far; on the loop's thread.
    fileprivate func drain() {
        var count: eventfd_t = 0
        eventfd_read(signal, &count)
        let entries = inbox.withLock { inbox in
            inbox.signalled = false
            return exchange(&inbox.entries, with: [])
        }
        for entry in entries where !isStopping {
            switch entry {
            case .job(let job): unsafe job.runSynchronously(on: asUnownedSerialExecutor())
            case .work(let work): work()
            }
        }
    }

    /// Closes every handle that is still open, ends the loop when their close callbacks have run,
    /// and returns when its thread is gone. Jobs that come later never run.
    /// - Precondition: not called on the loop's thread.
    func stop() {
        precondition(!isCurrentThread, "a loop cannot wait for its own end")
        submit { [self] in
            inbox.withLock { $0.stopped = true }
            isStopping = true
            uv_stop(loop)
        }
        let thread = inbox.withLock { exchange(&$0.thread, with: nil) }
        if let thread { pthread_join(thread, nil) }
    }

    fileprivate func run() {
        // Signals are for the main thread; a broken connection is an error code here. Faults stay
        // open so that a crash is reported where it happens.
        var blocked = sigset_t()
        sigfillset(&blocked)
        for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT] {
            sigdelset(&blocked, fault)
        }
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        meshd_name_thread("mesh-loop")
        // A film's pieces and tiles come and go by the thousand: pages that are given back for
        // each of them, and cleared again, cost a fifth of a round's processor time.
        meshd_keep_freed_memory(64 << 20, 4 << 20)
        threadIdentity.store(UInt(pthread_self()), ordering: .relaxed)
        uv_run(loop, UV_RUN_DEFAULT)
        // A close callback may open a handle again: until none is left.
        repeat { uv_walk(loop, closeWalked, wake) } while uv_run(loop, UV_RUN_ONCE) != 0
        precondition(uv_loop_close(loop) == 0, "a handle outlived its event loop")
        close(signal)
        threadIdentity.store(0, ordering: .relaxed)
        loop.deallocate()
        wake.deallocate()
    }
}

/// Puts `value` in place and returns what was there.
private func exchange<Value>(_ place: inout Value, with value: consuming Value) -> Value {
    swap(&place, &value)
    return value
}

private func loopThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<LoopExecutor>.fromOpaque(context).takeRetainedValue().run()
    return nil
}

private func loopWoken(
    _ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: Int32, _ events: Int32
) {
    guard let context = handle?.pointee.data else { return }
    Unmanaged<LoopExecutor>.fromOpaque(context).takeUnretainedValue().drain()
}

/// Closes one handle of a loop that ends: our own signal directly, every other through its owner.
private func closeWalked(
    _ handle: UnsafeMutablePointer<uv_handle_t>?, _ wake: UnsafeMutableRawPointer?
) {
    guard let handle, uv_is_closing(handle) == 0 else { return }
    if UnsafeMutableRawPointer(handle) == wake {
        uv_close(handle, nil)
    } else {
        LoopHandle.of(handle)?.close()
    }
}
