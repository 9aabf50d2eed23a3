// UDP, the endpoint that joins it with TCP, and Unix-domain sockets.

import Foundation
import Glibc
import MeshCore
import Testing

@testable import MeshRuntime

private let preamble = StreamPreamble(major: 1, minor: 0, purpose: .control)
private let loopback = NodeAddress(127, 0, 0, 1, port: 0)

@Suite("Sockets")
@EventLoop
struct SocketTests {
    @Test("A datagram is echoed, with the sender's address")
    func datagramEcho() async throws {
        let server = try DatagramSocket.bind(to: loopback)
        let client = try DatagramSocket.bind(to: loopback)
        server.onDatagram = { bytes, sender in server.send(bytes.reversed(), to: sender) }
        var answer: ([UInt8], NodeAddress)?
        client.onDatagram = { answer = ($0, $1) }
        #expect(client.send([1, 2, 3], to: server.localAddress))
        #expect(await Loop.until { answer != nil })
        #expect(answer?.0 == [3, 2, 1] && answer?.1 == server.localAddress)
        #expect(server.counters.bytesReceived == 3 && server.counters.datagramsSent == 1)
        let large = [UInt8](repeating: 7, count: DatagramSocket.payloadBytesMax)
        #expect(client.send(large, to: server.localAddress))
        #expect(await Loop.until { answer?.0.count == large.count })
        server.close()
        client.close()
    }

    @Test("A datagram over IPv6 arrives where the machine has IPv6")
    func datagramIPv6() async throws {
        let host = [UInt8](repeating: 0, count: 15) + [1]
        let address = try #require(NodeAddress(host: host, port: 0))
        guard try LocalAddresses.all().contains(where: { $0.address == address }) else { return }
        let socket = try DatagramSocket.bind(to: address)
        var received: NodeAddress?
        socket.onDatagram = { received = $1 }
        socket.send([1], to: socket.localAddress)
        #expect(await Loop.until { received == socket.localAddress })
        socket.close()
    }

    @Test(
        "In a flood known senders are heard, of strangers a few, and afterwards all",
        arguments: [[127, 0, 0, 1], [UInt8](repeating: 0, count: 15) + [1]])
    func flood(host: [UInt8]) async throws {
        let any = try #require(NodeAddress(host: host, port: 0))
        guard try LocalAddresses.all().contains(where: { $0.address == any }) else { return }
        let server = try DatagramSocket.bind(to: any)
        let client = try DatagramSocket.bind(to: any)
        var received: [UInt8: Int] = [:]
        server.onDatagram = { bytes, _ in received[bytes[5], default: 0] += 1 }
        func send(_ sender: UInt8) {
            client.send([0xe2, 0, 0, 0, 0, sender, 9], to: server.localAddress)
        }
        let elsewhere = NodeAddress(10, 0, 0, 1, port: 1)
        server.sampleStrangers(
            mark: 0xe0, offset: 2, known: [(elsewhere, 2), (client.localAddress, 1)], oneIn: 16)
        // Few at a time, so that the system's queue holds them.
        for _ in 0..<80 {
            for sender in UInt8(0)...2 { send(sender) }
            await Loop.pause(.zero)
        }
        #expect(await Loop.until { received[1] == 80 })
        // A sixteenth of 160: none is as likely as 1 in 30,000, 60 are less likely.
        let strangers = received[0, default: 0] + received[2, default: 0]
        #expect((1...60).contains(strangers), "\(received)")
        server.dropForeign(mark: 0xe0)
        let before = received[0, default: 0]
        for _ in 0..<20 { send(0) }
        #expect(await Loop.until { received[0] == before + 20 })
        server.close()
        client.close()
    }

