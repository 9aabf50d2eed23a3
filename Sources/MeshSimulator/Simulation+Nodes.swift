// Drives the nodes: performs what their machines ask for, feeds their devices, keeps their timers.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// Performs all that a node's machine has to say, and gives its devices work.
    mutating func drive(_ index: Int) {
        repeat {
            while let directive = nodes[index].process?.node.nextDirective() {
                perform(directive, at: index)
            }
            if filmsChanged {
                filmsChanged = false
                checkFilms(of: index)
                collectResults(at: index)
            }
        } while feedDevices(of: index)
        if configuration.policy.asks { askForWork(at: index) }
        scheduleTimer(of: index)
    }

    private mutating func scheduleTimer(of index: Int) {
        guard let process = nodes[index].process else { return }
        let deadline = process.node.deadline()
        guard deadline != .distantFuture else { return }
        let time = process.clock.time(of: deadline, from: now)
        guard time < process.timer || process.timer <= now else { return }
        nodes[index].process?.timer = time
        queue.add(.local(node: index, boot: nodes[index].boot, .timer), at: time)
    }

    mutating func perform(_ event: LocalEvent, at index: Int) {
        guard let local = localTime(index) else { return }
        switch event {
        case .timer:
            if nodes[index].process?.timer == now {
                nodes[index].process?.timer = .distantFuture
            }
            // It takes time linear in the members: not more often in a large mesh for each node.
            if report.steps % (64 + nodes.count) == 0 {
                nodes[index].process?.node.checkInvariants()
                checkBounds(of: index)
            }
            nodes[index].process?.node.tick(at: local)
        case .deviceDone(let device, let task):
            finishUnit(device: device, task: task, at: index)
        case .sceneReady(let frame, let sources):
            prepared(frame, sources: sources, at: index)
        case .contributionStalls(let frame, let round):
            stall(frame, round, at: index)
        case .fetchStalls(let frame, let fetch):
            stall(fetch: fetch, of: frame, at: index)
        case .judged(let frame, let tiles, let needed, let term):
            nodes[index].process?.node.judged(frame, tiles, needed: needed, term: term, at: local)
        case .refused(let address):
            nodes[index].process?.node.connectionRefused(by: address, at: local)
        case .workAsked(let frame, let thief):
            giveWork(of: frame, to: thief, at: index)
        case .workRefused(let frame):
            noteRefusedWork(of: frame, at: index)
        case .askAgain:
            nodes[index].process?.wantsUnits = true
        case .splitDue(let frame):
            splitWhenReady(frame, at: index)
        }
    }

    mutating func perform(_ directive: NodeDirective, at index: Int) {
        switch directive {
        case .sendDatagram(let datagram, to: let address):
            send(datagram, from: index, to: address)
        case .send(let message, to: _, at: let address):
            send(message, from: index, to: address)
        case .prepareScene(let frame, _, let sources):
            prepareScene(frame, sources: sources, at: index)
        case .frame(let frame, let directive):
            perform(directive, of: frame, at: index)
        case .workAvailable:
            nodes[index].process?.wantsUnits = true
        case .forget(let frame):
            forget(frame, at: index)
        case .event(let event):
            note(event, at: index)
        }
    }

    private mutating func note(_ event: NodeEvent, at index: Int) {
        log?("\(now) node \(index): \(event)")
        switch event {
        case .memberDied(let participant, _):
            if let since = deaths[participant] {
                report.detections.append((now - since).seconds)
            } else if cuts.isEmpty, isRunning(participant) {
                report.falseDeaths += 1
            }
        case .memberSuspected(let participant, _):
            if cuts.isEmpty, isRunning(participant) { report.falseSuspicions += 1 }
        case .frame(let frame, .committed(let round, let units)):
            report.roundsCommitted += 1
            timeline?.endRound(round, of: frame, units: units, isCommitted: true, at: now)
        case .frame(let frame, .roundAbandoned(let round, _)):
            report.roundsAbandoned += 1
            timeline?.endRound(round, of: frame, units: 0, isCommitted: false, at: now)
        case .frame(_, .quarantined(let participant, _)):
            add(participant, to: \.quarantined)
        case .frame(_, .keptOut(let participant, _)):
            add(participant, to: \.keptOut)
        case .frame(let frame, .lost(let units)):
            report.unitsLost += units.count
            if configuration.policy.isStatic {
                let event = LocalEvent.splitDue(frame)
                queue.add(.local(node: index, boot: nodes[index].boot, event), at: now)
            }
        default: break
        }
    }

    /// Adds a node to a list of the report, which is sorted and names each once.
    private mutating func add(
        _ participant: ParticipantID, to list: WritableKeyPath<SimulationReport, [Int]>
    ) {
        let index = nodes.firstIndex { $0.id == participant.node }
        guard let index, !report[keyPath: list].contains(index) else { return }
        report[keyPath: list].append(index)
        report[keyPath: list].sort()
    }

    private func isRunning(_ participant: ParticipantID) -> Bool {
        nodes.contains { $0.process?.identity == participant && $0.isRunning }
    }

    // MARK: Scenes

    /// Fetches the scene from a source that can be reached, and builds it.
    private mutating func prepareScene(
        _ frame: FrameID, sources: [PeerReference], at index: Int
    ) {
        var fetched = now
        // What is on the disk is not fetched again.
        if !hasScene(of: frame, at: index), let source = reachable(sources, from: index) {
            fetched = occupyLinks(
                .scene, bytes: configuration.sceneBytes, from: source, to: index)
        }
        let build = random.duration(below: configuration.scenePreparation * 2)
        queue.add(
            .local(node: index, boot: nodes[index].boot, .sceneReady(frame, sources: sources)),
            at: fetched + build)
    }

    /// The first of some nodes that runs and is not cut off.
    private func reachable(_ sources: [PeerReference], from index: Int) -> Int? {
        for source in sources {
            guard let other = self.index(at: source.address) else { continue }
            if nodes[other].process?.identity == source.participant, nodes[other].isRunning,
                !isBlocked(from: other, to: index), !isBlocked(from: index, to: other)
            {
                return other
            }
        }
        return nil
    }

    /// The scene has been built, if one of its sources could be reached.
    private mutating func prepared(_ frame: FrameID, sources: [PeerReference], at index: Int) {
        guard let local = localTime(index) else { return }
        guard hasScene(of: frame, at: index) || reachable(sources, from: index) != nil else {
            nodes[index].process?.node.scenePreparationFailed(
                frame, reason: "no source can be reached", at: local)
            return
        }
        if let job = job(of: frame) {
            nodes[index].scenes.insert(job)
            nodes[index].process?.node.share(jobs[job].tallies.workSpace, of: frame)
        }
        // The films are there before the machine speaks of them.
        let stage = nodes[index].process?.node.frames.first { $0.frame == frame }?.stage
        if stage == .preparing { nodes[index].process?.drivers[frame] = FilmKeeper() }
        nodes[index].process?.node.scenePrepared(frame, at: local)
    }

    private func hasScene(of frame: FrameID, at index: Int) -> Bool {
        job(of: frame).map { nodes[index].scenes.contains($0) } ?? false
    }

    private mutating func forget(_ frame: FrameID, at index: Int) {
        guard let process = nodes[index].process else { return }
        if let kept = process.drivers[frame] { endRounds(of: kept) }
        process.drivers[frame] = nil
        for device in process.devices.indices where process.devices[device].unit?.frame == frame {
            countWork(device: device, of: index)
            process.devices[device].unit = nil
            process.devices[device].task += 1
            process.wantsUnits = true
        }
    }

    // MARK: Devices

    /// Gives work to devices that have none.
    /// - Returns: whether the machine was asked, and may have something to say.
    private mutating func feedDevices(of index: Int) -> Bool {
        guard let local = localTime(index), nodes[index].process?.wantsUnits == true,
            nodes[index].pauses == 0
        else { return false }
        nodes[index].process?.wantsUnits = false
        for device in nodes[index].speeds.indices
        where nodes[index].process?.devices[device].unit == nil {
            guard let next = nodes[index].process?.node.takeUnit(at: local) else { break }
            guard let job = job(of: next.frame) else { continue }
            nodes[index].process?.devices[device].unit = next
            nodes[index].process?.devices[device].beganAt = now
            if nodes[index].figures.firstUnitAt == nil { nodes[index].figures.firstUnitAt = now }
            nodes[index].process?.asksUntil[next.frame] = nil
            nodes[index].process?.devices[device].rest = jobs[job].tallies.cost(of: next.unit)
            beginTask(device: device, of: index)
        }
        return true
    }

    /// The device works on, or begins, from now.
    mutating func beginTask(device: Int, of index: Int) {
        guard var state = nodes[index].process?.devices[device], state.unit != nil else { return }
        state.task += 1
        state.since = now
        nodes[index].process?.devices[device] = state
        let speed = nodes[index].speed(of: device)
        guard speed > 0 else { return }
        queue.add(
            .local(
                node: index, boot: nodes[index].boot,
                .deviceDone(device: device, task: state.task)),
            at: now + Duration(seconds: state.rest / speed))
    }

    /// Before the speed of a node changes: counts what its devices have done until now.
    mutating func settleTasks(of index: Int) {
        for device in nodes[index].speeds.indices {
            let speed = nodes[index].speed(of: device)
            guard let state = nodes[index].process?.devices[device] else { return }
            let done = speed * (now - state.since).seconds
            nodes[index].process?.devices[device].rest = max(state.rest - done, 0)
            nodes[index].process?.devices[device].since = now
        }
    }

    /// After the speed of a node has changed.
    mutating func resumeTasks(of index: Int) {
        for device in nodes[index].speeds.indices { beginTask(device: device, of: index) }
        measureCapacity()
    }

    /// A device stops working on its unit: counts the time that it did.
    mutating func countWork(device: Int, of index: Int) {
        guard let state = nodes[index].process?.devices[device], state.unit != nil else { return }
        let share = 1 / Double(nodes[index].speeds.count)
        nodes[index].figures.busySeconds += (now - state.beganAt).seconds * share
    }

    private mutating func finishUnit(device: Int, task: Int, at index: Int) {
        guard let local = localTime(index), let state = nodes[index].process?.devices[device],
            state.task == task, let (frame, unit) = state.unit, let job = job(of: frame)
        else { return }
        countWork(device: device, of: index)
        timeline?.addUnit(
            unit, of: frame, node: index, device: device, from: state.beganAt, to: now)
        nodes[index].process?.devices[device].unit = nil
        nodes[index].process?.wantsUnits = true
        nodes[index].figures.units += 1
        nodes[index].figures.lastUnitAt = now
        jobs[job].unitsRendered += 1
        let speed = nodes[index].speeds.reduce(0, +) / nodes[index].slowness
        nodes[index].process?.node.setSpeed(samplesPerSecond: speed)
        let disposition =
            nodes[index].process?.node.rendered(
                unit, of: frame, digest: digest(of: unit, frame, job: job, at: index), at: local)
            ?? .discard
        keep(unit, disposition, of: frame, at: index)
    }
}
