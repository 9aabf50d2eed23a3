// Terms, admission, dismissal and succession (docs/PROTOCOL.md §6).

public import MeshCore

extension FrameParticipant {
    // MARK: From gossip

    /// Gossip tells the highest term that somebody announces for this frame.
    public mutating func learned(term: Term, at now: Instant) {
        learn(term, at: now)
        settle(at: now)
    }

    /// Gossip's verdict on a participant.
    public mutating func participantChanged(
        _ participant: ParticipantID, isAlive: Bool, at now: Instant
    ) {
        guard participant != identity else { return }
        defer { settle(at: now) }
        if isAlive {
            dead.remove(participant)
            return
        }
        guard dead.count < configuration.participantsMax, dead.insert(participant).inserted else {
            return
        }
        // The successors come one after the other, from this news on.
        if participant == term.root { heardAt = now }
        thief.victims.forget(participant)
        if thief.request?.victim == participant { thief.request = nil }
        takeBackGrants(at: now)
        root?.checks.expire(asked: participant, at: now)
        // What a member holds is held back, or not, until it is dismissed.
        if root?.position(of: participant) == nil { root?.references.remove(participant) }
        if let root { self.root?.nextStartAt = root.earliestStart(at: now, configuration) }
    }

    /// Gossiped remaining work of a member, for the choice of victims.
    public mutating func learnedWork(of participant: ParticipantID, remainingSamples: Double) {
        thief.victims.learn(participant, samples: remainingSamples)
    }

    // MARK: Terms

    /// Whether the number of a term from outside can have been reached by counting. A successor's,
    /// which is one more, still fits into messages.
    public static func isPlausible(_ term: Term) -> Bool { term.number < 1 << 48 }

    /// Obeys a higher term, if it is plausible and not this node's own.
    mutating func learn(_ newTerm: Term, at now: Instant) {
        guard term < newTerm, term.number < newTerm.number || !lacks(.termWithoutRoot),
            newTerm.root != identity, Self.isPlausible(newTerm)
        else { return }
        if root != nil {
            if case .gathering = root?.phase, let round { emit(.abandon(round: round)) }
            root = nil
            dropWaived()
            emit(.event(.steppedDown(newTerm)))
        }
        endContribution(before: nil)
        checkWork.cancel()
        reference.requests = 0
        term = newTerm
        round = nil
        heardAt = now
        askAdmissionAt = min(askAdmissionAt, now + configuration.admissionInterval)
    }

    // MARK: Admission

    /// When this node asks for admission: while it is not listed, or hears no starts.
    var admissionAt: Instant? {
        guard root == nil, term.root != identity, !isDone, !isQuarantined else { return nil }
        if standing == .joining { return max(askAdmissionAt, firstRequestAt) }
        if standing != .listed { return askAdmissionAt }
        // A successor in a large frame does not know all who take part.
        if round == nil, unnamedCount > 0 || participants.count > configuration.listedMax {
            return askAdmissionAt
        }
        let heartbeat = heartbeat
        return max(askAdmissionAt, heardAt + heartbeat + heartbeat)
    }

    var heartbeat: Duration {
        RoundSchedule.heartbeat(participants: participantCount, configuration: configuration)
    }

    mutating func askForAdmission(at now: Instant) {
        let interval = nextRequestInterval(at: now)
        askAdmissionAt = now + interval + random.duration(below: interval)
        let request = AdmissionRequest(
            term: term, samplesPerSecond: speed, reference: reference.digest)
        send(.admissionRequest(request), to: term.root)
    }

    mutating func receive(
        _ request: AdmissionRequest, from sender: ParticipantID, at now: Instant
    ) {
        guard isValid(speed: request.samplesPerSecond) else { return ignore() }
        if term < request.term { return learn(request.term, at: now) }
        guard root != nil else {
            // Not the root (any more): a refusal carries the term.
            if request.term < term {
                send(.stealRefusal(StealRefusal(term: term, request: 0)), to: sender)
            }
            return
        }
        // Who was found wrong is told so again.
        let isTold = request.reference != nil && root?.references.knows(sender) == false
        guard !isQuarantined(sender), mayTakePart(sender, telling: request.reference, at: now)
        else { return refuse(sender) }
        let isNew = root?.position(of: sender) == nil
        // A member that was slow with the reference unit wants nothing but to tell.
        if !isNew, isTold { return }
        if isNew {
            guard admit(sender, samplesPerSecond: request.samplesPerSecond) else {
                root?.references.remove(sender)
                return ignore()
            }
        }
        // The newcomer is told at once, and gets work; the others learn at the next round. Of a
        // complete frame there may be no next.
        sendStart(to: [sender], isWhole: true)
        if isNew, round != nil {
            let newcomer = Newcomer(id: sender, samplesPerSecond: request.samplesPerSecond)
            share(with: [newcomer], at: now)
        }
        guard let root, root.phase == .idle, !isFarewellOver else { return }
        let next =
            round == nil
            ? root.earliestStart(at: now, configuration) : now + configuration.admissionDelay
        self.root?.nextStartAt = min(root.nextStartAt, next)
    }

