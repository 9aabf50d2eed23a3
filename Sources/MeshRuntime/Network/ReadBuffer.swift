// The one buffer into which all sockets of the loop receive: libuv asks for it right before it
// reads and calls back right after, so that no two sockets hold it at once.

import CLibuv

/// The loop's receive buffer.
@EventLoop
enum ReadBuffer {
    /// More than the largest datagram, and long runs of a stream for one system call.
    static let byteCount = 256 << 10
    static let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
}

/// libuv's question where to put what it is about to receive.
func provideReadBuffer(
    _ handle: UnsafeMutablePointer<uv_handle_t>?, _ suggested: Int,
    _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
    nonisolated(unsafe) let buffer = buffer
    EventLoop.assumeIsolated {
        let bytes = ReadBuffer.bytes
        buffer?.pointee = uv_buf_t(
            base: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), len: bytes.count)
    }
}
