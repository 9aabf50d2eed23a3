// The life of a frame on one node: submitted here or heard of, its job asked for, its scene
// prepared, taken part in, and ended.

import Gossip
public import MeshCore
import WorkStealing

extension MeshNode {
    // MARK: Entry points

    /// Starts a frame of which this node is the originator and first root. Its scene must be
    /// ready on this node: others fetch it from here, and devices may be given units at once.
    /// - Precondition: `job.isValid`.
    public mutating func submit(_ job: JobDescription, at instant: Instant) -> FrameID {
        advance(to: instant)
        guard job.isValid, let space = job.workSpace else {
            preconditionFailure("a submitted job must be valid")
        }
        frameNumber += 1
        let frame = FrameID(originator: identity, number: frameNumber)
        var record = FrameRecord(frame: frame, stage: .active)
        record.job = job
        record.workSpace = space
        record.participant = FrameParticipant(
            originating: frame, workSpace: space, identity: identity,
            configuration: frameConfiguration(of: job), seed: random.next(), at: now)
        record.participant?.setLinkSpeed(bytesPerSecond: linkBytesPerSecond)
        insert(record)
        offer(job, of: frame)
        return frame
    }

    /// What the machine of a frame is made with.
    private func frameConfiguration(of job: JobDescription?) -> FrameConfiguration {
        var result = configuration.frame
        result.verifiedShare = job?.verifiedShare ?? 0
        return result
    }

    /// Tells members of a new frame with its job, instead of by an announcement that they answer
    /// with a request: the first picture waits for their help. Members beyond the bound, and
    /// those that this misses, learn of the frame by gossip.
    private mutating func offer(_ job: JobDescription, of frame: FrameID) {
        guard job.payload.count <= configuration.offeredPayloadMax else { return }
        var others = membership.members
            .filter { $0.status.isPresent && $0.participant != identity }.map(\.participant)
        random.shuffle(&others)
        for other in others.prefix(configuration.offersMax) {
            send(.jobOffer(frame, job), to: other)
        }
    }

    /// Ends a frame, its own or another's, whatever its state.
    public mutating func cancel(_ frame: FrameID, at instant: Instant) {
        advance(to: instant)
        endEverywhere(frame, .cancelled)
    }

    /// The originator has taken its result: everybody forgets the frame. Does nothing for frames
    /// of other nodes.
    public mutating func delivered(_ frame: FrameID, at instant: Instant) {
        advance(to: instant)
        guard frame.originator == identity else { return }
        endEverywhere(frame, .delivered)
    }

    /// The driver has the scene of a frame: this node takes part from now on.
    public mutating func scenePrepared(_ frame: FrameID, at instant: Instant) {
        advance(to: instant)
        guard let index = index(of: frame), records[index].stage == .preparing,
            let space = records[index].workSpace
        else { return }
        records[index].stage = .active
        records[index].deadline = .distantFuture
        let term = records[index].term ?? Term(number: 1, root: frame.originator)
        records[index].participant = FrameParticipant(
            joining: frame, workSpace: space, identity: identity, term: term,
            configuration: frameConfiguration(of: records[index].job), seed: random.next(), at: now)
        records[index].participant?.setLinkSpeed(bytesPerSecond: linkBytesPerSecond)
        shareSpeed()
        for member in membership.departedMembers {
            records[index].participant?.participantChanged(
                member.participant, isAlive: false, at: now)
        }
        for holder in records[index].sortedAnnouncers(where: \.isComplete) {
            records[index].participant?.learnedCompleteFilm(at: holder, at: now)
        }
        directives.append(.event(.frameJoined(frame)))
        performParticipant(at: index)
        announceWhenDue()
    }

    /// The driver could not get or build the scene. It is asked again, some times.
    public mutating func scenePreparationFailed(
        _ frame: FrameID, reason: String, at instant: Instant
    ) {
        advance(to: instant)
        guard let index = index(of: frame), records[index].stage == .preparing else { return }
        directives.append(.event(.scenePreparationFailed(frame, reason: reason)))
        if records[index].attempts >= configuration.sceneAttemptsMax {
            decline(at: index, reason: reason)
        } else {
            records[index].stage = .retrying
            records[index].deadline =
                now + configuration.sceneRetryDelay * records[index].attempts
        }
    }

