// Ctrl-C, a polite kill, or a terminal that closes: the first asks for an orderly end, the second
// does not wait for one.

import Foundation
import Glibc
import Synchronization

/// Listens for the signals by which a person ends a program.
final class Interruption: Sendable {
    /// Why a program that was running is to end.
    enum Cause {
        case signal
        /// It starts anew, see `restart`.
        case restart
    }

    private let stream: AsyncStream<Cause>
    private let continuation: AsyncStream<Cause>.Continuation
    private let state: State

    private final class State: Sendable {
        /// Somebody waits, and will end in an orderly way.
        let isAwaited = Atomic<Bool>(false)
        let count = Atomic<Int>(0)
        /// The signals that end this program, as they did before.
        let handled = Mutex<[Int32]>([])
    }

    /// `SIG_IGN` as a number, for comparing: functions have no equality.
    private static let ignored = unsafeBitCast(SIG_IGN, to: Int.self)

    init() {
        let (stream, continuation) = AsyncStream<Cause>.makeStream()
        let state = State()
        self.stream = stream
        self.continuation = continuation
        self.state = state
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = signal(number, SIG_IGN)
            // Under nohup a terminal that closes is to be ignored.
            let isIgnored = unsafeBitCast(before, to: Int.self) == Self.ignored
            if number == SIGHUP, isIgnored { continue }
            state.handled.withLock { $0.append(number) }
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            // The handler keeps its source: it listens as long as the process lives.
            source.setEventHandler {
                Self.received(state, continuation)
                _ = source
            }
            source.resume()
        }
    }

    private static func received(_ state: State, _ continuation: AsyncStream<Cause>.Continuation) {
        let isFirst = state.count.add(1, ordering: .relaxed).oldValue == 0
        if isFirst, state.isAwaited.load(ordering: .acquiring) {
            continuation.yield(.signal)
            return
        }
        Terminal.error(
            isFirst
                ? "interrupted before it began" : "interrupted again: does not wait any longer")
        // Without the destructors of libraries whose threads still work.
        _exit(Outcome.interrupted.rawValue)
    }

    /// Returns when a signal has come, or `requestRestart` was called.
    @discardableResult
    func wait() async -> Cause {
        state.isAwaited.store(true, ordering: .releasing)
        for await cause in stream { return cause }
        return .signal
    }

    /// Ends the wait, for a new start.
    func requestRestart() { continuation.yield(.restart) }

    /// Puts this program, with the same arguments, in the place of this process.
    /// - Returns: only when that failed, the reason.
    func restart() -> String {
        // Ignored signals would stay so.
        for number in state.handled.withLock({ $0 }) { signal(number, SIG_DFL) }
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        execv("/proc/self/exe", CommandLine.unsafeArgv)
        return String(cString: strerror(errno))
    }
}
