// Where a device's threads wait for units. The loop puts units in, threads take them out; nothing
// else is shared between them.

import Glibc
import MeshCore
import Tracer

/// One unit on its way to a device thread.
struct UnitOrder: Sendable {
    let frame: FrameID
    let unit: Int
    let scene: PreparedScene
    let workSpace: WorkSpace
    /// Whether a digest of the result is needed.
    var needsDigest = false
}

/// A first-in-first-out queue that threads wait on.
///
/// `@unchecked Sendable`: every access to `orders` and `isClosed` holds `mutex`, and the mutex and
/// the condition live at a fixed address until deinit, which no thread can be waiting through
/// because each holds a reference.
final class UnitQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var orders: [UnitOrder] = []
    private var isClosed = false

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func append(_ order: UnitOrder) {
        pthread_mutex_lock(mutex)
        orders.append(order)
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for a unit; nil when the queue is closed.
    func next() -> UnitOrder? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while orders.isEmpty && !isClosed { pthread_cond_wait(condition, mutex) }
        return isClosed ? nil : orders.removeFirst()
    }

    /// Takes back the units of a frame that no thread has begun.
    func removeAll(of frame: FrameID) -> [Int] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let removed = orders.filter { $0.frame == frame }.map(\.unit)
        orders.removeAll { $0.frame == frame }
        return removed
    }

    /// Lets every waiting thread go.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        orders.removeAll()
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }
}
