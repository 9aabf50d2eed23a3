// TLS on a stream: between what the system carries and the frames. Both ends prove that they have
// the mesh's key before a byte of a preamble is sent or read.

import CLibuv
import MeshSecurity

/// Where a turn's plaintext lies until its frames are cut out of it.
@EventLoop
private enum PlaintextBuffer {
    static let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ReadBuffer.byteCount + TLSSession.receiveOverhead, alignment: 64)
}

extension StreamConnection {
    /// Whether the ends have not proven themselves yet.
    var isShakingHands: Bool { state == .greeting && session.map { !$0.isEstablished } ?? false }

    /// Opens what has arrived, and delivers the frames in it.
    func open(_ ciphertext: UnsafeRawBufferPointer, with session: TLSSession) {
        let wasShakingHands = isShakingHands
        let count: Int
        do throws(TLSError) {
            count = try session.receive(ciphertext, into: PlaintextBuffer.bytes)
        } catch {
            refuse(error, session)
            return
        }
        replies += session.takeReply()
        // The preamble must be ahead of the frames that wait before any of them is written.
        if wasShakingHands, session.isEstablished { introduce() } else { flush() }
        if count > 0, isOpen {
            decode(UnsafeRawBufferPointer(rebasing: PlaintextBuffer.bytes[..<count]))
        }
        // Reading went on for the handshake's sake.
        if isPaused, isOpen, !isShakingHands, let handle {
            uv_read_stop(handle.pointer(to: uv_stream_t.self))
        }
    }

    /// Ends a stream whose peer is not trusted. The last reply, if there is one, must arrive: from
    /// it the peer knows why.
    private func refuse(_ error: TLSError, _ session: TLSSession) {
        guard isOpen || isShakingHands else { return }
        // Nothing for a peer of this mesh goes out any more.
        output = OutputQueue()
        reply(of: session)
        if isWriting { linger(.untrusted(error)) } else { end(.untrusted(error)) }
    }

    /// Sends what TLS has to say by itself.
    func reply(of session: TLSSession) {
        replies += session.takeReply()
        flush()
    }

    /// The blocks of the next write, sealed if the stream is; nil when there is nothing to write,
    /// or not yet.
    func nextWrite() -> [OutputQueue.Block]? {
        guard let session else { return output.byteCount > 0 ? output.takeWrite() : nil }
        var blocks: [OutputQueue.Block] = []
        if !replies.isEmpty {
            blocks.append(OutputQueue.Block(copying: replies))
            replies = []
        }
        if session.isEstablished, session.failure == nil, output.byteCount > 0 {
            for block in output.takeWrite() {
                defer { block.memory.deallocate() }
                do throws(TLSError) {
                    blocks.append(try sealed(block, by: session))
                } catch {
                    for block in blocks { block.memory.deallocate() }
                    // Not while the caller looks at this stream's state.
                    EventLoop.nextTurn { self.end(.untrusted(error)) }
                    return nil
                }
            }
        }
        return blocks.isEmpty ? nil : blocks
    }

    private func sealed(
        _ block: OutputQueue.Block, by session: TLSSession
    ) throws(TLSError) -> OutputQueue.Block {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: TLSSession.sealedBytesMax(block.count), alignment: 16)
        let plaintext = UnsafeRawBufferPointer(rebasing: block.memory[..<block.count])
        do throws(TLSError) {
            let count = try session.seal(plaintext, into: room)
            return OutputQueue.Block(memory: room, count: count)
        } catch {
            room.deallocate()
            throw error
        }
    }
}

extension OutputQueue.Block {
    fileprivate init(copying bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
        count = bytes.count
    }
}
