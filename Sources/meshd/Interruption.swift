// Ctrl-C, a polite kill, or a terminal that closes: the first asks for an orderly end, the second
// does not wait for one.

import Foundation
import Glibc
import Synchronization

/// Listens for the signals by which a person ends a program.
final class Interruption: Sendable {
    private let stream: AsyncStream<Void>
    private let state: State

    private final class State: Sendable {
        /// Somebody waits, and will end in an orderly way.
        let isAwaited = Atomic<Bool>(false)
        let count = Atomic<Int>(0)
    }

    /// `SIG_IGN` as a number, for comparing: functions have no equality.
    private static let ignored = unsafeBitCast(SIG_IGN, to: Int.self)

    init() {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let state = State()
        self.stream = stream
        self.state = state
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = signal(number, SIG_IGN)
            // Under nohup a terminal that closes is to be ignored.
            let isIgnored = unsafeBitCast(before, to: Int.self) == Self.ignored
            if number == SIGHUP, isIgnored { continue }
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            // The handler keeps its source: it listens as long as the process lives.
            source.setEventHandler {
                Self.received(state, continuation)
                _ = source
            }
            source.resume()
        }
    }

    private static func received(_ state: State, _ continuation: AsyncStream<Void>.Continuation) {
        let isFirst = state.count.add(1, ordering: .relaxed).oldValue == 0
        if isFirst, state.isAwaited.load(ordering: .acquiring) {
            continuation.yield()
            return
        }
        Terminal.error(
            isFirst
                ? "interrupted before it began" : "interrupted again: does not wait any longer")
        // Without the destructors of libraries whose threads still work.
        _exit(Outcome.interrupted.rawValue)
    }

    /// Returns when a signal has come.
    func wait() async {
        state.isAwaited.store(true, ordering: .releasing)
        for await _ in stream { return }
    }
}
