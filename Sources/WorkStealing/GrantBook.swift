// What is lent, and what was answered (docs/PROTOCOL.md §4). A victim goes on claiming a grant
// until the thief accepts or refuses it, repeats it in between, and takes it back in the end; a
// thief answers a repeated grant as it did the first time. So no unit is ever between two owners.

import MeshCore

/// The grants a participant gave, and its answers to those it got.
struct GrantBook: Sendable {
    struct Lent: Hashable, Sendable {
        let id: GrantID
        let thief: ParticipantID
        var request: UInt64
        var units: IntervalSet
        let since: Instant
        var repeatAt: Instant
    }

    private let owner: ParticipantID
    private let lentMax: Int
    private let answeredMax: Int
    private let repeatInterval: Duration
    private let timeout: Duration
    /// In the order of lending.
    private(set) var lent: [Lent] = []
    private var nextNumber: UInt64 = 1
    /// True: accepted.
    private var answered: [GrantID: Bool] = [:]
    /// The keys of `answered`, a ring, the oldest at `oldest`.
    private var answeredOrder: [GrantID] = []
    private var oldest = 0

    init(owner: ParticipantID, configuration: FrameConfiguration) {
        self.owner = owner
        lentMax = configuration.lentMax
        answeredMax = configuration.answeredGrantsMax
        repeatInterval = configuration.grantRepeat
        timeout = configuration.grantTimeout
    }

    var answeredCount: Int { answered.count }
    var isFull: Bool { lent.count >= lentMax }
    /// All units lent and not answered for.
    var units: IntervalSet { IntervalSet(lent.flatMap(\.units.ranges)) }

    /// When something is due: a repetition or a return.
    var nextDeadline: Instant {
        lent.reduce(.distantFuture) { min($0, $1.repeatAt, $1.since + timeout) }
    }

    /// Books a grant.
    /// - Precondition: not full.
    mutating func lend(
        _ units: IntervalSet, to thief: ParticipantID, request: UInt64, at now: Instant
    ) -> GrantID {
        precondition(!isFull)
        let id = GrantID(victim: owner, number: nextNumber)
        nextNumber += 1
        lent.append(
            Lent(
                id: id, thief: thief, request: request, units: units, since: now,
                repeatAt: now + repeatInterval))
        return id
    }

    /// The first grant that a thief has not answered yet, which now answers this request.
    mutating func openGrant(to thief: ParticipantID, request: UInt64) -> Lent? {
        guard let index = lent.firstIndex(where: { $0.thief == thief }) else { return nil }
        lent[index].request = request
        return lent[index]
    }

    /// The thief has answered: the grant is closed and returned.
    mutating func settle(_ id: GrantID, from thief: ParticipantID) -> Lent? {
        guard let index = lent.firstIndex(where: { $0.id == id && $0.thief == thief }) else {
            return nil
        }
        return lent.remove(at: index)
    }

    /// Grants to repeat now.
    mutating func repetitions(at now: Instant) -> [Lent] {
        var due: [Lent] = []
        for index in lent.indices where lent[index].repeatAt <= now {
            lent[index].repeatAt = now + repeatInterval
            due.append(lent[index])
        }
        return due
    }

    /// Closes and returns the units of grants that are out of time, or whose thief is gone.
    mutating func takeBack(at now: Instant, isGone: (ParticipantID) -> Bool) -> [Lent] {
        let back = lent.filter { $0.since + timeout <= now || isGone($0.thief) }
        guard !back.isEmpty else { return [] }
        lent.removeAll { $0.since + timeout <= now || isGone($0.thief) }
        return back
    }

    /// Committed units need no claim.
    mutating func subtract(_ ledger: IntervalSet) {
        guard !lent.isEmpty else { return }
        for index in lent.indices { lent[index].units.subtract(ledger) }
        lent.removeAll { $0.units.isEmpty }
    }

    mutating func forgetLent() { lent = [] }

    /// How this grant was answered before.
    func answer(to id: GrantID) -> Bool? { answered[id] }

    /// Remembers an answer; the oldest is forgotten when there are too many.
    mutating func remember(_ id: GrantID, accepted: Bool) {
        guard answered.updateValue(accepted, forKey: id) == nil else { return }
        if answeredOrder.count < answeredMax {
            answeredOrder.append(id)
        } else {
            answered[answeredOrder[oldest]] = nil
            answeredOrder[oldest] = id
            oldest = (oldest + 1) % answeredMax
        }
    }

    func checkInvariants() {
        precondition(lent.count <= lentMax && answered.count <= answeredMax)
        precondition(answered.count == answeredOrder.count)
        precondition(lent.allSatisfy { !$0.units.isEmpty })
    }
}
