// Between `NodeAddress`, which the state machines know, and the `sockaddr` of the system.

import CLibuv
import Glibc
public import MeshCore

/// A `sockaddr` of IPv4 or IPv6.
struct SocketAddress {
    private var storage = sockaddr_storage()

    init(_ address: NodeAddress) {
        let host = address.host
        withUnsafeMutablePointer(to: &storage) { storage in
            let raw = UnsafeMutableRawPointer(storage)
            if address.isIPv6 {
                let inet = raw.assumingMemoryBound(to: sockaddr_in6.self)
                inet.pointee.sin6_family = sa_family_t(AF_INET6)
                inet.pointee.sin6_port = address.port.bigEndian
                withUnsafeMutableBytes(of: &inet.pointee.sin6_addr) { $0.copyBytes(from: host) }
            } else {
                let inet = raw.assumingMemoryBound(to: sockaddr_in.self)
                inet.pointee.sin_family = sa_family_t(AF_INET)
                inet.pointee.sin_port = address.port.bigEndian
                withUnsafeMutableBytes(of: &inet.pointee.sin_addr) { $0.copyBytes(from: host) }
            }
        }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>) -> R) -> R {
        withUnsafePointer(to: storage) {
            body(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self))
        }
    }

    /// Has `body` fill in an address, as `getsockname` does.
    /// - Returns: the address, or nil for a family other than IPv4 and IPv6.
    static func read(
        _ operation: String,
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32
    ) throws(NetworkError) -> NodeAddress? {
        var storage = sockaddr_storage()
        var length = Int32(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &storage) {
            body(UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self), &length)
        }
        try check(code, operation)
        return withUnsafePointer(to: storage) {
            NodeAddress(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self))
        }
    }
}

extension NodeAddress {
    /// Reads a system address; nil for a family other than IPv4 and IPv6.
    init?(_ address: UnsafePointer<sockaddr>?) {
        guard let address else { return nil }
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let inet = raw.assumingMemoryBound(to: sockaddr_in.self).pointee
            let host = withUnsafeBytes(of: inet.sin_addr) { Array($0) }
            self.init(host: host, port: UInt16(bigEndian: inet.sin_port))
        case AF_INET6:
            let inet = raw.assumingMemoryBound(to: sockaddr_in6.self).pointee
            let host = withUnsafeBytes(of: inet.sin6_addr) { Array($0) }
            // An IPv4 peer of a socket bound to :: is an IPv4 peer.
            let mapped = host[..<12].elementsEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
            self.init(
                host: mapped ? Array(host[12...]) : host, port: UInt16(bigEndian: inet.sin6_port))
        default: return nil
        }
    }
}

/// The addresses under which this machine can be reached by others.
public enum LocalAddresses {
    /// An address of one of the machine's network interfaces.
    public struct Entry: Hashable, Sendable {
        /// The interface's name, such as `eth0`.
        public let interface: String
        /// The address, with port zero.
        public let address: NodeAddress
        /// Whether only this machine can use it.
        public let isLoopback: Bool
    }

    /// All addresses of interfaces that are up, loopback included, in the system's order.
    public static func all() throws(NetworkError) -> [Entry] {
        var list: UnsafeMutablePointer<uv_interface_address_t>?
        var count: Int32 = 0
        try check(uv_interface_addresses(&list, &count), "list the network interfaces")
        defer { uv_free_interface_addresses(list, count) }
        return UnsafeBufferPointer(start: list, count: Int(count)).compactMap { entry in
            let address = withUnsafePointer(to: entry.address) {
                NodeAddress(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self))
            }
            guard let address else { return nil }
            return Entry(
                interface: String(cString: entry.name), address: address,
                isLoopback: entry.is_internal != 0)
        }
    }

    /// The addresses that peers can use, IPv4 first; empty without a network.
    public static func reachable() throws(NetworkError) -> [NodeAddress] {
        try all().filter { !$0.isLoopback && !$0.address.isLinkLocal }.map(\.address).sorted()
    }

    /// The address to tell others for a socket bound to `bound`. One that listens on all addresses
    /// of the machine has to choose: the one that speaks to the peers that are known, or where the
    /// default route leads, since the others may belong to containers or tunnels; with no route,
    /// the first one; with no network, loopback.
    /// - Parameter peers: addresses of other nodes, for instance of the last run.
    public static func told(for bound: NodeAddress, peers: [NodeAddress]) -> NodeAddress {
        guard bound.isUnspecified else { return bound }
        // Documentation addresses (RFC 5737, RFC 3849), which belong to nobody.
        let outside = bound.isIPv6 ? "[2001:db8::1]:9" : "192.0.2.1:9"
        let targets = peers + [NodeAddress(outside)].compactMap(\.self)
        let routed = targets.lazy.filter { $0.isIPv6 == bound.isIPv6 && !$0.isLoopback }
            .compactMap { speaking(to: $0) }
            .first { !$0.isLoopback && !$0.isLinkLocal }
        let present = (try? reachable())?.first { $0.isIPv6 == bound.isIPv6 }
        let loopback = NodeAddress(bound.isIPv6 ? "[::1]:0" : "127.0.0.1:0")
        return (routed ?? present ?? loopback ?? bound).with(port: bound.port)
    }

    /// The address from which this machine would speak to another, by its routes; nothing is sent.
    /// Nil without a route.
    static func speaking(to peer: NodeAddress) -> NodeAddress? {
        let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(peer.isIPv6 ? AF_INET6 : AF_INET, kind, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size =
            peer.isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        let code = SocketAddress(peer).withPointer { connect(descriptor, $0, socklen_t(size)) }
        guard code == 0 else { return nil }
        let own = try? SocketAddress.read("read a socket's address") { address, _ in
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            return getsockname(descriptor, address, &size) == 0 ? 0 : -errno
        }
        return own
    }
}

extension NodeAddress {
    /// Whether the host is an IPv6 address that means something on one link only: it would need
    /// the interface's number, which `NodeAddress` does not carry.
    public var isLinkLocal: Bool {
        guard isIPv6 else { return false }
        let host = host
        return host[0] == 0xfe && host[1] & 0xc0 == 0x80
    }

    /// Whether the host is this machine as seen by itself.
    public var isLoopback: Bool {
        let host = host
        return isIPv6 ? host.dropLast().allSatisfy { $0 == 0 } && host[15] == 1 : host[0] == 127
    }
}
