// The driver's part of policies other than stealing: who asks whom, and what is given. Grants are
// those of the machines, so that a loss is noticed and made up for as it always is.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// How long a request for work may go unanswered.
    private static let askTimeout = Duration.milliseconds(250)
    /// The bytes of a request for work.
    private static let askBytes = 40

    // MARK: Asking

    /// A node has devices without work: it asks for some, unless it does so already.
    mutating func askForWork(at index: Int) {
        guard let process = nodes[index].process,
            process.devices.contains(where: { $0.unit == nil })
        else { return }
        for job in jobs {
            guard let frame = job.frame, process.drivers[frame] != nil,
                let part = process.node.participant(of: frame), part.isListed,
                !part.isLedgerComplete, part.heldUnits.isEmpty,
                (process.asksUntil[frame] ?? .zero) <= now
            else { continue }
            ask(for: frame, part, at: index)
        }
    }

    private mutating func ask(for frame: FrameID, _ part: FrameParticipant, at index: Int) {
        let others = part.participants.filter { $0 != part.identity }
        guard !others.isEmpty else { return }
        let giver: ParticipantID
        if configuration.policy == .randomHalf {
            giver = others[random.below(others.count)]
        } else {
            guard !part.isRoot else { return }
            giver = part.term.root
        }
        guard let other = nodes.firstIndex(where: { $0.process?.identity == giver }) else { return }
        nodes[index].process?.asksUntil[frame] = now + Self.askTimeout
        let event = SimulatedEvent.local(
            node: index, boot: nodes[index].boot, .askAgain(frame))
        queue.add(event, at: now + Self.askTimeout)
        sendAsk(.workAsked(frame, by: part.identity), from: index, to: other)
    }

    private mutating func sendAsk(_ event: LocalEvent, from: Int, to: Int) {
        count(.steal, Self.askBytes, from: from, to: to)
        guard !isBlocked(from: from, to: to) else { return }
        queue.add(.local(node: to, boot: nodes[to].boot, event), at: now + latency())
    }

    // MARK: Giving

    /// A request has come.
    mutating func giveWork(of frame: FrameID, to thief: ParticipantID, at index: Int) {
        guard let part = nodes[index].process?.node.participant(of: frame),
            let asker = nodes.firstIndex(where: { $0.process?.identity == thief }),
            let job = job(of: frame), let local = localTime(index)
        else { return }
        let held = part.heldUnits
        let units: IntervalSet
        switch configuration.policy {
        case .tileQueue:
            let space = jobs[job].tallies.workSpace
            units =
                held.first.map { first in
                    let tile = first % space.grid.count
                    return Self.units(ofTiles: SampleRange(tile, tile + 1), space)
                } ?? IntervalSet()
        case .batchQueue:
            units = held.first.map { IntervalSet(SampleRange($0, $0 + 1)) } ?? IntervalSet()
        case .randomHalf:
            var rest = held
            units = rest.removeLast((held.count + 1) / 2)
        case .stealing, .staticCount, .staticSpeed:
            return
        }
        let lent = nodes[index].process?.node.lend(units, of: frame, to: thief, at: local)
        if lent?.isEmpty ?? true { sendAsk(.workRefused(frame), from: index, to: asker) }
    }

    /// Nothing was to be had there: half-stealing asks somebody else, others wait.
    mutating func noteRefusedWork(of frame: FrameID, at index: Int) {
        guard configuration.policy == .randomHalf else { return }
        nodes[index].process?.asksUntil[frame] = nil
        nodes[index].process?.wantsUnits = true
    }

    /// All units of some tiles.
    private static func units(ofTiles tiles: SampleRange, _ space: WorkSpace) -> IntervalSet {
        IntervalSet(
            (0..<space.passCount).map { pass in
                let start = pass * space.grid.count
                return SampleRange(start + tiles.lowerBound, start + tiles.upperBound)
            })
    }

    // MARK: Splits

    /// Looks whether everybody has come, and then gives each its tiles.
    mutating func splitWhenReady(_ frame: FrameID, at index: Int) {
        guard let part = nodes[index].process?.node.participant(of: frame),
            let job = job(of: frame), part.isRoot
        else { return }
        let running = nodes.count { $0.process != nil }
        if part.participants.count >= running || now >= jobs[job].submittedAt + .seconds(2) {
            split(frame, at: index)
        } else {
            let event = LocalEvent.splitDue(frame)
            queue.add(
                .local(node: index, boot: nodes[index].boot, event), at: now + .milliseconds(2))
        }
    }

    /// Gives each participant its part of what the root holds; after a loss, of what was lost.
    mutating func split(_ frame: FrameID, at index: Int) {
        guard let part = nodes[index].process?.node.participant(of: frame),
            let job = job(of: frame), let local = localTime(index)
        else { return }
        let space = jobs[job].tallies.workSpace
        let weights = part.participants.map { participant in
            let node = nodes.first { $0.process?.identity == participant }
            return configuration.policy == .staticCount
                ? (node == nil ? 0 : 1) : node?.speeds.reduce(0, +) ?? 0
        }
        let sum = weights.reduce(0, +)
        guard sum > 0 else { return }
        // Tiles that still have units, in order, cut where the weights say.
        let held = part.heldUnits
        let tiles = (0..<space.grid.count).filter { tile in
            (0..<space.passCount).contains { held.contains($0 * space.grid.count + tile) }
        }
        var before = 0.0
        for (participant, weight) in zip(part.participants, weights) {
            let from = Int((before / sum * Double(tiles.count)).rounded())
            before += weight
            let to = Int((before / sum * Double(tiles.count)).rounded())
            guard participant != part.identity, from < to else { continue }
            let mine = tiles[from..<min(to, tiles.count)].reduce(into: IntervalSet()) { set, tile in
                set.formUnion(Self.units(ofTiles: SampleRange(tile, tile + 1), space))
            }
            _ = nodes[index].process?.node.lend(mine, of: frame, to: participant, at: local)
        }
    }
}
