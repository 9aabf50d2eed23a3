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
        let bytes = datagram.encode().count
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

    /// Sends a stream, whole: it waits for both links, one transfer after the other.
    /// - Parameter flowsFrom: when its first bytes were there; a stream that is put together from
    ///   others, or passes one on, flows while they come, and ends after they do.
    mutating func send(
        _ transfer: FilmTransfer, bytes: Int, flowsFrom: Instant? = nil, from: Int, to: Int
    ) {
        let network = configuration.network
        let breaks =
            nodes[from].mutes > 0
            || network.streamLoss > 0 && random.unit() < network.streamLoss
        var passage = occupyLinks(
            .reduce, bytes: breaks ? min(bytes, network.pieceBytes) : bytes,
            flowsFrom: flowsFrom ?? now, from: from, to: to)
        passage.isBroken = breaks
        let packet = packet(.stream(transfer), from: from, to: to).passing(passage)
        queue.add(.arrival(packet), at: passage.due)
        if case .sum = transfer, network.sumDuplication > 0,
            random.unit() < network.sumDuplication
        {
            let late = passage.due + random.duration(below: .seconds(5))
            queue.add(.arrival(packet), at: late)
        }
    }

    /// Books a transfer on the sender's and the receiver's link, and on a narrow way between them.
    mutating func occupyLinks(
        _ kind: TrafficKind, bytes: Int, flowsFrom: Instant, from: Int, to: Int
    ) -> Packet.Passage {
        count(kind, bytes, from: from, to: to)
        // The last piece cannot leave before it is there.
        let piece = min(bytes, configuration.network.pieceBytes)
        let sending = nodes[from].sending.duration(of: bytes)
        let lastSent = now + nodes[from].sending.duration(of: piece)
        var passage = Packet.Passage()
        passage.leaves = nodes[from].sending.book(sending, from: flowsFrom, last: lastSent)
        passage.left = max(passage.leaves + sending, lastSent)
        passage.standstills = nodes[from].standstills.count
        let delay = latency()
        var first = passage.leaves + delay
        var last = max(passage.left, lastSent) + delay
        if !ways.isEmpty {
            let key = from * nodes.count + to
            if let way = ways[key] {
                let passing = way.duration(of: bytes)
                let ready = now + way.duration(of: piece) + delay
                first = ways[key]?.book(passing, from: first, last: ready) ?? first
                last = max(first + passing, last)
            }
        }
        let receiving = nodes[to].receiving.duration(of: bytes)
        let lastTaken = now + nodes[to].receiving.duration(of: piece) + delay
        passage.flowsFrom = nodes[to].receiving.book(receiving, from: first, last: lastTaken)
        passage.due = max(passage.flowsFrom + receiving, lastTaken, last)
        return passage
    }

    /// Waits for a sender that stood still, or stands still now, before all had left it.
    /// - Returns: whether the packet arrives later.
    private mutating func waits(_ packet: Packet) -> Bool {
        guard case .stream = packet.content, nodes[packet.from].boot == packet.boot,
            nodes[packet.from].process != nil
        else { return false }
        let standstills = nodes[packet.from].standstills
        var passage = packet.passage
        while passage.standstills < standstills.count {
            let still = standstills[passage.standstills]
            if still.from < passage.left {
                guard let until = still.until else {
                    nodes[packet.from].stoppedStreams.append(packet.passing(passage))
                    return true
                }
                let wait = until - max(still.from, passage.leaves)
                passage.left += wait
                passage.due += wait
            }
            passage.standstills += 1
        }
        guard passage.due > now else { return false }
        queue.add(.arrival(packet.passing(passage)), at: passage.due)
        return true
    }

    /// Whether a stream is on its way to a node, and its sender does not stand still.
    func isUnderWay(to index: Int, _ isWanted: (FilmTransfer) -> Bool) -> Bool {
        queue.contains { event in
            guard case .arrival(let packet) = event, packet.to == index,
                case .stream(let transfer) = packet.content
            else { return false }
            return isWanted(transfer) && !nodes[packet.from].isFrozen
                && nodes[packet.from].boot == packet.boot
        }
    }

    /// Something has come to a node's link.
    mutating func arrive(_ packet: Packet) {
        if waits(packet) { return }
        if let clog = clogs.first(where: { $0.holds(from: packet.from, to: packet.to) }),
            clog.until > now
        {
            return queue.add(.arrival(packet), at: clog.until)
        }
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
        switch packet.content {
        case .datagram(let datagram):
            let address = nodes[packet.from].address
            nodes[index].process?.node.receive(datagram: datagram, from: address, at: local)
        case .message(let message):
            log?("\(now) \(packet.from) → \(index): \(message)")
            nodes[index].process?.node.receive(message, from: packet.sender, at: local)
        case .stream(let transfer):
            let isWhole =
                !packet.passage.isBroken && nodes[packet.from].process != nil
                && nodes[packet.from].boot == packet.boot
            receive(
                transfer, from: packet.from, isWhole: isWhole,
                flowsFrom: packet.passage.flowsFrom, at: index)
        }
    }
}
