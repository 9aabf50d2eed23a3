// What a root keeps besides its part as a participant: the members, what they last reported, and
// the round in progress.

import MeshCore

/// The state of a frame's root.
///
///     idle ──start──► reporting ──nothing to gather──► idle
///                        │ │
///      a larger film is  │ └──plan──► gathering ──commit or abandon──► idle
///      reported          ▼                 ▲
///                     adopting ──failed────┘   (fetched: a new round starts)
struct RootState: Sendable {
    enum Phase: Hashable, Sendable {
        case idle
        /// Until the deadline or the last report.
        case reporting(deadline: Instant)
        /// Fetching the film of a member.
        case adopting(ParticipantID, deadline: Instant)
        /// Data is on its way.
        case gathering(since: Instant)
    }

    /// A listed participant, as its root sees it.
    struct Member: Sendable {
        let id: ParticipantID
        var samplesPerSecond = 0.0
        /// What it last said it holds; stands until it says otherwise or is dismissed.
        var report: RoundReport?
        /// Whether it has answered the round in progress.
        var hasReported = false
        var missedRounds = 0
        /// When it was first asked without an answer.
        var silentSince: Instant?
        /// Units it rendered, when it has said since the last start that it is out of work.
        var exhausted: Int?
        /// When it will have rendered its units of the first pass; nil when it has none, as far as
        /// is known.
        var firstPassUntil: Instant?
        /// Data rounds that failed because of it, in a row, and the first that it may join again.
        var failures = 0
        var excludedBefore: UInt64 = 0
        /// The same for the fetching of its film.
        var fetchFailures = 0
        var notFetchedBefore: UInt64 = 0
        var aging = ClaimAging()
    }

    /// Claims that a participant has reported again and again.
    struct ClaimAging: Sendable {
        private var base = IntervalSet()
        private var baseSince: Instant?
        /// Claimed in all reports for at least the age asked for.
        private(set) var aged = IntervalSet()

        mutating func observe(_ claims: IntervalSet, age: Duration, at now: Instant) {
            aged = aged.intersection(claims)
            guard let since = baseSince else {
                base = claims
                baseSince = now
                return
            }
            if now - since >= age {
                aged = base.intersection(claims)
                base = claims
                baseSince = now
            }
        }
    }

    /// A late unit and the helpers it was given to.
    struct Helped: Hashable, Sendable {
        var times: Int
        var nextAt: Instant
    }

    var phase = Phase.idle
    /// The root itself comes first.
    private(set) var members: [Member]
    private var index: [ParticipantID: Int] = [:]
    /// How many others have not answered the round in progress, and how many of these had answered
    /// the one before.
    private var awaited = 0
    private var awaitedReliable = 0
    var number: UInt64 = 0
    var dataNumber: UInt64 = 1
    /// Whether the round in progress is to move pixels.
    var wantsData = false
    var startedAt: Instant
    var startRepeated = false
    /// When the start is repeated in a long data phase.
    var beatAt: Instant
    var lastDataAt: Instant
    var nextDataAt: Instant
    var nextStartAt: Instant
    var lastCost: Duration = .zero
    var abandonedInRow = 0
    var loss = LossWatch()
    /// Not before: others may hold what is missing…
    var countsLossesAt: Instant
    /// … who took part under the last root, so many in all, and are on their way to this one.
    var expectedCount = 0
    /// The plans of the data phase, to repeat them once.
    var plans: [(ParticipantID, RoundPlan)] = []
    var contributors: [ParticipantID] = []
    var plansRepeatAt: Instant?
    /// Whom contributors last named as the cause of a failure, since the last commit; looked up.
    var accused: [ParticipantID: ParticipantID] = [:]
    var farewells = 0
    /// Whether a round was started because the first pass seemed to be rendered.
    var hasHurriedFirstImage = false
    /// Whether nobody had anything to render at the last reports.
    var isIdle = false
    /// The last commit: its round, the ledger's hash after it, and when the sum should be everywhere.
    var lastSum: (round: RoundID, ledgerHash: UInt64, at: Instant)?
    /// What starts have said.
    var history = StartHistory()
    /// Late units given to helpers; looked up, never iterated but to be emptied.
    var helped: [Int: Helped] = [:]
    /// Units rendered twice.
    var checks = CheckBook()
    /// The stages of an adaptive frame's tiles, and how many units the film had when they were last
    /// looked at.
    var stages: StageBook?
    var judgedUnits = -1
    /// What participants got of the reference unit.
    var references = ReferenceBook()
    /// Who was refused before the first round, and is told why by its start.
    var refusedEarly: [ParticipantID] = []
    /// What the reports say of late units; nil when one has changed.
    var lateBook: LateBook?

    init(members: [ParticipantID], at now: Instant) {
        self.members = members.map { Member(id: $0) }
        startedAt = now
        beatAt = now
        lastDataAt = now
        nextDataAt = now
        nextStartAt = now
        countsLossesAt = now
        for (position, member) in members.enumerated() { index[member] = position }
    }

    func position(of participant: ParticipantID) -> Int? { index[participant] }

    subscript(position: Int) -> Member {
        get { members[position] }
        set { members[position] = newValue }
    }

