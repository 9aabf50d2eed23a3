// Verification: a part of the units is rendered twice, on different nodes, and compared. Seals that
// wait for that go into no sum; who is found wrong is kept out, and what it holds is rendered again
// (docs/PROTOCOL.md §8).

import MeshCore

/// Units of others that this node renders for comparison.
struct CheckWork: Sendable {
    private var term: Term?
    private var queued = IntervalSet()
    private var inProgress: [(unit: Int, term: Term)] = []

    var isEmpty: Bool { queued.isEmpty }
    var count: Int { queued.count }

    mutating func add(_ units: IntervalSet, term: Term, limit: Int) {
        if self.term != term { queued = IntervalSet() }
        self.term = term
        for range in units.ranges where queued.count < limit {
            for unit in range.lowerBound..<min(range.upperBound, range.lowerBound + limit)
            where queued.count < limit {
                let isBegun = inProgress.contains { $0.unit == unit && $0.term == term }
                if !isBegun { queued.insert(unit) }
            }
        }
    }

    mutating func cancel() { queued = IntervalSet() }

    mutating func take() -> Int? {
        guard let term, let unit = queued.first else { return nil }
        queued.remove(unit)
        inProgress.append((unit, term))
        return unit
    }

    /// A device hands a unit back; false when it was none of these.
    mutating func putBack(_ unit: Int) -> Bool {
        guard let index = inProgress.firstIndex(where: { $0.unit == unit }) else { return false }
        if inProgress.remove(at: index).term == term { queued.insert(unit) }
        return true
    }

    /// A device has rendered a unit: for whom; nil when it was none of these.
    mutating func finish(_ unit: Int) -> Term? {
        inProgress.firstIndex { $0.unit == unit }.map { inProgress.remove(at: $0).term }
    }
}

extension FrameParticipant {
    // MARK: At every participant

    /// Who is wrong stays out with every boot.
    func isQuarantined(_ participant: ParticipantID) -> Bool {
        quarantined.contains { $0.node == participant.node }
    }

    func digests(of coverage: IntervalSet) -> [UnitDigest] {
        guard configuration.verifiedShare > 0 else { return [] }
        return coverage.ranges.flatMap { range in
            (range.lowerBound..<range.upperBound).map { digests[$0] ?? .none }
        }
    }

    /// Keeps the digests of what is not committed.
    mutating func forgetDigests() {
        let held = partials.coverage
        let wasFull = digests.count >= configuration.digestsMax
        digests = digests.filter { held.contains($0.key) }
        if wasFull { emit(.workAvailable) }
    }

    mutating func receive(_ request: CheckRequest, from sender: ParticipantID, at now: Instant) {
        learn(request.term, at: now)
        guard request.term == term, sender == term.root, isListed, isValid(request.units),
            configuration.verifiedShare > 0
        else { return ignore() }
        checkWork.add(request.units, term: term, limit: configuration.checksMax)
        emit(.workAvailable)
    }

    mutating func answerCheck(_ result: CheckResult, at now: Instant) {
        guard result.term == term else { return }
        if root != nil {
            settleCheck(result, from: identity, at: now)
        } else {
            send(.checked(result), to: term.root)
        }
    }

    /// A root says who was found wrong. This node may be among them: what it has rendered is worth
    /// nothing, and it renders no more.
    mutating func obey(quarantine: [ParticipantID]) {
        let wasQuarantined = isQuarantined
        // A successor may not have heard of all of them.
        for participant in quarantine
        where !quarantined.contains(participant)
            && quarantined.count < configuration.quarantinedMax
        {
            quarantined.append(participant)
        }
        guard isQuarantined, !wasQuarantined else { return }
        // Whose reference unit is wrong has been told so.
        if !isKeptOut { emit(.event(.quarantined(identity, unit: nil))) }
        stopRendering()
    }

    private mutating func stopRendering() {
        let dropped = partials.dropAll()
        statistics.unitsDuplicated += dropped.unitsWasted
        if !dropped.seals.isEmpty { emit(.drop(dropped.seals)) }
        if dropped.open { emit(.dropOpen) }
        digests = [:]
        inProgress = []
        checkWork = CheckWork()
        speed = 0
    }

    // MARK: At the root

    /// Draws units of what is newly sealed, and forgets the checks of what is gone.
    mutating func drawChecks(at now: Instant) {
        guard var root, configuration.verifiedShare > 0, !isComplete else { return }
        var seals = [(identity, report(for: RoundID(term: term, number: root.number)).seals)]
        for member in root.others { seals.append((member.id, member.report?.seals ?? [])) }
        let held = Dictionary(
            seals.map { ($0.0, Set($0.1.map(\.number))) }, uniquingKeysWith: { $0.union($1) })
        root.checks.retain(held)
        for (owner, seals) in seals {
            root.checks.draw(
                seals, of: owner, share: configuration.verifiedShare,
                limit: configuration.checksMax, random: &random, at: now)
        }
        self.root = root
        askForChecks(at: now)
    }

