// Joining, leaving, metadata, and the attempts to reach those thought dead, by which two halves
// of a mesh that declared each other dead find together again.

public import MeshCore

/// An address at which somebody may be, found by discovery or named by a user.
struct Seed: Hashable, Sendable {
    let address: NodeAddress
    /// The present member that was found to have it last.
    var node: NodeID?
}

extension Membership {
    /// Asks these addresses to take this node in, now and again until their nodes are members.
    /// One that answers is enough. At most `seedsMax` addresses are kept, the newest.
    public mutating func join(_ addresses: [NodeAddress], at instant: Instant) {
        tick(at: instant)
        for address in addresses where !address.isUnspecified {
            seeds.removeAll { $0.address == address }
            let seed = Seed(address: address, node: holder(of: Seed(address: address)))
            seeds.append(seed)
            if seed.node == nil { contact(address) }
        }
        if seeds.count > configuration.seedsMax {
            seeds.removeFirst(seeds.count - configuration.seedsMax)
        }
    }

    /// Says goodbye. Go on performing directives and ticking until ``isQuiet``, for a second at
    /// most, so that all hear of it.
    public mutating func leave(at instant: Instant) {
        tick(at: instant)
        var own = ownMember
        guard own.status != .left else { return }
        own.status = .left
        isLeaving = true
        table.store(own)
        probes.removeAll()
        relays.removeAll()
        pull = nil
        pendingMetadata = nil
        spread(participant.node, isProfileOnly: false)
        for member in randomMembers(configuration.suspectProbers, where: { $0.status.isPresent }) {
            send(.gossip, to: member.address, mentioning: participant.node)
        }
        nextGossip = now + configuration.gossipInterval
    }

    /// Changes this node's metadata for all members; at most one change per `metadataInterval`
    /// goes out, the latest wins.
    /// - Parameter metadata: at most ``GossipMessage/metadataSizeMax`` bytes.
    public mutating func updateMetadata(_ metadata: [UInt8], at instant: Instant) {
        precondition(metadata.count <= GossipMessage.metadataSizeMax)
        tick(at: instant)
        guard !isLeaving else { return }
        pendingMetadata = metadata == ownMember.metadata ? nil : metadata
        tickMetadata()
    }

    mutating func tickMetadata() {
        guard let metadata = pendingMetadata, nextMetadata <= now else { return }
        pendingMetadata = nil
        nextMetadata = now + configuration.metadataInterval
        var own = ownMember
        own.metadata = metadata
        own.metadataVersion = MemberUpdate.counter(after: own.metadataVersion)
        table.store(own)
        spread(participant.node, isProfileOnly: true)
    }

    // MARK: Contact

    /// The present member, this node included, that has a seed's address: most often the one that
    /// had it last; otherwise all are looked at.
    private func holder(of seed: Seed) -> NodeID? {
        func hasIt(_ member: Member) -> Bool {
            member.address == seed.address && member.status.isPresent
        }
        if let node = seed.node, let member = table.member(node), hasIt(member) { return node }
        return table.members.first(where: hasIt)?.participant.node
    }

    private mutating func contact(_ address: NodeAddress) {
        send(.join(.init(record: MemberUpdate(ownMember))), to: address)
    }

    mutating func tickContact() {
        guard nextContact <= now else { return }
        let isAlone = table.presentCount == 1
        nextContact =
            now + (isAlone ? configuration.lonelyContactInterval : configuration.contactInterval)
        guard !isLeaving else { return }
        for index in seeds.indices { seeds[index].node = holder(of: seeds[index]) }
        let absent = seeds.filter { $0.node == nil }.map(\.address)
        let dead = departedMembers.filter { $0.status == .dead }.map(\.address)
        if isAlone {
            for seed in absent.prefix(8) { contact(seed) }
        }
        let candidates = isAlone ? dead : dead + absent
        if !candidates.isEmpty { contact(candidates[random.below(candidates.count)]) }
    }

    /// Takes a joining node in and lets both sides compare what they know.
    mutating func receiveJoin(
        _ join: GossipMessage.Join, from sender: ParticipantID, at address: NodeAddress
    ) {
        guard !isLeaving, join.record.participant == sender, let profile = join.record.profile
        else { return }
        let isAddressed = !profile.address.isUnspecified
        let record = MemberUpdate(
            participant: sender, incarnation: join.record.incarnation, status: .alive,
            profile: .init(
                address: isAddressed
                    ? profile.address : address.with(port: profile.address.port),
                metadataVersion: profile.metadataVersion, metadata: profile.metadata))
        apply(record, from: sender, isPage: false, spreads: true)
        sendDigests(to: address, of: sender, wantsReply: true, observed: address)
    }

    /// Begins a comparison with a node that speaks to this one but is not known here, at most
    /// once a second.
    mutating func introduce(to sender: ParticipantID, at address: NodeAddress) {
        guard table.member(sender.node)?.participant != sender, nextIntroduction <= now else {
            return
        }
        nextIntroduction = now + .seconds(1)
        sendDigests(to: address, of: sender, wantsReply: true)
    }

    // MARK: Dispatch

    mutating func receiveBody(
        _ message: GossipMessage, from address: NodeAddress, isAccused: Bool
    ) {
        let sender = message.sender
        var mustAnswer = isAccused
        switch message.body {
        case .ping(let ping):
            // The answer carries the refutation.
            receivePing(ping, from: sender, at: address, isAccused: isAccused)
            mustAnswer = false
        case .ack(let ack): receiveAck(ack, from: sender, at: address)
        case .indirectPing(let request): receiveIndirectPing(request, from: address)
        case .nack(let nack): receiveNack(nack)
        case .gossip: break
        case .join(let join): receiveJoin(join, from: sender, at: address)
        case .digest(let digest):
            receiveDigest(digest, from: sender, at: address, isAccused: isAccused)
        case .pull(let request): receivePull(request, from: sender, at: address)
        case .page(let page):
            let isAccusedByPage = receivePage(page, from: sender)
            mustAnswer = mustAnswer || isAccusedByPage
        }
        if mustAnswer {
            send(.gossip, to: address, of: sender.node, mentioning: participant.node)
        }
    }
}
