// The root's data phase: plan, gather, commit or abandon; and when the next round is due.

public import MeshCore

extension FrameParticipant {
    // MARK: Step 3: plan

    mutating func planRound(at now: Instant) {
        guard var root, let round else { return }
        guard root.wantsData, !isComplete else { return finishRound(at: now) }
        root.dataNumber += 1
        // What is waived was not rendered, and is not verified.
        var offers = partials.seals
            .filter { $0.isWaived || mayContribute($0.number, of: identity) }
            .map { RoundPlanner.Offer(owner: identity, seal: $0.number, coverage: $0.coverage) }
        var excluded: Set<ParticipantID> = []
        for member in root.others where member.hasReported {
            if member.excludedBefore > root.dataNumber { excluded.insert(member.id) }
            for seal in member.report?.seals ?? [] where mayContribute(seal.number, of: member.id) {
                offers.append(
                    RoundPlanner.Offer(
                        owner: member.id, seal: seal.number, coverage: seal.coverage))
            }
        }
        let parts = RoundPlanner.plan(
            offers: offers, ledger: ledger, excluded: excluded,
            mayOverlap: lacks(.disjointnessUnchecked))
        root.lastDataAt = now
        guard !parts.isEmpty else {
            self.root = root
            return finishRound(at: now)
        }
        root.contributors = parts.map(\.owner).filter { $0 != identity }
        var seals: [ParticipantID: [SealNumber]] = [:]
        for part in parts { seals[part.owner] = part.seals }
        let stripes = plant(&root, seals: seals, units: parts.reduce(0) { $0 + $1.unitCount })
        root.plansRepeatAt = root.plans.isEmpty ? nil : now + reportTimeout / 2
        root.phase = .gathering(since: now)
        root.beatAt = now + heartbeat
        self.root = root
        statistics.dataRounds += 1
        for (node, plan) in root.plans { send(.plan(plan), to: node) }
        emit(.gather(round: round, seals: seals[identity] ?? [], stripes: stripes))
    }

    /// Whether nothing is known against what somebody has rendered.
    private func mayContribute(_ seal: SealNumber, of owner: ParticipantID) -> Bool {
        guard !isHeldBack(owner) else { return false }
        return configuration.verifiedShare == 0
            || root?.checks.isCleared(seal, of: owner) ?? false
    }

    /// Makes the trees of a round, and of them the plans of its contributors.
    /// - Parameter units: that are to be in the sum.
    /// - Returns: the root's own places.
    private mutating func plant(
        _ root: inout RootState, seals: [ParticipantID: [SealNumber]], units: Int
    ) -> [GatherPlace] {
        guard let round else { return [] }
        // A silent node would pass nothing on: it fetches the film when it is back.
        let receivers = root.others.filter { $0.hasReported && $0.report?.wantsFilm == true }
        let count = stripeCount(
            units: units, others: max(root.contributors.count, receivers.count))
        let contributors = root.contributors.map { id in
            let member = root.position(of: id).map { root[$0] }
            return ReducePlan.Candidate(id, bytesPerSecond: member?.report?.bytesPerSecond ?? 0)
        }
        let plan = ReducePlan(
            root: identity, contributors: contributors,
            receivers: receivers.map {
                ReducePlan.Candidate($0.id, bytesPerSecond: $0.report?.bytesPerSecond ?? 0)
            }, stripes: count, random: &random)
        root.plans = plan.contributors.map { id, places in
            (id, RoundPlan(round: round, seals: seals[id] ?? [], places: places))
        }
        return plan.root
    }

    /// Into how many stripes the tiles of a sum are divided: for a small one, latency counts.
    private func stripeCount(units: Int, others: Int) -> Int {
        let grid = workSpace.grid
        let share = Double(min(units, grid.count)) / Double(grid.count)
        let bytes = share * Double(grid.width * grid.height) * configuration.sumBytesPerPixel
        guard bytes >= Double(configuration.stripedBytesMin) else { return 1 }
        return max(1, min(configuration.stripesMax, others))
    }

    // MARK: Step 5: commit

