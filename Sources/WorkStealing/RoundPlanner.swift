// Which sealed partial films go into a round. Pure: reports in, a disjoint choice out.

import MeshCore

/// Chooses the contributions of a round.
enum RoundPlanner {
    /// One sealed partial film, as its owner reported it.
    struct Offer: Hashable, Sendable {
        let owner: ParticipantID
        let seal: SealNumber
        let coverage: IntervalSet
    }

    /// What one participant puts in.
    struct Part: Hashable, Sendable {
        let owner: ParticipantID
        var seals: [SealNumber]
        var unitCount: Int
    }

    /// Offers that are disjoint from the ledger and from each other, the larger first (then by
    /// owner and number, so that every run plans alike).
    /// - Parameters:
    ///   - excluded: owners that made the last round fail.
    ///   - mayOverlap: a planted bug; false.
    static func plan(
        offers: [Offer], ledger: IntervalSet, excluded: Set<ParticipantID>,
        mayOverlap: Bool = false
    ) -> [Part] {
        let ordered = offers.map { ($0, $0.coverage.count) }.sorted { a, b in
            a.1 != b.1 ? a.1 > b.1 : (a.0.owner, a.0.seal) < (b.0.owner, b.0.seal)
        }
        // Usually all are disjoint, which one look at all together shows.
        let together = IntervalSet(ledger.ranges + offers.flatMap(\.coverage.ranges))
        let areDisjoint = together.count == ordered.reduce(ledger.count) { $0 + $1.1 }
        var used = ledger
        var parts: [Part] = []
        var index: [ParticipantID: Int] = [:]
        for (offer, count) in ordered where count > 0 && !excluded.contains(offer.owner) {
            if !areDisjoint {
                guard mayOverlap || used.isDisjoint(with: offer.coverage) else { continue }
                used.formUnion(offer.coverage)
            }
            if let known = index[offer.owner] {
                parts[known].seals.append(offer.seal)
                parts[known].unitCount += count
            } else {
                index[offer.owner] = parts.count
                parts.append(
                    Part(owner: offer.owner, seals: [offer.seal], unitCount: count))
            }
        }
        return parts
    }
}
