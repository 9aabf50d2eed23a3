// The membership of one node: SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard (Dadgar,
// Phillips, Currey, DSN 2018) as a value without clock or socket. This file has its state and
// entry points; probing, statements, synchronisation and contact are in its extensions.

public import MeshCore

/// Who is in the mesh, as one node knows it.
///
/// The driver passes datagrams to ``receive(_:from:at:)``, calls ``tick(at:)`` when
/// ``nextDeadline`` has come, and after each input performs every ``nextDirective()``. It reads
/// its sockets before it ticks, so that answers which lie there are not taken for silence.
public struct Membership: Sendable {
    public let configuration: GossipConfiguration
    /// This participant.
    public let participant: ParticipantID
    /// Counters since the start.
    public internal(set) var statistics = GossipStatistics()

    var random: RandomNumbers
    var table = MemberTable()
    var broadcasts: BroadcastQueue
    var health: LocalHealth
    var order: ProbeOrder
    /// Sorted by node.
    var suspicions: [Suspicion] = []
    var probes: [Probe] = []
    var relays: [Relay] = []
    var pull: ActivePull?
    var seeds: [Seed] = []
    /// Departed members in the order in which they are forgotten.
    var departed: [(participant: ParticipantID, until: Instant)] = []
    var pendingMetadata: [UInt8]?
    var directives: [GossipDirective] = []
    var directivesTaken = 0
    var sequence: UInt32 = 0
    /// Where a synchronisation that was cut short goes on.
    var syncResume: NodeID?
    /// The latest instant seen; time never runs backwards here.
    var now: Instant

    var nextProbe: Instant
    var nextGossip: Instant
    var nextSync: Instant
    var nextContact: Instant
    var nextMetadata: Instant
    var nextIntroduction: Instant
    var nextConflictReport: Instant
    /// No suspicion ends or asks for a probe before this.
    var nextSuspicion = Instant.distantFuture

    /// - Parameters:
    ///   - address: where others reach this node; with an unspecified host (0.0.0.0) it is learned
    ///     from the first answer.
    ///   - metadata: at most ``GossipMessage/metadataSizeMax`` bytes.
    ///   - known: members from the beginning, of whom no directive tells; those beyond `membersMax`
    ///     are left out.
    ///   - seed: of all random choices.
    public init(
        participant: ParticipantID, address: NodeAddress, metadata: [UInt8] = [],
        knowing known: KnownMembers = KnownMembers(),
        configuration: GossipConfiguration = GossipConfiguration(), seed: UInt64, at now: Instant
    ) {
        precondition(metadata.count <= GossipMessage.metadataSizeMax)
        self.participant = participant
        self.configuration = configuration
        self.now = now
        random = RandomNumbers(seed: seed)
        sequence = configuration.firstSequence & Self.sequenceMask
        broadcasts = BroadcastQueue(max: configuration.broadcastsMax)
        order = ProbeOrder(membersMax: configuration.membersMax)
        health = LocalHealth(max: configuration.localHealthMax)
        nextProbe = now + random.duration(below: configuration.probeInterval)
        nextSync = now + random.duration(below: configuration.syncInterval)
        nextGossip = now
        nextContact = now
        nextMetadata = now
        nextIntroduction = now
        nextConflictReport = now
        let own = Member(participant: participant, address: address, metadata: metadata)
        table = known.table(with: own, max: configuration.membersMax)
    }

    // MARK: What is known

    /// All members known, this node included, departed ones too, sorted by node id.
    public var members: [Member] { Array(table.members) }

    /// Those of them that are dead or have left; of a whole mesh there are few.
    public var departedMembers: [Member] {
        departed.compactMap { table.member($0.participant.node) }
    }

    /// The number of members that are alive or suspect, this node included; constant time.
    public var presentCount: Int { table.presentCount }

    /// What is known of one node; logarithmic time.
    public func member(_ node: NodeID) -> Member? { table.member(node) }

    /// This node as it shows itself to others.
    public var ownMember: Member {
        guard let own = table.member(participant.node) else {
            preconditionFailure("a membership always lists its own node")
        }
        return own
    }

    /// 0 when this node seems well; rises when it misses answers that others get.
    public var localHealth: Int { health.score }

    /// Whether ``leave(at:)`` was called.
    public internal(set) var isLeaving = false

    /// Whether this node has said all it had to say; after ``leave(at:)``, when it may stop.
    public var isQuiet: Bool { broadcasts.isEmpty }

    // MARK: Inputs

    /// Takes in one datagram that was decoded.
    public mutating func receive(
        _ message: GossipMessage, from address: NodeAddress, at instant: Instant
    ) {
        advance(to: instant)
        guard message.sender.node != participant.node else {
            if message.sender.boot > participant.boot { reportConflict(message.sender) }
            return
        }
        var isAccused = false
        for update in message.updates {
            isAccused = isAccused || accusesSelf(update)
            apply(update, from: message.sender, isPage: false, spreads: true)
        }
        receiveBody(message, from: address, isAccused: isAccused)
    }

