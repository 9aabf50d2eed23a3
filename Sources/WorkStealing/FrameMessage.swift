// What the participants of one frame say to each other. Pixels never travel in these messages:
// they go as film streams, which the driver opens when a directive tells it to.

public import MeshCore

/// A control message between two participants of one frame.
public enum FrameMessage: Hashable, Sendable {
    // Membership of the frame.
    /// To the root: this node has the scene, can render, and wants to take part.
    case admissionRequest(AdmissionRequest)

    // Reduction rounds (docs/PROTOCOL.md §5).
    case start(RoundStart)
    /// To the root: what its start of this round builds on is not known here; the whole is needed.
    case startUnknown(RoundID)
    case report(RoundReport)
    case plan(RoundPlan)
    /// To the root: this round cannot be finished, and who is the cause.
    case contributionFailed(RoundFailure)
    /// To the root: nothing left to render here, and no one to steal from.
    case exhausted(Exhausted)
    /// To the root: the sender's part of the first pass is rendered.
    case firstPassDone(Term)

    // Stealing (docs/PROTOCOL.md §4).
    case stealRequest(StealRequest)
    case stealGrant(StealGrant)
    case stealRefusal(StealRefusal)
    /// From the thief: the grant's ranges are its claims now.
    case grantAccepted(GrantID)
    /// From the thief: it does not take them (it is not listed, or all is committed).
    case grantRefused(GrantID)
    /// To the root, from an idle node that was refused everywhere: is a claimed unit late?
    case lateUnitRequest(Term)
    /// From the root to the idle node: render these as well.
    case lateUnits(LateUnits)
    /// From the root to the owners: somebody else renders these too; keep your results apart.
    case contested(LateUnits)

    // Verification (docs/PROTOCOL.md §8).
    /// From the root: render these, which somebody else has rendered, and tell what comes out.
    case check(CheckRequest)
    case checked(CheckResult)
}

/// Asks for admission to a frame.
public struct AdmissionRequest: Hashable, Sendable {
    /// The highest term the sender knows.
    public var term: Term
    /// Measured or estimated speed of all its devices, samples per second.
    public var samplesPerSecond: Double
    /// What it got of the frame's reference unit; nil if it has not rendered it.
    public var reference: UnitDigest?
    public init(term: Term, samplesPerSecond: Double, reference: UnitDigest? = nil) {
        self.term = term
        self.samplesPerSecond = samplesPerSecond
        self.reference = reference
    }
}

/// Opens a round: who takes part, and what is committed.
public struct RoundStart: Hashable, Sendable {
    public var round: RoundID
    /// In the order of succession after the root; the root itself comes first. All of them, or of a
    /// large frame the first.
    public var participants: ParticipantsUpdate
    /// How many take part beyond those that the list names.
    public var unnamedCount = 0
    /// If there are any, some of all participants, chosen by chance for this receiver.
    public var acquaintances: [ParticipantID] = []
    /// Whether the receiver takes part even if it is not named.
    public var includesReceiver = false
    /// Whose results were found wrong: they are kept out of the frame.
    public var quarantined: [ParticipantID] = []
    /// Whether the root knows what the receiver got of the reference unit.
    public var knowsReference = false
    /// If that keeps the receiver out: how many others got something else.
    public var differing = 0
    /// The coverage of the root's film.
    public var ledger: LedgerUpdate
    public init(round: RoundID, participants: ParticipantsUpdate, ledger: LedgerUpdate) {
        self.round = round
        self.participants = participants
        self.ledger = ledger
    }

    /// A start that builds on nothing.
    public init(round: RoundID, participants: [ParticipantID], ledger: IntervalSet) {
        self.init(
            round: round, participants: ParticipantsUpdate(whole: participants),
            ledger: LedgerUpdate(whole: ledger))
    }
}

