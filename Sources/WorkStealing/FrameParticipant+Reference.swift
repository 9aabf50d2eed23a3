// Admission by a reference unit: everybody renders the same unit of the first pass before anything
// else, and tells its digest with the request for admission; who differs is kept out of the frame
// (docs/PROTOCOL.md §8, docs/adr/0022-admission.md).

package import MeshCore

/// A participant's own part in that.
struct ReferenceState: Sendable {
    let unit: Int
    /// Rendered; there is no digest then when the driver makes none.
    var isDone = false
    var digest: UnitDigest?
    /// When a device took it, and how many devices render it for this alone.
    var since: Instant?
    var extra = 0
    /// When devices were last told that it takes long.
    var toldAt: Instant?
    /// While this node is kept out: how many others got something else.
    var differing: Int?
    /// How often it has asked nevertheless, in this term, and when it last did.
    var requests = 0
    var requestedAt: Instant?

    init(of frame: FrameID, in workSpace: WorkSpace) {
        unit = Self.unit(of: frame, in: workSpace)
    }

    /// A unit of the first pass, drawn from the frame's name: of a tile in the middle half of the
    /// image each way, where there is more to go wrong than in a sky.
    static func unit(of frame: FrameID, in workSpace: WorkSpace) -> Int {
        let grid = workSpace.grid
        var hash = StableHash()
        hash.combine(frame.originator.node.rawValue)
        hash.combine(frame.originator.boot)
        hash.combine(frame.number)
        var tile = 0
        for attempt in 0..<64 {
            hash.combine(attempt)
            tile = Int(hash.value % UInt64(grid.count))
            let pixels = grid.rectangle(ofTile: tile)
            let (x, y) = (2 * pixels.x + pixels.width, 2 * pixels.y + pixels.height)
            if abs(x - grid.width) * 2 <= grid.width, abs(y - grid.height) * 2 <= grid.height {
                break
            }
        }
        return workSpace.units(ofPass: 0).lowerBound + tile
    }
}

extension FrameParticipant {
    /// The unit that every participant renders first: `rendered` needs a digest of it in every
    /// frame.
    public var referenceUnit: Int { reference.unit }

    /// Whether the root keeps this node out, because its reference unit is another than that of
    /// others.
    public var isKeptOut: Bool { reference.differing != nil }

    /// Whether what this node got of the reference unit is known.
    package var hasReference: Bool { reference.digest != nil }

    // MARK: At every participant

    /// The reference unit, for a device; nil when it is rendered, or a device of this node does so
    /// and is not stuck. Who claims the unit renders it for the film at the same time.
    mutating func takeReference(at now: Instant) -> Int? {
        guard !reference.isDone, !isLedgerComplete,
            reference.since.map({ $0 + configuration.stuckAge <= now }) ?? true
        else { return nil }
        reference.since = now
        let unit = reference.unit
        if deque.contains(unit) {
            deque.remove(IntervalSet(SampleRange(unit, unit + 1)))
            begin(unit, isApart: contested.contains(unit), at: now)
        } else {
            reference.extra += 1
        }
        thief.isStarving = false
        return unit
    }

    /// Whether devices need not wait until the reference unit is rendered: nobody holds results
    /// before it can tell what it got of that. A root is looked at by all others as it is.
    var mayRender: Bool { root != nil || reference.isDone }

    /// A device gives a unit back; true when it had it for this alone.
    mutating func putBackReference(_ unit: Int) -> Bool {
        guard unit == reference.unit else { return false }
        if !reference.isDone { reference.since = nil }
        guard reference.extra > 0 else { return false }
        reference.extra -= 1
        return true
    }

    /// A device has rendered a unit; true when it did so for this alone.
    mutating func finishReference(_ unit: Int, digest: UnitDigest?, at now: Instant) -> Bool {
        guard unit == reference.unit else { return false }
        if !reference.isDone {
            reference.isDone = true
            reference.digest = digest
            emit(.workAvailable)
            tellReference(at: now)
        }
        guard reference.extra > 0 else { return false }
        reference.extra -= 1
        return true
    }

    /// The root hears at once of a member's digest: it is kept from work that would go into no sum, or
    /// it has a part in what is decided about others. Its next report says it again, until the root
    /// knows it.
    private mutating func tellReference(at now: Instant) {
        guard let digest = reference.digest else { return }
        guard root == nil else { return noteOwnReference(at: now) }
        guard isListed else { return }
        let request = AdmissionRequest(term: term, samplesPerSecond: speed, reference: digest)
        send(.admissionRequest(request), to: term.root)
    }

    /// When another device is to render the reference unit too.
    var referenceDeadline: Instant? {
        guard !reference.isDone, !isLedgerComplete, !isQuarantined, let since = reference.since
        else { return nil }
        return max(since, reference.toldAt ?? since) + configuration.stuckAge
    }

    mutating func tickReference(at now: Instant) {
        guard let deadline = referenceDeadline, deadline <= now else { return }
        reference.toldAt = now
        emit(.workAvailable)
    }

    /// When a participant that is not listed asks first: with its digest, or without if that takes
    /// long, as on a slow device or one that pauses. Its first report has it then. Nobody asks
    /// earlier: those that come together get equal parts of the first pass.
    var firstRequestAt: Instant { beganAt + configuration.referencePatience }

