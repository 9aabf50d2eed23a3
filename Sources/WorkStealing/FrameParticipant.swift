// placeholder of the first commit; the bodies follow.
public import MeshCore

public struct FrameParticipant: Sendable {
    public let frame: FrameID
    public let workSpace: WorkSpace
    public let identity: ParticipantID
    public let configuration: FrameConfiguration
    public private(set) var term: Term
    public private(set) var ledger = IntervalSet()
    public private(set) var filmCoverage = IntervalSet()
    public private(set) var participants: [ParticipantID] = []
    public private(set) var statistics = FrameStatistics()
    public private(set) var round: RoundID?

    public init(
        originating frame: FrameID, workSpace: WorkSpace, identity: ParticipantID,
        configuration: FrameConfiguration, seed: UInt64, at now: Instant
    ) {
        self.frame = frame
        self.workSpace = workSpace
        self.identity = identity
        self.configuration = configuration
        term = Term(number: 1, root: identity)
    }
    public init(
        joining frame: FrameID, workSpace: WorkSpace, identity: ParticipantID, term: Term,
        configuration: FrameConfiguration, seed: UInt64, at now: Instant
    ) {
        self.frame = frame
        self.workSpace = workSpace
        self.identity = identity
        self.configuration = configuration
        self.term = term
    }
    public var isRoot: Bool { term.root == identity }
    /// Whether the film of this node covers the frame.
    public var isComplete: Bool { filmCoverage.count == workSpace.count }
    /// Whether the ledger covers the frame.
    public var isLedgerComplete: Bool { ledger.count == workSpace.count }
    /// Whether the root's last start named this node.
    public var isListed: Bool { participants.contains(identity) }
    /// Held, in progress, or lent and not yet acknowledged.
    public var claims: IntervalSet { IntervalSet() }
    /// Samples of the claims that no device has begun.
    public var remainingSamples: Double { 0 }
    /// Whether `takeUnit` would return a unit.
    public var hasWork: Bool { false }
    /// Units rendered here that the ledger lacks.
    public var uncommitted: IntervalSet { IntervalSet() }
    public mutating func receive(
        _ message: FrameMessage, from sender: ParticipantID, at now: Instant
    ) {}
    public mutating func tick(at now: Instant) {}
    public var nextDeadline: Instant { .distantFuture }
    public mutating func nextDirective() -> FrameDirective? { nil }
    public mutating func learned(term: Term, at now: Instant) {}
    public mutating func participantChanged(
        _ participant: ParticipantID, isAlive: Bool, at now: Instant
    ) {}
    public mutating func learnedWork(of participant: ParticipantID, remainingSamples: Double) {}
    public mutating func learnedCompleteFilm(at participant: ParticipantID, at now: Instant) {}
    public mutating func takeUnit(at now: Instant) -> Int? { nil }
    public mutating func returnUnit(_ unit: Int, at now: Instant) {}
    public mutating func rendered(_ unit: Int, at now: Instant) -> UnitDisposition { .discard }
    public mutating func setSpeed(samplesPerSecond: Double) {}
    public mutating func gathered(round: RoundID, coverage: IntervalSet, at now: Instant) {}
    public mutating func contributionFailed(
        round: RoundID, cause: ParticipantID, at now: Instant
    ) {}
    public mutating func sumArrived(
        round: RoundID, coverage: IntervalSet, ledger: IntervalSet, at now: Instant
    ) -> FilmDisposition { .discard }
    public mutating func filmFetched(
        coverage: IntervalSet, from participant: ParticipantID, at now: Instant
    ) -> FilmDisposition { .discard }
    public mutating func filmFetchFailed(at now: Instant) {}
    public func checkInvariants() {}
}
