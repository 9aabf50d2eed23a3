// Failure detection: probes, relayed probes, and what follows when nobody answers (SWIM §3.1,
// Lifeguard §IV).

import MeshCore

/// A probe under way.
struct Probe: Hashable, Sendable {
    let participant: ParticipantID
    let address: NodeAddress
    let sequence: UInt32
    let sent: Instant
    /// When relays are asked; nil once they were.
    var relayAt: Instant?
    let deadline: Instant
    /// Relays that have said nothing yet.
    var silentRelays = 0

    var nextStep: Instant { relayAt ?? deadline }
}

/// A probe made for another member.
struct Relay: Hashable, Sendable {
    let requester: NodeAddress
    let requesterSequence: UInt32
    let target: ParticipantID
    let sequence: UInt32
    /// When the requester is told that the target is silent; nil once it was.
    var nackAt: Instant?
    let deadline: Instant

    var nextStep: Instant { nackAt ?? deadline }
}

extension Membership {
    // MARK: Probing

    /// Starts the probe of this interval.
    mutating func tickProbing() {
        guard nextProbe <= now else { return }
        nextProbe = now + health.scale(configuration.probeInterval)
        let own = participant
        let target = order.next(in: table, random: &random) {
            $0.status.isPresent && $0.participant != own
        }
        if let target { probe(target) }
    }

    mutating func probe(_ target: Member) {
        guard !probes.contains(where: { $0.participant == target.participant }) else { return }
        statistics.probes += 1
        let number = nextSequence()
        probes.append(
            Probe(
                participant: target.participant, address: target.address, sequence: number,
                sent: now, relayAt: now + health.probeTimeout(configuration),
                deadline: now + health.scale(configuration.probeInterval)))
        send(.ping(.init(sequence: number)), to: target.address, of: target.participant.node)
    }

    /// Three bytes as a varint.
    static let sequenceMask: UInt32 = 0x1f_ffff

    mutating func nextSequence() -> UInt32 {
        sequence = (sequence + 1) & Self.sequenceMask
        return sequence
    }

    /// Asks relays about targets that are late, and gives up those whose time is over.
    mutating func tickProbes() {
        var index = 0
        while index < probes.count {
            if let relayAt = probes[index].relayAt, relayAt <= now { askRelays(index) }
            if probes[index].deadline <= now {
                let probe = probes.remove(at: index)
                fail(probe)
            } else {
                index += 1
            }
        }
    }

    /// Asks k others to probe the target, and probes it directly once more.
    private mutating func askRelays(_ index: Int) {
        probes[index].relayAt = nil
        let probe = probes[index]
        let helpers = randomMembers(configuration.indirectProbes) {
            $0.status == .alive && $0.participant != probe.participant
        }
        probes[index].silentRelays = helpers.count
        let request = GossipMessage.IndirectPing(
            sequence: probe.sequence, target: probe.participant, address: probe.address)
        for helper in helpers {
            send(.indirectPing(request), to: helper.address, of: helper.participant.node)
        }
        send(
            .ping(.init(sequence: probe.sequence)), to: probe.address,
            of: probe.participant.node)
    }

    private mutating func fail(_ probe: Probe) {
        statistics.probesFailed += 1
        // A relay that says neither yes nor no hints at our own connection (Lifeguard §IV-A).
        health.change(by: max(probe.silentRelays, 1))
        guard let member = table.member(probe.participant.node), member.status.isPresent,
            member.participant == probe.participant
        else { return }
        accuse(member.participant, incarnation: member.incarnation, refused: false)
    }

    // MARK: Answers

    mutating func receivePing(
        _ ping: GossipMessage.Ping, from sender: ParticipantID, at address: NodeAddress,
        isAccused: Bool
    ) {
        guard !isLeaving else { return }
        send(
            .ack(.init(sequence: ping.sequence, subject: nil)), to: address, of: sender.node,
            mentioning: isAccused ? participant.node : nil)
        introduce(to: sender, at: address)
        tellAddress(to: sender, at: address)
    }

    mutating func receiveAck(
        _ ack: GossipMessage.Ack, from sender: ParticipantID, at address: NodeAddress
    ) {
        let subject = ack.subject ?? sender
        if let index = relays.firstIndex(where: { $0.sequence == ack.sequence }),
            ack.subject == nil
        {
            let relay = relays[index]
            guard relay.target == sender else { return }
            relays.remove(at: index)
            send(
                .ack(.init(sequence: relay.requesterSequence, subject: sender)),
                to: relay.requester)
            return
        }
        guard let index = probes.firstIndex(where: { $0.sequence == ack.sequence }) else { return }
        let probe = probes[index]
        if probe.participant == subject {
            probes.remove(at: index)
            health.change(by: -1)
            // An answer after the second ping could belong to either (Karn and Partridge 1987).
            if ack.subject == nil, probe.relayAt != nil { health.measured(now - probe.sent) }
        } else if ack.subject == nil, address == probe.address {
            // Somebody else lives at that address now.
            guard let member = table.member(probe.participant.node),
                member.participant == probe.participant
            else { return }
            statistics.refusals += 1
            accuse(member.participant, incarnation: member.incarnation, refused: true)
        }
    }

