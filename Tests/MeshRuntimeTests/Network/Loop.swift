// What the network tests share: waiting for the loop without sleeping on a guess.

import MeshCore
import Synchronization

@testable import MeshRuntime

enum Loop {
    /// Runs `body` on the loop and waits until it calls what it is given.
    static func wait<T: Sendable>(
        _ body: @escaping @Sendable @EventLoop (@escaping @EventLoop (T) -> Void) -> Void
    ) async -> T {
        await withCheckedContinuation { continuation in
            EventLoop.submit { body { continuation.resume(returning: $0) } }
        }
    }

    /// Lets the loop run for some time.
    @EventLoop static func pause(_ duration: Duration) async {
        await withCheckedContinuation { continuation in
            EventLoop.schedule(after: duration) { continuation.resume() }
        }
    }

    /// Waits until the condition holds, looking again after each millisecond.
    /// - Returns: false when it does not within the limit, which is generous: a test that fails
    ///   waits, one that passes does not.
    @EventLoop static func until(
        _ limit: Duration = .seconds(20), _ condition: @EventLoop () -> Bool
    ) async -> Bool {
        let end = EventLoop.now + limit
        while !condition() {
            if EventLoop.now > end { return false }
            await pause(.milliseconds(1))
        }
        return true
    }
}

/// A flag that one thread sets and another reads.
final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}
