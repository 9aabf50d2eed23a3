// Accepts streams, over TCP or a Unix-domain socket, and hands over those that introduced
// themselves as the right kind of peer. What does not is closed and counted here, so that nothing
// above ever sees garbage.

import CLibuv
import Glibc
public import MeshCore
import MeshSecurity

/// A listening socket.
@EventLoop
public final class StreamListener {
    /// What came to the listener's door.
    public struct Counters: Hashable, Sendable {
        /// Connections that were handed over.
        public var accepted = 0
        /// Streams after the first of their connections.
        public var succeeded = 0
        /// Connections closed at once, because there were too many.
        public var refused = 0
        /// Connections closed before they had introduced themselves, because others wanted to.
        public var displaced = 0
        /// Connections that sent what is no preamble, or broke or stayed silent before it.
        public var garbage = 0
        /// Connections of another protocol version or purpose.
        public var incompatible = 0
        /// Connections that did not prove to be of this mesh.
        public var untrusted = 0
        /// Connections that the system could not give us.
        public var acceptsFailed = 0
    }

    /// The address that the listener is bound to; nil for a Unix-domain socket.
    public private(set) var localAddress: NodeAddress?
    public private(set) var counters = Counters()
    /// Called with each connection whose preamble fits; set its callbacks at once.
    public var onConnection: (@EventLoop (StreamConnection) -> Void)?
    /// Called with each connection closed before that, with the peer's address and the reason,
    /// for the log.
    public var onRejected: (@EventLoop (NodeAddress?, StreamCloseReason) -> Void)?

    /// Who is let in.
    var door = DoorKeeping()
    /// Connections that the system keeps for us while the loop is busy.
    private static let backlog: Int32 = 256

    /// Of connections that come from now on.
    public var security: StreamSecurity
    private let preamble: StreamPreamble
    private let limits: StreamLimits
    private let isTCP: Bool
    private var handle: LoopHandle?
    private var greeting: [DoorKeeping.Ticket: StreamConnection] = [:]
    /// Connections that wait for another stream to be opened on them.
    private var kept: [ObjectIdentifier: StreamConnection] = [:]
    /// The most of them, and of one node; beyond it a connection ends with its stream.
    var keptMax = 256
    var keptOfNodeMax = 16
    /// Whether connections are kept that were opened with this key.
    private var isAccepted: (KeyID) -> Bool = { _ in true }

    private init(
        isTCP: Bool, preamble: StreamPreamble, security: StreamSecurity, limits: StreamLimits
    ) {
        self.isTCP = isTCP
        self.security = security
        self.preamble = preamble
        self.limits = limits
    }

    /// Listens at an address; port zero lets the system choose one.
    /// - Throws: `NetworkError`, such as the address being in use.
    public static func listen(
        on address: NodeAddress, preamble: StreamPreamble, security: StreamSecurity,
        limits: StreamLimits = StreamLimits()
    ) throws(NetworkError) -> StreamListener {
        let listener = StreamListener(
            isTCP: true, preamble: preamble, security: security, limits: limits)
        let loop = EventLoop.loop
        let handle = try LoopHandle.open(uv_tcp_t.self, owner: listener, "create a TCP socket") {
            uv_tcp_init(loop, $0)
        }
        listener.handle = handle
        do throws(NetworkError) {
            let tcp = handle.pointer(to: uv_tcp_t.self)
            let flags = address.isIPv6 ? UV_TCP_IPV6ONLY.rawValue : 0
            let code = SocketAddress(address).withPointer { uv_tcp_bind(tcp, $0, flags) }
            try check(code, "bind TCP \(address)")
            try listener.startListening("listen on TCP \(address)")
            let local = try SocketAddress.read("read the TCP socket's address") {
                uv_tcp_getsockname(tcp, $0, $1)
            }
            listener.localAddress = local ?? address
            return listener
        } catch {
            listener.close()
            throw error
        }
    }

