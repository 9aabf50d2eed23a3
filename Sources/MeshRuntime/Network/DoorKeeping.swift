// Who is let in at a listener's door, and who has to go for it: so that nobody who merely connects
// can keep members out, whether from one address or from many.

import MeshCore

/// The connections at a listener by the machines that they come from. A machine is an IPv4 address,
/// or the 64 bits of an IPv6 address by which a network names it: it can have all of those behind.
struct DoorKeeping {
    /// Connections that have not introduced themselves are known by the order in which they came.
    typealias Ticket = UInt64

    /// A machine; nil stands for this one, over a socket file.
    struct Machine: Hashable {
        private let network: [UInt8]

        init(_ address: NodeAddress?) { network = Array((address?.host ?? []).prefix(8)) }
    }

    /// The most connections at a time.
    var connectionsMax = 4_096
    /// The most of them from one machine.
    var connectionsPerMachineMax = 1_024
    /// The most connections that have not introduced themselves.
    var greetingMax = 512
    /// The most of them from one machine.
    var greetingPerMachineMax = 64

    private(set) var open: [Machine: Int] = [:]
    private(set) var openCount = 0
    private var greeting: [Machine: [Ticket]] = [:]
    private var tickets: [Ticket: Machine] = [:]
    private var nextTicket: Ticket = 0
    /// Not after the first of those that are still there.
    private var oldest: Ticket = 0

    /// What is to be done with a new connection.
    enum Decision: Equatable {
        case refuse
        /// It has a place. When there were none, this one has lost its, the oldest: who means to
        /// introduce himself has had the most time for it, while a new one may be a member.
        case admit(Ticket, instead: Ticket?)
    }

    mutating func arrived(from address: NodeAddress?) -> Decision {
        let machine = Machine(address)
        guard openCount < connectionsMax, open[machine, default: 0] < connectionsPerMachineMax
        else { return .refuse }
        var loser: Ticket?
        if let mine = greeting[machine], mine.count >= greetingPerMachineMax {
            loser = mine.first
        } else if tickets.count >= greetingMax {
            while tickets[oldest] == nil, oldest < nextTicket { oldest += 1 }
            loser = oldest
        }
        if let loser { introduced(loser) }
        let ticket = nextTicket
        nextTicket += 1
        tickets[ticket] = machine
        greeting[machine, default: []].append(ticket)
        open[machine, default: 0] += 1
        openCount += 1
        return .admit(ticket, instead: loser)
    }

    /// A connection does not need its place among the new ones any more.
    mutating func introduced(_ ticket: Ticket) {
        guard let machine = tickets.removeValue(forKey: ticket) else { return }
        greeting[machine]?.removeAll { $0 == ticket }
        if greeting[machine]?.isEmpty ?? false { greeting[machine] = nil }
    }

    /// A connection is gone.
    mutating func left(_ ticket: Ticket, from address: NodeAddress?) {
        introduced(ticket)
        let machine = Machine(address)
        guard let count = open[machine] else { return }
        open[machine] = count > 1 ? count - 1 : nil
        openCount -= 1
    }
}
