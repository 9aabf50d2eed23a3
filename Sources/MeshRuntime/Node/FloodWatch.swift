// What a node lets in of packets by senders that it does not know, while these are too many: the
// system drops the others, which costs this process nothing.

import MeshCore

/// Finds out whether more packets come that can't be opened than a node should look at, and from
/// where. An address that sends them by itself is *loud*: nearly nothing of it is let in any more,
/// and all of others. When they come from everywhere a part of all is let in, chosen so that it is
/// not too many.
struct FloodWatch {
    /// So many packets in half a second are a flood: 1,024 in a second.
    static let unopenedMax = 512
    /// Of a loud address one packet in so many is let in: the flood is seen to go on, and a member at
    /// such an address is heard at last.
    static let loudOneIn = 1_024
    /// How long a flood is over before it counts as over: five seconds.
    private static let ticksAfter = 10
    /// When this part of a flood is too much, a quarter of it may do.
    private static let step = 4
    private static let oneInMax = 1_024
    /// More addresses than these are not told apart.
    private static let addressesMax = 1_024

    /// Of a loud address so many of those let in, in that time, say that it still is. A stranger that
    /// sends a little in its name does not keep it loud.
    private static let loudAgain = 3

    /// The ticks until an address is loud no more, and what was let in of it since it was.
    private struct Loudness {
        var ticks = FloodWatch.ticksAfter
        var unopened = 0
    }

    /// Since the last tick, of addresses that are not loud, without their ports.
    private var unopened: [NodeAddress: Int] = [:]
    private var unopenedCount = 0
    private var loud: [NodeAddress: Loudness] = [:]
    /// Of addresses that are not loud, one packet in so many is let in.
    private(set) var oneIn = 1
    private var quietTicks = 0

    var loudAddresses: [NodeAddress] { loud.keys.sorted() }
    var isFlood: Bool { oneIn > 1 || !loud.isEmpty }

    /// A packet could not be opened.
    /// - Returns: whether less is to be let in from now on.
    mutating func note(_ source: NodeAddress) -> Bool {
        let address = source.with(port: 0)
        if loud[address] != nil {
            loud[address]?.unopened += 1
            return false
        }
        unopenedCount += 1
        if unopened.count < Self.addressesMax || unopened[address] != nil {
            unopened[address, default: 0] += 1
        }
        guard unopenedCount >= Self.unopenedMax else { return false }
        // Addresses that are half of it or more are loud; otherwise it comes from everywhere.
        let most = unopened.filter { $0.value >= Self.unopenedMax / 2 }.keys
        if most.isEmpty || loud.count + most.count > DatagramSocket.loudSendersMax {
            oneIn = min(oneIn * Self.step, Self.oneInMax)
        }
        for address in most where loud.count < DatagramSocket.loudSendersMax {
            loud[address] = Loudness()
        }
        quietTicks = 0
        unopened = [:]
        unopenedCount = 0
        return true
    }

    /// To be called twice a second.
    mutating func tick() {
        loud = loud.compactMapValues { loudness in
            if loudness.ticks > 1 {
                return Loudness(ticks: loudness.ticks - 1, unopened: loudness.unopened)
            }
            return loudness.unopened >= Self.loudAgain ? Loudness() : nil
        }
        let estimate = unopenedCount * oneIn
        quietTicks = unopenedCount * Self.step < Self.unopenedMax ? quietTicks + 1 : 0
        if quietTicks >= Self.ticksAfter {
            oneIn = estimate < Self.unopenedMax ? 1 : max(1, oneIn / Self.step)
            quietTicks = 0
        }
        unopened = [:]
        unopenedCount = 0
    }
}
