// One node of the mesh: its membership, and its part in every frame, composed into one machine
// without clock, socket or thread (docs/ARCHITECTURE.md). The runtime drives it with real ones, the
// simulator with simulated ones. This file has its state and the entry points of the outside;
// jobs, devices, streams, announcements and views are in its extensions.

public import Gossip
public import MeshCore
import WorkStealing

/// A node: inputs in, directives out.
///
/// After every input the driver performs each `nextDirective()`, and calls `tick(at:)` when
/// `nextDeadline` has come. Instants never run backwards for it: an earlier one counts as the
/// latest seen.
public struct MeshNode: Sendable {
    public let identity: ParticipantID
    public let name: String
    public let configuration: MeshNodeConfiguration

    var membership: Membership
    var random: RandomNumbers
    /// The latest instant seen.
    var now: Instant
    /// Sorted by frame; at most `framesMax` and the own ones.
    var records: [FrameRecord] = []
    var tombstones: Tombstones
    var directives = DirectiveQueue()
    var isLeaving = false

    /// Of all devices.
    var samplesPerSecond = 0.0
    /// What the link moves, as far as is known.
    var linkBytesPerSecond = 0.0
    /// The number of the frame submitted last.
    var frameNumber: UInt64 = 0
    /// Start-time fair queueing over the frames: the start tag of the unit taken last.
    var virtualTime = 0
    /// Frames were ignored for want of room: look again when one ends.
    var ignoresFrames = false

    /// What the members were told last, and when.
    var announced = Announcement()
    var announcedAt: Instant
    /// When the announcement was compared with the state last.
    var comparedAt: Instant
    /// When the announcement is compared with the state again.
    var announcementDeadline: Instant
    /// Where the turn of the announced frames begins when they do not all fit.
    var announcementTurn = 0

    /// - Parameters:
    ///   - identity: of this start of the process; its boot number is new.
    ///   - name: for people; 64 bytes of it are shown to others.
    ///   - address: where others reach this node, by datagram and by connection alike; an
    ///     unspecified host is learned from the first answer.
    ///   - samplesPerSecond: what its devices did when they were last measured; 0 if unknown.
    ///   - known: members from the beginning, of whom no event tells.
    ///   - seed: of all random choices.
    public init(
        identity: ParticipantID, name: String, address: NodeAddress,
        configuration: MeshNodeConfiguration = MeshNodeConfiguration(),
        samplesPerSecond: Double = 0, knowing known: KnownMesh = KnownMesh(), seed: UInt64,
        at now: Instant
    ) {
        self.identity = identity
        self.name = name
        self.configuration = configuration
        self.now = now
        random = RandomNumbers(seed: seed)
        tombstones = Tombstones(countMax: configuration.tombstonesMax)
        self.samplesPerSecond = samplesPerSecond
        announced = Announcement(name, configuration, samplesPerSecond: samplesPerSecond)
        announcedAt = now
        comparedAt = now
        announcementDeadline = .distantFuture
        membership = Membership(
            participant: identity, address: address,
            metadata: announced.encoded(limit: GossipMessage.metadataSizeMax).bytes,
            knowing: known.members, configuration: configuration.gossip, seed: random.next(),
            at: now)
        for (member, announcement) in known.announcing where member.node != identity.node {
            observe(announcement, of: member)
        }
    }

    // MARK: The outside

    /// Takes in one datagram that was opened and decoded.
    public mutating func receive(
        datagram: GossipMessage, from address: NodeAddress, at instant: Instant
    ) {
        advance(to: instant)
        membership.receive(datagram, from: address, at: now)
        performMembership()
        announceWhenDue()
    }

    /// Takes in one message of a control connection whose other end has proven to be `sender`.
    public mutating func receive(
        _ message: MeshMessage, from sender: ParticipantID, at instant: Instant
    ) {
        advance(to: instant)
        switch message {
        case .frame(let frame, let message): receive(message, of: frame, from: sender)
        case .jobRequest(let frame): answerJobRequest(frame, from: sender)
        case .jobOffer(let frame, let job): takeJob(job, of: frame, from: sender)
        case .jobUnknown(let frame): noteJobUnknown(frame, at: sender)
        case .frameEnded(let frame, let end): noteEnd(of: frame, end)
        }
        announceWhenDue()
    }

    /// Gives addresses at which other nodes may be: found by mDNS, named by a user, remembered.
    /// One reachable node is enough.
    public mutating func discovered(_ addresses: [NodeAddress], at instant: Instant) {
        advance(to: instant)
        membership.join(addresses, at: now)
        performMembership()
    }