    /// Does what is due. Calls that come early do nothing.
    public mutating func tick(at instant: Instant) {
        advance(to: instant)
        tickProbes()
        tickRelays()
        tickSuspicions()
        if !isLeaving { tickProbing() }
        tickMetadata()
        tickSync()
        tickContact()
        tickDeparted()
        tickGossip()
    }

    /// Tells that the network refused a datagram or connection to this address: nobody listens
    /// there (ICMP port unreachable, connection refused). Not for unreachable hosts or timeouts.
    /// A stopped process does not cause it, so that it shortens a suspicion to about a second.
    public mutating func noteRefusal(of address: NodeAddress, at instant: Instant) {
        advance(to: instant)
        let own = participant
        let refused: [Member] = table.members.filter {
            $0.address == address && $0.status.isPresent && $0.participant != own
        }
        guard let member = refused.first, refused.count == 1, !isLeaving else { return }
        statistics.refusals += 1
        accuse(member.participant, incarnation: member.incarnation, refused: true)
    }

    /// The next output, in order; nil when there is none.
    public mutating func nextDirective() -> GossipDirective? {
        guard directivesTaken < directives.count else {
            directives.removeAll(keepingCapacity: directives.count <= 64)
            directivesTaken = 0
            return nil
        }
        directivesTaken += 1
        return directives[directivesTaken - 1]
    }

    /// When ``tick(at:)`` has something to do; ask again after every input.
    public var nextDeadline: Instant {
        var next = min(nextSuspicion, nextContact)
        if !isLeaving { next = min(next, nextProbe, nextSync) }
        for probe in probes { next = min(next, probe.nextStep) }
        for relay in relays { next = min(next, relay.nextStep) }
        if let pull { next = min(next, pull.deadline) }
        if pendingMetadata != nil { next = min(next, nextMetadata) }
        if !broadcasts.isEmpty { next = min(next, nextGossip) }
        if let first = departed.first { next = min(next, first.until) }
        return next
    }

    /// Moves the clock on. An input long after what was due means that this node was stopped: what
    /// it did not hear in that time says nothing about others.
    private mutating func advance(to instant: Instant) {
        let due = nextDeadline
        now = max(now, instant)
        guard due < now, now - due > configuration.freezeThreshold else { return }
        let lost = now - due
        statistics.freezes += 1
        health.change(by: 1)
        probes.removeAll()
        relays.removeAll()
        for index in suspicions.indices {
            suspicions[index].start += lost
            if let refusedAt = suspicions[index].refusedAt {
                suspicions[index].refusedAt = refusedAt + lost
            }
            if suspicions[index].nextProbe != nil { suspicions[index].nextProbe = now }
        }
        nextSuspicion = suspicions.isEmpty ? .distantFuture : now
        // Hear first what came in meanwhile, then probe.
        nextProbe = max(nextProbe, now + health.probeTimeout(configuration))
        nextSync = max(nextSync, now)
        nextContact = max(nextContact, now)
        nextGossip = max(nextGossip, now)
    }

    /// Checks what must hold between inputs; for tests and simulations.
    public func checkInvariants() {
        table.checkInvariants()
        precondition(table.count <= configuration.membersMax)
        precondition(broadcasts.entries.count <= configuration.broadcastsMax)
        precondition(relays.count <= configuration.relaysMax)
        precondition(order.order.count <= 2 * configuration.membersMax)
        let absent: [Member] = table.members.filter {
            !$0.status.isPresent && $0.participant != participant
        }
        precondition(departed.map(\.participant).sorted() == absent.map(\.participant))
        for (index, suspicion) in suspicions.enumerated() {
            precondition(index == 0 || suspicions[index - 1].node < suspicion.node)
            let member = table.member(suspicion.node)
            precondition(member?.status == .suspect)
            precondition(member?.incarnation == suspicion.incarnation)
        }
        let suspects = table.members.count { $0.status == .suspect }
        precondition(suspects == suspicions.count)
        precondition(isLeaving == (ownMember.status == .left))
    }
}

/// Counters of one membership since its start.
public struct GossipStatistics: Hashable, Sendable {
    public internal(set) var probes = 0
    public internal(set) var probesFailed = 0
    /// Suspicions that began here, by own probes or by hearsay.
    public internal(set) var suspicions = 0
    /// Suspicions that this node's own timer turned into a death.
    public internal(set) var deathsDeclared = 0
    /// How often this node refuted what was said of it.
    public internal(set) var refutations = 0
    /// How often the network said that a member's port is closed.
    public internal(set) var refusals = 0
    /// How often this node found that it had been stopped.
    public internal(set) var freezes = 0
    /// Pulls of other members' records that were begun.
    public internal(set) var pulls = 0
}
