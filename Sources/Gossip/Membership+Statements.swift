// What is said of members: which statement overrides which (SWIM §4.2), how a node refutes what
// is said of itself, and how news is handed on (§4.1).

import MeshCore

extension Membership {
    // MARK: Statements about others

    /// Takes in one statement.
    /// - Parameters:
    ///   - isPage: it comes from a synchronisation, so that a death in it may be long refuted.
    ///   - spreads: whether it is handed on if it is news.
    mutating func apply(
        _ update: MemberUpdate, from sender: ParticipantID, isPage: Bool, spreads: Bool
    ) {
        let node = update.participant.node
        guard node != participant.node else { return applyToSelf(update) }
        guard let old = table.member(node) else {
            return add(update, from: sender, spreads: spreads)
        }
        guard update.participant.boot == old.participant.boot else {
            if update.participant.boot > old.participant.boot {
                replace(old, by: update, from: sender, spreads: spreads)
            }
            return
        }
        var update = update
        if isPage, update.status == .dead, old.status.isPresent {
            // It may have been refuted since: let it refute again (memberlist does so too).
            update = MemberUpdate(
                participant: update.participant, incarnation: update.incarnation,
                status: .suspect, profile: update.profile)
        }
        var new = old
        if let profile = update.profile, profile.metadataVersion > old.metadataVersion {
            new.metadataVersion = profile.metadataVersion
            new.metadata = profile.metadata
        }
        let isNewer = (update.incarnation, update.status) > (old.incarnation, old.status)
        if isNewer {
            new.incarnation = update.incarnation
            new.status = update.status
            if update.status == .alive, let profile = update.profile,
                !profile.address.isUnspecified
            {
                new.address = profile.address
            }
        }
        if new != old { change(old, to: new) }
        let isSuspect = update.status == .suspect && update.incarnation == new.incarnation
        let hasWitnesses = isSuspect && new.status == .suspect && suspect(update, by: sender)
        if spreads, new != old || hasWitnesses {
            spread(node, isProfileOnly: !isNewer && !hasWitnesses)
        }
    }

    /// Takes in a member that was not known.
    private mutating func add(
        _ update: MemberUpdate, from sender: ParticipantID, spreads: Bool
    ) {
        guard update.status.isPresent, let profile = update.profile,
            !profile.address.isUnspecified, hasRoom()
        else { return }
        let member = Member(
            participant: update.participant, address: profile.address,
            incarnation: update.incarnation, status: .alive,
            metadataVersion: profile.metadataVersion, metadata: profile.metadata)
        let wasAlone = table.presentCount == 1
        table.store(member)
        order.insert(update.participant.node, random: &random)
        directives.append(.memberChanged(member, from: nil))
        if wasAlone { spread(participant.node, isProfileOnly: false) }
        if spreads { spread(update.participant.node, isProfileOnly: false) }
        if update.status == .suspect {
            apply(update, from: sender, isPage: false, spreads: spreads)
        }
    }

    /// A restarted node: its old participant is gone for certain.
    private mutating func replace(
        _ old: Member, by update: MemberUpdate, from sender: ParticipantID, spreads: Bool
    ) {
        var gone = old
        gone.status = .dead
        if old.status.isPresent { change(old, to: gone) }
        guard update.profile != nil, update.status.isPresent else { return }
        departed.removeAll { $0.participant == old.participant }
        table.remove(old.participant.node)
        broadcasts.remove(old.participant.node)
        add(update, from: sender, spreads: spreads)
    }

    /// Stores what changed, with all that hangs on the status, and tells the driver.
    private mutating func change(_ old: Member, to new: Member) {
        table.store(new)
        if old.status == .suspect, new.status != .suspect || new.incarnation != old.incarnation {
            suspicions.removeAll { $0.node == new.participant.node }
        }
        if !new.status.isPresent || new.address != old.address {
            probes.removeAll { $0.participant == new.participant }
        }
        if !new.status.isPresent {
            if old.status.isPresent {
                departed.append((new.participant, now + configuration.departedRetention))
            }
        } else if !old.status.isPresent {
            departed.removeAll { $0.participant == new.participant }
            order.insert(new.participant.node, random: &random)
        }
        let isVisible =
            new.status != old.status || new.metadataVersion != old.metadataVersion
            || new.address != old.address
        if isVisible { directives.append(.memberChanged(new, from: old.status)) }
    }

    /// Forgets members that departed long ago.
    mutating func tickDeparted() {
        while let first = departed.first, first.until <= now { forgetFirstDeparted() }
    }

    private mutating func forgetFirstDeparted() {
        let node = departed.removeFirst().participant.node
        table.remove(node)
        broadcasts.remove(node)
    }

    /// Whether one more member can be known: who departed first makes room for it.
    private mutating func hasRoom() -> Bool {
        if table.count < configuration.membersMax { return true }
        if departed.isEmpty { return false }
        forgetFirstDeparted()
        return true
    }

    // MARK: Statements about this node

    /// Whether a statement says that this node is not well, or that it is older than it is.
    func accusesSelf(_ update: MemberUpdate) -> Bool {
        update.participant == participant && update.status != .alive && !isLeaving
    }

    private mutating func applyToSelf(_ update: MemberUpdate) {
        guard update.participant.boot >= participant.boot else { return }
        guard update.participant.boot == participant.boot else {
            return reportConflict(update.participant)
        }
        var own = ownMember
        guard own.status == .alive else { return }
        if speaksForAnother(update, own) { reportConflict(update.participant) }
        let above = MemberUpdate.counter(after: update.incarnation)
        if update.status != .alive, update.incarnation >= own.incarnation {
            // Refute: only the accused can (SWIM §4.2).
            own.incarnation = above
            statistics.refutations += 1
            health.change(by: 1)
        } else if update.incarnation > own.incarnation {
            own.incarnation = above
        }
        if let profile = update.profile, profile.metadataVersion > own.metadataVersion {
            own.metadataVersion = MemberUpdate.counter(after: profile.metadataVersion)
        }
        guard own != ownMember else { return }
        table.store(own)
        spread(participant.node, isProfileOnly: false)
    }

