// The connections on which a node's control messages go: one to each peer it speaks to, opened
// when there is something to say.

import MeshCore
import MeshNode
import MeshSecurity
import MeshWire

/// Outgoing control connections, by participant.
@EventLoop
final class PeerLinks {
    private struct Link {
        let stream: StreamConnection
        var lastUse: Instant
    }
    private var links: [ParticipantID: Link] = [:]
    /// Where another node was found, and until when nothing is sent there for whom it was meant.
    private var strays: [ParticipantID: (address: NodeAddress, until: Instant)] = [:]
    private let connect: @EventLoop (NodeAddress, NodeID) -> StreamConnection
    let opening: [UInt8]
    /// Called with an address at which nobody listens any more.
    var onRefused: (@EventLoop (NodeAddress) -> Void)?

    /// Messages wait for a connection up to this many bytes; a peer that takes nothing is cut off.
    private static let queuedBytesMax = 8 << 20
    /// A connection that was not used for this long is closed.
    private static let idleLimit = Duration.seconds(120)
    /// An address at which another node was is not tried for this long: the membership may learn
    /// meanwhile who is where.
    private static let strayPause = Duration.seconds(5)
    /// Beyond so many all are forgotten.
    private static let straysMax = 1_024

    /// - Parameter opening: the first frame of each connection.
    init(
        opening: [UInt8],
        connect: @escaping @EventLoop (NodeAddress, NodeID) -> StreamConnection
    ) {
        self.opening = opening
        self.connect = connect
    }

    /// Sends a frame to a peer, over a connection that is opened if there is none.
    func send(kind: UInt8, _ payload: [UInt8], to peer: ParticipantID, at address: NodeAddress) {
        if let stray = strays[peer], stray.address == address, EventLoop.now < stray.until {
            return
        }
        var stream = links[peer]?.stream
        if let known = stream, !known.isOpen || known.queuedBytes > Self.queuedBytesMax {
            known.abort()
            stream = nil
        }
        let used = stream ?? open(to: peer, at: address)
        links[peer] = Link(stream: used, lastUse: EventLoop.now)
        used.send(kind: kind, payload: payload)
    }

    private func open(to peer: ParticipantID, at address: NodeAddress) -> StreamConnection {
        let stream = connect(address, peer.node)
        stream.onClose = { [weak self] reason in
            if self?.links[peer]?.stream === stream { self?.links[peer] = nil }
            if case .connectFailed(let error) = reason, error.isConnectionRefused {
                self?.onRefused?(address)
            }
            if reason == .untrusted(.wrongNode) { self?.strayed(peer, address) }
        }
        stream.send(kind: StreamKind.opening, payload: opening)
        return stream
    }

    private func strayed(_ peer: ParticipantID, _ address: NodeAddress) {
        if strays.count >= Self.straysMax { strays = [:] }
        strays[peer] = (address, EventLoop.now + Self.strayPause)
    }

    /// Closes the connection to a peer.
    func close(_ peer: ParticipantID) {
        links.removeValue(forKey: peer)?.stream.abort()
    }

    /// Closes what is not used any more.
    func tidy() {
        let now = EventLoop.now
        strays = strays.filter { now < $0.value.until }
        for (peer, link) in links where now - link.lastUse > Self.idleLimit {
            link.stream.closeAfterFlush()
            links[peer] = nil
        }
    }

    /// Lets go of the connections that were opened with a key that is not accepted any more; what
    /// waits in them goes out first.
    func renew(isAccepted: (KeyID) -> Bool) {
        for (peer, link) in links where link.stream.key.map({ !isAccepted($0) }) ?? false {
            link.stream.closeAfterFlush()
            links[peer] = nil
        }
    }

    func closeAll() {
        for link in links.values { link.stream.abort() }
        links = [:]
    }
}
