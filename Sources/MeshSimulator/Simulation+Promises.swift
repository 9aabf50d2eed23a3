// The promises about the mesh as a whole, checked: no unit without a holder, equal films, views of
// the members that come true again, and machines that keep within their bounds.

import Gossip
import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// How long a unit may be without a holder once nothing goes wrong any more: a root notices
    /// four rounds in a row (docs/PROTOCOL.md §5), the first at a heartbeat, which is longer in a
    /// large frame, each as long as it waits for silent participants, which it dismisses after 3 s.
    var lossWindow: Duration {
        let frames = FrameConfiguration()
        let heartbeat = frames.heartbeatPerParticipant * nodes.count
        return .seconds(11) + max(frames.heartbeatInterval, heartbeat)
    }
    /// How long after the last fault all views of the members are true: two suspicions of 11 s, by
    /// a node whose local health is bad, and two comparisons of views, which come each 15 s, with
    /// contacts to the dead each 3 s (GossipConfiguration).
    static let convergenceBound: Duration = .seconds(60)

    /// Whether a rule is left out in this run.
    func lacks(_ mutation: ProtocolMutation) -> Bool {
        configuration.node.frame.mutation == mutation
    }

    /// Checks that driver and machine know the same partial films.
    mutating func checkPartials(
        of frame: FrameID, _ kept: FilmKeeper, _ participant: FrameParticipant, at index: Int
    ) {
        let isEqual =
            kept.open.coverage == participant.openCoverage
            && kept.seals.allSatisfy { participant.coverage(of: $0.number) == $0.film.coverage }
            && kept.seals.reduce(kept.open.coverage.count) { $0 + $1.film.coverage.count }
                == participant.uncommitted.count
        guard !isEqual else { return }
        violate(
            .disagreement,
            "node \(index) holds \(kept.open.coverage) and \(kept.seals.map(\.film.coverage)) of "
                + "\(frame), its machine counts on \(participant.uncommitted)")
    }

    /// Checks that a complete film is the same as the first one of its frame.
    mutating func compare(_ film: SimulatedFilm, ofJob number: Int, at index: Int) {
        let space = jobs[number].tallies.workSpace
        guard film.coverage.count == space.count else { return }
        // Roots of different classes may spare a tile a stage or not.
        guard !space.isAdaptive || configuration.otherClass.isEmpty else { return }
        if let first = jobs[number].complete, first != film {
            violate(.unequalFilms, "the complete film at node \(index) is not that of the first")
        }
        jobs[number].complete = jobs[number].complete ?? film
    }

    /// Checks that ledger, partial films and claims of a frame's participants cover it, but for
    /// units that go missing and are found to be lost within the window.
    mutating func checkHoldings() {
        guard now - holdingsCheckedAt >= .seconds(1) else { return }
        holdingsCheckedAt = now
        for number in jobs.indices {
            let gaps = unheldUnits(ofJob: number)
            if gaps.isDisjoint(with: jobs[number].unheld) {
                jobs[number].unheld = gaps
                jobs[number].unheldSince = now
            } else {
                jobs[number].unheld = jobs[number].unheld.intersection(gaps)
            }
            guard now - jobs[number].unheldSince > lossWindow else { continue }
            guard !jobs[number].unheld.isEmpty else { continue }
            violate(.unheldUnits, "nobody holds \(jobs[number].unheld) of frame \(number)")
        }
    }

    /// What no participant that the root of the highest term counts on has; nothing while
    /// something goes wrong or one of them is not there.
    private func unheldUnits(ofJob number: Int) -> IntervalSet {
        guard activeFaults.isEmpty, jobs[number].outcome.end == .unfinished,
            !jobs[number].isCancelled, let frame = jobs[number].frame
        else { return IntervalSet() }
        var parts: [ParticipantID: FrameParticipant] = [:]
        for process in nodes.compactMap(\.process) {
            parts[process.identity] = process.node.participant(of: frame)
        }
        guard let root = parts.values.filter(\.isRoot).max(by: { $0.term < $1.term }),
            now - max(disturbedAt, jobs[number].submittedAt) > lossWindow
        else { return IntervalSet() }
        var ranges = root.ledger.ranges + root.closedUnits.ranges
        for identity in root.members {
            guard let part = parts[identity] else { return IntervalSet() }
            ranges += part.uncommitted.ranges + part.claims.ranges
        }
        return IntervalSet(jobs[number].tallies.workSpace.all).subtracting(IntervalSet(ranges))
    }

    /// Whether every node counts exactly those that run as present; a violation when that is not
    /// so for too long after faults. Runs without any end with their frames.
    mutating func hasConverged() -> Bool {
        guard !configuration.faults.isEmpty else { return true }
        var running: Set<ParticipantID> = []
        for process in nodes.compactMap(\.process) { running.insert(process.identity) }
        for (index, process) in nodes.map(\.process).enumerated() {
            guard let process else { continue }
            let count = process.node.presentCount
            if count == running.count,
                running.isSuperset(of: process.node.presentParticipants)
            {
                continue
            }
            if now > max(faultsEnd, disturbedAt) + Self.convergenceBound {
                violate(
                    .unconverged, "node \(index) sees \(count) of \(running.count) nodes")
            }
            return false
        }
        return true
    }

    /// Checks that a node's machines, and the films kept for them, stay within their bounds.
    mutating func checkBounds(of index: Int) {
        guard let process = nodes[index].process else { return }
        for part in process.node.occupancies where !part.isWithinBounds {
            violate(
                .unbounded, "node \(index): \(part.name): \(part.count) of \(part.countMax)")
        }
        for kept in process.drivers.values {
            let early = kept.early.count
            let rounds = kept.sums.count + kept.buffers.count
            let sums = kept.receptions.count
            guard
                early > FilmKeeper.earlyMax || rounds > FilmKeeper.roundsMax
                    || sums > FilmKeeper.receptionsMax
            else { continue }
            violate(
                .unbounded,
                "node \(index): \(early) early streams, \(rounds) rounds, \(sums) sums")
        }
    }
}

extension RoundID {
    /// The same round, told by numbers alone: a planted bug.
    var withoutRoot: RoundID {
        let nobody = ParticipantID(node: NodeID(0), boot: 0)
        return RoundID(term: Term(number: term.number, root: nobody), number: number)
    }
}
