// Connections to peers that have carried a stream and wait for the next one. A round's streams begin
// at once then: no TCP connection, no handshake and no proof of identity goes before them.

import MeshCore
import MeshSecurity

/// The connections that this end has opened and kept, by peer.
@EventLoop
final class StreamPool: StreamKeeper {
    /// The most connections kept to one peer: in a round a node has up to four streams up and four
    /// down to each other.
    static let perPeerMax = 8
    /// The most of all. In large meshes a node has other neighbours in each round, and keeps what
    /// may never be used.
    static let allMax = 64
    /// One that was not used for this long is closed. Rounds of a frame are at most some seconds
    /// apart; the acceptor waits longer, so that no opening meets a connection that it closes.
    static let idleLimit = Duration.seconds(15)

    private struct Peer: Hashable {
        let address: NodeAddress
        let node: NodeID?
    }
    private struct Kept {
        let peer: Peer
        let stream: StreamConnection
        let since: Instant
    }

    /// The longest kept first.
    private var kept: [Kept] = []
    private var timer: LoopTimer?
    private let idleLimit: Duration
    private let allMax: Int
    private var isClosed = false
    /// Whether connections are kept that were opened with this key.
    private var isAccepted: (KeyID) -> Bool = { _ in true }
    /// Streams that were begun on a kept connection.
    private(set) var reusedCount = 0

    init(idleLimit: Duration = StreamPool.idleLimit, allMax: Int = StreamPool.allMax) {
        self.idleLimit = idleLimit
        self.allMax = allMax
    }

    var count: Int { kept.count }

    /// Has a connection that is being opened come here after its stream.
    func adopt(_ stream: StreamConnection) { stream.succession.keeper = self }

    /// A new stream on a connection to the peer, if there is one; set its callbacks at once.
    /// - Parameter node: who must be there, as when the connection was opened.
    func take(to address: NodeAddress, of node: NodeID?) -> StreamConnection? {
        let peer = Peer(address: address, node: node)
        guard let index = kept.lastIndex(where: { $0.peer == peer && $0.stream.isOpen }) else {
            return nil
        }
        let stream = kept.remove(at: index).stream
        stream.beginAgain()
        reusedCount += 1
        return stream
    }

    // MARK: - Keeping

    func hasRoom(for stream: StreamConnection) -> Bool {
        guard !isClosed, stream.key.map(isAccepted) ?? true, let peer = Self.peer(of: stream)
        else { return false }
        return kept.count { $0.peer == peer } < Self.perPeerMax
    }

    func keep(_ stream: StreamConnection) {
        // Since it was asked for room others may have taken it.
        guard let peer = Self.peer(of: stream), hasRoom(for: stream) else {
            return stream.closeAfterFlush()
        }
        // Nobody speaks before the opener does.
        stream.onFrame = { [unowned stream] _, _ in stream.abort() }
        stream.onClose = { [weak self, unowned stream] _ in
            self?.kept.removeAll { $0.stream === stream }
        }
        if kept.count >= allMax { kept.removeFirst().stream.closeAfterFlush() }
        kept.append(Kept(peer: peer, stream: stream, since: EventLoop.now))
        if timer == nil {
            timer = LoopTimer { [weak self] in self?.closeIdle() }
            timer?.start(after: idleLimit)
        }
    }

    private static func peer(of stream: StreamConnection) -> Peer? {
        stream.succession.target.map { Peer(address: $0, node: stream.expectedNode) }
    }

    private func closeIdle() {
        let now = EventLoop.now
        close { now - $0.since >= idleLimit }
        if let oldest = kept.first {
            timer?.start(at: oldest.since + idleLimit)
        } else {
            timer?.close()
            timer = nil
        }
    }

    /// Closes the connections that were opened with a key that is not accepted any more, and keeps
    /// none of those that are in use.
    func renew(isAccepted: @escaping (KeyID) -> Bool) {
        self.isAccepted = isAccepted
        close { $0.stream.key.map { !isAccepted($0) } ?? false }
    }

    private func close(where isMeant: (Kept) -> Bool) {
        let meant = kept.filter(isMeant)
        kept.removeAll(where: isMeant)
        for entry in meant { entry.stream.closeAfterFlush() }
    }

    func closeAll() {
        isClosed = true
        for entry in kept { entry.stream.abort() }
        kept = []
        timer?.close()
        timer = nil
    }
}
