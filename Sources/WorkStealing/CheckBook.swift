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
        let since: Instant
        /// Who was asked to render it as well; the last is asked at present.
        var asked: [ParticipantID] = []
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
    enum Verdict: Hashable, Sendable {
        /// Nothing was asked like this, or a third has to decide.
        case open
        case agrees
        /// This one rendered something else than two others.
        case wrong(ParticipantID)
    }

    private(set) var pending: [Check] = []
    /// Of each owner the last seal whose units have been drawn; looked up.
    private var drawnUpTo: [ParticipantID: SealNumber] = [:]

    /// Draws units of seals that are new. Seals for which there is no room wait.
    /// - Parameters:
    ///   - share: the probability with which a unit is chosen.
    ///   - limit: of pending checks.
    mutating func draw(
        _ seals: [RoundReport.Seal], of owner: ParticipantID, share: Double, limit: Int,
        random: inout RandomNumbers, at now: Instant
    ) {
        for seal in seals.sorted(by: { $0.number < $1.number })
        where drawnUpTo[owner].map({ $0 < seal.number }) ?? true {
            let units = seal.coverage.ranges.flatMap { Array($0.lowerBound..<$0.upperBound) }
            // One that is larger than all the room there is waits for an empty book.
            guard pending.isEmpty || pending.count + units.count <= limit else { return }
            drawnUpTo[owner] = seal.number
            for (position, unit) in units.enumerated() where random.unit() < share {
                let digest = seal.digests.indices.contains(position) ? seal.digests[position] : nil
                pending.append(
                    Check(
                        unit: unit, owner: owner, seal: seal.number,
                        digest: digest ?? .none, since: now, deadline: now))
            }
        }
    }

    /// Forgets the checks of seals that are no longer there.
    mutating func retain(where isHeld: (ParticipantID, SealNumber) -> Bool) {
        pending.removeAll { !isHeld($0.owner, $0.seal) }
    }

    /// Whether a seal may go into a sum.
    func isCleared(_ seal: SealNumber, of owner: ParticipantID) -> Bool {
        guard let drawn = drawnUpTo[owner], seal <= drawn else { return false }
        return !pending.contains { $0.owner == owner && $0.seal == seal }
    }

    /// Asks somebody, or somebody else, about a check.
    mutating func ask(_ participant: ParticipantID, at index: Int, until deadline: Instant) {
        pending[index].asked.append(participant)
        pending[index].deadline = deadline
    }

    /// There is nobody to ask at present.
    mutating func postpone(at index: Int, until deadline: Instant) {
        pending[index].deadline = deadline
    }

    /// Nobody can check this one.
    mutating func waive(at index: Int) { pending.remove(at: index) }

    /// A result has come: settles all checks of the unit that its sender did not own.
    mutating func settle(
        _ unit: Int, digest: UnitDigest, from sender: ParticipantID, at now: Instant
    ) -> Verdict {
        var verdict = Verdict.open
        for index in pending.indices.reversed()
        where pending[index].unit == unit && pending[index].asked.contains(sender) {
            let check = pending[index]
            if digest.agrees(with: check.digest) {
                pending.remove(at: index)
                if verdict == .open { verdict = .agrees }
                if let objection = check.objection, objection.from != sender {
                    verdict = .wrong(objection.from)
                }
            } else if let objection = check.objection, objection.from != sender {
                pending.remove(at: index)
                // Two against one. If all three say something else, nobody knows who is right, and
                // at least this seal is not to be trusted.
                verdict = .wrong(check.owner)
            } else if check.objection == nil {
                pending[index].objection = Objection(from: sender, digest: digest)
                pending[index].deadline = now
            }
        }
        return verdict
    }

    /// When the next check is to be asked about, by whom it was not asked yet.
    var nextDeadline: Instant? { pending.map(\.deadline).min() }
}