    /// The driver takes no part in a frame, and would not the next time: it is left to others.
    public mutating func frameRefused(
        _ frame: FrameID, reason: String, at instant: Instant
    ) {
        advance(to: instant)
        guard let index = index(of: frame), records[index].stage == .preparing else { return }
        decline(at: index, reason: reason)
    }

    // MARK: Messages

    func job(of frame: FrameID) -> JobDescription? { index(of: frame).flatMap { records[$0].job } }

    mutating func answerJobRequest(_ frame: FrameID, from sender: ParticipantID) {
        if let job = job(of: frame) {
            send(.jobOffer(frame, job), to: sender)
        } else if let end = tombstones[frame], end != .expired {
            send(.frameEnded(frame, end), to: sender)
        } else {
            send(.jobUnknown(frame), to: sender)
        }
    }

    mutating func takeJob(_ job: JobDescription, of frame: FrameID, from sender: ParticipantID) {
        learnOffered(frame, by: sender)
        guard let index = index(of: frame), records[index].stage == .wantsJob else { return }
        guard job.isValid, let space = job.workSpace else {
            decline(at: index, reason: "its job is out of bounds")
            return
        }
        records[index].job = job
        records[index].workSpace = space
        records[index].stage = .wantsScene
        records[index].asked = nil
        records[index].attempts = 0
        records[index].deadline = .distantFuture
        pursue(at: index)
        noteAnnouncementChange()
    }

    /// Opens a record for a frame that its originator offers before it is announced. A frame's
    /// originator has its scene.
    private mutating func learnOffered(_ frame: FrameID, by sender: ParticipantID) {
        guard sender == frame.originator, address(of: sender) != nil, tombstones[frame] == nil,
            index(of: frame) == nil, let index = learn(frame)
        else { return }
        records[index].setAnnouncer(sender, .init(hasScene: true, isComplete: false))
    }

    /// An announcer turns out not to have the job: it restarted, or is forgetting the frame.
    mutating func noteJobUnknown(_ frame: FrameID, at sender: ParticipantID) {
        guard let index = index(of: frame), records[index].stage == .wantsJob,
            records[index].asked == sender
        else { return }
        records[index].setAnnouncer(sender, nil)
        records[index].asked = nil
        pursue(at: index)
    }

    /// A frame is over, as another node says. Its originator alone decides that a result was
    /// delivered.
    mutating func noteEnd(of frame: FrameID, _ end: FrameEnd) {
        guard end != .expired, end == .cancelled || frame.originator != identity else { return }
        endHere(frame, end)
    }

    mutating func receive(
        _ message: FrameMessage, of frame: FrameID, from sender: ParticipantID
    ) {
        if let index = index(of: frame) {
            guard records[index].participant != nil else { return }
            records[index].participant?.receive(message, from: sender, at: now)
            performParticipant(at: index)
        } else if let end = tombstones[frame], end != .expired {
            send(.frameEnded(frame, end), to: sender)
        }
    }

    // MARK: Stages

    private mutating func insert(_ record: FrameRecord) {
        let index = records.partitioningIndex { $0.frame >= record.frame }
        records.insert(record, at: index)
        shareSpeed()
        directives.append(.event(.frameJoined(record.frame)))
        performParticipant(at: index)
        directives.append(.workAvailable)
        announceWhenDue()
    }

    /// Takes the next step towards taking part in a frame, if one is possible now.
    mutating func pursue(at index: Int) {
        let record = records[index]
        if record.announcers.isEmpty, record.participant == nil {
            // Nobody to get it from. Somebody may announce it again.
            if record.deadline == .distantFuture || record.stage == .wantsJob {
                records[index].asked = nil
                records[index].deadline = now + configuration.unannouncedRetention
            }
            return
        }
        switch record.stage {
        case .wantsJob where record.asked == nil:
            let candidates = record.sortedAnnouncers { _ in true }
            let chosen = candidates[random.below(candidates.count)]
            records[index].asked = chosen
            records[index].attempts += 1
            let factor = 1 << min(records[index].attempts - 1, 16)
            records[index].deadline =
                now
                + min(
                    configuration.jobRequestTimeout * factor, configuration.jobRequestTimeoutMax)
            send(.jobRequest(record.frame), to: chosen)
        case .wantsScene:
            prepareScene(at: index)
        case .wantsJob, .preparing, .retrying, .declined, .active:
            break
        }
    }

