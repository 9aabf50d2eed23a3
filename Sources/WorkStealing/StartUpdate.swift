// How a start names the list of participants and the ledger, which are large in a large mesh and
// change little from round to round: by a hash, and by what is new since the receiver's last
// report. A receiver whose own value does not come out at the hash asks for the whole.

public import MeshCore

/// The list of participants of a start.
public struct ParticipantsUpdate: Hashable, Sendable {
    /// Of the list that comes out.
    public var hash: UInt64
    /// Whether `added` is the list, whatever the receiver has.
    public var isWhole: Bool
    /// Nobody any more; empty when whole.
    public var removed: [ParticipantID]
    /// At the end of the list, in this order.
    public var added: [ParticipantID]

    public init(hash: UInt64, isWhole: Bool, removed: [ParticipantID], added: [ParticipantID]) {
        self.hash = hash
        self.isWhole = isWhole
        self.removed = removed
        self.added = added
    }

    public init(whole participants: [ParticipantID]) {
        self.init(
            hash: Self.hash(of: participants), isWhole: true, removed: [], added: participants)
    }

    /// What makes `list`, of this hash, out of `base`. Nil unless `list` is `base` without some of
    /// it, and with newcomers at the end.
    init?(from base: [ParticipantID], to list: [ParticipantID], hash: UInt64) {
        var removed: [ParticipantID] = []
        var kept = 0
        for participant in base {
            if kept < list.count, list[kept] == participant {
                kept += 1
            } else {
                removed.append(participant)
            }
        }
        let added = Array(list[kept...])
        guard removed.count + added.count < list.count else { return nil }
        self.init(hash: hash, isWhole: false, removed: removed, added: added)
    }

    /// The list that comes out; nil when it is not the one of the hash.
    func applied(to base: [ParticipantID]) -> [ParticipantID]? {
        guard !isWhole else { return Self.hash(of: added) == hash ? added : nil }
        guard !removed.isEmpty || !added.isEmpty else {
            return Self.hash(of: base) == hash ? base : nil
        }
        // A receiver may have some of the newcomers already.
        let moved = Set(removed).union(added)
        let list = base.filter { !moved.contains($0) } + added
        return Self.hash(of: list) == hash ? list : nil
    }

    static func hash(of participants: [ParticipantID]) -> UInt64 {
        var hash = StableHash()
        for participant in participants {
            hash.combine(participant.node.rawValue)
            hash.combine(participant.boot)
        }
        return hash.value
    }
}

/// The ledger of a start.
public struct LedgerUpdate: Hashable, Sendable {
    /// Of the ledger that comes out.
    public var hash: UInt64
    /// Whether `added` is the ledger, whatever the receiver has.
    public var isWhole: Bool
    public var added: IntervalSet

    public init(hash: UInt64, isWhole: Bool, added: IntervalSet) {
        self.hash = hash
        self.isWhole = isWhole
        self.added = added
    }

    public init(whole ledger: IntervalSet) {
        self.init(hash: Self.hash(of: ledger), isWhole: true, added: ledger)
    }

    /// What makes `ledger`, of this hash, out of `base`; nil when the whole is as short, or a root
    /// that adopted another film lacks some of `base`.
    init?(from base: IntervalSet, to ledger: IntervalSet, hash: UInt64) {
        let added = ledger.subtracting(base)
        guard added.ranges.count < ledger.ranges.count, ledger.isSuperset(of: base) else {
            return nil
        }
        self.init(hash: hash, isWhole: false, added: added)
    }

    /// The ledger that comes out; nil when it is not the one of the hash.
    func applied(to base: IntervalSet) -> IntervalSet? {
        let ledger = isWhole ? added : base.union(added)
        return Self.hash(of: ledger) == hash ? ledger : nil
    }

    static func hash(of ledger: IntervalSet) -> UInt64 {
        var hash = StableHash()
        for range in ledger.ranges {
            hash.combine(range.lowerBound)
            hash.combine(range.upperBound)
        }
        return hash.value
    }
}

/// What a root said in its last starts, so that it can say the next ones as differences.
struct StartHistory: Sendable {
    private var lists: [(hash: UInt64, list: [ParticipantID])] = []
    private var ledgers: [(hash: UInt64, ledger: IntervalSet)] = []
    /// Those most often asked for, as long as what they lead to is the same.
    private var updates: [(base: UInt64, update: ParticipantsUpdate)] = []
    private var ledgerUpdates: [(base: UInt64, update: LedgerUpdate)] = []

    /// Who has missed more changes than these gets the whole.
    private static let kept = 8

    /// The values that starts name from now on.
    mutating func note(participants: [ParticipantID], ledger: IntervalSet) {
        if lists.last?.list != participants {
            Self.append((ParticipantsUpdate.hash(of: participants), participants), to: &lists)
            updates = []
        }
        if ledgers.last?.ledger != ledger {
            Self.append((LedgerUpdate.hash(of: ledger), ledger), to: &ledgers)
            ledgerUpdates = []
        }
    }

    private static func append<T>(_ version: T, to versions: inout [T]) {
        if versions.count == kept { versions.removeFirst() }
        versions.append(version)
    }

    /// The list last noted, for a receiver that has said that it has the one of this hash.
    mutating func participants(knowing base: UInt64) -> ParticipantsUpdate? {
        if let known = updates.first(where: { $0.base == base }) { return known.update }
        guard let (hash, list) = lists.last else { return nil }
        let known = lists.last { $0.hash == base }?.list
        let update =
            known.flatMap { ParticipantsUpdate(from: $0, to: list, hash: hash) }
            ?? ParticipantsUpdate(hash: hash, isWhole: true, removed: [], added: list)
        if known != nil { updates.append((base, update)) }
        return update
    }

    /// The ledger last noted, likewise.
    mutating func ledger(knowing base: UInt64) -> LedgerUpdate? {
        if let known = ledgerUpdates.first(where: { $0.base == base }) { return known.update }
        guard let (hash, ledger) = ledgers.last else { return nil }
        let known = ledgers.last { $0.hash == base }?.ledger
        let update =
            known.flatMap { LedgerUpdate(from: $0, to: ledger, hash: hash) }
            ?? LedgerUpdate(hash: hash, isWhole: true, added: ledger)
        if known != nil { ledgerUpdates.append((base, update)) }
        return update
    }
}