    /// Asks somebody, or somebody else, about each check that is due.
    mutating func askForChecks(at now: Instant) {
        guard var root else { return }
        var requests: [ParticipantID: IntervalSet] = [:]
        var asked: [ParticipantID] = []
        var wrong: [(ParticipantID, unit: Int)] = []
        var queues = root.checks.pending.reduce(into: [ParticipantID: Int]()) { queues, check in
            if let last = check.asked.last, check.deadline > now { queues[last, default: 0] += 1 }
        }
        for index in root.checks.pending.indices.reversed()
        where root.checks.pending[index].deadline <= now {
            let check = root.checks.pending[index]
            let fresh = candidates(for: check, in: root)
            // Who is slow, or has not heard it, is asked again when there is nobody else.
            let again = check.asked.last {
                $0 != check.objection?.from && root.position(of: $0) != nil && !dead.contains($0)
                    && !isHeldBack($0)
            }
            if check.tries < configuration.checkTriesMax, let other = pick(of: fresh) ?? again {
                let queue = queues[other, default: 0] + 1
                queues[other] = queue
                // Twice the time that its queue should take, in bounds: it may be stuck.
                let time =
                    configuration.checkTimeout
                    + min(renderTime(of: queue, by: other) * 2, configuration.checkQueueMax)
                root.checks.ask(other, at: index, until: now + time)
                if requests[other] == nil { asked.append(other) }
                requests[other, default: IntervalSet()].insert(check.unit)
                continue
            }
            let since = check.objection == nil ? beganAt : check.since
            if check.tries < configuration.checkTriesMax,
                now - since < configuration.checkPatience
            {
                root.checks.postpone(at: index, until: now + configuration.checkInterval)
                continue
            }
            root.checks.waive(at: index)
            statistics.unitsUnverified += 1
            if let objection = check.objection, !isHeldBack(objection.from) {
                // One against the other: the root believes itself, or who was not first.
                wrong.append((check.owner == identity ? objection.from : check.owner, check.unit))
            }
        }
        self.root = root
        for other in asked {
            let request = CheckRequest(term: term, units: requests[other] ?? IntervalSet())
            if other == identity {
                checkWork.add(request.units, term: term, limit: configuration.checksMax)
                emit(.workAvailable)
            } else {
                send(.check(request), to: other)
            }
        }
        for (participant, unit) in wrong {
            quarantine(participant, event: .quarantined(participant, unit: unit), at: now)
        }
    }

    /// How long a participant takes for so many units of average size.
    private func renderTime(of units: Int, by participant: ParticipantID) -> Duration {
        let known = root?.position(of: participant).flatMap { root?[$0].samplesPerSecond }
        let speed = participant == identity ? speed : known ?? 0
        guard speed > 0 else { return .zero }
        let all = deque.weights.samples(of: IntervalSet(workSpace.all))
        let seconds = Double(units) * Double(all) / Double(max(1, workSpace.count)) / speed
        return Duration(seconds: min(seconds, 1e6))
    }

    /// Who can render a unit that is to be checked, with its speed.
    private func candidates(
        for check: CheckBook.Check, in root: RootState
    ) -> [(id: ParticipantID, speed: Double)] {
        let all: [(id: ParticipantID, speed: Double)] = root.members.compactMap { member in
            let speed = member.id == identity ? speed : member.samplesPerSecond
            guard speed > 0, member.id != check.owner, !check.asked.contains(member.id),
                !dead.contains(member.id), !isHeldBack(member.id),
                member.id == identity || !isMute(member)
            else { return nil }
            return (member.id, speed)
        }
        // Those who have to get the same bits say more than those who come near.
        let owners = check.digest.arithmeticClass
        let alike = all.filter { root.checks.classes[$0.id] == owners }
        return alike.isEmpty ? all : alike
    }

    /// One of them by chance, in proportion to speed.
    private mutating func pick(
        of candidates: [(id: ParticipantID, speed: Double)]
    ) -> ParticipantID? {
        var rest = random.unit() * candidates.reduce(0) { $0 + $1.speed }
        for candidate in candidates {
            rest -= candidate.speed
            if rest < 0 { return candidate.id }
        }
        return candidates.last?.id
    }

    mutating func receive(_ result: CheckResult, from sender: ParticipantID, at now: Instant) {
        learn(result.term, at: now)
        guard result.term == term, root?.position(of: sender) != nil, !isHeldBack(sender),
            (0..<workSpace.count).contains(result.unit)
        else { return ignore() }
        settleCheck(result, from: sender, at: now)
    }

    private mutating func settleCheck(
        _ result: CheckResult, from sender: ParticipantID, at now: Instant
    ) {
        let verdict = root?.checks.settle(
            result.unit, digest: result.digest, from: sender, at: now)
        guard let verdict else { return }
        statistics.unitsVerified += verdict.settled
        for participant in verdict.wrong {
            quarantine(participant, event: .quarantined(participant, unit: result.unit), at: now)
        }
        if verdict.settled == 0 { askForChecks(at: now) }
        guard let root, root.phase == .idle, root.checks.pending.isEmpty else { return }
        // What waited for this may go into a sum now.
        let at = root.earliestStart(at: now, configuration)
        self.root?.nextStartAt = min(root.nextStartAt, max(at, root.nextDataAt))
    }

    /// Root: keeps a participant out of the frame. Its units are found to be held by nobody.
    /// - Parameter event: what people hear of it.
    mutating func quarantine(
        _ participant: ParticipantID, event: FrameEvent?, at now: Instant
    ) {
        guard var root, !isQuarantined(participant),
            quarantined.count < configuration.quarantinedMax
        else { return }
        quarantined.append(participant)
        root.checks.forget(participant, at: now)
        root.references.remove(participant)
        self.root = root
        if let event { emit(.event(event)) }
        if participant == identity { stopRendering() }
        // Everybody is to know, whoever leads next.
        sendStart(to: root.others.map(\.id))
        if case .gathering = root.phase,
            participant == identity
                || root.contributors.contains(participant)
        {
            return abandonRound(cause: participant, at: now)
        }
        self.root?.nextStartAt = min(
            root.nextStartAt, root.earliestStart(at: now, configuration))
    }
}
