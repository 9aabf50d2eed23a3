// How much work the packets of strangers may cause: to find out that one is forged takes a key to be
// made and all of it to be read. Who fails too often is not listened to until the next interval.

import MeshCore

/// Failed attempts to open packets in one interval.
struct OpeningBudget {
    /// The most of one address.
    static let failuresPerAddressMax = 32
    /// The most of senders that are not known, which may take any address for each packet.
    static let strangersMax = 256
    /// Of more addresses than this none is tried that is not known.
    private static let addressesMax = 4_096

    /// By address, without its port.
    private var failures: [NodeAddress: Int] = [:]
    private var strangers = 0

    /// - Parameter isKnown: whether a packet of the sender that it names was opened before.
    func mayTry(_ source: NodeAddress, isKnown: Bool) -> Bool {
        guard isKnown || strangers < Self.strangersMax else { return false }
        return failures[source.with(port: 0), default: 0] < Self.failuresPerAddressMax
    }

    mutating func failed(_ source: NodeAddress, isKnown: Bool) {
        if !isKnown { strangers += 1 }
        let address = source.with(port: 0)
        guard failures.count < Self.addressesMax || failures[address] != nil else { return }
        failures[address, default: 0] += 1
    }
}
