// The simulated network: datagrams are lost, doubled and overtake each other; control messages
// keep their order unless a connection broke; streams queue for their nodes' links.

import Gossip
import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// Whether nothing that one node sends reaches another now.
    func isBlocked(from: Int, to: Int) -> Bool {
        cuts.contains { $0.blocks(from: from, to: to) }
    }

    mutating func latency() -> Duration {
        let jitter = configuration.network.jitter.seconds
        // The exponential distribution's inverse, −ln(1 − u), as a sum that needs no libm.
        let u = random.unit()
        var term = u
        var sum = 0.0
        for n in 1..<24 {
            sum += term / Double(n)
            term *= u
        }
        return configuration.network.latency + Duration(seconds: jitter * sum)
    }

    mutating func count(_ kind: TrafficKind, _ bytes: Int, from: Int, to: Int?) {
        nodes[from].figures.sent[kind].count(bytes)
        if let to { nodes[to].figures.received[kind].count(bytes) }
    }

    mutating func send(_ datagram: GossipMessage, from: Int, to address: NodeAddress) {
        let to = index(at: address)
        count(.gossip, datagram.encodedSize, from: from, to: to)
        guard let to else { return }
        let copies = random.unit() < configuration.network.datagramDuplication ? 2 : 1
        let loss = losses.reduce(configuration.network.datagramLoss) { $0 + $1.rate }
        for _ in 0..<copies where random.unit() >= loss {
            let packet = Packet(
                from: from, to: to, boot: nodes[from].boot, since: now, content: .datagram(datagram)
            )
            queue.add(.arrival(packet), at: now + latency())
        }
    }

    mutating func send(_ message: MeshMessage, from: Int, to address: NodeAddress) {
        let to = index(at: address)
        count(message.trafficKind, message.estimatedBytes, from: from, to: to)
        if case .frame(_, .grantAccepted) = message { noteSteal(by: from, from: to) }
        guard let to else { return }
        let network = configuration.network
        guard random.unit() >= network.messageLoss else { return }
        let packet = Packet(
            from: from, to: to, boot: nodes[from].boot, since: now, content: .message(message))
        let key = from * nodes.count + to
        let time = max(now + latency(), arrivals[key] ?? .zero)
        arrivals[key] = time
        queue.add(.arrival(packet), at: time)
        if random.unit() < network.messageDuplication {
            queue.add(.arrival(packet), at: now + latency() * 50)
        }
    }

    private mutating func noteSteal(by thief: Int, from victim: Int?) {
        nodes[thief].figures.steals += 1
        if let victim { timeline?.addSteal(by: thief, from: victim, at: now) }
    }

    /// Sends a stream, whole: it waits for both links, one transfer after the other.
    /// - Parameter flowsFrom: when its first bytes were there; a stream that is put together from
    ///   others, or passes one on, flows while they come, and ends after they do.
    mutating func send(
        _ transfer: FilmTransfer, bytes: Int, flowsFrom: Instant? = nil, from: Int, to: Int
    ) {
        let (first, last) = occupyLinks(
            .reduce, bytes: bytes, flowsFrom: flowsFrom ?? now, from: from, to: to)
        let packet = Packet(
            from: from, to: to, boot: nodes[from].boot, since: now, flowsFrom: first,
            content: .stream(transfer))
        queue.add(.arrival(packet), at: last)
    }

    /// Books a transfer on the sender's and the receiver's link.
    /// - Returns: when its first and its last byte arrive.
    mutating func occupyLinks(
        _ kind: TrafficKind, bytes: Int, flowsFrom: Instant, from: Int, to: Int
    ) -> (first: Instant, last: Instant) {
        count(kind, bytes, from: from, to: to)
        let network = configuration.network
        let duration = Duration(seconds: Double(bytes) / network.bytesPerSecond)
        // The last piece cannot leave before it is there.
        let piece = Duration(
            seconds: Double(min(bytes, network.pieceBytes)) / network.bytesPerSecond)
        let start = max(flowsFrom, nodes[from].sendsUntil)
        nodes[from].sendsUntil = max(start + duration, now + piece)
        let delay = latency()
        let first = max(start + delay, nodes[to].receivesUntil)
        let last = max(first + duration, now + piece + delay)
        nodes[to].receivesUntil = last
        return (first, last)
    }

    /// Something has come to a node's link.
    mutating func arrive(_ packet: Packet) {
        if isBlocked(from: packet.from, to: packet.to) {
            // TCP tries again for a while; datagrams and streams are gone.
            if case .message = packet.content,
                now < packet.since + configuration.network.messagePatience,
                nodes[packet.from].boot == packet.boot, nodes[packet.from].process != nil
            {
                let time = now + .milliseconds(300) + random.duration(below: .seconds(1))
                queue.add(.arrival(packet), at: time)
            }
            return
        }
        let index = packet.to
        guard nodes[index].process != nil else { return refuse(packet) }
        guard !nodes[index].isFrozen else {
            nodes[index].backlog.append(.arrival(packet))
            return
        }
        deliver(packet)
        drive(index)
    }

    /// The machine is there, the process is not: the network says so to the sender.
    private mutating func refuse(_ packet: Packet) {
        guard nodes[packet.to].refuses, nodes[packet.from].boot == packet.boot,
            !isBlocked(from: packet.to, to: packet.from)
        else { return }
        let event = LocalEvent.refused(nodes[packet.to].address)
        queue.add(
            .local(node: packet.from, boot: packet.boot, event), at: now + latency())
    }

    private mutating func deliver(_ packet: Packet) {
        let index = packet.to
        guard let local = localTime(index) else { return }
        let sender = ParticipantID(node: nodes[packet.from].id, boot: packet.boot)
        switch packet.content {
        case .datagram(let datagram):
            let address = nodes[packet.from].address
            nodes[index].process?.node.receive(datagram: datagram, from: address, at: local)
        case .message(let message):
            log?("\(now) \(packet.from) → \(index): \(message)")
            nodes[index].process?.node.receive(message, from: sender, at: local)
        case .stream(let transfer):
            let isWhole =
                nodes[packet.from].process != nil && nodes[packet.from].boot == packet.boot
            receive(
                transfer, from: packet.from, isWhole: isWhole, flowsFrom: packet.flowsFrom,
                at: index)
        }
    }
}

extension MeshMessage {
    /// What it counts as.
    var trafficKind: TrafficKind {
        guard case .frame(_, let message) = self else { return .scene }
        switch message {
        case .stealRequest, .stealGrant, .stealRefusal, .grantAccepted, .grantRefused,
            .lateUnitRequest, .lateUnits, .contested:
            return .steal
        default:
            return .round
        }
    }

    /// About its bytes on the wire: names take some ten bytes each, ranges some four.
    var estimatedBytes: Int {
        let name = 12
        var size = 16 + 2 * name
        switch self {
        case .jobOffer(_, let job): size += 24 + job.payload.count
        case .frame(_, .start(let start)):
            let list = start.participants
            size += 16 + name * (list.added.count + list.removed.count)
            size += 4 * start.ledger.added.ranges.count
        case .frame(_, .report(let report)):
            size += 16 + 2 * name + 4 * report.claims.ranges.count
            for seal in report.seals { size += 4 + 4 * seal.coverage.ranges.count }
        case .frame(_, .plan(let plan)):
            size += name * (2 + plan.children.count) + 2 * plan.seals.count
        case .frame(_, .stealGrant(let grant)): size += 2 * name + 4 * grant.units.ranges.count
        case .frame: size += 2 * name
        case .jobRequest, .jobUnknown, .frameEnded: break
        }
        return size
    }
}