/// What a participant holds at the start of a round.
public struct RoundReport: Hashable, Sendable {
    public struct Seal: Hashable, Sendable {
        public var number: SealNumber
        public var coverage: IntervalSet
        /// Of the units of the coverage, in their order; empty when the frame is not verified.
        public var digests: [UnitDigest]
        public init(number: SealNumber, coverage: IntervalSet, digests: [UnitDigest] = []) {
            self.number = number
            self.coverage = coverage
            self.digests = digests
        }
    }
    public var round: RoundID
    /// The hashes of the list and the ledger that the sender has from the start; a ledger that has
    /// grown since holds that one. Zero when it has none.
    public var participantsHash: UInt64 = 0
    public var ledgerHash: UInt64 = 0
    public var seals: [Seal]
    /// Units held, in progress, or lent and not yet acknowledged.
    public var claims: IntervalSet
    /// How many units the sender's film covers; zero for a ledger-only participant.
    public var filmUnits: Int
    /// Measured speed of its devices, samples per second.
    public var samplesPerSecond: Double
    /// What its link has moved of late, bytes per second; zero when that is not known.
    public var bytesPerSecond: Double
    /// What the sender got of the reference unit, if the root does not know it; nil if it has not
    /// rendered it.
    public var reference: UnitDigest?
    /// Whether the sender wants the sums of the rounds; a ledger-only participant does not.
    public var wantsFilm: Bool
    public init(
        round: RoundID, seals: [Seal], claims: IntervalSet, filmUnits: Int,
        samplesPerSecond: Double, bytesPerSecond: Double = 0, wantsFilm: Bool = true
    ) {
        self.bytesPerSecond = bytesPerSecond
        self.wantsFilm = wantsFilm
        self.round = round
        self.seals = seals
        self.claims = claims
        self.filmUnits = filmUnits
        self.samplesPerSecond = samplesPerSecond
    }
}

/// A contributor's neighbours in one of the trees of a round.
public struct TreePlace: Hashable, Sendable {
    public var parent: ParticipantID
    public var children: [ParticipantID]
    public init(parent: ParticipantID, children: [ParticipantID]) {
        self.parent = parent
        self.children = children
    }
}

/// Tells one contributor its part of a round; each gets a plan of its own.
public struct RoundPlan: Hashable, Sendable {
    public var round: RoundID
    /// The receiver's seals that go into this round.
    public var seals: [SealNumber]
    /// For each stripe of the tiles the receiver's place in that stripe's tree.
    public var places: [TreePlace]
    public init(round: RoundID, seals: [SealNumber], places: [TreePlace]) {
        self.round = round
        self.seals = seals
        self.places = places
    }
}

/// Why a round was abandoned.
public struct RoundFailure: Hashable, Sendable {
    public var round: RoundID
    /// Left out of the next plan.
    public var cause: ParticipantID
    public init(round: RoundID, cause: ParticipantID) {
        self.round = round
        self.cause = cause
    }
}

/// Says that a participant is out of work, and whether it holds something to commit.
public struct Exhausted: Hashable, Sendable {
    public var term: Term
    /// Units rendered and not in the ledger the sender knows.
    public var uncommittedUnits: Int
    public init(term: Term, uncommittedUnits: Int) {
        self.term = term
        self.uncommittedUnits = uncommittedUnits
    }
}

/// A thief's request.
public struct StealRequest: Hashable, Sendable {
    public var term: Term
    /// Numbered by the thief; the answer repeats it.
    public var number: UInt64
    /// The thief's speed, samples per second.
    public var samplesPerSecond: Double
    public init(term: Term, number: UInt64, samplesPerSecond: Double) {
        self.term = term
        self.number = number
        self.samplesPerSecond = samplesPerSecond
    }
}

/// A victim's gift. It stays a claim of the victim until the thief answers.
public struct StealGrant: Hashable, Sendable {
    public var term: Term
    public var grant: GrantID
    /// The request this answers; zero for work pushed along a lifeline.
    public var request: UInt64
    public var units: IntervalSet
    public init(term: Term, grant: GrantID, request: UInt64, units: IntervalSet) {
        self.term = term
        self.grant = grant
        self.request = request
        self.units = units
    }
}

/// A victim that has nothing to give.
public struct StealRefusal: Hashable, Sendable {
    public var term: Term
    public var request: UInt64
    public init(term: Term, request: UInt64) {
        self.term = term
        self.request = request
    }
}

/// Units that are late and are rendered twice.
public struct LateUnits: Hashable, Sendable {
    public var term: Term
    public var units: IntervalSet
    public init(term: Term, units: IntervalSet) {
        self.term = term
        self.units = units
    }
}
