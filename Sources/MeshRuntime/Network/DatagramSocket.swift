// UDP: small packets that may be lost, for gossip. A send never waits and never ends anything: a
// link that is down costs packets, not the node.
//
// What the network says about packets sent earlier (ICMP) is kept by the system beside the
// socket: libuv would only see that there was some error, not whose. It is read here, so that a
// closed port is known at once, and always to the end: it takes room of the receive buffer, and
// as long as some is left the next send fails in place of the one that it is about.

import CLibuv
import Glibc
public import MeshCore

/// A bound UDP socket.
@EventLoop
public final class DatagramSocket {
    /// What has gone through the socket since it was bound.
    public struct Counters: Hashable, Sendable {
        public var datagramsSent = 0
        public var bytesSent = 0
        public var datagramsReceived = 0
        public var bytesReceived = 0
        /// Datagrams that could not be sent: the link down, the system's queue full, too large.
        public var sendsFailed = 0
        /// Datagrams longer than the receive buffer, dropped.
        public var datagramsTruncated = 0
        /// Errors while receiving.
        public var receivesFailed = 0
        /// Words of the network that a datagram did not arrive, for whatever reason.
        public var networkErrors = 0
    }

    /// The largest payload of an IPv4 datagram.
    public static let payloadBytesMax = 65_507
    /// Asked of the system for packets that wait while the loop is busy; it may grant less.
    public static let receiveBufferBytes: Int32 = 1 << 20
    /// The most words of the network that are read at once, and the most addresses told of in a
    /// turn; the rest is read in the next one.
    private static let networkErrorsAtOnce = 256

    /// The address that the socket is bound to, with the port that the system chose.
    public private(set) var localAddress: NodeAddress
    public private(set) var counters = Counters()
    /// Called with each datagram and its sender.
    public var onDatagram: (@EventLoop ([UInt8], NodeAddress) -> Void)?
    /// Called with an address to which a datagram was sent, when that machine, or somebody in its
    /// name, answers that no process has the port. In a turn of its own.
    public var onRefused: (@EventLoop (NodeAddress) -> Void)?
    /// Called with the first error of each kind; `counters` count the others.
    public var onError: (@EventLoop (NetworkError) -> Void)?

    private var handle: LoopHandle?
    private var descriptor: uv_os_fd_t = -1
    /// Addresses that have refused and were not told of yet.
    private var refusals: [NodeAddress] = []
    private var reportedErrors: Set<NetworkError> = []

    /// Binds a socket; port zero lets the system choose one.
    /// - Throws: `NetworkError`, such as the address being in use or not this machine's.
    public static func bind(to address: NodeAddress) throws(NetworkError) -> DatagramSocket {
        let socket = DatagramSocket(localAddress: address)
        let loop = EventLoop.loop
        let handle = try LoopHandle.open(uv_udp_t.self, owner: socket, "create a UDP socket") {
            uv_udp_init(loop, $0)
        }
        socket.handle = handle
        do throws(NetworkError) {
            let udp = handle.pointer(to: uv_udp_t.self)
            let flags = address.isIPv6 ? UV_UDP_IPV6ONLY.rawValue : 0
            try check(
                SocketAddress(address).withPointer { uv_udp_bind(udp, $0, flags) },
                "bind UDP \(address)")
            let local = try SocketAddress.read("read the UDP socket's address") {
                uv_udp_getsockname(udp, $0, $1)
            }
            socket.localAddress = local ?? address
            var size = receiveBufferBytes
            uv_recv_buffer_size(handle.base, &size)
            // Where the system cannot do it a closed port is found like a silent one.
            uv_fileno(handle.base, &socket.descriptor)
            _ = meshd_keep_network_errors(socket.descriptor, address.isIPv6 ? 1 : 0)
            try check(
                uv_udp_recv_start(udp, provideReadBuffer, datagramArrived), "receive from UDP")
            return socket
        } catch {
            socket.close()
            throw error
        }
    }

    private init(localAddress: NodeAddress) { self.localAddress = localAddress }

    /// Has the system drop what does not begin like a datagram of meshd, where it can.
    /// - Parameter mark: the upper half of the first byte.
    public func dropForeign(mark: UInt8) {
        if descriptor >= 0 { _ = meshd_drop_foreign_datagrams(descriptor, mark) }
    }

    /// Has the system let in datagrams that begin like meshd's and are of known senders, and of
    /// others a part, by chance, where it can.
    /// - Parameters:
    ///   - offset: where a datagram has the word that names its sender.
    ///   - known: the words and the addresses of the senders that are known.
    ///   - oneIn: of others one in so many, a power of two.
    ///   - loud: addresses of which it is one in `loudOneIn`, likewise; the system compares the last
    ///     four bytes of an address. At most ``loudSendersMax``.
    public func sampleStrangers(
        mark: UInt8, offset: Int, known: [(source: NodeAddress, word: UInt32)],
        oneIn: Int, loud: [NodeAddress] = [], loudOneIn: Int = 1
    ) {
        precondition(oneIn.nonzeroBitCount == 1 && loudOneIn.nonzeroBitCount == 1)
        guard descriptor >= 0 else { return }
        let senders = known.prefix(Self.knownSendersMax).map { source, word in
            meshd_known_sender(word: word, host: Self.lastWord(of: source))
        }
        let hosts = loud.prefix(Self.loudSendersMax).map(Self.lastWord)
        var filter = meshd_stranger_filter(
            mark: mark, is_ipv6: localAddress.isIPv6 ? 1 : 0, offset: UInt32(offset),
            others_mask: UInt32(oneIn - 1), loud_mask: UInt32(loudOneIn - 1))
        _ = meshd_sample_strangers(
            descriptor, &filter, senders, senders.count, hosts, hosts.count)
    }

