// The simulated network: datagrams are lost, doubled and overtake each other; control messages
// keep their order unless a connection broke. Streams are in Simulation+Flows.swift.

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
        count(.gossip, datagram.encode().count, from: from, to: to)
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

    /// Books a transfer of known bytes on the sender's and the receiver's link.
    /// - Returns: when its last byte arrives.
    mutating func occupyLinks(_ kind: TrafficKind, bytes: Int, from: Int, to: Int) -> Instant {
        count(kind, bytes, from: from, to: to)
        return occupyLinks(bytes: bytes, from: from, to: to)
    }

    /// The same, for a piece of a film stream.
    mutating func occupyLinks(bytes: Int, from: Int, to: Int) -> Instant {
        let duration = Duration(
            seconds: Double(bytes) / configuration.network.bytesPerSecond)
        let start = max(now, nodes[from].sendsUntil)
        nodes[from].sendsUntil = start + duration
        let last = max(start + latency(), nodes[to].receivesUntil) + duration
        nodes[to].receivesUntil = last
        return last
    }

    /// Something has come to a node's link.
    mutating func arrive(_ packet: Packet) {
        if isBlocked(from: packet.from, to: packet.to) {
            // TCP tries again for a while; datagrams are gone.
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
        guard nodes[index].process != nil else {
            return refuse(from: packet.from, to: packet.to, boot: packet.boot)
        }
        guard !nodes[index].isFrozen else {
            nodes[index].backlog.append(.arrival(packet))
            return
        }
        deliver(packet)
        drive(index)
    }

    /// The machine is there, the process is not: the network says so to the sender.
    mutating func refuse(from: Int, to: Int, boot: UInt64) {
        guard nodes[to].refuses, nodes[from].boot == boot, !isBlocked(from: to, to: from) else {
            return
        }
        let event = LocalEvent.refused(nodes[to].address)
        queue.add(.local(node: from, boot: boot, event), at: now + latency())
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
            for place in plan.places { size += name * (1 + place.children.count) }
            size += 2 * plan.seals.count
        case .frame(_, .stealGrant(let grant)): size += 2 * name + 4 * grant.units.ranges.count
        case .frame: size += 2 * name
        case .jobRequest, .jobUnknown, .frameEnded: break
        }
        return size
    }
}
