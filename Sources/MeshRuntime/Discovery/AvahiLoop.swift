// Avahi's event interface (AvahiPoll, avahi-common/watch.h) on the node's event loop.

import CAvahi
import CLibuv
import Glibc
import MeshCore

/// Lets Avahi watch descriptors and wait for times on the loop.
@EventLoop
enum AvahiLoop {
    /// The table of functions that Avahi calls; one for the life of the process.
    static let poll: UnsafeMutablePointer<AvahiPoll> = {
        let poll = UnsafeMutablePointer<AvahiPoll>.allocate(capacity: 1)
        poll.initialize(
            to: AvahiPoll(
                userdata: nil, watch_new: watchNew, watch_update: watchUpdate,
                watch_get_events: watchEvents, watch_free: watchFree, timeout_new: timeoutNew,
                timeout_update: timeoutUpdate, timeout_free: timeoutFree))
        return poll
    }()
}

/// One descriptor that Avahi watches. Alive until Avahi frees it.
@EventLoop
private final class Watch {
    let descriptor: Int32
    /// libdbus watches one descriptor twice, libuv can only once: each watch has its own copy.
    private let duplicate: Int32
    private let callback: AvahiWatchCallback
    private let context: UnsafeMutableRawPointer?
    private var handle: LoopHandle?
    private(set) var events = AvahiWatchEvent(0)

    init(
        _ descriptor: Int32, _ callback: @escaping AvahiWatchCallback,
        _ context: UnsafeMutableRawPointer?
    ) throws(NetworkError) {
        self.descriptor = descriptor
        self.callback = callback
        self.context = context
        duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        try check(duplicate < 0 ? -errno : 0, "copy a descriptor of Avahi's")
        let (loop, copy) = (EventLoop.loop, duplicate)
        do throws(NetworkError) {
            handle = try LoopHandle.open(uv_poll_t.self, owner: self, "watch for Avahi") {
                uv_poll_init(loop, $0, copy)
            }
        } catch {
            Glibc.close(copy)
            throw error
        }
    }

    func watch(for wanted: AvahiWatchEvent) {
        guard let handle else { return }
        var mask: UInt32 = 0
        if wanted.rawValue & AVAHI_WATCH_IN.rawValue != 0 { mask |= UV_READABLE.rawValue }
        if wanted.rawValue & AVAHI_WATCH_OUT.rawValue != 0 { mask |= UV_WRITABLE.rawValue }
        if wanted.rawValue & AVAHI_WATCH_HUP.rawValue != 0 { mask |= UV_DISCONNECT.rawValue }
        let pointer = handle.pointer(to: uv_poll_t.self)
        if mask == 0 {
            uv_poll_stop(pointer)
        } else {
            uv_poll_start(pointer, Int32(mask), watchReady)
        }
    }

    func ready(status: Int32, mask: UInt32) {
        var seen: UInt32 = status < 0 ? AVAHI_WATCH_ERR.rawValue : 0
        if mask & UV_READABLE.rawValue != 0 { seen |= AVAHI_WATCH_IN.rawValue }
        if mask & UV_WRITABLE.rawValue != 0 { seen |= AVAHI_WATCH_OUT.rawValue }
        if mask & UV_DISCONNECT.rawValue != 0 { seen |= AVAHI_WATCH_HUP.rawValue }
        events = AvahiWatchEvent(seen)
        callback(
            OpaquePointer(Unmanaged.passUnretained(self).toOpaque()), descriptor, events, context)
        events = AvahiWatchEvent(0)
    }

    func close() {
        handle?.close()
        handle = nil
        Glibc.close(duplicate)
    }
}

/// One time that Avahi waits for. Alive until Avahi frees it.
@EventLoop
private final class Timeout {
    private let callback: AvahiTimeoutCallback
    private let context: UnsafeMutableRawPointer?
    private var timer: LoopTimer?

    init(_ callback: @escaping AvahiTimeoutCallback, _ context: UnsafeMutableRawPointer?) {
        self.callback = callback
        self.context = context
        timer = LoopTimer { [unowned self] in
            callback(OpaquePointer(Unmanaged.passUnretained(self).toOpaque()), self.context)
        }
    }

    /// Avahi's times are of the wall clock; nil means never.
    func start(at time: timeval?) {
        guard let time else {
            timer?.stop()
            return
        }
        var now = timeval()
        gettimeofday(&now, nil)
        let microseconds =
            (Int64(time.tv_sec) - Int64(now.tv_sec)) * 1_000_000
            + Int64(time.tv_usec) - Int64(now.tv_usec)
        timer?.start(after: .microseconds(microseconds))
    }

    func close() {
        timer?.close()
        timer = nil
    }
}

/// The object behind a pointer that Avahi holds.
private func object<Object: AnyObject>(_ pointer: OpaquePointer?, _: Object.Type) -> Object? {
    guard let pointer else { return nil }
    return Unmanaged<Object>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
}

private func watchNew(
    _ api: UnsafePointer<AvahiPoll>?, _ descriptor: Int32, _ events: AvahiWatchEvent,
    _ callback: AvahiWatchCallback?, _ context: UnsafeMutableRawPointer?
) -> OpaquePointer? {
    guard let callback else { return nil }
    nonisolated(unsafe) let (call, userdata) = (callback, context)
    let watch = EventLoop.assumeIsolated {
        let watch = try? Watch(descriptor, call, userdata)
        watch?.watch(for: events)
        return watch
    }
    // Balanced in `watchFree`.
    return watch.map { OpaquePointer(Unmanaged.passRetained($0).toOpaque()) }
}

private func watchUpdate(_ pointer: OpaquePointer?, _ events: AvahiWatchEvent) {
    let watch = object(pointer, Watch.self)
    EventLoop.assumeIsolated { watch?.watch(for: events) }
}

private func watchEvents(_ pointer: OpaquePointer?) -> AvahiWatchEvent {
    let watch = object(pointer, Watch.self)
    return EventLoop.assumeIsolated { watch?.events } ?? AvahiWatchEvent(0)
}

private func watchFree(_ pointer: OpaquePointer?) {
    guard let watch = object(pointer, Watch.self) else { return }
    EventLoop.assumeIsolated { watch.close() }
    Unmanaged.passUnretained(watch).release()
}

private func watchReady(_ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: Int32, _ mask: Int32)
{
    LoopHandle.enter(handle, as: Watch.self) {
        $0.ready(status: status, mask: UInt32(bitPattern: mask))
    }
}

private func timeoutNew(
    _ api: UnsafePointer<AvahiPoll>?, _ time: UnsafePointer<timeval>?,
    _ callback: AvahiTimeoutCallback?, _ context: UnsafeMutableRawPointer?
) -> OpaquePointer? {
    guard let callback else { return nil }
    nonisolated(unsafe) let (call, userdata) = (callback, context)
    let value = time?.pointee
    let timeout = EventLoop.assumeIsolated {
        let timeout = Timeout(call, userdata)
        timeout.start(at: value)
        return timeout
    }
    // Balanced in `timeoutFree`.
    return OpaquePointer(Unmanaged.passRetained(timeout).toOpaque())
}

private func timeoutUpdate(_ pointer: OpaquePointer?, _ time: UnsafePointer<timeval>?) {
    let timeout = object(pointer, Timeout.self)
    let value = time?.pointee
    EventLoop.assumeIsolated { timeout?.start(at: value) }
}

private func timeoutFree(_ pointer: OpaquePointer?) {
    guard let timeout = object(pointer, Timeout.self) else { return }
    EventLoop.assumeIsolated { timeout.close() }
    Unmanaged.passUnretained(timeout).release()
}
