// The promises, checked: after every step the films of the node that made it; and whether the
// frames have come to their end.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// Checks that the films of a node are true and that its machine knows them.
    mutating func checkFilms(of index: Int) {
        guard let process = nodes[index].process else { return }
        for (number, job) in jobs.enumerated() {
            guard let frame = job.frame, let kept = process.drivers[frame] else { continue }
            compare(kept.film, ofJob: number, at: index)
            // A film that is the very same storage as before is not added up again.
            if kept.film != kept.checkedFilm {
                if !job.tallies.isTrue(kept.film) {
                    violate(.untrueFilm, "the film of \(frame) at node \(index)")
                }
                kept.checkedFilm = kept.film
            }
            if !job.tallies.isTrue(kept.open) {
                violate(.untrueFilm, "the open partial of \(frame) at node \(index)")
            }
            for (number, film) in kept.seals where !job.tallies.isTrue(film) {
                violate(.untrueFilm, "\(number) of \(frame) at node \(index)")
            }
            guard let participant = process.node.participant(of: frame) else { continue }
            if participant.filmCoverage != kept.film.coverage {
                violate(
                    .disagreement,
                    "node \(index) has \(kept.film.coverage) of \(frame), its machine thinks "
                        + "\(participant.filmCoverage)")
            } else {
                kept.film.share(participant.filmCoverage)
            }
            checkPartials(of: frame, kept, participant, at: index)
        }
    }

    /// The first image and the complete film at their originator; it takes the latter.
    mutating func collectResults(at index: Int) {
        for number in jobs.indices where jobs[number].outcome.end == .unfinished {
            let job = jobs[number]
            guard let frame = job.frame, let kept = nodes[index].process?.drivers[frame] else {
                continue
            }
            let space = job.tallies.workSpace
            let isComplete = kept.film.coverage.count == space.count
            if isComplete, job.outcome.makespanSeconds == nil {
                let rendered = kept.film.coverage.subtracting(kept.film.waived)
                let work = space.sampleCount(of: rendered)
                timeline?.addCompletion(of: frame, node: index, at: now)
                let makespan = (now - job.submittedAt).seconds
                jobs[number].outcome.makespanSeconds = makespan
                if number == 0 {
                    let before = report.gossip.idle * (job.submittedAt - .zero).seconds
                    report.gossip.rendering = (gossipBytes - before) / makespan
                }
                jobs[number].outcome.makespanOverIdeal =
                    (capacity - job.capacityBefore) / Double(work)
            }
            guard frame.originator == nodes[index].process?.identity else { continue }
            if job.outcome.firstImageSeconds == nil,
                kept.film.coverage.isSuperset(of: IntervalSet(space.units(ofPass: 0)))
            {
                jobs[number].outcome.firstImageSeconds = (now - job.submittedAt).seconds
            }
            if isComplete, let local = localTime(index) {
                log?("\(now) node \(index) delivers \(frame)")
                jobs[number].outcome.end = .delivered
                nodes[index].process?.node.delivered(frame, at: local)
                while let directive = nodes[index].process?.node.nextDirective() {
                    perform(directive, at: index)
                }
            }
        }
    }

    /// Whether every frame has come to its end: taken by its originator and forgotten by all, or
    /// complete at all participants, or without any.
    mutating func isSettled() -> Bool {
        for number in jobs.indices {
            guard jobs[number].outcome.end != .void else { continue }
            guard let frame = jobs[number].frame else { return false }
            let processes = nodes.compactMap(\.process)
            // A node that still waits for a job or a scene holds nothing.
            let isForgotten = processes.allSatisfy { $0.drivers[frame] == nil }
            if jobs[number].outcome.end == .delivered || jobs[number].outcome.end == .cancelled {
                guard isForgotten else { return false }
                continue
            }
            if jobs[number].isCancelled, isForgotten {
                jobs[number].outcome.end = .cancelled
                continue
            }
            guard !processes.contains(where: { $0.identity == frame.originator }) else {
                return false
            }
            let participants = processes.compactMap { $0.node.participant(of: frame) }
            // A ledger-only participant is content when another has the film.
            guard participants.allSatisfy({ $0.isComplete || !$0.wantsFilm && $0.isDone }),
                participants.isEmpty || participants.contains(where: \.isComplete)
            else { return false }
            jobs[number].outcome.end = participants.isEmpty ? .void : .kept
        }
        return true
    }

    /// What is missing, for a violation's text.
    func describeUnfinished() -> String {
        var lines: [String] = []
        for job in jobs where job.outcome.end == .unfinished || job.outcome.end == .delivered {
            guard let frame = job.frame else { continue }
            lines.append("\(frame) \(job.outcome.end) of \(job.tallies.workSpace.count) units:")
            for (index, node) in nodes.enumerated() {
                guard let process = node.process else { continue }
                let stage = process.node.frames.first { $0.frame == frame }?.stage
                guard let stage else { continue }
                var line = "  node \(index) \(process.identity) \(stage)"
                if let part = process.node.participant(of: frame) {
                    line += " \(part.term) ledger \(part.ledger.count)"
                    line += " film \(part.filmCoverage.count) claims \(part.claims.count)"
                    line += " uncommitted \(part.uncommitted.count)"
                    line += part.isListed ? "" : " not listed"
                    if !part.claims.isEmpty {
                        line += ", claims \(part.claims), of them held \(part.heldUnits)"
                    }
                }
                lines.append(line)
            }
        }
        return lines.joined(separator: "\n")
    }
}
