// The root's part: it starts rounds, counts what nobody holds, adopts a larger film, plans, and
// commits (docs/PROTOCOL.md §5).

import MeshCore

extension FrameParticipant {
    // MARK: Timers

    /// When the root has something to do. Only called on a root.
    var rootDeadline: Instant? {
        guard let root else { return nil }
        switch root.phase {
        case .idle:
            return isFarewellOver ? nil : root.nextStartAt
        case .reporting(let deadline):
            if root.startRepeated { return deadline }
            return min(deadline, root.startedAt + reportTimeout / 2)
        case .adopting(_, let deadline):
            return min(deadline, root.beatAt)
        case .gathering(let since):
            let end = since + root.dataPatience(configuration)
            let next = min(end, root.beatAt)
            return root.plansRepeatAt.map { min(next, $0) } ?? next
        }
    }

    /// How long reports are waited for: starts and reports of many take time on the root's link.
    var reportTimeout: Duration {
        configuration.reportTimeout
            + configuration.reportTimeoutPerParticipant * (root?.members.count ?? 0)
    }

    private var dismissalTime: Duration {
        configuration.dismissalTime
            + configuration.dismissalTimePerParticipant * (root?.members.count ?? 0)
    }

    /// The frame is complete and all know it, or have been told often enough.
    var isFarewellOver: Bool {
        guard let root, isComplete else { return false }
        return root.farewells > configuration.farewellsMax
            || (root.farewells > 0
                && root.others.allSatisfy {
                    !($0.report?.wantsFilm ?? true)
                        || $0.report?.filmUnits == workSpace.count
                })
    }

    mutating func tickRoot(at now: Instant) {
        guard let root else { return }
        switch root.phase {
        case .idle:
            guard !isFarewellOver, root.nextStartAt <= now else { return }
            startRound(at: now)
        case .reporting(let deadline):
            if deadline <= now { return endReports(at: now) }
            if !root.startRepeated, root.startedAt + reportTimeout / 2 <= now {
                self.root?.startRepeated = true
                sendStart(to: root.others.filter { !$0.hasReported }.map(\.id))
            }
        case .adopting(_, let deadline):
            if deadline <= now { return adoptionFailed(at: now) }
            if root.beatAt <= now { beat(at: now) }
        case .gathering(let since):
            if since + root.dataPatience(configuration) <= now {
                return abandonRound(cause: nil, at: now)
            }
            if let at = root.plansRepeatAt, at <= now {
                self.root?.plansRepeatAt = nil
                for (contributor, plan) in root.plans { send(.plan(plan), to: contributor) }
            }
            if root.beatAt <= now { beat(at: now) }
        }
    }

    /// The same start again keeps successors quiet while much data is on its way.
    private mutating func beat(at now: Instant) {
        let next = now + heartbeat
        root?.beatAt = next
        sendStart(to: root?.others.map(\.id) ?? [])
    }

    /// Starts the last round at once when all have said that they are out of work.
    mutating func hurryRoot(at now: Instant) {
        guard let root, root.phase == .idle, !isComplete, root.abandonedInRow == 0 else { return }
        guard deque.isEmpty, inProgress.isEmpty, grants.lent.isEmpty, helping.isEmpty,
            root.checks.pending.isEmpty,
            root.others.allSatisfy({ $0.exhausted != nil }) || root.isIdle && hasUnitsToWaive,
            !partials.isEmpty || root.others.contains(where: { ($0.exhausted ?? 0) > 0 })
                || hasUnitsToWaive
        else { return }
        let at = root.earliestStart(at: now, configuration)
        self.root?.nextDataAt = min(root.nextDataAt, at)
        self.root?.nextStartAt = min(root.nextStartAt, at)
    }

    // MARK: Step 1: start

    private mutating func startRound(at now: Instant) {
        guard var root else { return }
        let (dead, quarantined) = (dead, quarantined)
        let dismissalTime = dismissalTime
        let (references, disputePatience) = (root.references, configuration.disputePatience)
        let gone = root.dismiss { member in
            dead.contains(member.id) || quarantined.contains(member.id)
                || references.isPending(member.id, for: disputePatience, at: now)
                || (member.missedRounds >= configuration.dismissalRounds
                    && (member.silentSince.map { now - $0 >= dismissalTime }
                        ?? false))
        }
        root.number += 1
        let round = RoundID(term: term, number: root.number)
        let newcomers =
            self.round == nil ? self.newcomers(root) : []
        self.round = round
        participants = root.members.map(\.id)
        root.awaitReports()
        root.startedAt = now
        root.startRepeated = false
        root.wantsData = root.nextDataAt <= now && !isComplete
        root.phase = .reporting(deadline: now + reportTimeout)
        if isComplete { root.farewells += 1 }
        self.root = root
        statistics.roundsStarted += 1
        heardAt = now
        sealOpen()
        sealWaived()
        for participant in gone {
            emit(.event(.dismissed(participant)))
            let isPending = references.isPending(participant)
            if !isPending || dead.contains(participant) {
                self.root?.references.remove(participant)
            }
            if isPending {
                self.root?.checks.forget(participant, at: now)
            } else {
                self.root?.checks.expire(asked: participant, at: now)
            }
            waiting.removeAll { $0.id == participant }
        }
        sendStart(to: gone)
        sendStart(to: root.refusedEarly, isWhole: true)
        self.root?.refusedEarly = []
        let back = grants.takeBack(at: now) { gone.contains($0) }
        for lent in back { addClaims(lent.units, at: now) }
        sendStart(to: root.others.map(\.id))
        share(with: newcomers, at: now)
        if root.members.count == 1 { endReports(at: now) }
    }

