// Names of machines into addresses, by the system's resolver.

import CLibuv
import Glibc
public import MeshCore

/// Asks the system for the addresses of a `host:port` that a user wrote.
@EventLoop
public enum HostResolver {
    /// Looks a name up; `then` is called once, in a later turn, with at least one address, IPv4
    /// first, or the failure. An address needs no look-up and no network.
    /// - Parameter peer: `name:port`, `10.0.0.1:port` or `[::1]:port`.
    public static func resolve(
        _ peer: String, then: @escaping @EventLoop (Result<[NodeAddress], NetworkError>) -> Void
    ) {
        if let address = NodeAddress(peer) {
            EventLoop.nextTurn { then(.success([address])) }
            return
        }
        guard let colon = peer.lastIndex(of: ":"), colon != peer.startIndex,
            let port = UInt16(peer[peer.index(after: colon)...]), port != 0
        else {
            let error = NetworkError(
                code: UV_EINVAL.rawValue, operation: "read the peer '\(peer)' as host:port")
            EventLoop.nextTurn { then(.failure(error)) }
            return
        }
        let question = Question(peer: peer, port: port, then: then)
        let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
        // Balanced in `hostResolved`.
        request.pointee.data = Unmanaged.passRetained(question).toOpaque()
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        let name = String(peer[..<colon])
        let code = uv_getaddrinfo(EventLoop.loop, request, hostResolved, name, nil, &hints)
        if code < 0 {
            Unmanaged.passUnretained(question).release()
            request.deallocate()
            EventLoop.nextTurn { question.answer([], status: code) }
        }
    }

    @EventLoop
    fileprivate final class Question {
        private let peer: String
        private let port: UInt16
        private let then: @EventLoop (Result<[NodeAddress], NetworkError>) -> Void

        init(
            peer: String, port: UInt16,
            then: @escaping @EventLoop (Result<[NodeAddress], NetworkError>) -> Void
        ) {
            self.peer = peer
            self.port = port
            self.then = then
        }

        func answer(_ addresses: [NodeAddress], status: Int32) {
            let code = status < 0 ? status : UV_EAI_NODATA.rawValue
            let usable = Set(addresses.lazy.filter { !$0.isLinkLocal }).sorted()
            if usable.isEmpty {
                then(.failure(NetworkError(code: code, operation: "find the peer '\(peer)'")))
            } else {
                then(.success(usable.map { $0.with(port: port) }))
            }
        }
    }
}

private func hostResolved(
    _ request: UnsafeMutablePointer<uv_getaddrinfo_t>?, _ status: Int32,
    _ list: UnsafeMutablePointer<addrinfo>?
) {
    guard let request, let context = request.pointee.data else { return }
    let question = Unmanaged<HostResolver.Question>.fromOpaque(context).takeRetainedValue()
    request.deallocate()
    var addresses: [NodeAddress] = []
    var next = list
    while let entry = next {
        if let address = NodeAddress(UnsafePointer(entry.pointee.ai_addr)) {
            addresses.append(address)
        }
        next = entry.pointee.ai_next
    }
    uv_freeaddrinfo(list)
    let found = addresses
    EventLoop.assumeIsolated {
        if !EventLoop.isStopping { question.answer(found, status: status) }
    }
}
