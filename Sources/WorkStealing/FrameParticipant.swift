// The protocol of one frame at one participant: it claims units, steals and gives, seals partial
// films, takes part in reduction rounds, leads them when it is the root, and succeeds a root that
// has fallen silent (docs/PROTOCOL.md §4 to §6). Sans-I/O: messages, results and the time come
// in, directives go out.
//
// What makes it right is small: coverages only change by adding a unit that is lacking, adding
// what is disjoint (checked), or being replaced whole. All else here saves work and makes sure of
// progress, and may be wrong about the world without spoiling a film.

public import MeshCore

/// The state machine of one frame at one participant.
///
///     joining ──a start lists it──► listed ──dismissed──► exiled ──a start lists it──► listed
///     listed ──silence──► root ──a higher term──► listed or exiled
///
/// After each call that mutates it, perform every `nextDirective` before the next call; call
/// `tick` at `nextDeadline`, which may have changed after any call.
public struct FrameParticipant: Sendable {
    public let frame: FrameID
    public let workSpace: WorkSpace
    public let identity: ParticipantID
    public let configuration: FrameConfiguration

    /// The highest term seen.
    public internal(set) var term: Term
    /// The round of the last start.
    public internal(set) var round: RoundID?
    /// The participants that the last start named, the root first, in the order of succession: all,
    /// or of a large frame the first. A root has all.
    public internal(set) var participants: [ParticipantID]
    /// How many more there are.
    var unnamedCount = 0
    /// Of a large frame, some of all participants, the last heard of.
    var acquaintances: [ParticipantID] = []
    /// The coverage of this node's film.
    public internal(set) var filmCoverage = IntervalSet()
    public internal(set) var statistics = FrameStatistics()
    /// Samples per second of all devices.
    public internal(set) var speed = 0.0
    var isSpeedKnown = false
    /// What its link has moved of late, bytes per second; zero: not known.
    var linkSpeed = 0.0

    // The work of this node.
    var deque: ClaimDeque
    var inProgress: [UnitInProgress] = []
    /// When devices were last told of a stuck unit.
    var stuckToldAt: Instant
    /// Late units of others; rendered apart, never lent.
    var helping = IntervalSet()
    /// The unit that all render to be compared by.
    var reference: ReferenceState
    /// Units of others to be rendered for comparison only.
    var checkWork = CheckWork()
    /// What a verified frame's results of this node are compared by, until they are committed;
    /// looked up.
    var digests: [Int: UnitDigest] = [:]
    /// Whose results were found wrong, as the root says.
    var quarantined: [ParticipantID] = []
    /// Units that somebody else renders as well.
    var contested = IntervalSet()
    var partials = PartialFilms()
    var grants: GrantBook
    var thief: ThiefState
    var waiting: [WaitingThief] = []

    // The frame as this node sees it.
    var ledgerBook: CommitLedger
    var standing: Standing
    /// When the root was last heard of.
    var heardAt: Instant
    /// When the last input was.
    var settledAt: Instant
    var askAdmissionAt: Instant
    let beganAt: Instant
    /// Participants that gossip says are dead; only ever looked up.
    var dead: Set<ParticipantID> = []
    /// The round that this node contributes to at present.
    var contribution: RoundID?
    var fetch = FetchState()
    var saysExhausted = ExhaustedState()
    /// Whether this node has held units of the first pass since it last said that it has none.
    var owesFirstPass = false
    var root: RootState?

    var random: RandomNumbers
    private var outbox: [FrameDirective] = []
    private var outboxHead = 0

    /// The originator: root of term 1; all units are its claims, or those of the first stage.
    public init(
        originating frame: FrameID, workSpace: WorkSpace, identity: ParticipantID,
        configuration: FrameConfiguration, seed: UInt64, at now: Instant
    ) {
        self.init(
            frame: frame, workSpace: workSpace, identity: identity,
            term: Term(number: 1, root: identity), configuration: configuration, seed: seed,
            at: now)
        standing = .listed
        participants = [identity]
        deque.add(IntervalSet(workSpace.units(ofStage: 0)))
        var root = RootState(members: [identity], at: now)
        if workSpace.isAdaptive { root.stages = StageBook(workSpace, film: filmCoverage) }
        root.startedAt = now - configuration.startIntervalMin
        root.nextDataAt = now + configuration.roundIntervalHurried
        root.nextStartAt = root.nextDataAt
        self.root = root
        emit(.workAvailable)
    }

    /// Any other node, which has the scene ready and asks the root of `term` for admission until
    /// it is listed. A term that makes no sense counts as the originator's.
    public init(
        joining frame: FrameID, workSpace: WorkSpace, identity: ParticipantID, term: Term,
        configuration: FrameConfiguration, seed: UInt64, at now: Instant
    ) {
        self.init(
            frame: frame, workSpace: workSpace, identity: identity,
            term: Term(number: 1, root: frame.originator), configuration: configuration,
            seed: seed, at: now)
        learn(term, at: now)
        emit(.workAvailable)
        settle(at: now)
    }