    /// The buffer of a round is complete.
    /// - Parameter coverage: of exactly what was added to it, never of what was planned.
    public mutating func gathered(round: RoundID, coverage: IntervalSet, at now: Instant) {
        defer { settle(at: now) }
        guard let root, case .gathering(let since) = root.phase, round == self.round else {
            return
        }
        let coverage =
            lacks(.plannedCoverageCommitted) ? planned(besides: coverage) : coverage
        guard isValid(coverage), !coverage.isEmpty,
            ledgerBook.commit(coverage, round: round)
        else { return abandonRound(cause: nil, at: now) }
        filmCoverage.formUnion(coverage)
        statistics.commits += 1
        emit(.commit(round: round))
        emit(.release(round: round, ledger: ledger))
        emit(.event(.committed(round: round, ledgerUnits: ledger.count)))
        if isComplete {
            emit(.event(.complete))
            self.root?.checks = CheckBook()
        }
        let contributors = Set(root.contributors)
        for position in root.members.indices {
            if root[position].exhausted != nil { self.root?[position].exhausted = 0 }
            if contributors.contains(root[position].id) { self.root?[position].failures = 0 }
        }
        self.root?.lastCost = now - since
        let hash = LedgerUpdate.hash(of: ledger)
        self.root?.lastSum = (round, hash, now + (now - since))
        self.root?.abandonedInRow = 0
        self.root?.accused = [:]
        clearCommitted(at: now)
        finishRound(at: now)
    }

    // MARK: Abandoning

    mutating func receive(_ failure: RoundFailure, from sender: ParticipantID, at now: Instant) {
        guard let root, failure.round == round, root.contributors.contains(sender) else {
            return ignore()
        }
        // Who cannot reach the root as its parent is the one to be left out.
        let cause = failure.cause == identity ? sender : failure.cause
        guard root.contributors.contains(cause) else { return ignore() }
        // Who accuses one after the other may be the one that cannot reach them.
        if let before = root.accused[sender], before != cause, sender != cause {
            self.root?.exclude(sender)
        }
        self.root?.accused[sender] = cause
        abandonRound(cause: cause, at: now)
    }

    /// Gives the round in progress up. Without a known cause the root's children, and so all that
    /// came through them, are left out once.
    mutating func abandonRound(cause: ParticipantID?, at now: Instant) {
        guard var root, case .gathering = root.phase, let round else { return }
        if let cause, cause != identity {
            root.exclude(cause)
        } else {
            let identity = identity
            for (node, plan) in root.plans
            where plan.places.contains(where: { $0.parent == identity }) {
                root.exclude(node)
            }
        }
        root.abandonedInRow += 1
        self.root = root
        statistics.roundsAbandoned += 1
        endGathering()
        emit(.event(.roundAbandoned(round, cause: cause)))
        finishRound(at: now)
        let delay = configuration.abandonedDelay * min(root.abandonedInRow, 20)
        self.root?.nextDataAt = now + delay
        self.root?.nextStartAt = now + delay
    }

    mutating func endGathering() {
        if let round { emit(.abandon(round: round)) }
        root?.plans = []
        root?.plansRepeatAt = nil
    }

    // MARK: The next round

    /// Ends a round, with or without data, and sets the time of the next one.
    mutating func finishRound(at now: Instant) {
        guard var root else { return }
        root.phase = .idle
        root.plans = []
        root.plansRepeatAt = nil
        root.contributors = []
        let hurried = RoundSchedule.hurried(
            lastCost: root.lastCost, participants: root.members.count,
            configuration: configuration)
        if hasFirstImage {
            let interval = RoundSchedule.interval(
                elapsed: now - beganAt, lastCost: root.lastCost, rest: estimatedRest(),
                hurried: hurried, isAlone: root.members.count == 1, configuration: configuration)
            root.nextDataAt = max(now, root.lastDataAt + interval)
        } else {
            root.nextDataAt = firstImageDue(at: now, hurried: hurried)
        }
        var next = root.nextDataAt
        if root.members.count > 1 || root.loss.hasSuspects {
            next = min(next, root.startedAt + heartbeat)
        }
        let least = configuration.roundIntervalPerParticipant * root.members.count
        if root.loss.hasSuspects {
            next = min(next, root.startedAt + max(configuration.censusInterval, least))
        }
        if root.members.last?.id != participants.last {
            // There are newcomers.
            next = min(next, now + max(configuration.admissionDelay, least))
        }
        if isComplete { next = root.farewells == 0 ? now : root.startedAt + heartbeat }
        root.nextStartAt = max(root.earliestStart(at: now, configuration), next)
        self.root = root
    }

    /// The time until everything is rendered, by the speeds and partial films last reported.
    private func estimatedRest() -> Duration? {
        guard let root else { return nil }
        var done = ledger.ranges + partials.coverage.ranges
        var speeds = speed
        for member in root.others {
            speeds += member.samplesPerSecond
            for seal in member.report?.seals ?? [] { done += seal.coverage.ranges }
        }
        done += closedUnits.ranges
        let rest = IntervalSet(workSpace.all).subtracting(IntervalSet(done))
        guard speeds > 0 else { return nil }
        return Duration(seconds: Double(deque.weights.samples(of: rest)) / speeds)
    }
}
