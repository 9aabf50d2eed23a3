// TLS on a stream: between what the system carries and the frames. Both ends prove that they have
// the mesh's key before a byte of a preamble is sent or read.

import CLibuv
import MeshCore
import MeshSecurity

/// Where a turn's plaintext lies until its frames are cut out of it.
@EventLoop
private enum PlaintextBuffer {
    static let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ReadBuffer.byteCount + TLSSession.receiveOverhead, alignment: 64)
}

extension StreamConnection {
    /// The mesh key by which both ends prove themselves, by name.
    var key: KeyID? { session?.key }

    /// Whether the ends have not proven themselves yet.
    var isShakingHands: Bool { state == .greeting && session.map { !$0.isEstablished } ?? false }

    /// The preamble with this node's proof, if it has a key and a session to prove something in.
    func signed(_ preamble: StreamPreamble) -> StreamPreamble {
        guard let session, let nodeKey else { return preamble }
        var preamble = preamble
        preamble.proof = nodeKey.proof(binding: session.binding, as: session.role)
        return preamble
    }

    /// The node at the other end, by its word at the begin; nil where it says nothing and need not.
    /// - Throws: `wrongNode` when it is not the expected one, or its word is false.
    func node(provenBy preamble: StreamPreamble) throws(TLSError) -> NodeID? {
        let node = session.flatMap { session in
            preamble.proof?.node(binding: session.binding, of: session.role.other)
        }
        guard node != nil || preamble.proof == nil, expectedNode == nil || expectedNode == node
        else { throw .wrongNode }
        return node
    }

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
        if count > 0, isListening {
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
        guard isListening else { return }
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

    /// Adds a frame to what is to be sent, sealed if the stream is.
    /// - Returns: whether it was taken.
    func enqueue(kind: UInt8, payload: [UInt8]) -> Bool {
        guard let session, session.isEstablished else {
            // Over TCP it waits for the handshake as it is.
            output.append(kind: kind, payload: payload)
            return true
        }
        do throws(TLSError) {
            try output.append(kind: kind, payload: payload, sealedBy: session)
            return true
        } catch {
            end(.untrusted(error))
            return false
        }
    }

    /// Seals what has waited for the handshake.
    func sealWaiting() {
        guard let session else { return }
        do throws(TLSError) { try output.seal(by: session) } catch { end(.untrusted(error)) }
    }

    /// The blocks of the next write; nil when there is nothing to write, or not yet.
    func nextWrite() -> [OutputQueue.Block]? {
        let mayWrite = session.map { $0.isEstablished && $0.failure == nil } ?? true
        var blocks: [OutputQueue.Block] = []
        if !replies.isEmpty {
            blocks.append(OutputQueue.Block(copying: replies))
            replies = []
        }
        if mayWrite, output.byteCount > 0 { blocks += output.takeWrite() }
        return blocks.isEmpty ? nil : blocks
    }
}

extension OutputQueue.Block {
    fileprivate init(copying bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
        count = bytes.count
    }
}