    /// Tells that a connection or datagram to this address was refused: nobody listens there. Not
    /// for time-outs and unreachable networks.
    public mutating func connectionRefused(by address: NodeAddress, at instant: Instant) {
        advance(to: instant)
        membership.noteRefusal(of: address, at: now)
        performMembership()
    }

    /// Says goodbye. The driver goes on driving the node until ``mayStop``, and then stops it.
    public mutating func leave(at instant: Instant) {
        advance(to: instant)
        guard !isLeaving else { return }
        announceWhenDue(force: true)
        isLeaving = true
        membership.leave(at: now)
        performMembership()
    }

    /// Whether a node that leaves has said all it had to say.
    public var mayStop: Bool { isLeaving && membership.isQuiet && directives.isEmpty }

    /// Does what is due. Calls that come early do nothing.
    public mutating func tick(at instant: Instant) {
        advance(to: instant)
        if membership.nextDeadline <= now {
            membership.tick(at: now)
            performMembership()
        }
        for frame in records.indices.map({ records[$0].frame }) {
            if let index = index(of: frame), records[index].deadline <= now {
                tickRecord(at: index)
            }
            // The record may have ended just now.
            if let index = index(of: frame), records[index].summary.nextDeadline <= now {
                records[index].participant?.tick(at: now)
                performParticipant(at: index)
            }
        }
        tombstones.expire(configuration.tombstoneRetention, at: now)
        announceWhenDue()
    }

    /// When `tick` has something to do; ask again after every input.
    public var nextDeadline: Instant {
        var next = membership.nextDeadline
        // Who leaves announces nothing any more: what was due then would be due for ever.
        if !isLeaving { next = min(next, announcementDeadline) }
        for index in records.indices {
            next = min(next, records[index].deadline, records[index].summary.nextDeadline)
        }
        return next
    }

    /// The next output, in order; nil when there is none.
    public mutating func nextDirective() -> NodeDirective? { directives.removeFirst() }

    mutating func advance(to instant: Instant) { now = max(now, instant) }

    // MARK: What the parts say

    /// Passes on what the membership has to say.
    mutating func performMembership() {
        while let directive = membership.nextDirective() {
            switch directive {
            case .send(let message, to: let address):
                directives.append(.sendDatagram(message, to: address))
            case .memberChanged(let member, from: let status):
                memberChanged(member, from: status)
            case .identityConflict(let other):
                directives.append(.event(.identityConflict(other)))
            }
        }
    }

    /// Passes on what a frame's machine has to say.
    mutating func performParticipant(at index: Int) {
        let frame = records[index].frame
        while let directive = records[index].participant?.nextDirective() {
            switch directive {
            case .send(let message, let receiver):
                send(.frame(frame, message), to: receiver)
            case .workAvailable:
                directives.append(.workAvailable)
            case .event(let event):
                directives.append(.event(.frame(frame, event)))
            default:
                directives.append(.frame(frame, directive))
            }
        }
        records[index].summary = records[index].participant?.summary() ?? ParticipantSummary()
        noteAnnouncementChange()
        if records[index].summary.isDone, records[index].completeSince == nil {
            watchForExpiry(at: index)
        }
        let isWorking = !records[index].summary.isLedgerComplete
        if records[index].isWorking != isWorking {
            records[index].isWorking = isWorking
            shareSpeed()
        }
    }

    /// Sends to a present member; others cannot be reached, and what matters is repeated.
    mutating func send(_ message: MeshMessage, to receiver: ParticipantID) {
        guard let address = address(of: receiver) else { return }
        directives.append(.send(message, to: receiver, at: address))
    }

    /// Where the record of a frame is.
    func index(of frame: FrameID) -> Int? {
        let index = records.partitioningIndex { $0.frame >= frame }
        return index < records.count && records[index].frame == frame ? index : nil
    }
}

/// The outputs that wait for the driver, first in, first out.
struct DirectiveQueue: Sendable {
    private var items: [NodeDirective] = []
    private var taken = 0

    var isEmpty: Bool { taken == items.count }

    mutating func append(_ directive: NodeDirective) {
        // One wake-up is as good as two.
        if directive == .workAvailable, !isEmpty, items.last == .workAvailable { return }
        items.append(directive)
    }

    mutating func removeFirst() -> NodeDirective? {
        guard taken < items.count else {
            items.removeAll(keepingCapacity: items.count <= 64)
            taken = 0
            return nil
        }
        taken += 1
        return items[taken - 1]
    }
}

extension Array {
    /// The index of the first element for which `isUpper` holds, in an array where it holds for
    /// all after the first.
    func partitioningIndex(where isUpper: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isUpper(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
