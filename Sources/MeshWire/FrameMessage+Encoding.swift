// The messages between participants of one frame as protobuf, and back.

import MeshCore
import WorkStealing

extension FrameMessage {
    /// What the envelope carries.
    var content: ProtoEnvelope.OneOf_Content {
        switch self {
        case .admissionRequest(let message): .admissionRequest(message.proto)
        case .start(let message): .start(message.proto)
        case .startUnknown(let round): .startUnknown(round.proto)
        case .firstPassDone(let term): .firstPassDone(term.proto)
        case .report(let message): .report(message.proto)
        case .plan(let message): .plan(message.proto)
        case .contributionFailed(let message): .contributionFailed(message.proto)
        case .exhausted(let message): .exhausted(message.proto)
        case .stealRequest(let message): .stealRequest(message.proto)
        case .stealGrant(let message): .stealGrant(message.proto)
        case .stealRefusal(let message): .stealRefusal(message.proto)
        case .grantAccepted(let grant): .grantAccepted(grant.proto)
        case .grantRefused(let grant): .grantRefused(grant.proto)
        case .lateUnitRequest(let term): .lateUnitRequest(term.proto)
        case .lateUnits(let message): .lateUnits(message.proto)
        case .contested(let message): .contested(message.proto)
        case .check(let message): .check(message.proto)
        case .checked(let message): .checked(message.proto)
        }
    }

    /// - Throws: ``MalformedBytes`` also for contents that are not about a participant's part.
    init(_ content: ProtoEnvelope.OneOf_Content) throws(MalformedBytes) {
        switch content {
        case .admissionRequest(let proto): self = .admissionRequest(try AdmissionRequest(proto))
        case .start(let proto): self = .start(try RoundStart(proto))
        case .startUnknown(let proto): self = .startUnknown(try RoundID(proto))
        case .firstPassDone(let proto): self = .firstPassDone(try Term(proto))
        case .report(let proto): self = .report(try RoundReport(proto))
        case .plan(let proto): self = .plan(try RoundPlan(proto))
        case .contributionFailed(let proto): self = .contributionFailed(try RoundFailure(proto))
        case .exhausted(let proto): self = .exhausted(try Exhausted(proto))
        case .stealRequest(let proto): self = .stealRequest(try StealRequest(proto))
        case .stealGrant(let proto): self = .stealGrant(try StealGrant(proto))
        case .stealRefusal(let proto): self = .stealRefusal(try StealRefusal(proto))
        case .grantAccepted(let proto): self = .grantAccepted(try GrantID(proto))
        case .grantRefused(let proto): self = .grantRefused(try GrantID(proto))
        case .lateUnitRequest(let proto): self = .lateUnitRequest(try Term(proto))
        case .lateUnits(let proto): self = .lateUnits(try LateUnits(proto))
        case .contested(let proto): self = .contested(try LateUnits(proto))
        case .check(let proto): self = .check(try CheckRequest(proto))
        case .checked(let proto): self = .checked(try CheckResult(proto))
        case .jobOffer, .jobRequest, .jobUnknown, .frameEnded:
            throw .invalid("message of a participant")
        }
    }
}

extension AdmissionRequest: WireValue {
    var proto: ProtoAdmission {
        var proto = ProtoAdmission()
        proto.term = term.proto
        proto.samplesPerSecond = samplesPerSecond
        if let reference { proto.reference = reference.proto }
        return proto
    }

    init(_ proto: ProtoAdmission) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"),
            samplesPerSecond: try checkedSpeed(proto.samplesPerSecond),
            reference: proto.hasReference ? try UnitDigest(proto.reference) : nil)
    }
}

extension RoundStart: WireValue {
    var proto: ProtoStart {
        var proto = ProtoStart()
        proto.round = round.proto
        proto.participantsHash = participants.hash
        proto.participantsDiffer = !participants.isWhole
        proto.participants = participants.added.map(\.proto)
        proto.removed = participants.removed.map(\.proto)
        proto.unnamedCount = UInt32(clamping: unnamedCount)
        proto.acquaintances = acquaintances.map(\.proto)
        proto.includesReceiver = includesReceiver
        proto.quarantined = quarantined.map(\.proto)
        proto.referenceKnown = knowsReference
        proto.differing = UInt32(clamping: differing)
        proto.ledgerHash = ledger.hash
        proto.ledgerDiffers = !ledger.isWhole
        proto.ledger = ledger.added.proto
        return proto
    }

    init(_ proto: ProtoStart) throws(MalformedBytes) {
        self.init(
            round: try RoundID(proto.round, isThere: proto.hasRound, "round"),
            participants: ParticipantsUpdate(
                hash: proto.participantsHash, isWhole: !proto.participantsDiffer,
                removed: try ParticipantID.list(proto.removed, "participants removed"),
                added: try ParticipantID.list(proto.participants, "participants")),
            ledger: LedgerUpdate(
                hash: proto.ledgerHash, isWhole: !proto.ledgerDiffers,
                added: try IntervalSet(proto.ledger)))
        unnamedCount = Int(proto.unnamedCount)
        acquaintances = try ParticipantID.list(proto.acquaintances, "acquaintances")
        includesReceiver = proto.includesReceiver
        quarantined = try ParticipantID.list(proto.quarantined, "participants in quarantine")
        knowsReference = proto.referenceKnown
        differing = Int(proto.differing)
    }
}

extension RoundReport.Seal: WireValue {
    var proto: ProtoReport.Seal {
        var proto = ProtoReport.Seal()
        proto.number = number.rawValue
        proto.coverage = coverage.proto
        proto.digests = digests.map(\.proto)
        return proto
    }

