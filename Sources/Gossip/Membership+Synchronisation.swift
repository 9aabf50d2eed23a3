// Anti-entropy: two members compare their whole views from time to time, by digests first, so
// that equal views cost a few bytes; each then pulls the records that differ, one datagram at a
// time, so that loss costs one repetition and no burst fills a queue.

import MeshCore

/// The records that are being fetched from one member.
struct ActivePull: Hashable, Sendable {
    let source: ParticipantID
    let address: NodeAddress
    let buckets: UInt64
    /// Whether what is new in it is handed on: not while this node learns a whole mesh.
    let spreads: Bool
    var after: NodeID?
    var sequence: UInt32
    var deadline: Instant
    var attempts = 1
    var pages = 0
}

extension Membership {
    /// The most pages of one pull by a node that knows others already; it goes on where it
    /// stopped at the next one.
    private static var pagesMax: Int { 64 }
    private static var pullAttemptsMax: Int { 4 }

    mutating func tickSync() {
        if let active = pull, active.deadline <= now {
            if active.attempts >= Self.pullAttemptsMax {
                pull = nil
            } else {
                pull?.attempts += 1
                requestPage()
            }
        }
        guard nextSync <= now, !isLeaving else { return }
        let interval = configuration.syncInterval
        nextSync = now + interval * 3 / 4 + random.duration(below: interval / 2)
        guard let partner = randomMembers(1, where: { $0.status == .alive }).first else { return }
        send(
            .digest(.init(digests: [table.digest], wantsReply: true, observed: nil)),
            to: partner.address, of: partner.participant.node)
    }

    /// Sends the digests of all buckets.
    mutating func sendDigests(
        to address: NodeAddress, of sender: ParticipantID, wantsReply: Bool,
        observed: NodeAddress? = nil
    ) {
        send(
            .digest(
                .init(digests: table.digests, wantsReply: wantsReply, observed: observed)),
            to: address, of: sender.node)
    }

    mutating func receiveDigest(
        _ digest: GossipMessage.SyncDigest, from sender: ParticipantID, at address: NodeAddress,
        isAccused: Bool
    ) {
        guard !isLeaving else { return }
        if let observed = digest.observed { learnAddress(observed, isAccused: isAccused) }
        guard digest.digests.count == MemberTable.bucketCount else {
            if digest.digests != [table.digest] {
                sendDigests(to: address, of: sender, wantsReply: true)
            }
            return
        }
        var differing: UInt64 = 0
        for bucket in 0..<MemberTable.bucketCount
        where digest.digests[bucket] != table.digests[bucket] {
            differing |= 1 << UInt64(bucket)
        }
        guard differing != 0 else { return }
        if digest.wantsReply { sendDigests(to: address, of: sender, wantsReply: false) }
        guard pull == nil else { return }
        let isAlone = table.presentCount <= 2
        statistics.pulls += 1
        pull = ActivePull(
            source: sender, address: address, buckets: differing, spreads: !isAlone,
            after: isAlone ? nil : syncResume, sequence: 0, deadline: now)
        syncResume = nil
        requestPage()
    }

    private mutating func requestPage() {
        guard var active = pull else { return }
        active.sequence = nextSequence()
        active.deadline = now + health.scale(configuration.probeTimeoutMax)
        pull = active
        send(
            .pull(
                .init(sequence: active.sequence, buckets: active.buckets, after: active.after)),
            to: active.address, of: active.source.node)
    }

    mutating func receivePull(
        _ request: GossipMessage.SyncPull, from sender: ParticipantID, at address: NodeAddress
    ) {
        guard !isLeaving else { return }
        var index = request.after.map { table.insertionIndex(of: $0) } ?? 0
        if let after = request.after, index < table.count, table.node(at: index) == after {
            index += 1
        }
        // Leave room for what is said of the receiver and a little news.
        var room = GossipMessage.datagramSizeMax - 160
        var records: [MemberUpdate] = []
        var next: NodeID?
        while index < table.count {
            let node = table.node(at: index)
            index += 1
            guard request.buckets >> UInt64(MemberTable.bucket(of: node)) & 1 == 1,
                let record = statement(of: node, withProfile: true)
            else { continue }
            room -= record.encodedSize
            if room < 0 || records.count >= GossipMessage.updatesMax {
                next = records.last?.participant.node
                break
            }
            records.append(record)
        }
        send(
            .page(.init(sequence: request.sequence, records: records, next: next)), to: address,
            of: sender.node)
    }

    /// Takes in one page. Returns whether it accused this node.
    mutating func receivePage(
        _ page: GossipMessage.SyncPage, from sender: ParticipantID
    ) -> Bool {
        guard let active = pull, active.source == sender, active.sequence == page.sequence else {
            return false
        }
        var isAccused = false
        for record in page.records {
            isAccused = isAccused || accusesSelf(record)
            apply(record, from: sender, isPage: true, spreads: active.spreads)
        }
        // The place to go on must move upwards, so that a pull ends whatever is answered.
        guard let next = page.next, !page.records.isEmpty,
            active.after.map({ $0 < next }) ?? true
        else {
            pull = nil
            return isAccused
        }
        pull?.after = next
        pull?.attempts = 1
        pull?.pages += 1
        if active.pages + 1 >= (active.spreads ? Self.pagesMax : configuration.membersMax) {
            syncResume = next
            pull = nil
        } else {
            requestPage()
        }
        return isAccused
    }

    /// Tells a node that does not answer where it says it is, and speaks from another address,
    /// that it is seen there.
    mutating func tellAddress(to sender: ParticipantID, at address: NodeAddress) {
        guard let known = table.member(sender.node), known.participant == sender,
            known.status != .alive, known.address != address
        else { return }
        send(
            .digest(.init(digests: [table.digest], wantsReply: false, observed: address)),
            to: address, of: sender.node)
    }

    /// Takes the host under which others see this node, if it has none yet, or if it is accused
    /// of not answering at the one that it has.
    private mutating func learnAddress(_ observed: NodeAddress, isAccused: Bool) {
        var own = ownMember
        let address = observed.with(port: own.address.port)
        guard own.address.isUnspecified || (configuration.learnsAddress && isAccused),
            !observed.isUnspecified, address != own.address
        else { return }
        own.address = address
        own.incarnation = MemberUpdate.counter(after: own.incarnation)
        table.store(own)
        spread(participant.node, isProfileOnly: false)
    }
}
