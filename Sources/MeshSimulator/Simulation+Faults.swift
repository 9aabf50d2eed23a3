// Faults as they begin and end.

import MeshCore
import MeshNode

extension Simulation {
    mutating func begin(_ fault: ScheduledFault.Fault) {
        log?("\(now) fault: \(fault)")
        timeline?.addFault(fault, at: now)
        disturbedAt = now
        faultNumber += 1
        let number = faultNumber
        switch fault {
        case .crash(let node, let pause):
            guard nodes[node].process != nil, canLose(node) else { return }
            stop(node)
            if let pause {
                queue.add(.restart(node: node), at: now + pause)
            } else {
                nodes[node].isGone = true
            }
            return
        case .leave(let node):
            guard nodes[node].isRunning, canLose(node), let local = localTime(node) else { return }
            nodes[node].process?.node.leave(at: local)
            drive(node)
            stop(node)
            nodes[node].isGone = true
            return
        case .join(let node):
            return start(node)
        case .freeze(let node, _):
            guard !nodes[node].isFrozen else { return }
            settleTasks(of: node)
            nodes[node].isFrozen = true
            resumeTasks(of: node)
        case .partition(let group, let oneWay, _):
            var inside = Array(repeating: false, count: nodes.count)
            for node in group where node < nodes.count { inside[node] = true }
            cuts.append(NetworkCut(number: number, inside: inside, oneWay: oneWay))
        case .slow(let node, let factor, _):
            settleTasks(of: node)
            nodes[node].slowness *= factor
            resumeTasks(of: node)
        case .stick(let node, _):
            guard !nodes[node].isStuck else { return }
            settleTasks(of: node)
            nodes[node].isStuck = true
            resumeTasks(of: node)
        case .loss(let rate, _):
            losses.append((number, rate))
        }
        activeFaults[number] = fault
        queue.add(.faultEnds(number), at: now + fault.duration)
    }

    mutating func end(fault number: Int) {
        guard let fault = activeFaults.removeValue(forKey: number) else { return }
        log?("\(now) ends: \(fault)")
        disturbedAt = now
        switch fault {
        case .freeze(let node, _): thaw(node)
        case .partition: cuts.removeAll { $0.number == number }
        case .slow(let node, let factor, _):
            settleTasks(of: node)
            nodes[node].slowness /= factor
            resumeTasks(of: node)
        case .stick(let node, _):
            nodes[node].isStuck = false
            settleTasks(of: node)
            resumeTasks(of: node)
        case .loss: losses.removeAll { $0.number == number }
        case .crash, .join, .leave: break
        }
    }

    /// A process goes on: it reads what has come meanwhile, then does what is due.
    private mutating func thaw(_ node: Int) {
        guard nodes[node].isFrozen else { return }
        nodes[node].isFrozen = false
        for device in nodes[node].speeds.indices {
            nodes[node].process?.devices[device].since = now
        }
        resumeTasks(of: node)
        let backlog = nodes[node].backlog
        nodes[node].backlog = []
        for event in backlog {
            if case .local = event { continue }
            queue.add(event, at: now)
        }
        for event in backlog {
            if case .local = event { queue.add(event, at: now) }
        }
        pump(node)
    }

    private mutating func stop(_ node: Int) {
        log?("\(now) node \(node) stops")
        if let process = nodes[node].process {
            for device in process.devices.indices { countWork(device: device, of: node) }
            deaths[process.identity] = now
        }
        for flow in nodes[node].outgoing { breakOff(flow, cause: nil) }
        nodes[node].outgoing = []
        nodes[node].process = nil
        nodes[node].refuses = true
        nodes[node].backlog = []
        nodes[node].isFrozen = false
        for (number, fault) in activeFaults.sorted(by: { $0.key < $1.key }) {
            if case .freeze(node, _) = fault { activeFaults[number] = nil }
        }
        measureCapacity()
    }

    /// Whether every unfinished frame has another participant than this node that is there.
    private func canLose(_ node: Int) -> Bool {
        jobs.allSatisfy { job in
            guard let frame = job.frame, job.outcome.end == .unfinished else { return true }
            return nodes.indices.contains { other in
                other != node && !nodes[other].isFrozen
                    && nodes[other].process?.node.participant(of: frame) != nil
            }
        }
    }
}
