// The model's network and gossip: latency, loss, duplication, reordering, partitions.

import MeshCore

@testable import WorkStealing

extension FrameModel {
    /// The node that is this participant, if it is up.
    func liveNode(_ participant: ParticipantID) -> ModelNode? {
        let index = Int(participant.node.rawValue) - 1
        guard nodes.indices.contains(index), nodes[index].identity == participant,
            nodes[index].isUp
        else { return nil }
        return nodes[index]
    }

    func isReachable(_ a: ModelNode, _ b: ModelNode) -> Bool {
        guard a.isUp, b.isUp else { return false }
        if let partition, partition.contains(a.index) != partition.contains(b.index) {
            return false
        }
        return !cutLinks.contains { $0 == (a.index, b.index) || $0 == (b.index, a.index) }
    }

    private func isOpen(from: ModelNode, to: ModelNode) -> Bool {
        isReachable(from, to) && !cutWays.contains { $0 == (from.index, to.index) }
    }

    private func delay() -> Duration {
        var delay = setting.latency + random.duration(below: setting.latencySpread)
        // Reordering: now and then something takes far longer.
        if noise > 0, random.unit() < noise { delay += random.duration(below: .milliseconds(400)) }
        return delay
    }

    /// A control message: may be lost, doubled, late.
    func post(_ message: FrameMessage, from node: ModelNode, to receiver: ParticipantID) {
        if case .report(let report) = message { check(report, of: node) }
        guard let target = liveNode(receiver), isOpen(from: node, to: target) else { return }
        if noise > 0, random.unit() < noise { return }
        let copies = noise > 0 && random.unit() < noise ? 2 : 1
        for _ in 0..<copies {
            schedule(.message(message, from: node.identity), at: now + delay(), node: target)
        }
        say("\(node.index) → \(target.index) \(message)")
    }

    /// Pixels over a stream: arrive whole, or not at all.
    func transfer(_ event: ModelEvent, from node: ModelNode, to target: ModelNode) {
        guard isOpen(from: node, to: target) else { return }
        if noise > 0, random.unit() < noise { return }
        schedule(event, at: now + delay() + .milliseconds(2), node: target)
    }

    /// One round of gossip of one node: its news of the frame for another, and its view of who
    /// is alive.
    func gossip(_ node: ModelNode) {
        schedule(.gossip, at: now + .milliseconds(Int64(60 + random.below(60))), node: node)
        for other in nodes where other !== node { detect(other, by: node) }
        guard nodes.count > 1 else { return }
        for _ in 0..<2 {
            let other = nodes[random.below(nodes.count)]
            guard other !== node, isReachable(node, other), node.frozenUntil <= now,
                other.frozenUntil <= now
            else { continue }
            let term = max(highestTerm[node.index], node.machine.term)
            highestTerm[other.index] = max(highestTerm[other.index], term)
            other.machine.learned(term: term, at: now)
            drain(other)
            other.machine.learnedWork(
                of: node.identity, remainingSamples: node.machine.remainingSamples)
            if node.machine.isComplete {
                other.machine.learnedCompleteFilm(at: node.identity, at: now)
            }
            settle(other)
        }
    }

    /// A failure detector: whoever is unreachable for two seconds or so is dead.
    private func detect(_ other: ModelNode, by node: ModelNode) {
        let reachable = isReachable(node, other) && other.frozenUntil <= now
        let indirectly = nodes.contains { between in
            between !== node && between !== other && between.frozenUntil <= now
                && isReachable(node, between) && isReachable(between, other)
        }
        if reachable || (indirectly && other.isUp && other.frozenUntil <= now) {
            node.unreachableSince[other.index] = nil
            if node.believedDead[other.index] {
                node.believedDead[other.index] = false
                node.machine.participantChanged(other.identity, isAlive: true, at: now)
                drain(node)
            }
            return
        }
        let since = node.unreachableSince[other.index] ?? now
        node.unreachableSince[other.index] = since
        if now - since > .milliseconds(2_000), !node.believedDead[other.index] {
            node.believedDead[other.index] = true
            say("node \(node.index) believes \(other.index) dead")
            node.machine.participantChanged(other.identity, isAlive: false, at: now)
            drain(node)
        }
    }
}
