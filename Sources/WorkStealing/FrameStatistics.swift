// What a participant counts about one frame, for `--stats`, the log and the simulator's checks.

/// Counters of one participant in one frame.
public struct FrameStatistics: Hashable, Sendable {
    public var stealsAsked = 0
    /// Grants this node took, asked for or pushed.
    public var stealsWon = 0
    public var stealsRefused = 0
    /// Grants this node gave, asked for or pushed, and requests it refused.
    public var grantsGiven = 0
    public var grantsPushed = 0
    public var requestsRefused = 0
    public var grantsTakenBack = 0
    /// As the root: rounds started, rounds that moved pixels, and how those ended.
    public var roundsStarted = 0
    public var dataRounds = 0
    public var commits = 0
    public var roundsAbandoned = 0
    public var takeovers = 0
    public var filmsAdopted = 0
    public var filmFetches = 0
    /// As the root: units that nobody held, and late units given to helpers.
    public var unitsLost = 0
    public var unitsHelped = 0
    /// As the root of a verified frame: units whose results were compared with another node's, units
    /// that were chosen and that nobody could check, and participants found wrong.
    public var unitsVerified = 0
    public var unitsUnverified = 0
    public var unitsRendered = 0
    /// Rendered, and then forgotten or dropped because the ledger had them.
    public var unitsDuplicated = 0
    /// Messages that made no sense or came from a former term.
    public var messagesIgnored = 0
    public init() {}
}
