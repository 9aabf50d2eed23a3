// A peer that does not know our protocol: plain blocking sockets.

import Glibc
import MeshCore

@testable import MeshRuntime

/// A TCP or UDP socket without any framing, on the loopback interface.
struct RawSocket {
    let descriptor: Int32
    let address: NodeAddress

    /// Connects by TCP.
    init(connectedTo address: NodeAddress) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.address = address
        let code = SocketAddress(address).withPointer {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        try check(code == 0 ? 0 : -errno, "connect")
    }

    /// Listens by TCP and never accepts.
    init(listening _: Void) throws {
        let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptor = listening
        try check(listen(listening, 8) == 0 ? 0 : -errno, "listen")
        var storage = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &storage) {
            _ = getsockname(
                listening, UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self),
                &length)
        }
        address = NodeAddress(127, 0, 0, 1, port: UInt16(bigEndian: storage.sin_port))
    }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    func close() { _ = Glibc.close(descriptor) }
}