    /// The time until the next request. Who is kept out does not ask for ever as often.
    mutating func nextRequestInterval(at now: Instant) -> Duration {
        let interval = configuration.admissionInterval
        reference.requestedAt = now
        guard isKeptOut else { return interval }
        reference.requests += 1
        return min(interval * (1 << min(reference.requests, 16)), configuration.keptOutInterval)
    }

    /// The root says how many others got something else of the reference unit, if that keeps this
    /// node out; or that nothing does any more. If it says so without having been asked, it wants
    /// to hear this node.
    mutating func noteDiffering(_ count: Int, at now: Instant) {
        if count > 0 {
            if reference.differing == nil {
                emit(.event(.keptOut(identity, differing: count)))
            } else if let requestedAt = reference.requestedAt,
                requestedAt + configuration.admissionInterval <= now
            {
                askAdmissionAt = now
            }
            reference.differing = count
        } else if isKeptOut {
            reference.differing = nil
            askAdmissionAt = now
        }
    }

    // MARK: At the root

    /// The root's own digest: it believes itself, unless others outvote it.
    mutating func noteOwnReference(at now: Instant) {
        guard let digest = reference.digest, !isQuarantined else { return }
        let isNew = root?.references.note(
            digest, of: identity, isOwn: true, limit: configuration.pendingReferencesMax, at: now)
        if isNew == true { judgeReferences(at: now) }
    }

    /// Takes in what somebody tells of the reference unit, if it does. Who tells nothing is of an
    /// earlier version, has no device that works now, or was asked already.
    /// - Returns: whether it may take part.
    mutating func mayTakePart(
        _ participant: ParticipantID, telling digest: UnitDigest?, at now: Instant
    ) -> Bool {
        guard root != nil, !lacks(.referencesNotCompared) else { return true }
        var isNew = false
        if let digest {
            isNew =
                root?.references.note(
                    digest, of: participant, limit: configuration.pendingReferencesMax, at: now)
                ?? false
        } else {
            root?.references.heard(participant, at: now)
        }
        if isNew || root?.references.pending.isEmpty == false {
            judgeReferences(asking: participant, at: now)
        }
        if isNew { callWitnesses(for: participant) }
        return !isHeldBack(participant)
    }

    /// Whether what somebody has rendered goes into no sum at present, and its film is not adopted.
    package func isHeldBack(_ participant: ParticipantID) -> Bool {
        isQuarantined(participant) || root?.references.isPending(participant) == true
    }

    /// Judges all whose digests differ from others', until nothing follows any more.
    private mutating func judgeReferences(asking: ParticipantID? = nil, at now: Instant) {
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for participant in root?.references.pending ?? [] {
                switch root?.references.judge(participant, root: identity) {
                case .right(let outvoted):
                    for other in outvoted { _ = convict(other, at: now) }
                    accept(participant, isAsking: participant == asking)
                    hasChanged = true
                case .wrong:
                    hasChanged = convict(participant, at: now) || hasChanged
                case .undecided:
                    tellKeptOut(participant)
                case nil:
                    break
                }
            }
        }
        // What is being gathered may hold results of one that was trusted when it was planned.
        if case .gathering = root?.phase,
            let cause = root?.contributors.first(where: isHeldBack)
        {
            abandonRound(cause: cause, at: now)
        }
    }

    /// Somebody is kept out, and so were others that got the same: as many voices count as are
    /// there at the same time, and these may have been silent for long. They are made to ask again.
    private mutating func callWitnesses(for participant: ParticipantID) {
        guard isHeldBack(participant), let witnesses = root?.references.witnesses(for: participant)
        else { return }
        sendStart(to: Array(witnesses.suffix(configuration.witnessesMax)), isWhole: true)
    }

    /// Nothing is against somebody. Who was kept out until now is told to ask again.
    private mutating func accept(_ participant: ParticipantID, isAsking: Bool) {
        if isAsking || root?.position(of: participant) != nil {
            root?.references.trust(participant)
        } else {
            root?.references.remove(participant)
            sendStart(to: [participant], isWhole: true)
        }
    }

    /// Says once who is kept out, though nobody can tell yet which of the two is wrong.
    private mutating func tellKeptOut(_ participant: ParticipantID) {
        guard root?.position(of: participant) == nil,
            root?.references.isFirstTold(participant) == true
        else { return }
        let count = root?.references.differing(from: participant) ?? 0
        emit(.event(.keptOut(participant, differing: count)))
    }

    /// - Returns: false when there is no more room: then it waits, and its results with it.
    private mutating func convict(_ participant: ParticipantID, at now: Instant) -> Bool {
        let isKnown = isQuarantined(participant)
        guard isKnown || quarantined.count < configuration.quarantinedMax else { return false }
        let count = root?.references.differing(from: participant) ?? 0
        let isFirst = root?.references.isFirstTold(participant) ?? false
        root?.references.convict(participant)
        guard !isKnown else { return true }
        let event: FrameEvent =
            participant == identity
            ? .quarantined(participant, unit: reference.unit)
            : .keptOut(participant, differing: max(1, count))
        quarantine(participant, event: isFirst || participant == identity ? event : nil, at: now)
        return true
    }
}
