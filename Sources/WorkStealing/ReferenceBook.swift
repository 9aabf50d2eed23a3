// What a root knows of the reference unit, which every participant of a frame renders, and who is
// right by it (docs/PROTOCOL.md §8).

import MeshCore

/// The digests that participants told of the reference unit.
///
///     told ──agrees with all that are trusted, or outvotes those it differs from──► trusted
///     told ──differs──► pending ──outvoted──► convicted
///     trusted ──outvoted──► convicted          pending ──gone, or nobody differs──► (forgotten)
///
/// Of two that differ, the one is outvoted that fewer others agree with, if these are two at least.
/// Else nobody can tell: who is trusted stays so, and the other waits.
struct ReferenceBook: Sendable {
    private struct Entry {
        let digest: UnitDigest
        /// When it first told this, and when it was last heard of.
        let since: Instant
        var heardAt: Instant
        var isTrusted = false
        /// Whether people have heard that it is kept out.
        var isTold = false
    }

    enum Verdict: Hashable, Sendable {
        /// It may take part; these are outvoted.
        case right(against: [ParticipantID])
        /// One stands against the other.
        case undecided
        case wrong
    }

    /// What each has told; looked up, or counted in any order.
    private var entries: [ParticipantID: Entry] = [:]
    /// Different digests, and how many of those that are trusted told them.
    private var groups: [(digest: UnitDigest, trusted: Int)] = []
    /// Who differs from somebody that is trusted, in the order of telling.
    private(set) var pending: [ParticipantID] = []
    /// What those told who are found wrong; looked up.
    private var convicted: [ParticipantID: UnitDigest] = [:]

    var count: Int { entries.count }
    var convictedCount: Int { convicted.count }

    func knows(_ participant: ParticipantID) -> Bool { entries[participant] != nil }
    func isPending(_ participant: ParticipantID) -> Bool { pending.contains(participant) }

    /// Whether somebody has been pending for so long.
    func isPending(_ participant: ParticipantID, for age: Duration, at now: Instant) -> Bool {
        guard isPending(participant), let entry = entries[participant] else { return false }
        return now - entry.since >= age
    }

    // MARK: What is told

    /// Somebody tells its digest, which is judged from now on.
    /// - Parameters:
    ///   - isOwn: the root believes itself at first, and whoever differs has to be judged anew.
    ///   - limit: of those pending; for another the one that was not heard of for longest goes.
    /// - Returns: whether this is new.
    mutating func note(
        _ digest: UnitDigest, of participant: ParticipantID, isOwn: Bool = false, limit: Int,
        at now: Instant
    ) -> Bool {
        // What is no digest agrees with nothing.
        let digest = digest.isSane ? digest : .none
        if entries[participant]?.digest == digest {
            entries[participant]?.heardAt = now
            return false
        }
        remove(participant)
        while pending.count >= max(1, limit) { removeSilent() }
        entries[participant] = Entry(digest: digest, since: now, heardAt: now)
        pending.append(participant)
        if isOwn {
            for other in trusted(where: { !$0.agrees(with: digest) }) { distrust(other) }
            trust(participant)
        }
        return true
    }

    mutating func heard(_ participant: ParticipantID, at now: Instant) {
        entries[participant]?.heardAt = now
    }

    private mutating func removeSilent() {
        let silent = pending.min { a, b in
            (entries[a]?.heardAt ?? .zero, a) < (entries[b]?.heardAt ?? .zero, b)
        }
        if let silent { remove(silent) }
    }

    // MARK: Verdicts

    /// - Parameter root: whose voice counts whenever it was last heard.
    func judge(_ participant: ParticipantID, root: ParticipantID) -> Verdict? {
        guard let digest = entries[participant]?.digest else { return nil }
        var outvoted: [UnitDigest] = []
        for group in groups where group.trusted > 0 && !group.digest.agrees(with: digest) {
            let others = votes(for: group.digest, against: digest, root: root)
            let own = votes(for: digest, against: group.digest, root: root)
            if others >= 2, others > own { return .wrong }
            guard own >= 2, own > others else { return .undecided }
            outvoted.append(group.digest)
        }
        guard !outvoted.isEmpty else { return .right(against: []) }
        return .right(against: trusted { outvoted.contains($0) })
    }