    /// Whether a statement about this participant can only come from another process that takes
    /// itself for it, such as one with a copied state folder: it has another address, and this node
    /// never changes its own without raising its incarnation; or its counter is at its end, beyond
    /// which nothing can be refuted.
    private func speaksForAnother(_ update: MemberUpdate, _ own: Member) -> Bool {
        if update.incarnation == MemberUpdate.counterMax { return true }
        guard update.status == .alive, update.incarnation == own.incarnation,
            let address = update.profile?.address
        else { return false }
        return !address.isUnspecified && !own.address.isUnspecified && address != own.address
    }

    /// Tells of another process with this node's id, once a minute at most.
    mutating func reportConflict(_ other: ParticipantID) {
        guard nextConflictReport <= now else { return }
        nextConflictReport = now + .seconds(60)
        directives.append(.identityConflict(other))
    }

    // MARK: Handing on

    /// Notes news that is to be handed on.
    mutating func spread(_ node: NodeID, isProfileOnly: Bool) {
        broadcasts.add(node, isProfileOnly: isProfileOnly)
        nextGossip = max(nextGossip, now)
    }

    /// The newest that is known of a node, as a statement.
    func statement(of node: NodeID, withProfile: Bool) -> MemberUpdate? {
        guard let member = table.member(node) else { return nil }
        let suspicion = suspicionIndex(of: node).map { suspicions[$0] }
        let whole = MemberUpdate(member, suspicion: suspicion)
        if withProfile || member.status == .alive { return whole }
        return MemberUpdate(
            participant: whole.participant, incarnation: whole.incarnation, status: whole.status,
            witnesses: whole.witnesses, refusals: whole.refusals)
    }

    /// Sends a message with as much news as fits.
    /// - Parameters:
    ///   - node: the receiver if it is known; it hears first what is said of itself (Lifeguard
    ///     §IV-C, buddy system).
    ///   - mentioned: a member whose statement goes along in any case.
    mutating func send(
        _ body: GossipMessage.Body, to address: NodeAddress, of node: NodeID? = nil,
        mentioning mentioned: NodeID? = nil
    ) {
        var message = GossipMessage(sender: participant, body: body)
        var updates: [MemberUpdate] = []
        for first in [node, mentioned] {
            guard let first, let update = statement(of: first, withProfile: false),
                first == mentioned || update.status != .alive
            else { continue }
            updates.append(update)
        }
        message.updates = updates
        if !broadcasts.isEmpty {
            let room = GossipMessage.datagramSizeMax - message.encodedSize
            select(&message.updates, room: room, receiver: node)
        }
        directives.append(.send(message, to: address))
    }

    /// Takes from the queue of news what fits in `room` bytes.
    private mutating func select(
        _ updates: inout [MemberUpdate], room: Int, receiver: NodeID?
    ) {
        let spread = Logarithm.binary(table.presentCount + 1)
        let statusLimit = Int((configuration.statusRetransmissions * spread).rounded(.up))
        let profileLimit = min(
            Int((configuration.metadataRetransmissions * spread).rounded(.up)),
            configuration.metadataTransmissionsMax)
        let mentioned = updates.map(\.participant.node)
        var room = room
        var selected: [MemberUpdate] = []
        var misses = 0
        // Moved out and back in, so that its storage is not copied.
        var queue = broadcasts
        broadcasts = BroadcastQueue(max: 0)
        queue.select(limit: { $0.isProfileOnly ? profileLimit : statusLimit }) { entry in
            // What goes along anyway counts, and so does what the receiver said itself.
            if mentioned.contains(entry.node) { return .taken }
            guard let update = statement(of: entry.node, withProfile: entry.carriesProfile) else {
                return .dropped
            }
            if entry.node == receiver, update.status == .alive { return .taken }
            let size = update.encodedSize
            if size > room || selected.count + mentioned.count >= GossipMessage.updatesMax {
                misses += 1
                return misses > 4 ? .full : .skipped
            }
            room -= size
            selected.append(update)
            return .taken
        }
        broadcasts = queue
        updates += selected
    }

    /// Sends news to a few random members while there is any.
    mutating func tickGossip() {
        guard nextGossip <= now, !broadcasts.isEmpty else { return }
        nextGossip = now + configuration.gossipInterval
        let receivers = randomMembers(configuration.gossipFanout) { $0.status.isPresent }
        if receivers.isEmpty { broadcasts = BroadcastQueue(max: configuration.broadcastsMax) }
        for receiver in receivers where !broadcasts.isEmpty {
            send(.gossip, to: receiver.address, of: receiver.participant.node)
        }
    }

    /// Up to `count` different random members, never this node.
    mutating func randomMembers(_ count: Int, where accepts: (Member) -> Bool) -> [Member] {
        var chosen: [Member] = []
        // A few draws suffice in a healthy table; a small or sick one is searched through.
        for _ in 0..<(4 * count) where table.count > 4 * count && chosen.count < count {
            let member = table[random.below(table.count)]
            if member.participant != participant, accepts(member),
                !chosen.contains(where: { $0.participant == member.participant })
            {
                chosen.append(member)
            }
        }
        if chosen.count == count { return chosen }
        let own = participant
        var all: [Member] = table.members.filter { $0.participant != own && accepts($0) }
        random.shuffle(&all)
        return Array(all.prefix(count))
    }
}
