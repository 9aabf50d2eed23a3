// Late units at the root: which claimed units an idle node may render as well (docs/PROTOCOL.md §4).
// In a large mesh many ask at once, so what the reports say is put together once for all of them.

import MeshCore

extension RootState {
    /// What the standing reports say of units that others than their owners may render.
    struct LateBook: Sendable {
        /// Claimed for long, and in no sealed partial film.
        var aged: IntervalSet
        /// The last few claims of members, with the member's speed; the slowest first.
        var last: [(samplesPerSecond: Double, claims: IntervalSet)]
        /// In sealed partial films.
        var sealed: IntervalSet
        /// Who claims what.
        var owners: ClaimIndex
    }

    /// The claims of all members by place, so that the owners of a unit are found without asking
    /// each of thousands.
    struct ClaimIndex: Sendable {
        /// By lower bound.
        private let entries: [(range: SampleRange, owner: ParticipantID)]
        /// The highest upper bound of each entry and all before it.
        private let upperBounds: [Int]

        init(_ entries: [(range: SampleRange, owner: ParticipantID)]) {
            self.entries = entries.sorted {
                ($0.range.lowerBound, $0.owner) < ($1.range.lowerBound, $1.owner)
            }
            var highest = 0
            upperBounds = self.entries.map {
                highest = max(highest, $0.range.upperBound)
                return highest
            }
        }

        /// Those who claim a unit; in the order of their ranges, the last first.
        func owners(of unit: Int) -> [ParticipantID] {
            var found: [ParticipantID] = []
            var (index, end) = (0, entries.count)
            while index < end {
                let middle = (index + end) / 2
                if entries[middle].range.lowerBound <= unit {
                    index = middle + 1
                } else {
                    end = middle
                }
            }
            // Claims hardly overlap, so this ends soon.
            while index > 0, upperBounds[index - 1] > unit {
                index -= 1
                if entries[index].range.upperBound > unit { found.append(entries[index].owner) }
            }
            return found
        }
    }

    /// Puts the reports together.
    /// - Parameter countMax: a member with more claims than this is not at its last.
    /// - Parameter isMute: of whose sealed partial films nothing is to be hoped for.
    func makeLateBook(countMax: Int, isMute: (Member) -> Bool) -> LateBook {
        var aged: [SampleRange] = []
        var sealed: [SampleRange] = []
        var last: [(samplesPerSecond: Double, claims: IntervalSet)] = []
        var owners: [(range: SampleRange, owner: ParticipantID)] = []
        for member in others {
            aged += member.aging.aged.ranges
            owners += member.report?.claims.ranges.map { ($0, member.id) } ?? []
            if !isMute(member) {
                for seal in member.report?.seals ?? [] { sealed += seal.coverage.ranges }
            }
            if let claims = member.report?.claims, !claims.isEmpty, claims.count <= countMax {
                last.append((member.samplesPerSecond, claims))
            }
        }
        last.sort {
            ($0.samplesPerSecond, $0.claims.first ?? 0) < (
                $1.samplesPerSecond, $1.claims.first ?? 0
            )
        }
        let held = IntervalSet(sealed)
        return LateBook(
            aged: IntervalSet(aged).subtracting(held), last: last, sealed: held,
            owners: ClaimIndex(owners))
    }
}

extension FrameParticipant {
    /// Gives an idle node a unit that somebody else has claimed for long, or is slow with, and
    /// tells its owners.
    mutating func helpWithLateUnit(_ helper: ParticipantID, at now: Instant) {
        guard root != nil, !isComplete, !lacks(.stuckUnitsNotDoubled),
            let position = root?.position(of: helper),
            root.map({ !isMute($0[position]) }) ?? false
        else { return }
        if root?.helped.count ?? 0 >= configuration.helpedUnitsMax { root?.helped = [:] }
        let candidates = lateUnits(for: helper, at: position, now: now)
        guard let unit = pickLate(candidates, at: now) else { return }
        let times = root?.helped[unit]?.times ?? 0
        let pause = configuration.lateRepeat * (1 << min(times, 5))
        root?.helped[unit] = RootState.Helped(times: times + 1, nextAt: now + pause)
        statistics.unitsHelped += 1
        let units = LateUnits(
            term: term, units: IntervalSet(SampleRange(unit, unit + 1)))
        if claims.contains(unit) { contest(units.units) }
        for owner in root?.lateBook?.owners.owners(of: unit) ?? [] where owner != helper {
            send(.contested(units), to: owner)
        }
        if helper == identity {
            help(with: units.units)
        } else {
            send(.lateUnits(units), to: helper)
        }
    }

    /// Of so many slow nodes at most the last units are looked at for one helper.
    private static let slowerMax = 16

    /// The units that a helper may render as well.
    private mutating func lateUnits(
        for helper: ParticipantID, at position: Int, now: Instant
    ) -> IntervalSet {
        let book =
            root?.lateBook
            ?? root?.makeLateBook(countMax: configuration.lateUnitsMax, isMute: isMute)
        root?.lateBook = book
        guard let book, let root else { return IntervalSet() }
        let helperSpeed = helper == identity ? speed : root[position].samplesPerSecond
        var more: [SampleRange] = []
        // The last units of a much slower node need not be late: the helper is done before it.
        let slower = book.last.prefix { $0.samplesPerSecond * 2 <= helperSpeed }
        for index in 0..<min(slower.count, Self.slowerMax) {
            let isAll = slower.count <= Self.slowerMax
            more += slower[isAll ? index : random.below(slower.count)].claims.ranges
        }
        var own = claims
        if helper != identity {
            own = root[position].report?.claims ?? IntervalSet()
            for entry in inProgress
            where now - entry.since >= configuration.lateAge || speed * 2 <= helperSpeed {
                more.append(SampleRange(entry.unit, entry.unit + 1))
            }
            // A root whose devices hang on other units holds some that nobody may steal.
            more += root[0].aging.aged.intersection(claims).ranges
        }
        let late = more.isEmpty ? book.aged : book.aged.union(IntervalSet(more))
        var candidates = late.subtracting(own).subtracting(ledger)
        if !more.isEmpty { candidates.subtract(book.sealed) }
        return candidates.subtracting(partials.coverage)
    }

    /// A random late unit that nobody was asked to help with a moment ago.
    private mutating func pickLate(
        _ candidates: IntervalSet, at now: Instant
    ) -> Int? {
        guard !candidates.isEmpty else { return nil }
        for _ in 0..<16 {
            let range = candidates.ranges[random.below(candidates.ranges.count)]
            let unit = range.lowerBound + random.below(range.count)
            if let known = root?.helped[unit], known.nextAt > now { continue }
            return unit
        }
        return nil
    }
}
