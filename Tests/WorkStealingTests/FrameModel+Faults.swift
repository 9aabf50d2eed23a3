// The model's faults, drawn from the seed, and their end.

import MeshCore

@testable import WorkStealing

enum ModelFault: CaseIterable {
    case crash, restart, freeze, partition, link, way, noise, stuck, pause
}

extension FrameModel {
    func performFault(_ event: ModelEvent) {
        guard case .fault = event else { return heal() }
        guard faultsLeft > 0, firstCompleteAt == nil else { return endFaults() }
        let kind = setting.kinds[random.below(setting.kinds.count)]
        if inject(kind) {
            faultsLeft -= 1
            say("FAULT \(kind)")
        }
        let pauses: [Int64] = [5, 60, 400, 1_500]
        schedule(
            .fault, at: now + .milliseconds(pauses[random.below(pauses.count)]), node: nil)
    }

    private func inject(_ kind: ModelFault) -> Bool {
        let live = up
        let victim = live[random.below(live.count)]
        switch kind {
        case .crash, .restart:
            let others = live.filter {
                $0 !== victim && $0.machine.isListed && $0.frozenUntil <= now
            }
            guard !others.isEmpty else { return false }
            victim.isUp = false
            if kind == .restart || random.unit() < 0.5 { restart(victim) }
        case .freeze:
            let times: [Int64] = [150, 1_200, 6_000]
            victim.frozenUntil = now + .milliseconds(times[random.below(times.count)])
            // A stopped process may see that its timers are due before it reads what has come.
            if random.unit() < 0.5 { schedule(.wake, at: victim.frozenUntil, node: victim) }
        case .partition:
            guard partition == nil, nodes.count > 1 else { return false }
            var order = Array(nodes.indices)
            random.shuffle(&order)
            partition = Set(order.prefix(1 + random.below(nodes.count - 1)))
            scheduleHeal()
        case .link:
            guard nodes.count > 1 else { return false }
            let other = nodes[(victim.index + 1 + random.below(nodes.count - 1)) % nodes.count]
            cutLinks.append((victim.index, other.index))
            scheduleHeal()
        case .way:
            var ends = nodes.filter { !setting.sparesOriginator || $0.index > 0 }
            guard ends.count > 1 else { return false }
            random.shuffle(&ends)
            cutWays.append((from: ends[0].index, to: ends[1].index))
            scheduleHeal()
        case .noise:
            noise = [0.03, 0.2][random.below(2)]
            scheduleHeal()
        case .stuck:
            let busy = victim.devices.indices.filter { victim.devices[$0].unit != nil }
            guard let device = busy.first else { return false }
            victim.devices[device].isStuck = true
        case .pause: pause(victim)
        }
        return true
    }

    /// The owner uses the machine: its devices hand back what they have.
    private func pause(_ node: ModelNode) {
        for device in node.devices.indices {
            node.devices[device].isPaused = true
            guard let unit = node.devices[device].unit, !node.devices[device].isStuck else {
                continue
            }
            node.devices[device].unit = nil
            node.devices[device].token += 1
            node.machine.returnUnit(unit, at: now)
            drain(node)
        }
        node.machine.setSpeed(samplesPerSecond: 0)
        settle(node)
        if random.unit() < 0.7 { scheduleHeal() }
    }

    private func scheduleHeal() {
        let times: [Int64] = [150, 1_000, 4_000, 9_000]
        schedule(.heal, at: now + .milliseconds(times[random.below(times.count)]), node: nil)
    }

    /// The node is up again with a new boot number and nothing but its gossip.
    private func restart(_ node: ModelNode) {
        let identity = ParticipantID(node: node.identity.node, boot: node.identity.boot + 1)
        highestTerm[node.index] = highestTerm.max() ?? highestTerm[node.index]
        let fresh = makeNode(index: node.index, identity: identity, originates: false)
        nodes[node.index] = fresh
        for other in nodes where other !== fresh {
            if other.isUp {
                other.machine.participantChanged(node.identity, isAlive: false, at: now)
                drain(other)
            }
            other.believedDead[node.index] = false
            other.unreachableSince[node.index] = nil
        }
        schedule(.gossip, at: now + .milliseconds(10), node: fresh)
        settle(fresh)
    }

    /// The network is whole again, owners are gone home.
    private func heal() {
        partition = nil
        cutLinks = []
        cutWays = []
        noise = 0
        for node in up {
            for device in node.devices.indices { node.devices[device].isPaused = false }
            let working = node.devices.filter { !$0.isStuck }.reduce(0) { $0 + $1.speed }
            node.machine.setSpeed(samplesPerSecond: working / setting.secondsPerSample)
            if node.frozenUntil <= now { settle(node) }
        }
    }

    /// No more faults, all is healed, and some participant has a device that works.
    private func endFaults() {
        guard faultsEndedAt == nil else { return }
        faultsEndedAt = now
        say("faults end")
        let listed = up.filter(\.machine.isListed)
        let pool = listed.isEmpty ? up : listed
        let lucky = pool[random.below(pool.count)]
        if lucky.devices.allSatisfy(\.isStuck) {
            lucky.devices.append(ModelDevice(speed: 1))
        }
        heal()
    }
}