    /// Lists somebody new, instead of what it was before a restart.
    /// - Returns: who it was, dismissed now; nil when there is no room, or it has been restarted
    ///   since.
    mutating func admit(
        _ participant: ParticipantID, samplesPerSecond: Double, limit: Int
    ) -> [ParticipantID]? {
        guard members.count < limit else { return nil }
        var former: [ParticipantID] = []
        for member in members where member.id.node == participant.node {
            guard member.id.boot < participant.boot else { return nil }
            former.append(member.id)
        }
        if !former.isEmpty { former = dismiss { $0.id.node == participant.node } }
        var member = Member(id: participant)
        member.samplesPerSecond = samplesPerSecond
        index[participant] = members.count
        members.append(member)
        awaited += 1
        awaitedReliable += 1
        return former
    }

    /// Takes members off the list and returns who they were; never the root itself.
    mutating func dismiss(where isGone: (Member) -> Bool) -> [ParticipantID] {
        let gone = members.dropFirst().filter(isGone).map(\.id)
        guard !gone.isEmpty else { return [] }
        let set = Set(gone)
        members.removeAll { set.contains($0.id) }
        index = [:]
        for (position, member) in members.enumerated() { index[member.id] = position }
        countAwaited()
        return gone
    }

    /// How many take part whom starts do not name. A successor that knows few says so: if it dies,
    /// too, the next one must not think that these were all.
    func unnamedCount(named: Int) -> Int {
        let expected = startedAt < countsLossesAt ? expectedCount : 0
        return max(members.count, expected) - named
    }

    /// The hash of the ledger that a member has if it got the sum of the last commit; nil when that
    /// did not go to it, or its last report is newer.
    func presumedLedger(of report: RoundReport?) -> UInt64? {
        guard let lastSum, let report, report.round == lastSum.round, report.wantsFilm,
            lastSum.at <= startedAt
        else { return nil }
        return lastSum.ledgerHash
    }

    /// Whom starts name: all, or of a large frame the first.
    func namedMembers(_ configuration: FrameConfiguration) -> [ParticipantID] {
        let count =
            members.count <= configuration.listedMax
            ? members.count : configuration.successorsListed + 1
        return members.prefix(count).map(\.id)
    }

    /// The members but the root.
    var others: ArraySlice<Member> { members.dropFirst() }
    var haveAllReported: Bool { awaited == 0 }
    /// Whether all who answered the last round have answered this one.
    var haveAllReliableReported: Bool { awaitedReliable == 0 }

    /// A round begins: all others are to report.
    mutating func awaitReports() {
        for position in members.indices {
            members[position].hasReported = false
            members[position].exhausted = nil
        }
        countAwaited()
    }

    /// A member has answered the round in progress.
    mutating func noteReport(_ report: RoundReport, at position: Int) {
        if !members[position].hasReported, position > 0 {
            awaited -= 1
            if members[position].missedRounds == 0 { awaitedReliable -= 1 }
        }
        members[position].hasReported = true
        members[position].missedRounds = 0
        members[position].report = report
        members[position].samplesPerSecond = report.samplesPerSecond
    }

    private mutating func countAwaited() {
        awaited = others.count { !$0.hasReported }
        awaitedReliable = others.count { !$0.hasReported && $0.missedRounds == 0 }
    }

    /// Bars a member from the next rounds of data: 1, 2, 4, … at most 16 of them.
    mutating func exclude(_ participant: ParticipantID) {
        guard let position = index[participant], position > 0 else { return }
        let rounds = UInt64(1) << UInt64(min(members[position].failures, 4))
        members[position].failures += 1
        members[position].excludedBefore = dataNumber + 1 + rounds
    }

    mutating func excludeFilm(of participant: ParticipantID) {
        guard let position = index[participant], position > 0 else { return }
        let rounds = UInt64(1) << UInt64(min(members[position].fetchFailures, 6))
        members[position].fetchFailures += 1
        members[position].notFetchedBefore = number + 1 + rounds
    }

    /// The next moment at which a round may start: always later than now, so that no timer stands
    /// still, not at once after the last start, and not before the last sum is there.
    func earliestStart(at now: Instant, _ configuration: FrameConfiguration) -> Instant {
        max(
            now + .milliseconds(1), startedAt + configuration.startIntervalMin,
            sumAwaitedUntil(configuration))
    }

    /// When the last sum should be everywhere, or a heartbeat is due; in a small frame nobody waits
    /// for that. A start to somebody who lacks the sum says all that it added to the ledger, and
    /// thousands of these fill the root's link for many seconds.
    func sumAwaitedUntil(_ configuration: FrameConfiguration) -> Instant {
        guard members.count > configuration.listedMax, let lastSum else { return startedAt }
        let heartbeat = RoundSchedule.heartbeat(
            participants: members.count, configuration: configuration)
        return min(lastSum.at, startedAt + heartbeat)
    }

    /// How long the data of a round may take. Doubles with each round abandoned in a row, up to 32
    /// times: a large sum on a slow link gets through in the end.
    func dataPatience(_ configuration: FrameConfiguration) -> Duration {
        configuration.dataTimeout * (1 << min(abandonedInRow, 5))
    }

    func checkInvariants() {
        stages?.checkInvariants()
        precondition(index.count == members.count)
        for (position, member) in members.enumerated() {
            precondition(index[member.id] == position)
        }
    }
}