    /// The members that the last start did not list.
    private func newcomers(_ root: RootState) -> [Newcomer] {
        let known = Set(participants)
        return root.others.filter { !known.contains($0.id) }
            .map { Newcomer(id: $0.id, samplesPerSecond: $0.samplesPerSecond) }
    }

    /// Sends the start of the round in progress, or of the last one: what is new since the
    /// receiver's last report, or all of it.
    mutating func sendStart(to receivers: [ParticipantID], isWhole: Bool = false) {
        guard let round, root != nil else { return }
        let named = root?.namedMembers(configuration) ?? []
        let unnamed = root?.unnamedCount(named: named.count) ?? 0
        let committed = ledger
        // The whole is told outside the history, whose few versions are those of rounds.
        if !isWhole { root?.history.note(participants: named, ledger: committed) }
        for receiver in receivers {
            let position = root?.position(of: receiver)
            let report = isWhole ? nil : position.flatMap { root?[$0].report }
            var start = RoundStart(round: round, participants: [], ledger: IntervalSet())
            start.quarantined = quarantined
            start.knowsReference = root?.references.knows(receiver) ?? false
            if position == nil || isQuarantined(receiver) {
                start.differing = root?.references.differing(from: receiver) ?? 0
            }
            if isWhole {
                start.participants = ParticipantsUpdate(whole: named)
                start.ledger = LedgerUpdate(whole: committed)
            } else if let participants = root?.history.participants(
                knowing: report?.participantsHash ?? 0),
                let ledger = ledgerUpdate(for: report)
            {
                start.participants = participants
                start.ledger = ledger
            }
            if unnamed > 0 {
                start.unnamedCount = unnamed
                start.includesReceiver = position != nil
                let isNew = report?.participantsHash ?? 0 == 0
                start.acquaintances = acquaintances(
                    isNew ? configuration.acquaintancesSent : configuration.acquaintancesSentLater)
            }
            send(.start(start), to: receiver)
        }
    }

    /// What is new in the ledger since a report, or since the sum that its sender got.
    private mutating func ledgerUpdate(for report: RoundReport?) -> LedgerUpdate? {
        let update = root?.history.ledger(knowing: report?.ledgerHash ?? 0)
        guard let update, update.added.ranges.count > configuration.presumedRangesMin,
            let presumed = root?.presumedLedger(of: report)
        else { return update }
        return root?.history.ledger(knowing: presumed)
    }

    /// Some of all members, by chance: about so many.
    private mutating func acquaintances(_ count: Int) -> [ParticipantID] {
        guard let root else { return [] }
        let picks = Set((0..<count).map { _ in random.below(root.members.count) })
        return picks.sorted().map { root.members[$0].id }
    }

    mutating func receiveUnknown(_ round: RoundID, from sender: ParticipantID, at now: Instant) {
        learn(round.term, at: now)
        guard root != nil, round.term == term else { return ignore() }
        sendStart(to: [sender], isWhole: true)
    }

    // MARK: Step 2: reports

    mutating func receive(_ report: RoundReport, from sender: ParticipantID, at now: Instant) {
        guard report.round.term == term, root != nil else {
            learn(report.round.term, at: now)
            return ignore()
        }
        guard let position = root?.position(of: sender) else {
            // It has been dismissed and does not know.
            return sendStart(to: [sender])
        }
        guard isPlausible(report) else { return ignore() }
        _ = mayTakePart(sender, telling: report.reference, at: now)
        root?[position].silentSince = nil
        guard report.round == round else {
            // Too late for its round; still the last word.
            if root?[position].report.map({ $0.round < report.round }) ?? true {
                root?[position].report = report
            }
            return
        }
        root?.noteReport(report, at: position)
        noteFirstPass(report.claims, of: sender, speed: report.samplesPerSecond, at: now)
        root?[position].aging.observe(report.claims, age: configuration.lateAge, at: now)
        let uncommitted = report.seals.reduce(0) { $0 + $1.coverage.subtracting(ledger).count }
        root?[position].exhausted = report.claims.isEmpty ? uncommitted : nil
        guard case .reporting(let deadline) = root?.phase, let root else { return }
        if root.haveAllReported {
            endReports(at: now)
        } else if root.haveAllReliableReported {
            let patience = now + configuration.reportPatience
            self.root?.phase = .reporting(deadline: min(deadline, patience))
        }
    }

