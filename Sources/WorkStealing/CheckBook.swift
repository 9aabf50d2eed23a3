// What a root knows of units that are rendered twice, on different nodes, and compared.

import MeshCore

/// The units of sealed partial films that are being checked, and who was found wrong.
///
/// A seal is *cleared* when its units have been drawn and those that were chosen agree with what
/// another node got. Only cleared seals go into a sum, so that what was checked and is wrong never
/// gets into a film.
struct CheckBook: Sendable {
    /// A chosen unit of a seal.
    struct Check: Hashable, Sendable {
        let unit: Int
        let owner: ParticipantID
        let seal: SealNumber
        let digest: UnitDigest
        /// Who was asked to render it as well; the last is asked at present.
        var asked: [ParticipantID] = []
        /// How often somebody was asked, and when that began: anew when a third has to decide.
        var tries = 0
        var since: Instant
        /// When somebody else is asked.
        var deadline: Instant
        /// Somebody whose result was another: a third decides.
        var objection: Objection?
    }

    struct Objection: Hashable, Sendable {
        let from: ParticipantID
        let digest: UnitDigest
    }

    /// What a result means.
    struct Verdict: Hashable, Sendable {
        /// Checks that it has settled.
        var settled = 0
        /// Who rendered something else than two others.
        var wrong: [ParticipantID] = []
    }

    private(set) var pending: [Check] = []
    /// Of each owner the seals whose units have been drawn; looked up.
    private var drawn: [ParticipantID: Set<SealNumber>] = [:]
    /// The arithmetic class of each owner, as it last said; looked up.
    private(set) var classes: [ParticipantID: UInt64] = [:]

    /// Draws units of seals that are new. Seals for which there is no room wait.
    /// - Parameters:
    ///   - share: the probability with which a unit is chosen.
    ///   - limit: of pending checks.
    mutating func draw(
        _ seals: [RoundReport.Seal], of owner: ParticipantID, share: Double, limit: Int,
        random: inout RandomNumbers, at now: Instant
    ) {
        for seal in seals.sorted(by: { $0.number < $1.number })
        where drawn[owner]?.contains(seal.number) != true {
            let units = seal.coverage.ranges.flatMap { Array($0.lowerBound..<$0.upperBound) }
            let chosen = units.indices.filter { _ in random.unit() < share }
            // One that is larger than all the room there is waits for an empty book.
            guard pending.isEmpty || pending.count + chosen.count <= limit else { return }
            drawn[owner, default: []].insert(seal.number)
            if let first = seal.digests.first { classes[owner] = first.arithmeticClass }
            for position in chosen {
                let digest = seal.digests.indices.contains(position) ? seal.digests[position] : nil
                pending.append(
                    Check(
                        unit: units[position], owner: owner, seal: seal.number,
                        digest: digest ?? .none, since: now, deadline: now))
            }
        }
    }

    /// Forgets what was drawn of seals that are no longer there: should one come back, it is drawn
    /// again.
    mutating func retain(_ held: [ParticipantID: Set<SealNumber>]) {
        pending.removeAll { held[$0.owner]?.contains($0.seal) != true }
        for (owner, seals) in drawn {
            let rest = seals.intersection(held[owner] ?? [])
            drawn[owner] = rest.isEmpty ? nil : rest
        }
        classes = classes.filter { held[$0.key] != nil }
    }

    /// Forgets the checks of somebody's units, and what it said of those of others.
    mutating func forget(_ participant: ParticipantID, at now: Instant) {
        pending.removeAll { $0.owner == participant }
        for index in pending.indices where pending[index].objection?.from == participant {
            pending[index].objection = nil
            pending[index].deadline = now
        }
        expire(asked: participant, at: now)
    }

    /// Who was asked is gone: others are asked at once.
    mutating func expire(asked participant: ParticipantID, at now: Instant) {
        for index in pending.indices where pending[index].asked.last == participant {
            pending[index].deadline = min(pending[index].deadline, now)
        }
    }

    /// Whether a seal may go into a sum.
    func isCleared(_ seal: SealNumber, of owner: ParticipantID) -> Bool {
        guard drawn[owner]?.contains(seal) == true else { return false }
        return !pending.contains { $0.owner == owner && $0.seal == seal }
    }

    /// Asks somebody, or somebody else, about a check.
    mutating func ask(_ participant: ParticipantID, at index: Int, until deadline: Instant) {
        pending[index].asked.append(participant)
        pending[index].tries += 1
        pending[index].deadline = deadline
    }

    /// There is nobody to ask at present.
    mutating func postpone(at index: Int, until deadline: Instant) {
        pending[index].deadline = deadline
    }

    /// Nobody can check this one.
    mutating func waive(at index: Int) { pending.remove(at: index) }

    /// A result has come: for all checks of the unit about which its sender was asked.
    mutating func settle(
        _ unit: Int, digest: UnitDigest, from sender: ParticipantID, at now: Instant
    ) -> Verdict {
        var verdict = Verdict()
        for index in pending.indices.reversed()
        where pending[index].unit == unit && pending[index].asked.contains(sender) {
            let check = pending[index]
            let agrees = digest.agrees(with: check.digest)
            guard let objection = check.objection else {
                if agrees {
                    pending.remove(at: index)
                    verdict.settled += 1
                } else {
                    pending[index].objection = Objection(from: sender, digest: digest)
                    pending[index].tries = 0
                    pending[index].since = now
                    pending[index].deadline = now
                }
                continue
            }
            guard objection.from != sender else { continue }
            guard agrees != digest.agrees(with: objection.digest) else {
                // Near to both, of another class, or to neither: that decides nothing.
                pending[index].deadline = now
                continue
            }
            pending.remove(at: index)
            verdict.settled += 1
            verdict.wrong.append(agrees ? objection.from : check.owner)
        }
        return verdict
    }

    /// When somebody is to be asked next.
    var nextDeadline: Instant? { pending.map(\.deadline).min() }
}
