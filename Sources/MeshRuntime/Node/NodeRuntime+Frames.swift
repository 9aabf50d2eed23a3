// The frames of a node: preparing their scenes, giving their units to the device, performing
// what the machine wants done with their films.

import Gossip
import Logging
import MeshCore
import MeshNode
import MeshSecurity
import Tracer
import WorkStealing

/// What this node has done for one frame.
struct FrameCounters {
    var samples = 0
    var units = 0
    var bytesSent = 0
    var bytesReceived = 0
    /// When the scene was ready here.
    var readyAt: Instant?
    /// The time all threads together have spent on units.
    var busy = Duration.zero
}

/// The speed of a device from the units it renders, as an average over the last of them.
struct SpeedMeter {
    private var samples = 0.0
    private var seconds = 0.0

    /// One thread's speed, samples per second; nil before the first unit.
    private(set) var samplesPerThreadSecond: Double?
    /// How long the last units took, each.
    private(set) var secondsPerUnit: Double?

    mutating func add(samples added: Int, duration: Duration) {
        samples += Double(added)
        seconds += duration.seconds
        if seconds > 0 { samplesPerThreadSecond = samples / seconds }
        secondsPerUnit = (secondsPerUnit ?? duration.seconds) * 0.75 + duration.seconds * 0.25
        // About the last two seconds of one thread count.
        if seconds > 2 {
            samples /= 2
            seconds /= 2
        }
    }
}

extension NodeRuntime {
    func perform(_ directive: NodeDirective) {
        switch directive {
        case .sendDatagram(let message, let address):
            let key = peerKeys.key(for: address, in: keyring)
            endpoint.datagrams.send(seal.seal(message.encode(), with: key), to: address)
        case .send(let message, let peer, let address):
            send(message, to: peer, at: address)
        case .prepareScene(let frame, let job, let sources):
            prepareScene(frame, job, sources)
        case .frame(let frame, let directive):
            frames[frame]?.perform(directive)
        case .workAvailable:
            break
        case .forget(let frame):
            forget(frame)
        case .event(let event):
            report(event)
        }
    }

    // MARK: - Scenes

    private func prepareScene(
        _ frame: FrameID, _ description: JobDescription, _ sources: [PeerReference]
    ) {
        guard sceneFetches[frame] == nil, let workSpace = description.workSpace else { return }
        let job: FrameJob
        do {
            job = try FrameJob(decoding: description.payload)
        } catch {
            node.scenePreparationFailed(frame, reason: "\(error)", at: EventLoop.now)
            return
        }
        guard job.settings.workSpace == workSpace,
            job.verifiedShare ?? 0 == description.verifiedShare,
            job.priority ?? JobDescription.priorityDefault == description.priority
        else {
            // The machine would count units that this scene's frame does not have.
            node.scenePreparationFailed(
                frame, reason: "its settings contradict its description", at: EventLoop.now)
            return
        }
        if let reason = refusal(of: job) {
            node.frameRefused(frame, reason: reason, at: EventLoop.now)
            return
        }
        holds[frame] = store.hold(job)
        if frames[frame] == nil {
            frames[frame] = FrameDriver(frame: frame, workSpace: workSpace, host: self)
            counters[frame] = FrameCounters()
        }
        sceneFetches[frame] = SceneFetch(
            job: job, store: store, sources: sources,
            connect: { [unowned self] in self.connect(to: $0, of: $1) },
            onFinished: { [weak self] failure in
                self?.fetched(frame, job, failure: failure)
            })
    }

    private func fetched(_ frame: FrameID, _ job: FrameJob, failure: String?) {
        counters[frame]?.bytesReceived += sceneFetches[frame]?.bytesReceived ?? 0
        if let failure {
            sceneFetches[frame] = nil
            node.scenePreparationFailed(frame, reason: failure, at: EventLoop.now)
            drive()
            return
        }
        let driver = frames[frame]
        ScenePreparation.prepare(
            job, store: store, buildThreads: configuration.threads,
            memory: configuration.limits.memory
        ) { [weak self, weak driver] result in
            // The frame may have been forgotten meanwhile, or forgotten and heard of again.
            guard let self, let driver, self.frames[frame] === driver else { return }
            self.sceneFetches[frame] = nil
            switch result {
            case .success(let prepared):
                driver.prepared = prepared
                self.counters[frame]?.readyAt = EventLoop.now
                self.node.scenePrepared(frame, at: EventLoop.now)
            case .failure(.tooLarge(let reason)):
                // Another attempt would not make it smaller.
                self.node.frameRefused(frame, reason: reason, at: EventLoop.now)
            case .failure(let error):
                self.node.scenePreparationFailed(
                    frame, reason: "\(error)", at: EventLoop.now)
            }
            self.drive()
        }
    }

    /// Begins a frame here: this node is its originator and has its scene.
    func begin(_ prepared: PreparedJob) -> FrameID {
        let grid = prepared.workSpace.grid
        let description = JobDescription(
            width: grid.width, height: grid.height, tileSize: grid.tileSize,
            samplesPerPixel: prepared.workSpace.samplesPerPixel,
            verifiedShare: prepared.job.verifiedShare ?? 0,
            isAdaptive: prepared.workSpace.isAdaptive,
            priority: prepared.job.priority ?? JobDescription.priorityDefault,
            payload: prepared.job.encoded())
        let frame = node.submit(description, at: EventLoop.now)
        let driver = FrameDriver(frame: frame, workSpace: prepared.workSpace, host: self)
        driver.prepared = prepared
        frames[frame] = driver
        holds[frame] = store.hold(prepared.job)
        counters[frame] = FrameCounters(readyAt: EventLoop.now)
        drive()
        return frame
    }