    private func isPlausible(_ report: RoundReport) -> Bool {
        guard isValid(report.claims), isValid(speed: report.samplesPerSecond),
            isValid(speed: report.bytesPerSecond),
            report.seals.count <= configuration.sealsMax, report.filmUnits >= 0,
            report.filmUnits <= workSpace.count
        else { return false }
        let isVerified = configuration.verifiedShare > 0
        let numbers = Set(report.seals.map(\.number))
        return numbers.count == report.seals.count
            && report.seals.allSatisfy {
                !$0.coverage.isEmpty && isValid($0.coverage)
                    && $0.digests.count == (isVerified ? $0.coverage.count : 0)
            }
    }

    mutating func receive(_ message: Exhausted, from sender: ParticipantID, at now: Instant) {
        learn(message.term, at: now)
        guard message.term == term, root != nil else { return ignore() }
        guard let position = root?.position(of: sender) else { return sendStart(to: [sender]) }
        root?[position].exhausted = min(max(0, message.uncommittedUnits), workSpace.count)
    }

    private mutating func endReports(at now: Instant) {
        guard var root else { return }
        root.lateBook = nil
        for position in root.members.indices.dropFirst() where !root[position].hasReported {
            root[position].missedRounds += 1
            if root[position].silentSince == nil { root[position].silentSince = root.startedAt }
        }
        // Everything is rendered: no reason to wait for the interval.
        let isIdle =
            deque.isEmpty && inProgress.isEmpty && grants.lent.isEmpty && helping.isEmpty
            && root.others.allSatisfy { $0.hasReported && $0.report?.claims.isEmpty == true }
        if isIdle, root.abandonedInRow == 0, !isComplete { root.wantsData = true }
        root.isIdle = isIdle
        root[0].aging.observe(claims, age: configuration.lateAge, at: now)
        self.root = root
        countLosses(at: now)
        drawChecks(at: now)
        if let best = largestFilm(), best.filmUnits > filmCoverage.count, fetch.deadline == nil {
            self.root?.phase = .adopting(best.holder, deadline: now + configuration.fetchTimeout)
            let next = now + heartbeat
            self.root?.beatAt = next
            return startFetch(from: [best.holder], at: now)
        }
        planRound(at: now)
    }

    /// Finds the units that nobody holds; lost ones become claims of the root. Counts only once
    /// all listed participants have reported to this root: their last word stands until they are
    /// dismissed.
    private mutating func countLosses(at now: Instant) {
        guard let root, !isComplete, root.others.allSatisfy({ $0.report != nil }),
            root.countsLossesAt <= now, !lacks(.lossesNotCounted)
        else { return }
        var ranges = ledger.ranges + partials.coverage.ranges + claims.ranges + closedUnits.ranges
        for member in root.others {
            guard let report = member.report else { continue }
            ranges += report.claims.ranges
            // What never arrives is held by nobody, as far as the frame is concerned.
            guard !isMute(member) else { continue }
            for seal in report.seals { ranges += seal.coverage.ranges }
        }
        let unmentioned = IntervalSet(workSpace.all).subtracting(IntervalSet(ranges))
        let lost = self.root?.loss.observe(unmentioned: unmentioned) ?? IntervalSet()
        guard !lost.isEmpty else { return }
        statistics.unitsLost += lost.count
        emit(.event(.lost(lost)))
        addClaims(lost, at: now)
    }

    /// Whether a member reports, but nothing that it contributes ever arrives. Patience is shorter
    /// when nothing else is left to do: then the frame waits for this, and devices are free.
    func isMute(_ member: RootState.Member) -> Bool {
        let limit =
            root?.isIdle == true ? configuration.failuresMaxIdle : configuration.failuresMax
        // Who holds nothing any more, and is not left out at present, may try again.
        let hasNothing = member.report?.seals.isEmpty ?? true
        let mayTry = hasNothing && member.excludedBefore <= root?.dataNumber ?? 0
        return member.failures >= limit && !mayTry && !lacks(.muteWaitedFor)
    }

    private func largestFilm() -> (holder: ParticipantID, filmUnits: Int)? {
        guard let root else { return nil }
        var best: (holder: ParticipantID, filmUnits: Int)?
        for member in root.others
        where member.hasReported && member.notFetchedBefore <= root.number
            && !isHeldBack(member.id)
        {
            guard let units = member.report?.filmUnits else { continue }
            if units > best?.filmUnits ?? 0 { best = (member.id, units) }
        }
        return best
    }

    // MARK: Adoption

    /// The film was replaced by a larger one: that is the ledger now, and a new round tells all.
    mutating func filmAdopted(at now: Instant) {
        guard let root else { return }
        if case .gathering = root.phase { endGathering() }
        statistics.filmsAdopted += 1
        ledgerBook.replace(with: filmCoverage)
        clearCommitted(at: now)
        resetStages()
        self.root?.loss.reset()
        self.root?.phase = .idle
        self.root?.nextDataAt = now
        self.root?.nextStartAt = root.earliestStart(at: now, configuration)
        if isComplete { self.root?.farewells = 0 }
    }

    /// The larger film could not be had; the round goes on without it.
    mutating func adoptionFailed(at now: Instant) {
        guard let root, case .adopting(let holder, _) = root.phase else { return }
        fetch.deadline = nil
        self.root?.excludeFilm(of: holder)
        planRound(at: now)
    }
}