    private init(
        frame: FrameID, workSpace: WorkSpace, identity: ParticipantID, term: Term,
        configuration: FrameConfiguration, seed: UInt64, at now: Instant
    ) {
        self.frame = frame
        self.workSpace = workSpace
        self.identity = identity
        self.term = term
        self.configuration = configuration
        participants = []
        reference = ReferenceState(of: frame, in: workSpace)
        random = RandomNumbers(seed: seed)
        deque = ClaimDeque(weights: WorkWeights(workSpace))
        grants = GrantBook(owner: identity, configuration: configuration)
        thief = ThiefState(owner: identity, configuration: configuration, at: now)
        ledgerBook = CommitLedger(unitCount: workSpace.count)
        standing = .joining
        stuckToldAt = now - configuration.stuckAge
        heardAt = now
        settledAt = now
        askAdmissionAt = now
        beganAt = now
    }

    // MARK: What drivers, gossip and statistics read

    public var isRoot: Bool { root != nil }
    /// Whom a root counts on: its participants, and newcomers since its last start.
    package var members: [ParticipantID] { root?.members.map(\.id) ?? participants }
    /// How many take part, this node included.
    public var participantCount: Int { participants.count + unnamedCount }
    /// The committed coverage, as far as this node knows.
    public var ledger: IntervalSet { ledgerBook.coverage }
    /// Whether the film of this node covers the frame.
    public var isComplete: Bool { filmCoverage.count == workSpace.count }
    /// Whether the ledger covers the frame: nothing is left to render anywhere.
    public var isLedgerComplete: Bool { ledgerBook.isComplete }
    /// Whether this node's results were found wrong: it renders nothing more for this frame.
    public var isQuarantined: Bool { isQuarantined(identity) }
    /// Whether the root counts this node among the participants.
    public var isListed: Bool { standing == .listed }
    /// Held, in progress, lent and not yet acknowledged, or helped with.
    public var claims: IntervalSet {
        var ranges = deque.units.ranges + grants.units.ranges + helping.ranges
        ranges += inProgress.map { SampleRange($0.unit, $0.unit + 1) }
        return IntervalSet(ranges)
    }
    /// Samples of the claims that no device has begun.
    public var remainingSamples: Double { Double(deque.samples) }
    /// Whether `takeUnit` would return a unit.
    public var hasWork: Bool { !deque.isEmpty || !helping.isEmpty || !checkWork.isEmpty }
    /// Units rendered or waived here that the ledger lacks.
    public var uncommitted: IntervalSet { partials.coverage }
    /// The coverage of the open partial film.
    public var openCoverage: IntervalSet { partials.open }
    /// The coverage of a sealed partial film; nil when it was dropped.
    public func coverage(of seal: SealNumber) -> IntervalSet? {
        partials.seals.first { $0.number == seal }?.coverage
    }
    /// Whether this node keeps a whole film: by configuration, or as root or early successor.
    public var wantsFilm: Bool {
        configuration.keepsFilm || isRoot
            || Succession.mustKeepFilm(identity, participants: participants)
    }

    /// Whether all is committed, and this node has the film or wants none: a ledger-only node is
    /// content as long as somebody who has it is there.
    public var isDone: Bool {
        if isQuarantined || isKeptOut, !wantsFilm {
            // It hears of no more rounds.
            return fetch.completeAt.contains { !dead.contains($0) }
        }
        guard isLedgerComplete else { return false }
        return isComplete
            || !wantsFilm && (fetch.completeAt + [term.root]).contains { !dead.contains($0) }
    }

    // MARK: Directives

    mutating func emit(_ directive: FrameDirective) { outbox.append(directive) }

    mutating func send(_ message: FrameMessage, to participant: ParticipantID) {
        if participant != identity { emit(.send(message, to: participant)) }
    }

    /// The next output, in order; nil when there is none.
    public mutating func nextDirective() -> FrameDirective? {
        guard outboxHead < outbox.count else { return nil }
        defer {
            outboxHead += 1
            if outboxHead == outbox.count {
                outbox.removeAll(keepingCapacity: outbox.count <= 64)
                outboxHead = 0
            }
        }
        return outbox[outboxHead]
    }

    // MARK: Checks

    /// Traps when the state contradicts itself; for tests and simulations.
    public func checkInvariants() {
        deque.checkInvariants()
        grants.checkInvariants()
        partials.checkInvariants()
        root?.checkInvariants()
        root?.references.checkInvariants()
        precondition(partials.coverage.isDisjoint(with: deque.units), "rendered and claimed")
        precondition(deque.units.isDisjoint(with: grants.units), "held and lent")
        precondition(filmCoverage.upperBound <= workSpace.count)
        precondition(deque.units.upperBound <= workSpace.count)
        precondition(partials.seals.count <= configuration.sealsMax)
        precondition(waiting.count <= configuration.waitingMax)
        precondition(participantCount <= configuration.participantsMax)
        precondition(acquaintances.count <= configuration.acquaintancesMax)
        precondition(isRoot == (term.root == identity))
        if isRoot { precondition(ledger == filmCoverage && isListed) }
        if !isListed { precondition(deque.isEmpty && grants.lent.isEmpty) }
    }
}