    /// How many agree with the one and not with the other. A machine that was started anew as
    /// another node has one voice: so many count as were there at the same time, each from when it
    /// came until it was last heard of; and the root, which is there.
    /// - Complexity: O(n log n) in those that agree.
    private func votes(
        for digest: UnitDigest, against other: UnitDigest, root: ParticipantID
    ) -> Int {
        var voters = entries.filter { _, entry in
            entry.digest.agrees(with: digest) && !entry.digest.agrees(with: other)
        }
        let own = voters.removeValue(forKey: root) == nil ? 0 : 1
        let ends = voters.values.map(\.heardAt).sorted()
        var (most, gone) = (0, 0)
        for (index, since) in voters.values.map(\.since).sorted().enumerated() {
            while ends[gone] < since { gone += 1 }
            most = max(most, index + 1 - gone)
        }
        return most + own
    }

    /// How many told something else than this one, who is kept out; zero for others.
    func differing(from participant: ParticipantID) -> Int {
        let digest = isPending(participant) ? entries[participant]?.digest : convicted[participant]
        guard let digest else { return 0 }
        return entries.count { $0.key != participant && !$0.value.digest.agrees(with: digest) }
    }

    /// Who got the same as this one and is kept out with it, in the order of being heard of.
    func witnesses(for participant: ParticipantID) -> [ParticipantID] {
        guard let entry = entries[participant] else { return [] }
        let alike = pending.filter {
            $0 != participant && entries[$0]?.digest.agrees(with: entry.digest) == true
        }
        return alike.sorted { a, b in
            (entries[a]?.heardAt ?? .zero, a) < (entries[b]?.heardAt ?? .zero, b)
        }
    }

    private func trusted(where condition: (UnitDigest) -> Bool) -> [ParticipantID] {
        entries.filter { $0.value.isTrusted && condition($0.value.digest) }.keys.sorted()
    }

    // MARK: What becomes of them

    mutating func trust(_ participant: ParticipantID) {
        guard let entry = entries[participant], !entry.isTrusted else { return }
        entries[participant]?.isTrusted = true
        pending.removeAll { $0 == participant }
        if let index = groups.firstIndex(where: { $0.digest == entry.digest }) {
            groups[index].trusted += 1
        } else {
            groups.append((entry.digest, 1))
        }
    }

    private mutating func distrust(_ participant: ParticipantID) {
        guard let entry = entries[participant], entry.isTrusted else { return }
        entries[participant]?.isTrusted = false
        pending.append(participant)
        uncount(entry)
    }

    private mutating func uncount(_ entry: Entry) {
        guard let index = groups.firstIndex(where: { $0.digest == entry.digest }) else { return }
        groups[index].trusted -= 1
        if groups[index].trusted == 0 { groups.remove(at: index) }
    }

    mutating func remove(_ participant: ParticipantID) {
        guard let entry = entries.removeValue(forKey: participant) else { return }
        pending.removeAll { $0 == participant }
        if entry.isTrusted { uncount(entry) }
    }

    /// Somebody is kept out for good. What it told goes on to be what it is told the number of
    /// others by.
    mutating func convict(_ participant: ParticipantID) {
        if let digest = entries[participant]?.digest { convicted[participant] = digest }
        remove(participant)
    }

    /// Whether people are to hear that this one is kept out: once.
    mutating func isFirstTold(_ participant: ParticipantID) -> Bool {
        guard let entry = entries[participant], !entry.isTold else { return false }
        entries[participant]?.isTold = true
        return true
    }

    func checkInvariants() {
        let trusted = entries.values.count(where: \.isTrusted)
        precondition(groups.reduce(0) { $0 + $1.trusted } == trusted)
        precondition(
            trusted + pending.count == entries.count && Set(pending).count == pending.count)
    }
}

extension UnitDigest {
    /// Whether the sums are such as a unit can have.
    var isSane: Bool { sums.indices.allSatisfy { sums[$0].isFinite && sums[$0] >= 0 } }
}