    init(_ proto: ProtoReport.Seal) throws(MalformedBytes) {
        let coverage = try IntervalSet(proto.coverage)
        guard proto.digests.isEmpty || proto.digests.count == coverage.count else {
            throw .invalid("number of digests")
        }
        var digests: [UnitDigest] = []
        for digest in proto.digests { digests.append(try UnitDigest(digest)) }
        self.init(number: SealNumber(proto.number), coverage: coverage, digests: digests)
    }
}

extension RoundReport: WireValue {
    var proto: ProtoReport {
        var proto = ProtoReport()
        proto.round = round.proto
        proto.seals = seals.map(\.proto)
        proto.claims = claims.proto
        proto.filmUnits = UInt64(filmUnits)
        proto.samplesPerSecond = samplesPerSecond
        proto.bytesPerSecond = bytesPerSecond
        proto.ledgerOnly = !wantsFilm
        proto.participantsHash = participantsHash
        proto.ledgerHash = ledgerHash
        if let reference { proto.reference = reference.proto }
        return proto
    }

    init(_ proto: ProtoReport) throws(MalformedBytes) {
        guard proto.seals.count <= WireBounds.sealsMax else { throw .invalid("number of seals") }
        var seals: [Seal] = []
        for seal in proto.seals { seals.append(try Seal(seal)) }
        self.init(
            round: try RoundID(proto.round, isThere: proto.hasRound, "round"), seals: seals,
            claims: try IntervalSet(proto.claims), filmUnits: try checkedUnits(proto.filmUnits),
            samplesPerSecond: try checkedSpeed(proto.samplesPerSecond),
            bytesPerSecond: try checkedSpeed(proto.bytesPerSecond), wantsFilm: !proto.ledgerOnly)
        participantsHash = proto.participantsHash
        ledgerHash = proto.ledgerHash
        if proto.hasReference { reference = try UnitDigest(proto.reference) }
    }
}

extension TreePlace: WireValue {
    var proto: ProtoPlan.Place {
        var proto = ProtoPlan.Place()
        proto.parent = parent.proto
        proto.children = children.map(\.proto)
        return proto
    }

    init(_ proto: ProtoPlan.Place) throws(MalformedBytes) {
        self.init(
            parent: try ParticipantID(proto.parent, isThere: proto.hasParent, "parent"),
            children: try ParticipantID.list(proto.children, "children"))
    }
}

extension RoundPlan: WireValue {
    var proto: ProtoPlan {
        var proto = ProtoPlan()
        proto.round = round.proto
        proto.seals = seals.map(\.rawValue)
        proto.places = places.map(\.proto)
        return proto
    }

    init(_ proto: ProtoPlan) throws(MalformedBytes) {
        guard proto.seals.count <= WireBounds.sealsMax else { throw .invalid("number of seals") }
        guard (1...TileStripe.countMax).contains(proto.places.count) else {
            throw .invalid("number of stripes")
        }
        var places: [TreePlace] = []
        for place in proto.places { places.append(try TreePlace(place)) }
        self.init(
            round: try RoundID(proto.round, isThere: proto.hasRound, "round"),
            seals: proto.seals.map { SealNumber($0) }, places: places)
    }
}

extension RoundFailure: WireValue {
    var proto: ProtoFailure {
        var proto = ProtoFailure()
        proto.round = round.proto
        proto.cause = cause.proto
        return proto
    }

    init(_ proto: ProtoFailure) throws(MalformedBytes) {
        self.init(
            round: try RoundID(proto.round, isThere: proto.hasRound, "round"),
            cause: try ParticipantID(proto.cause, isThere: proto.hasCause, "cause"))
    }
}

extension Exhausted: WireValue {
    var proto: ProtoExhausted {
        var proto = ProtoExhausted()
        proto.term = term.proto
        proto.uncommittedUnits = UInt64(uncommittedUnits)
        return proto
    }

    init(_ proto: ProtoExhausted) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"),
            uncommittedUnits: try checkedUnits(proto.uncommittedUnits))
    }
}

extension StealRequest: WireValue {
    var proto: ProtoStealRequest {
        var proto = ProtoStealRequest()
        proto.term = term.proto
        proto.number = number
        proto.samplesPerSecond = samplesPerSecond
        return proto
    }

    init(_ proto: ProtoStealRequest) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"), number: proto.number,
            samplesPerSecond: try checkedSpeed(proto.samplesPerSecond))
    }
}

extension StealGrant: WireValue {
    var proto: ProtoStealGrant {
        var proto = ProtoStealGrant()
        proto.term = term.proto
        proto.grant = grant.proto
        proto.request = request
        proto.units = units.proto
        return proto
    }

    init(_ proto: ProtoStealGrant) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"),
            grant: try GrantID(proto.grant, isThere: proto.hasGrant, "grant"),
            request: proto.request, units: try IntervalSet(proto.units))
    }
}

extension StealRefusal: WireValue {
    var proto: ProtoStealRefusal {
        var proto = ProtoStealRefusal()
        proto.term = term.proto
        proto.request = request
        return proto
    }

    init(_ proto: ProtoStealRefusal) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"), request: proto.request)
    }
}

extension LateUnits: WireValue {
    var proto: ProtoLateUnits {
        var proto = ProtoLateUnits()
        proto.term = term.proto
        proto.units = units.proto
        return proto
    }

    init(_ proto: ProtoLateUnits) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"),
            units: try IntervalSet(proto.units))
    }
}
