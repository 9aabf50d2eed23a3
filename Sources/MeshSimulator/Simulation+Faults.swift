// Faults as they begin and end.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    mutating func begin(_ fault: ScheduledFault.Fault) {
        log?("\(now) fault: \(fault)")
        timeline?.addFault(fault, at: now)
        disturbedAt = now
        faultNumber += 1
        let number = faultNumber
        switch fault {
        case .crash, .leave, .join, .jump, .cancel: return strike(fault)
        case .mute(let node, nil): return nodes[node].mutes += 1
        case .freeze(let node, _), .suspend(let node, _):
            guard nodes[node].isRunning else { return }
            settleTasks(of: node)
            nodes[node].isFrozen = true
            if case .suspend = fault { nodes[node].process?.clock.stop(at: now) }
            resumeTasks(of: node)
        case .partition(let group, let oneWay, _):
            var inside = Array(repeating: false, count: nodes.count)
            for node in group where node < nodes.count { inside[node] = true }
            cuts.append(NetworkCut(number: number, inside: inside, oneWay: oneWay))
        case .clog(let node, let peer, let time):
            clogs.append(NetworkClog(number: number, node: node, peer: peer, until: now + time))
        case .mute(let node, _): nodes[node].mutes += 1
        case .slow(let node, let factor, _):
            settleTasks(of: node)
            nodes[node].slowness *= factor
            resumeTasks(of: node)
        case .stick(let node, let device, _): stick(node, device, by: 1)
        case .pause(let node, _):
            settleTasks(of: node)
            nodes[node].pauses += 1
            ownerCameOrWent(node)
        case .loss(let rate, _): losses.append((number, rate))
        }
        activeFaults[number] = fault
        queue.add(.faultEnds(number), at: now + fault.duration)
    }

    /// A fault of a moment.
    private mutating func strike(_ fault: ScheduledFault.Fault) {
        switch fault {
        case .crash(let node, let pause, let keepsDisk):
            guard nodes[node].process != nil, canLose(node) else { return }
            stop(node)
            if !keepsDisk {
                nodes[node].id = NodeID(random.next())
                nodes[node].bootOnDisk = 0
                nodes[node].scenes = []
            }
            if let pause {
                queue.add(.restart(node: node), at: now + pause)
            } else {
                nodes[node].isGone = true
            }
        case .leave(let node):
            guard nodes[node].isRunning, canLose(node), let local = localTime(node) else { return }
            nodes[node].process?.node.leave(at: local)
            drive(node)
            stop(node)
            nodes[node].isGone = true
        case .join(let node): start(node)
        case .jump(let node, let duration):
            guard let process = nodes[node].process else { return }
            process.clock.jump(by: duration, at: now)
            if nodes[node].isRunning { drive(node) }
        case .cancel(let job, let node): cancel(job, at: node)
        default: break
        }
    }

    mutating func end(fault number: Int) {
        guard let fault = activeFaults.removeValue(forKey: number) else { return }
        log?("\(now) ends: \(fault)")
        disturbedAt = now
        switch fault {
        case .freeze(let node, _), .suspend(let node, _): thaw(node)
        case .partition: cuts.removeAll { $0.number == number }
        case .clog: clogs.removeAll { $0.number == number }
        case .mute(let node, _): nodes[node].mutes -= 1
        case .slow(let node, let factor, _):
            settleTasks(of: node)
            nodes[node].slowness /= factor
            resumeTasks(of: node)
        case .stick(let node, let device, _): stick(node, device, by: -1)
        case .pause(let node, _):
            nodes[node].pauses -= 1
            ownerCameOrWent(node)
        case .loss: losses.removeAll { $0.number == number }
        case .crash, .join, .leave, .jump, .cancel: break
        }
    }

    /// One more or one fewer reason why a device, or all, finish nothing.
    private mutating func stick(_ node: Int, _ device: Int?, by change: Int) {
        settleTasks(of: node)
        for place in nodes[node].stuck.indices where device.map({ $0 == place }) ?? true {
            nodes[node].stuck[place] += change
        }
        resumeTasks(of: node)
    }

    /// The process sees that its machine's owner has come, or left: its devices give back what
    /// they have, or begin again. A process that stands still sees it later.
    private mutating func ownerCameOrWent(_ node: Int) {
        measureCapacity()
        let isThere = nodes[node].pauses > 0
        guard nodes[node].isRunning, let process = nodes[node].process,
            process.knowsOwner != isThere, let local = localTime(node)
        else { return }
        process.knowsOwner = isThere
        guard isThere else {
            let speed = nodes[node].speeds.reduce(0, +) / nodes[node].slowness
            process.node.setSpeed(samplesPerSecond: speed)
            process.wantsUnits = true
            return drive(node)
        }
        process.node.setSpeed(samplesPerSecond: 0)
        for device in process.devices.indices {
            guard let (frame, unit) = process.devices[device].unit else { continue }
            countWork(device: device, of: node)
            process.devices[device].unit = nil
            process.devices[device].task += 1
            process.node.returnUnit(unit, of: frame, at: local)
        }
        drive(node)
    }

    /// A node ends a frame, if it knows it.
    private mutating func cancel(_ number: Int, at node: Int) {
        guard number < jobs.count, let frame = jobs[number].frame, nodes[node].isRunning,
            let process = nodes[node].process, let local = localTime(node),
            process.node.frames.contains(where: { $0.frame == frame })
        else { return }
        jobs[number].isCancelled = true
        process.node.cancel(frame, at: local)
        drive(node)
    }

    /// A process goes on: it reads what has come meanwhile, then does what is due.
    private mutating func thaw(_ node: Int) {
        guard nodes[node].isFrozen else { return }
        nodes[node].isFrozen = false
        nodes[node].process?.clock.resume(at: now)
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
        ownerCameOrWent(node)
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
            switch fault {
            case .freeze(node, _), .suspend(node, _): activeFaults[number] = nil
            default: break
            }
        }
        measureCapacity()
    }

    /// Whether every unfinished frame has another participant than this node that is there.
    private func canLose(_ node: Int) -> Bool {
        jobs.allSatisfy { job in
            guard let frame = job.frame, job.outcome.end == .unfinished else { return true }
            return nodes.indices.contains { other in
                guard other != node, !nodes[other].isFrozen,
                    !configuration.corrupt.contains(other),
                    !configuration.flaky.contains(other),
                    let part = nodes[other].process?.node.participant(of: frame)
                else { return false }
                return !part.isQuarantined && !part.isKeptOut
            }
        }
    }
}
