// What a stream has still to send: frames, joined into blocks so that many small ones cost one
// system call. A payload is copied once, here, or sealed instead of copied.

import CLibuv
import MeshSecurity

/// The frames that wait for the write in progress, as blocks of memory of their own.
struct OutputQueue: ~Copyable {
    /// Small frames share a block of this size.
    private static let blockBytes = 64 << 10
    /// The most blocks of one write; below the system's limit of 1,024 buffers.
    private static let blocksMax = 64
    /// Beyond this much a write takes no further block, so that progress is seen.
    private static let writeBytesMax = 1 << 20

    private var blocks: [Block] = []
    /// The bytes of all blocks.
    private(set) var byteCount = 0

    struct Block {
        let memory: UnsafeMutableRawBufferPointer
        var count = 0
    }

    deinit {
        for block in blocks { block.memory.deallocate() }
    }

    /// Adds a frame.
    mutating func append(kind: UInt8, payload: [UInt8]) {
        let size = StreamFrame.headerByteCount + payload.count
        let free = room(for: size)
        StreamFrame.writeHeader(kind: kind, payloadBytes: payload.count, to: free)
        free[StreamFrame.headerByteCount...].copyBytes(from: payload)
        used(size)
    }

    /// Adds a frame as records of an established session.
    mutating func append(
        kind: UInt8, payload: [UInt8], sealedBy session: TLSSession
    ) throws(TLSError) {
        let size = TLSSession.sealedBytesMax(StreamFrame.headerByteCount + payload.count)
        let free = room(for: size)
        let count = try withUnsafeTemporaryAllocation(
            byteCount: StreamFrame.headerByteCount, alignment: 4
        ) { (head) throws(TLSError) in
            StreamFrame.writeHeader(kind: kind, payloadBytes: payload.count, to: head)
            return try payload.withUnsafeBufferPointer { (bytes) throws(TLSError) in
                try session.seal(
                    head: UnsafeRawBufferPointer(head), UnsafeRawBufferPointer(bytes), into: free)
            }
        }
        used(count)
    }

    /// Seals what was added before the session was established.
    mutating func seal(by session: TLSSession) throws(TLSError) {
        let waiting = blocks
        blocks = []
        byteCount = 0
        defer { for block in waiting { block.memory.deallocate() } }
        for block in waiting {
            let free = room(for: TLSSession.sealedBytesMax(block.count))
            let text = UnsafeRawBufferPointer(rebasing: block.memory[..<block.count])
            used(try session.seal(text, into: free))
        }
    }

    /// Free memory of at least that size behind what the last block holds.
    private mutating func room(for size: Int) -> UnsafeMutableRawBufferPointer {
        if blocks.last.map({ $0.memory.count - $0.count < size }) ?? true {
            let capacity = max(size, Self.blockBytes)
            blocks.append(Block(memory: .allocate(byteCount: capacity, alignment: 16)))
        }
        let last = blocks[blocks.count - 1]
        return UnsafeMutableRawBufferPointer(rebasing: last.memory[last.count...])
    }

    private mutating func used(_ size: Int) {
        blocks[blocks.count - 1].count += size
        byteCount += size
    }

    /// Adds the frames of another queue behind those of this one.
    mutating func append(contentsOf other: consuming OutputQueue) {
        blocks += other.blocks
        byteCount += other.byteCount
        other.blocks = []
    }

    /// Takes the blocks of the next write off the queue.
    mutating func takeWrite() -> [Block] {
        var bytes = 0
        var count = 0
        while count < blocks.count, count < Self.blocksMax, bytes < Self.writeBytesMax {
            bytes += blocks[count].count
            count += 1
        }
        let taken = Array(blocks.prefix(count))
        blocks.removeFirst(count)
        byteCount -= bytes
        return taken
    }
}

/// One `uv_write` in progress with the memory it reads; frees both when it is done.
final class WriteRequest {
    private let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
    private let blocks: [OutputQueue.Block]

    init(_ blocks: [OutputQueue.Block]) { self.blocks = blocks }

    deinit {
        for block in blocks { block.memory.deallocate() }
        request.deallocate()
    }

    /// Hands the blocks to libuv; `done` is called in a later turn.
    func start(_ stream: UnsafeMutablePointer<uv_stream_t>, _ done: @escaping uv_write_cb) -> Int32
    {
        let buffers = blocks.map { block in
            uv_buf_t(
                base: block.memory.baseAddress?.assumingMemoryBound(to: CChar.self),
                len: block.count)
        }
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let code = uv_write(request, stream, buffers, UInt32(buffers.count), done)
        if code < 0 { Self.finish(request) }
        return code
    }

    /// Lets go of a request that libuv is done with.
    /// - Returns: the bytes it was for.
    @discardableResult
    static func finish(_ request: UnsafeMutablePointer<uv_write_t>?) -> Int {
        guard let context = request?.pointee.data else { return 0 }
        let write = Unmanaged<WriteRequest>.fromOpaque(context).takeRetainedValue()
        return write.blocks.reduce(0) { $0 + $1.count }
    }
}
