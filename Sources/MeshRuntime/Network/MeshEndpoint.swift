// Where a node is reached: one port number for UDP and TCP, so that one address names it.

public import MeshCore

/// A UDP socket and a TCP listener on the same port.
@EventLoop
public struct MeshEndpoint {
    public let datagrams: DatagramSocket
    public let listener: StreamListener
    /// The address that both are bound to.
    public let address: NodeAddress

    /// How often another port is tried when the system's choice for TCP is taken for UDP.
    private static let attemptsMax = 32

    /// Binds both; port zero takes one that is free for both.
    /// - Throws: `NetworkError`, such as the address being in use.
    public static func bind(
        _ address: NodeAddress, preamble: StreamPreamble, security: StreamSecurity,
        limits: StreamLimits = StreamLimits()
    ) throws(NetworkError) -> MeshEndpoint {
        var attempt = 1
        while true {
            let listener = try StreamListener.listen(
                on: address, preamble: preamble, security: security, limits: limits)
            let bound = listener.localAddress ?? address
            do throws(NetworkError) {
                let datagrams = try DatagramSocket.bind(to: bound)
                return MeshEndpoint(datagrams: datagrams, listener: listener, address: bound)
            } catch {
                listener.close()
                let mayRetry = address.port == 0 && error.isAddressInUse
                guard mayRetry, attempt < attemptsMax else { throw error }
                attempt += 1
            }
        }
    }

    /// Closes both.
    public func close() {
        datagrams.close()
        listener.close()
    }
}