    @Test("A datagram that cannot be sent is counted, and its error told once")
    func unreachable() async throws {
        let socket = try DatagramSocket.bind(to: loopback)
        var errors: [NetworkError] = []
        socket.onError = { errors.append($0) }
        let tooLarge = [UInt8](repeating: 0, count: 70_000)
        for _ in 0..<3 { #expect(!socket.send(tooLarge, to: socket.localAddress)) }
        // A loopback source cannot reach another network: the system says that it is invalid.
        for _ in 0..<3 { #expect(!socket.send([1], to: NodeAddress(192, 0, 2, 1, port: 9))) }
        #expect(socket.counters.sendsFailed == 6)
        #expect(errors.count == 2)
        var echoed = false
        socket.onDatagram = { _, _ in echoed = true }
        socket.send([1], to: socket.localAddress)
        #expect(await Loop.until { echoed })
        socket.close()
    }

    @Test(
        "A closed port is told with its address, and what is sent to others meanwhile arrives",
        arguments: [[127, 0, 0, 1], [UInt8](repeating: 0, count: 15) + [1]])
    func closedPort(host: [UInt8]) async throws {
        let any = try #require(NodeAddress(host: host, port: 0))
        guard try LocalAddresses.all().contains(where: { $0.address == any }) else { return }
        let sender = try DatagramSocket.bind(to: any)
        let gone = try DatagramSocket.bind(to: any)
        let living = try DatagramSocket.bind(to: any)
        var received: [[UInt8]] = []
        living.onDatagram = { bytes, _ in received.append(bytes) }
        var refused: [NodeAddress] = []
        sender.onRefused = { refused.append($0) }
        let closed = gone.localAddress
        gone.close()
        for number in UInt8(0)..<10 {
            #expect(sender.send([99], to: closed))
            #expect(sender.send([number], to: living.localAddress))
        }
        #expect(await Loop.until { received.count == 10 })
        #expect(received == (UInt8(0)..<10).map { [$0] })
        #expect(await Loop.until { !refused.isEmpty })
        #expect(Set(refused) == [closed])
        #expect(sender.counters.sendsFailed == 0 && sender.counters.receivesFailed == 0)
        // Also when nothing else is sent.
        refused = []
        sender.send([1], to: closed)
        #expect(await Loop.until { refused == [closed] })
        sender.close()
        living.close()
    }

    @Test(
        "The address told to others is of the family that is listened on, and one of this machine")
    func toldAddress() throws {
        let bound = NodeAddress(10, 9, 8, 7, port: 5)
        #expect(LocalAddresses.told(for: bound, peers: [loopback]) == bound)
        let own = try LocalAddresses.all().map(\.address)
        for text in ["0.0.0.0:7000", "[::]:7000"] {
            let all = try #require(NodeAddress(text))
            let told = LocalAddresses.told(for: all, peers: [loopback])
            #expect(told.isIPv6 == all.isIPv6 && told.port == 7_000 && !told.isUnspecified)
            let hasFamily = own.contains { $0.isIPv6 == all.isIPv6 && !$0.isLinkLocal }
            #expect(!hasFamily || own.contains(told.with(port: 0)))
        }
        #expect(
            LocalAddresses.speaking(to: loopback.with(port: 9)) == nil
                || LocalAddresses.speaking(to: loopback.with(port: 9))?.isLoopback == true)
    }

    @Test("An endpoint has one port for both protocols, which nobody else can bind")
    func endpoint() async throws {
        let endpoint = try MeshEndpoint.bind(loopback, preamble: preamble, security: .plain)
        #expect(endpoint.address.port != 0)
        #expect(endpoint.datagrams.localAddress == endpoint.address)
        #expect(endpoint.listener.localAddress == endpoint.address)
        #expect(throws: NetworkError.self) {
            try MeshEndpoint.bind(endpoint.address, preamble: preamble, security: .plain)
        }
        endpoint.close()
        // The port is free again once the handles are closed.
        var again: MeshEndpoint?
        #expect(
            await Loop.until {
                again = try? MeshEndpoint.bind(
                    endpoint.address, preamble: preamble, security: .plain)
                return again != nil
            })
        again?.close()
    }

    @Test("A Unix socket is its owner's only, replaces a stale file, and respects a live one")
    func socketFile() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/meshd-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/control.sock"
        try leaveStaleSocket(at: path)
        let listener = try StreamListener.listen(atSocketFile: path, preamble: preamble)
        var information = stat()
        #expect(stat(path, &information) == 0 && information.st_mode & 0o777 == 0o600)

        let error = #expect(throws: NetworkError.self) {
            try StreamListener.listen(atSocketFile: path, preamble: preamble)
        }
        #expect(error?.isAddressInUse == true)

        var frames: [[UInt8]] = []
        listener.onConnection = { server in
            server.onFrame = { kind, payload in server.send(kind: kind, payload: payload + [0]) }
        }
        let client = StreamConnection.connect(toSocketFile: path, preamble: preamble)
        client.onFrame = { frames.append($1) }
        client.send(kind: 1, payload: [5])
        #expect(await Loop.until { frames == [[5, 0]] })
        client.abort()
        listener.close()
        #expect(await Loop.until { access(path, F_OK) != 0 })
    }

    @Test("A file that is no socket is never removed, a long path is refused, nobody is reported")
    func socketFileErrors() async throws {
        let path = FileManager.default.temporaryDirectory.path + "/meshd-\(UUID())"
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: NetworkError.self) {
            try StreamListener.listen(atSocketFile: path, preamble: preamble)
        }
        #expect(access(path, F_OK) == 0)
        let long = "/tmp/" + String(repeating: "x", count: 200)
        #expect(throws: NetworkError.self) {
            try StreamListener.listen(atSocketFile: long, preamble: preamble)
        }
        for missing in [path + "-missing", long] {
            var end: StreamCloseReason?
            let connection = StreamConnection.connect(toSocketFile: missing, preamble: preamble)
            connection.onClose = { end = $0 }
            #expect(await Loop.until { end != nil })
            guard case .connectFailed = end else {
                Issue.record("\(String(describing: end))")
                return
            }
        }
    }

    @Test("A peer is found by name or address; a bad one is told")
    func names() async {
        let questions: [(String, NodeAddress?)] = [
            ("localhost:80", NodeAddress(127, 0, 0, 1, port: 80)),
            ("10.1.2.3:4", NodeAddress(10, 1, 2, 3, port: 4)),
            ("nobody.invalid:80", nil), ("host", nil), ("host:0", nil), (":80", nil),
        ]
        for (peer, expected) in questions {
            var answer: Result<[NodeAddress], NetworkError>?
            HostResolver.resolve(peer) { answer = $0 }
            #expect(await Loop.until { answer != nil })
            #expect((try? answer?.get())?.first == expected, "\(peer)")
        }
    }

    /// What a killed daemon leaves: a socket file that nobody listens at.
    private func leaveStaleSocket(at path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let code = withUnsafePointer(to: address) {
            bind(
                descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
                socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        try check(code == 0 ? 0 : -errno, "bind")
    }
}
