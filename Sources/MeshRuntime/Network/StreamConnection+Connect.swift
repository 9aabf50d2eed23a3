// How a connection comes about: to an address, to a socket file, or from a listener.

import CLibuv
public import MeshCore
import MeshSecurity

extension StreamSecurity {
    /// One end's TLS; nil without.
    fileprivate func session(as role: TLSSession.Role) -> TLSSession? {
        switch self {
        case .plain: nil
        case .sealed(let keyring, _): TLSSession(role: role, keyring: keyring)
        case .offering(let key, let keyring, _):
            TLSSession(role: role, keyring: keyring, offering: key)
        }
    }

    /// By what this end proves which node it is.
    fileprivate var nodeKey: NodeKey? {
        switch self {
        case .plain: nil
        case .sealed(_, let key), .offering(_, _, let key): key
        }
    }
}

extension StreamConnection {
    /// Begins to connect to a node.
    ///
    /// Returns at once; `onReady` or `onClose` tells how it went, also for what fails at once.
    /// - Parameter node: who must be there, and prove it; nil for any member.
    public static func connect(
        to address: NodeAddress, preamble: StreamPreamble, security: StreamSecurity,
        expecting node: NodeID? = nil, limits: StreamLimits = StreamLimits()
    ) -> StreamConnection {
        let connection = StreamConnection(
            preamble: preamble, session: security.session(as: .client),
            nodeKey: security.nodeKey, limits: limits)
        connection.expectedNode = node
        connection.remoteAddress = address
        connection.succession.target = address
        connection.begin("connect to \(address)") { () throws(NetworkError) in
            let handle = try connection.openTCP()
            let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
            let tcp = handle.pointer(to: uv_tcp_t.self)
            let code = SocketAddress(address).withPointer {
                uv_tcp_connect(request, tcp, $0, tcpConnected)
            }
            if code < 0 { request.deallocate() }
            try check(code, "connect to \(address)")
        }
        return connection
    }

    /// Begins to connect to a Unix-domain socket of this machine, which is not sealed: its rights
    /// say who may connect. Else as `connect(to:)`.
    public static func connect(
        toSocketFile path: String, preamble: StreamPreamble, limits: StreamLimits = StreamLimits()
    ) -> StreamConnection {
        let connection = StreamConnection(preamble: preamble, session: nil, limits: limits)
        connection.begin("connect to \(path)") { () throws(NetworkError) in
            try SocketFile.checkLength(path)
            let handle = try connection.openPipe()
            let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
            uv_pipe_connect(request, handle.pointer(to: uv_pipe_t.self), path, pipeConnected)
        }
        return connection
    }

    /// Takes the next connection that waits at a listener.
    static func accept(
        from server: UnsafeMutablePointer<uv_stream_t>, isTCP: Bool, preamble: StreamPreamble,
        security: StreamSecurity, limits: StreamLimits
    ) throws(NetworkError) -> StreamConnection {
        let connection = StreamConnection(
            preamble: preamble, session: security.session(as: .server),
            nodeKey: security.nodeKey, limits: limits)
        let handle = isTCP ? try connection.openTCP() : try connection.openPipe()
        do throws(NetworkError) {
            try check(
                uv_accept(server, handle.pointer(to: uv_stream_t.self)), "accept a connection")
        } catch {
            connection.end(.failed(error))
            throw error
        }
        connection.opened(isTCP: isTCP)
        return connection
    }

    private func begin(_ operation: String, _ body: () throws(NetworkError) -> Void) {
        do throws(NetworkError) {
            try body()
        } catch {
            end(.connectFailed(error))
        }
    }

    private func openTCP() throws(NetworkError) -> LoopHandle {
        let loop = EventLoop.loop
        let handle = try LoopHandle.open(uv_tcp_t.self, owner: self, "create a TCP socket") {
            uv_tcp_init(loop, $0)
        }
        attach(handle)
        return handle
    }

    private func openPipe() throws(NetworkError) -> LoopHandle {
        let loop = EventLoop.loop
        let handle = try LoopHandle.open(uv_pipe_t.self, owner: self, "create a Unix socket") {
            uv_pipe_init(loop, $0, 0)
        }
        attach(handle)
        return handle
    }

    fileprivate func connected(_ status: Int32, isTCP: Bool) {
        if status < 0 {
            let target = remoteAddress.map { "\($0)" } ?? "the socket file"
            let error = NetworkError(code: status, operation: "connect to \(target)")
            end(.connectFailed(error))
        } else {
            opened(isTCP: isTCP)
        }
    }
}

private func tcpConnected(_ request: UnsafeMutablePointer<uv_connect_t>?, _ status: Int32) {
    let stream = request?.pointee.handle
    request?.deallocate()
    LoopHandle.enter(stream, as: StreamConnection.self) { $0.connected(status, isTCP: true) }
}

private func pipeConnected(_ request: UnsafeMutablePointer<uv_connect_t>?, _ status: Int32) {
    let stream = request?.pointee.handle
    request?.deallocate()
    LoopHandle.enter(stream, as: StreamConnection.self) { $0.connected(status, isTCP: false) }
}