    /// Root: tells somebody who is kept out that it is so, now or with the first round.
    private mutating func refuse(_ sender: ParticipantID) {
        guard round == nil else { return sendStart(to: [sender], isWhole: true) }
        guard let refused = root?.refusedEarly, !refused.contains(sender),
            refused.count < configuration.pendingReferencesMax
        else { return }
        root?.refusedEarly.append(sender)
    }

    /// Root: lists somebody new, instead of what it was before a restart.
    /// - Returns: false when there is no room, or it has been restarted since.
    private mutating func admit(_ sender: ParticipantID, samplesPerSecond: Double) -> Bool {
        let limit = configuration.participantsMax
        guard
            let former = root?.admit(sender, samplesPerSecond: samplesPerSecond, limit: limit)
        else { return false }
        for participant in former {
            root?.references.remove(participant)
            emit(.event(.dismissed(participant)))
        }
        dead.remove(sender)
        emit(.event(.admitted(sender)))
        // Nothing is lost with a newcomer: it need not report before losses are counted.
        if let round, let position = root?.position(of: sender) {
            root?[position].report = RoundReport(
                round: round, seals: [], claims: IntervalSet(), filmUnits: 0,
                samplesPerSecond: samplesPerSecond)
        }
        return true
    }

    // MARK: Dismissal

    /// This node is not listed: it froze or was cut off, and its work is given to others. It keeps
    /// film and partial films, and asks for admission.
    mutating func exile(at now: Instant) {
        guard standing == .listed else { return }
        standing = .exiled
        deque.removeAll()
        helping = IntervalSet()
        checkWork.cancel()
        contested = IntervalSet()
        grants.forgetLent()
        waiting = []
        thief.request = nil
        partials.disown()
        for index in inProgress.indices { inProgress[index].isApart = true }
        askAdmissionAt = now
    }

    // MARK: Succession

    /// When this node takes over, if nothing is heard of the root until then.
    var successionAt: Instant? {
        guard root == nil, !isDone, !isQuarantined else { return nil }
        let rootIsDead = dead.contains(term.root)
        // Nobody can tell which of two is wrong. When the other is gone, the one whose user waits
        // for the frame goes on.
        let isOriginator = frame.originator.node == identity.node
        guard !isKeptOut || rootIsDead && isOriginator else { return nil }
        switch standing {
        case .joining where !rootIsDead:
            return nil
        case .listed:
            let dead = lacks(.onlyOneSuccessor) ? [] : dead
            let rank = Succession.rank(
                of: identity, participants: participants, unnamedCount: unnamedCount,
                root: term.root, isDead: { dead.contains($0) })
            if lacks(.onlyOneSuccessor), rank != 0 { return nil }
            let patience = Succession.patience(
                rank: rank, participants: participantCount, rootIsDead: rootIsDead,
                configuration: configuration)
            return heardAt + patience
        case .joining, .exiled:
            // A root that dies before it has listed anybody leaves only newcomers. Spread by
            // identity, so that two do not go on alone at once.
            let spread = Double(identity.node.rawValue % 997) / 997
            let patience = configuration.exilePatience.seconds
            return heardAt + Duration(seconds: patience * (1 + spread))
        }
    }

    /// Becomes the root of a new term, with its own film as the ledger and the last participants
    /// it knew. Its first reports find the most advanced film.
    mutating func takeOver(at now: Instant) {
        let new = Term(number: term.number + 1, root: identity)
        let former = term.root
        let dead = dead
        endContribution(before: nil)
        checkWork.cancel()
        thief.request = nil
        reference.differing = nil
        term = new
        round = nil
        standing = .listed
        statistics.takeovers += 1
        // The list came from outside: nobody is on the new one twice.
        var passedOver = dead.union([identity, former])
        var members = [identity]
        members += (participants + acquaintances).filter { passedOver.insert($0).inserted }
        if former != identity, !dead.contains(former) { members.append(former) }
        members.removeAll { isQuarantined($0) }
        root = RootState(members: members, at: now)
        if unnamedCount > 0 {
            let count = participantCount
            root?.expectedCount = count
            root?.countsLossesAt = now + configuration.partialListPatience
        }
        participants = members
        (unnamedCount, acquaintances) = (0, [])
        if lacks(.ledgerTakenForFilm) { filmCoverage.formUnion(ledger) }
        ledgerBook = CommitLedger(unitCount: workSpace.count)
        ledgerBook.replace(with: filmCoverage)
        fetch.deadline = nil
        emit(.event(.becameRoot(new)))
        clearCommitted(at: now)
        resetStages()
        noteOwnReference(at: now)
    }
}