    private func forget(_ frame: FrameID) {
        sessions[frame]?.end(reason: "the frame was forgotten")
        frames.removeValue(forKey: frame)?.close()
        sceneFetches.removeValue(forKey: frame)?.abandon()
        counters[frame] = nil
        contributions[frame] = nil
        holds[frame] = nil
        refusals[frame] = nil
        refusalsOfOthers[frame] = nil
        unitsInFlight -= device?.recall(frame).count ?? 0
    }

    // MARK: - Devices

    /// Units that the device may hold: one for each thread, and as many more as keep it busy for
    /// the time the loop may take to serve it, but at least one more each. Units in the device
    /// can't be stolen, so not more than that.
    private var unitsInFlightMax: Int {
        let threads = configuration.threads
        let ahead = Self.deviceAhead.seconds / max(1e-4, speed.secondsPerUnit ?? 1)
        return threads * (1 + min(16, max(1, Int(ahead.rounded(.up)))))
    }
    private static let deviceAhead = Duration.milliseconds(15)

    /// Gives the device one unit, if it may hold more. One at a time: the machine's directives
    /// come before its next input.
    /// - Returns: whether it took one.
    func feedDevice() -> Bool {
        guard let device, unitsInFlight < unitsInFlightMax,
            let (frame, unit) = node.takeUnit(at: EventLoop.now)
        else { return false }
        guard let driver = frames[frame], let prepared = driver.prepared else {
            node.returnUnit(unit, of: frame, at: EventLoop.now)
            return false
        }
        unitsInFlight += 1
        device.render(
            UnitOrder(
                frame: frame, unit: unit, scene: prepared.scene, workSpace: driver.workSpace,
                needsDigest: node.needsDigest(of: unit, frame)))
        return true
    }

    func rendered(_ result: UnitResult) {
        unitsInFlight -= 1
        guard let driver = frames[result.frame] else {
            drive()
            return
        }
        let samples = driver.workSpace.sampleCount(ofUnit: result.unit)
        counters[result.frame]?.samples += samples
        counters[result.frame]?.units += 1
        counters[result.frame]?.busy += result.duration
        let disposition = node.rendered(
            result.unit, of: result.frame, digest: result.digest, at: EventLoop.now)
        driver.take(result, disposition)
        // Not before: the machine and the driver must agree on the open film.
        speed.add(samples: samples, duration: result.duration)
        if let perThread = speed.samplesPerThreadSecond {
            node.setSpeed(samplesPerSecond: perThread * Double(configuration.threads))
        }
        drive()
    }

    // MARK: - Events

    private func report(_ event: NodeEvent) {
        switch event {
        case .memberJoined(_, let name, let address): notice("\(name) (\(address)) joined")
        case .memberSuspected(_, let name): logger.info("\(name) does not answer")
        case .memberRecovered(_, let name): notice("\(name) is back")
        case .memberDied(_, let name): notice("\(name) is gone")
        case .memberLeft(_, let name): notice("\(name) left")
        case .identityConflict(let other):
            notice("another process uses this node's identity (\(other)): stop one of them")
        case .frameLearned(let frame): logger.info("heard of frame \(frame)")
        case .frameJoined(let frame): notice("renders for frame \(frame)")
        case .frameDeclined(let frame, let reason):
            declined(frame, reason: reason)
        case .scenePreparationFailed(let frame, let reason):
            notice("cannot prepare the scene of frame \(frame): \(reason)")
        case .frameEnded(let frame, let end): logger.info("frame \(frame) ended: \(end)")
        case .frame(let frame, .quarantined(let participant, let unit)):
            noteQuarantine(of: participant, frame, unit: unit)
            sessions[frame]?.note(.quarantined(participant, unit: unit))
        case .frame(let frame, .keptOut(let participant, let differing)):
            noteKeptOut(participant, frame, differing: differing)
            sessions[frame]?.note(.keptOut(participant, differing: differing))
        case .frame(let frame, let event):
            logger.debug("frame \(frame): \(event)")
            sessions[frame]?.note(event)
        }
    }
}

extension NodeRuntime {
    /// Says whose results were found wrong.
    private func noteQuarantine(
        of participant: ParticipantID, _ frame: FrameID, unit: Int?
    ) {
        var what = "got another result"
        if let unit, let space = frames[frame]?.workSpace {
            let tile = space.grid.rectangle(ofTile: space.unit(unit).tile)
            what += " for the tile at \(tile.x), \(tile.y)"
        }
        if participant == identity {
            notice(
                "this node renders no more of frame \(frame): others \(what). "
                    + "Its memory or its processor may be faulty")
        } else {
            notice("keeps node \(participant.node) out of frame \(frame): others \(what)")
        }
    }
}

extension NodeRuntime {
    /// Says who takes no part because of its reference unit.
    private func noteKeptOut(_ participant: ParticipantID, _ frame: FrameID, differing: Int) {
        let reason = FrameEvent.reasonToKeepOut(differing: differing)
        if participant == identity {
            notice("this node renders nothing of frame \(frame): \(reason)")
        } else {
            notice("keeps node \(participant.node) out of frame \(frame): \(reason)")
        }
    }
}

extension FrameEvent {
    /// Why a node is kept out whose reference unit is another than that of so many others, and what
    /// to look for.
    static func reasonToKeepOut(differing: Int) -> String {
        differing > 1
            ? "its reference tile differs from that of \(differing) others. "
                + "Its memory, processor or build may be faulty"
            : "its reference tile differs from that of another. "
                + "The memory, processor or build of one of the two may be faulty"
    }
}

extension WorkSpace {
    /// The samples of all pixels of a unit.
    func sampleCount(ofUnit unit: Int) -> Int {
        let unit = self.unit(unit)
        return unit.samples.count * grid.rectangle(ofTile: unit.tile).area
    }
}
