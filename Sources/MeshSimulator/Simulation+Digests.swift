// What nodes say of their results, some of which are wrong, and the promise about these.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// What a node says of its result; nil when nobody asks for it.
    func digest(of unit: Int, _ frame: FrameID, job: Int, at index: Int) -> UnitDigest? {
        guard let need = nodes[index].process?.node.digestNeed(of: unit, frame), need.isNeeded
        else { return nil }
        let right = jobs[job].tallies.value(of: IntervalSet(SampleRange(unit, unit + 1)))
        let isOther = configuration.otherClass.contains(index)
        var digest = UnitDigest(
            hash: isOther ? ~right : right, sums: SIMD3(repeating: isOther ? 1.01 : 1),
            arithmeticClass: isOther ? 2 : 1)
        if configuration.corrupt.contains(index)
            || configuration.flaky.contains(index) && !need.isReference
        {
            digest.hash ^= UInt64(index + 1)
            digest.sums *= 2
        }
        return digest
    }

    /// A node puts results into a round, all of which may be wrong. What a root waives has none.
    mutating func noteSpoiled(
        _ round: RoundID, of frame: FrameID, _ kept: FilmKeeper, seals: [SealNumber],
        at index: Int
    ) {
        guard configuration.corrupt.contains(index),
            kept.seals.contains(where: {
                seals.contains($0.number) && $0.film.coverage != $0.film.waived
            })
        else { return }
        spoiled.insert(CommittedRound(frame: frame, round: round))
        if nodes[index].process?.node.participant(of: frame)?.isQuarantined == true {
            violate(.wrongResults, "node \(index), which knows that it is wrong, adds to \(frame)")
        }
    }

    /// Checks that a root that is right, and has rendered the reference unit, adds nothing of a node
    /// that is wrong to its film.
    mutating func checkCommit(of frame: FrameID, _ round: RoundID, at index: Int) {
        guard spoiled.contains(CommittedRound(frame: frame, round: round)),
            !configuration.corrupt.contains(index),
            nodes[index].process?.node.participant(of: frame)?.hasReference == true
        else { return }
        violate(.wrongResults, "node \(index) commits \(round) of \(frame)")
    }

    /// Checks that nobody takes over the film of a node that it keeps out of the frame.
    mutating func checkAdoption(of frame: FrameID, from source: ParticipantID, at index: Int) {
        guard let participant = nodes[index].process?.node.participant(of: frame),
            participant.term.root != source, participant.isHeldBack(source)
        else { return }
        violate(.wrongResults, "node \(index) takes the film of \(frame) from \(source)")
    }
}
