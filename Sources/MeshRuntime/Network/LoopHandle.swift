// The life of a C handle of libuv: allocated here, known to the loop from its initialisation to
// its close callback, and freed there. Every socket and timer of this folder holds one.

import CLibuv

/// One libuv handle of any type.
///
/// open → closing → closed: an open handle, and its owner with it, stays alive until it is closed
/// explicitly; the memory goes when libuv has called back that it has let go of it. Loop-confined.
final class LoopHandle {
    private let memory: UnsafeMutableRawPointer
    private var owner: AnyObject?
    private var onClosed: (@EventLoop () -> Void)?
    private(set) var isClosing = false

    private init<Handle>(_ type: Handle.Type, owner: AnyObject) {
        memory = .allocate(
            byteCount: MemoryLayout<Handle>.stride, alignment: MemoryLayout<Handle>.alignment)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<Handle>.stride)
        self.owner = owner
    }

    deinit { memory.deallocate() }

    /// Allocates a handle, has libuv initialise it, and ties it to the object whose callbacks it
    /// will make.
    static func open<Handle>(
        _ type: Handle.Type, owner: AnyObject, _ operation: String,
        _ initialise: (UnsafeMutablePointer<Handle>) -> Int32
    ) throws(NetworkError) -> LoopHandle {
        let handle = LoopHandle(type, owner: owner)
        try check(initialise(handle.pointer(to: type)), operation)
        // Balanced in `handleClosed`.
        handle.base.pointee.data = Unmanaged.passRetained(handle).toOpaque()
        return handle
    }

    /// The handle as libuv's type for it; valid until the close callback.
    func pointer<Handle>(to _: Handle.Type) -> UnsafeMutablePointer<Handle> {
        memory.assumingMemoryBound(to: Handle.self)
    }

    /// The handle as the common base of all handles.
    var base: UnsafeMutablePointer<uv_handle_t> { pointer(to: uv_handle_t.self) }

    /// Has another object get the handle's callbacks from now on.
    func transfer(to successor: AnyObject) {
        if !isClosing { owner = successor }
    }

    /// Closes the handle once; `then` runs when libuv has let go of it, in a later turn.
    func close(_ then: (@EventLoop () -> Void)? = nil) {
        if let then { onClosed = then }
        if isClosing { return }
        isClosing = true
        uv_close(base, handleClosed)
    }

    /// The handle behind a pointer that libuv passes to a callback.
    static func of(_ pointer: UnsafeMutableRawPointer?) -> LoopHandle? {
        let base = pointer?.assumingMemoryBound(to: uv_handle_t.self)
        guard let context = base?.pointee.data else { return nil }
        return Unmanaged<LoopHandle>.fromOpaque(context).takeUnretainedValue()
    }

    /// Enters the event loop's isolation from a C callback, with the handle's owner.
    static func enter<Owner: AnyObject & Sendable>(
        _ pointer: UnsafeMutableRawPointer?, as _: Owner.Type, _ body: @EventLoop (Owner) -> Void
    ) {
        guard let handle = of(pointer), !handle.isClosing, let owner = handle.owner as? Owner
        else { return }
        EventLoop.assumeIsolated {
            if !EventLoop.isStopping { body(owner) }
        }
    }

    fileprivate func finishClosing() {
        let callback = onClosed
        onClosed = nil
        owner = nil
        EventLoop.assumeIsolated {
            if !EventLoop.isStopping { callback?() }
        }
    }
}

private func handleClosed(_ base: UnsafeMutablePointer<uv_handle_t>?) {
    guard let context = base?.pointee.data else { return }
    Unmanaged<LoopHandle>.fromOpaque(context).takeRetainedValue().finishClosing()
}