    /// Asks the driver for the scene, unless the frame needs no more work.
    private mutating func prepareScene(at index: Int) {
        let record = records[index]
        records[index].deadline = .distantFuture
        guard let job = record.job, !record.isCompleteSomewhere else { return }
        var holders = record.sortedAnnouncers(where: \.hasScene)
        random.shuffle(&holders)
        let sources = holders.prefix(configuration.sceneSourcesMax).compactMap { holder in
            address(of: holder).map { PeerReference(participant: holder, address: $0) }
        }
        guard !sources.isEmpty else { return }
        records[index].stage = .preparing
        records[index].attempts += 1
        directives.append(.prepareScene(record.frame, job, sources: sources))
    }

    private mutating func decline(at index: Int, reason: String) {
        records[index].stage = .declined
        records[index].asked = nil
        records[index].deadline = .distantFuture
        directives.append(.event(.frameDeclined(records[index].frame, reason: reason)))
        pursue(at: index)
    }

    /// The deadline of a record has come.
    mutating func tickRecord(at index: Int) {
        let record = records[index]
        records[index].deadline = .distantFuture
        switch record.stage {
        case .active:
            if record.summary.isDone {
                watchForExpiry(at: index)
            } else {
                records[index].completeSince = nil
            }
        case _ where record.announcers.isEmpty:
            removeRecord(at: index)
        case .wantsJob:
            records[index].asked = nil
            pursue(at: index)
        case .retrying:
            records[index].stage = .wantsScene
            pursue(at: index)
        case .wantsScene, .preparing, .declined:
            pursue(at: index)
        }
    }

    /// A complete film waits for its originator; when that is gone, not for ever.
    mutating func watchForExpiry(at index: Int) {
        let frame = records[index].frame
        guard frame.originator != identity else { return }
        let isWaitedFor = address(of: frame.originator) != nil
        if isWaitedFor || records[index].completeSince == nil {
            records[index].completeSince = now
        }
        let since = records[index].completeSince ?? now
        guard since + configuration.completeRetention <= now else {
            records[index].deadline = since + configuration.completeRetention
            return
        }
        endHere(frame, .expired)
    }

    // MARK: The end

    /// Ends a frame and tells at once everybody who is known to have it; gossip tells the rest.
    private mutating func endEverywhere(_ frame: FrameID, _ end: FrameEnd) {
        guard let index = index(of: frame) else { return }
        var others = records[index].sortedAnnouncers { _ in true }
        others += records[index].participant?.participants ?? []
        var told: Set<ParticipantID> = [identity]
        for other in others where told.count <= configuration.offersMax {
            if told.insert(other).inserted { send(.frameEnded(frame, end), to: other) }
        }
        endHere(frame, end, speaksAt: now)
        announceWhenDue()
    }

    /// - Parameter speaksAt: when members hear of it from this node; at a random time, if others do
    ///   not say so before, when nil.
    private mutating func endHere(_ frame: FrameID, _ end: FrameEnd, speaksAt: Instant? = nil) {
        guard tombstones[frame] == nil else { return }
        let turn = turnToSpeak()
        tombstones.add(frame, end, speaksAt: speaksAt ?? turn, at: now)
        noteAnnouncementChange()
        guard let index = index(of: frame) else { return }
        removeRecord(at: index)
        directives.append(.event(.frameEnded(frame, end)))
        reconsiderIgnoredFrames()
    }

    private mutating func removeRecord(at index: Int) {
        let record = records.remove(at: index)
        switch record.stage {
        case .preparing, .retrying, .declined, .active:
            directives.append(.forget(record.frame))
        case .wantsJob, .wantsScene:
            break
        }
        shareSpeed()
        noteAnnouncementChange()
    }
}