    mutating func receiveNack(_ nack: GossipMessage.Nack) {
        guard let index = probes.firstIndex(where: { $0.sequence == nack.sequence }) else { return }
        probes[index].silentRelays = max(probes[index].silentRelays - 1, 0)
    }

    mutating func receiveIndirectPing(
        _ request: GossipMessage.IndirectPing, from address: NodeAddress
    ) {
        guard !isLeaving, relays.count < configuration.relaysMax,
            request.target != participant
        else { return }
        let number = nextSequence()
        relays.append(
            Relay(
                requester: address, requesterSequence: request.sequence, target: request.target,
                sequence: number, nackAt: now + configuration.probeTimeoutMax,
                deadline: now + configuration.probeInterval))
        let ping = GossipMessage.Body.ping(.init(sequence: number))
        if let target = table.member(request.target.node), target.address == request.address {
            send(ping, to: request.address, of: request.target.node)
        } else {
            // Nobody known has the address: no news for whoever it is, and no more bytes than came.
            directives.append(
                .send(GossipMessage(sender: participant, body: ping), to: request.address))
        }
    }

    mutating func tickRelays() {
        for index in relays.indices {
            guard let nackAt = relays[index].nackAt, nackAt <= now else { continue }
            relays[index].nackAt = nil
            send(
                .nack(.init(sequence: relays[index].requesterSequence)),
                to: relays[index].requester)
        }
        relays.removeAll { $0.deadline <= now }
    }

    // MARK: Suspicion

    /// This node itself saw a sign of failure.
    mutating func accuse(_ accused: ParticipantID, incarnation: UInt32, refused: Bool) {
        let own = [participant.node]
        apply(
            MemberUpdate(
                participant: accused, incarnation: incarnation, status: .suspect,
                witnesses: own, refusals: refused ? own : []),
            from: participant, isPage: false, spreads: true)
    }

    func suspicionIndex(of node: NodeID) -> Int? {
        suspicions.firstIndex { $0.node == node }
    }

    /// Begins a suspicion, or adds witnesses to it. Returns whether that is news.
    mutating func suspect(_ update: MemberUpdate, by sender: ParticipantID) -> Bool {
        let node = update.participant.node
        var isNew = false
        if suspicionIndex(of: node) == nil {
            isNew = true
            statistics.suspicions += 1
            var suspicion = Suspicion(node: node, incarnation: update.incarnation, start: now)
            // Hearsay is looked into by some of the members, each deciding for itself.
            let others = max(table.presentCount - 2, 1)
            if sender == participant || random.below(others) < configuration.suspectProbers {
                suspicion.nextProbe =
                    sender == participant ? now + configuration.suspectProbeInterval : now
            }
            let place = suspicions.firstIndex { $0.node > node } ?? suspicions.count
            suspicions.insert(suspicion, at: place)
        }
        guard let index = suspicionIndex(of: node) else { return false }
        let isNews = suspicions[index].merge(
            witnesses: update.witnesses.isEmpty ? [sender.node] : update.witnesses,
            refusals: update.refusals, at: now)
        let suspicion = suspicions[index]
        let deadline = suspicion.deadline(present: table.presentCount, configuration)
        nextSuspicion = min(nextSuspicion, deadline, suspicion.nextProbe ?? deadline)
        return isNew || isNews
    }

    /// Declares suspects dead whose time is over, and looks after the others.
    mutating func tickSuspicions() {
        guard nextSuspicion <= now else { return }
        nextSuspicion = .distantFuture
        for suspicion in suspicions {
            guard let member = table.member(suspicion.node) else { continue }
            let deadline = suspicion.deadline(present: table.presentCount, configuration)
            if deadline <= now, !isLeaving {
                statistics.deathsDeclared += 1
                apply(
                    MemberUpdate(
                        participant: member.participant, incarnation: suspicion.incarnation,
                        status: .dead),
                    from: participant, isPage: false, spreads: true)
                continue
            }
            if let due = suspicion.nextProbe, due <= now, !isLeaving {
                if let index = suspicionIndex(of: suspicion.node) {
                    suspicions[index].nextProbe = now + configuration.suspectProbeInterval
                }
                probe(member)
            }
        }
        for suspicion in suspicions where !isLeaving {
            let deadline = suspicion.deadline(present: table.presentCount, configuration)
            nextSuspicion = min(nextSuspicion, deadline, suspicion.nextProbe ?? deadline)
        }
    }
}