    /// Listens at a Unix-domain socket that only this user can use; a file left behind by a
    /// process that is gone is replaced. The file goes when the listener is closed.
    /// - Throws: `NetworkError`; `isAddressInUse` when another process listens there.
    public static func listen(
        atSocketFile path: String, preamble: StreamPreamble,
        limits: StreamLimits = StreamLimits()
    ) throws(NetworkError) -> StreamListener {
        try SocketFile.removeStale(path)
        let listener = StreamListener(
            isTCP: false, preamble: preamble, security: .plain, limits: limits)
        let loop = EventLoop.loop
        let handle = try LoopHandle.open(uv_pipe_t.self, owner: listener, "create a socket") {
            uv_pipe_init(loop, $0, 0)
        }
        listener.handle = handle
        do throws(NetworkError) {
            try check(uv_pipe_bind(handle.pointer(to: uv_pipe_t.self), path), "bind \(path)")
            // Nobody can connect before `listen`, so there is no moment of wider rights.
            try check(chmod(path, 0o600) == 0 ? 0 : -errno, "restrict \(path) to its owner")
            try listener.startListening("listen at \(path)")
            return listener
        } catch {
            listener.close()
            throw error
        }
    }

    private func startListening(_ operation: String) throws(NetworkError) {
        guard let handle else { return }
        let stream = handle.pointer(to: uv_stream_t.self)
        try check(uv_listen(stream, Self.backlog, connectionWaits), operation)
    }

    /// Stops listening and drops the connections that have not been handed over yet; those that
    /// have belong to their receiver.
    public func close() {
        onConnection = nil
        onRejected = nil
        for connection in greeting.values { connection.abort() }
        for stream in kept.values { stream.abort() }
        handle?.close()
        handle = nil
    }

    fileprivate func accept(_ status: Int32) {
        guard status >= 0, let handle else {
            counters.acceptsFailed += 1
            return
        }
        let connection: StreamConnection
        do throws(NetworkError) {
            connection = try StreamConnection.accept(
                from: handle.pointer(to: uv_stream_t.self), isTCP: isTCP, preamble: preamble,
                security: security, limits: limits)
        } catch {
            counters.acceptsFailed += 1
            return
        }
        let address = connection.remoteAddress
        guard case .admit(let ticket, let loser) = door.arrived(from: address) else {
            counters.refused += 1
            connection.abort()
            return
        }
        if let loser, let displaced = greeting.removeValue(forKey: loser) {
            counters.displaced += 1
            displaced.abort()
        }
        greeting[ticket] = connection
        connection.onReady = { [unowned connection] _ in
            connection.onReady = nil
            self.greeting[ticket] = nil
            self.door.introduced(ticket)
            self.handOver(connection)
        }
        connection.succession.keeper = self
        connection.onDisconnected = { reason in
            self.door.left(ticket, from: address)
            guard self.greeting.removeValue(forKey: ticket) != nil else { return }
            self.reject(address, reason)
        }
    }

    private func handOver(_ connection: StreamConnection) {
        guard let onConnection else {
            connection.abort()
            return
        }
        counters.accepted += 1
        onConnection(connection)
    }

    /// Closes the connections that wait and were opened with a key that is not accepted any more,
    /// and keeps none of those that are in use.
    func renew(isAccepted: @escaping (KeyID) -> Bool) {
        self.isAccepted = isAccepted
        for stream in kept.values where stream.key.map({ !isAccepted($0) }) ?? false {
            stream.closeAfterFlush()
        }
    }

    private func reject(_ address: NodeAddress?, _ reason: StreamCloseReason) {
        switch reason {
        case .closedHere: return
        case .incompatible: counters.incompatible += 1
        case .untrusted: counters.untrusted += 1
        default: counters.garbage += 1
        }
        onRejected?(address, reason)
    }
}

extension StreamListener: StreamKeeper {
    var keptCount: Int { kept.count }
    var keptStreams: [StreamConnection] { Array(kept.values) }

    func hasRoom(for stream: StreamConnection) -> Bool {
        handle != nil && onConnection != nil && stream.key.map(isAccepted) ?? true
            && kept.count < keptMax
            && kept.values.count { $0.peerNode == stream.peerNode } < keptOfNodeMax
    }

    /// Hands over a connection again, for the next stream that its peer opens on it.
    func keep(_ stream: StreamConnection) {
        guard hasRoom(for: stream), let onConnection else { return stream.closeAfterFlush() }
        let id = ObjectIdentifier(stream)
        kept[id] = stream
        stream.onAwakened = { [weak self] in self?.kept[id] = nil }
        counters.succeeded += 1
        onConnection(stream)
    }
}

private func connectionWaits(_ server: UnsafeMutablePointer<uv_stream_t>?, _ status: Int32) {
    LoopHandle.enter(server, as: StreamListener.self) { $0.accept(status) }
}
