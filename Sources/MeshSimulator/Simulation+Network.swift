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

    /// When what one node sends another gets through again; nil when nothing holds it now.
    func clogEnd(from: Int, to: Int) -> Instant? {
        clogs.first { $0.holds(from: from, to: to) && $0.until > now }?.until
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

    /// When a datagram or a control message that is sent now arrives: it needs its time on both
    /// links, beside the streams on them (``SimulatedLink``), and the network's latency.
    private mutating func carry(bytes: Int, from: Int, to: Int) -> Instant {
        let sent = nodes[from].sending.bookMessage(bytes: bytes, at: now)
        let taken = nodes[to].receiving.bookMessage(bytes: bytes, at: now)
        var passed = sent
        if !ways.isEmpty {
            let key = from * nodes.count + to
            passed = max(passed, ways[key]?.bookMessage(bytes: bytes, at: now) ?? passed)
        }
        return max(passed + latency(), taken)
    }

    private func packet(_ content: Packet.Content, from: Int, to: Int) -> Packet {
        let sender = nodes[from].process?.identity
        return Packet(
            from: from, to: to, boot: nodes[from].boot,
            sender: sender ?? ParticipantID(node: nodes[from].id, boot: 0), since: now,
            content: content)
    }

    mutating func send(_ datagram: GossipMessage, from: Int, to address: NodeAddress) {
        let to = index(at: address)
        let bytes = datagram.encodedSize
        count(.gossip, bytes, from: from, to: to)
        guard let to else { return }
        let copies = random.unit() < configuration.network.datagramDuplication ? 2 : 1
        let loss = losses.reduce(configuration.network.datagramLoss) { $0 + $1.rate }
        for _ in 0..<copies where random.unit() >= loss {
            queue.add(
                .arrival(packet(.datagram(datagram), from: from, to: to)),
                at: carry(bytes: bytes, from: from, to: to))
        }
    }

    mutating func send(_ message: MeshMessage, from: Int, to address: NodeAddress) {
        let to = index(at: address)
        let bytes = message.estimatedBytes
        count(message.trafficKind, bytes, from: from, to: to)
        if case .frame(_, .grantAccepted) = message { noteSteal(by: from, from: to) }
        guard let to else { return }
        let network = configuration.network
        guard random.unit() >= network.messageLoss else { return }
        let packet = packet(.message(message), from: from, to: to)
        let key = from * nodes.count + to
        let time = max(carry(bytes: bytes, from: from, to: to), arrivals[key] ?? .zero)
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

    /// The same, for a piece of a film stream; it passes a narrow way between them, too.
    mutating func occupyLinks(bytes: Int, from: Int, to: Int) -> Instant {
        let delay = latency()
        let left = nodes[from].sending.book(bytes: bytes, from: now)
        var first = left.from + delay
        var last = left.to + delay
        if !ways.isEmpty {
            let key = from * nodes.count + to
            if let passed = ways[key]?.book(bytes: bytes, from: first, notBefore: last) {
                (first, last) = passed
            }
        }
        return nodes[to].receiving.book(bytes: bytes, from: first, notBefore: last).to
    }

    /// Something has come to a node's link.
    mutating func arrive(_ packet: Packet) {
        if let until = clogEnd(from: packet.from, to: packet.to) {
            return queue.add(.arrival(packet), at: until)
        }
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
        switch packet.content {
        case .datagram(let datagram):
            let address = nodes[packet.from].address
            nodes[index].process?.node.receive(datagram: datagram, from: address, at: local)
        case .message(let message):
            log?("\(now) \(packet.from) → \(index): \(message)")
            nodes[index].process?.node.receive(message, from: packet.sender, at: local)
        }
    }
}