    private static func lastWord(of address: NodeAddress) -> UInt32 {
        address.host.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The most senders that the system can be told of.
    public nonisolated static let knownSendersMax = Int(MESHD_KNOWN_SENDERS_MAX)
    /// The most loud ones.
    public nonisolated static let loudSendersMax = Int(MESHD_LOUD_SENDERS_MAX)

    /// Sends a datagram now or drops it.
    /// - Returns: whether the system took it, which does not mean that it arrives.
    @discardableResult
    public func send(_ bytes: [UInt8], to address: NodeAddress) -> Bool {
        guard let handle else { return false }
        let udp = handle.pointer(to: uv_udp_t.self)
        var code = trySend(bytes, to: address, udp)
        // It may have failed because of what the network said about an earlier one.
        if code < 0, readNetworkErrors() > 0 { code = trySend(bytes, to: address, udp) }
        guard code >= 0 else {
            counters.sendsFailed += 1
            report(NetworkError(code: code, operation: "send a UDP datagram"))
            return false
        }
        counters.datagramsSent += 1
        counters.bytesSent += bytes.count
        return true
    }

    private func trySend(
        _ bytes: [UInt8], to address: NodeAddress, _ udp: UnsafeMutablePointer<uv_udp_t>
    ) -> Int32 {
        bytes.withUnsafeBytes { bytes in
            // libuv does not write to the buffer.
            var buffer = uv_buf_t(
                base: UnsafeMutableRawPointer(mutating: bytes.baseAddress)?
                    .assumingMemoryBound(to: CChar.self), len: bytes.count)
            return SocketAddress(address).withPointer { uv_udp_try_send(udp, &buffer, 1, $0) }
        }
    }

    /// Reads what the network has said.
    /// - Returns: how much of it there was.
    @discardableResult
    private func readNetworkErrors() -> Int {
        var count = 0
        while count < Self.networkErrorsAtOnce {
            var receiver = sockaddr_storage()
            let found = meshd_next_network_error(descriptor, &receiver)
            if found < 0 { break }
            count += 1
            let address = withUnsafePointer(to: receiver) {
                NodeAddress(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self))
            }
            if found == 1, let address { noteRefusal(by: address) }
        }
        counters.networkErrors += count
        return count
    }

    /// Tells of an address in the next turn, once however often it refuses until then.
    private func noteRefusal(by address: NodeAddress) {
        guard refusals.count < Self.networkErrorsAtOnce, !refusals.contains(address) else { return }
        refusals.append(address)
        guard refusals.count == 1 else { return }
        EventLoop.nextTurn {
            let told = self.refusals
            self.refusals = []
            for address in told { self.onRefused?(address) }
        }
    }

    /// Closes the socket; no callback comes afterwards.
    public func close() {
        onDatagram = nil
        onRefused = nil
        onError = nil
        handle?.close()
        handle = nil
        descriptor = -1
    }

    private func report(_ error: NetworkError) {
        if reportedErrors.insert(error).inserted { onError?(error) }
    }

    fileprivate func received(
        _ count: Int, _ bytes: UnsafeRawPointer?, from sender: NodeAddress?, isPartial: Bool
    ) {
        guard count >= 0 else {
            if readNetworkErrors() > 0 { return }
            counters.receivesFailed += 1
            report(
                NetworkError(
                    code: Int32(clamping: count), operation: "receive a UDP datagram"))
            return
        }
        // Without a sender it is libuv's way to say that there is nothing more: of datagrams.
        guard let sender else {
            readNetworkErrors()
            return
        }
        guard !isPartial else {
            counters.datagramsTruncated += 1
            return
        }
        counters.datagramsReceived += 1
        counters.bytesReceived += count
        onDatagram?(Array(UnsafeRawBufferPointer(start: bytes, count: count)), sender)
    }
}

private func datagramArrived(
    _ handle: UnsafeMutablePointer<uv_udp_t>?, _ count: Int, _ buffer: UnsafePointer<uv_buf_t>?,
    _ sender: UnsafePointer<sockaddr>?, _ flags: UInt32
) {
    nonisolated(unsafe) let bytes = UnsafeRawPointer(buffer?.pointee.base)
    let address = NodeAddress(sender)
    let isPartial = flags & UV_UDP_PARTIAL.rawValue != 0
    LoopHandle.enter(handle, as: DatagramSocket.self) { socket in
        socket.received(count, bytes, from: address, isPartial: isPartial)
    }
}
