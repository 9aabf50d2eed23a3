// A participant's part in rounds: it hears a start, applies the ledger, seals, reports, and
// contributes what the plan names (docs/PROTOCOL.md §5).

public import MeshCore

extension FrameParticipant {
    /// A message from another participant of the frame. Whatever makes no sense is counted and
    /// ignored.
    public mutating func receive(
        _ message: FrameMessage, from sender: ParticipantID, at now: Instant
    ) {
        guard sender != identity else { return ignore() }
        defer { settle(at: now) }
        switch message {
        case .admissionRequest(let request): receive(request, from: sender, at: now)
        case .start(let start): receive(start, from: sender, at: now)
        case .startUnknown(let round): receiveUnknown(round, from: sender, at: now)
        case .report(let report): receive(report, from: sender, at: now)
        case .plan(let plan): receive(plan, from: sender, at: now)
        case .contributionFailed(let failure): receive(failure, from: sender, at: now)
        case .exhausted(let exhausted): receive(exhausted, from: sender, at: now)
        case .firstPassDone(let term): receiveFirstPassDone(term, from: sender, at: now)
        case .stealRequest(let request): receive(request, from: sender, at: now)
        case .stealGrant(let grant): receive(grant, from: sender, at: now)
        case .stealRefusal(let refusal): receive(refusal, from: sender, at: now)
        case .grantAccepted(let id): receiveAnswer(to: id, accepted: true, from: sender, at: now)
        case .grantRefused(let id): receiveAnswer(to: id, accepted: false, from: sender, at: now)
        case .lateUnitRequest(let term):
            if root != nil, term == self.term { helpWithLateUnit(sender, at: now) }
        case .lateUnits(let late): receiveLate(late, from: sender, at: now)
        case .contested(let late): receiveContested(late, from: sender, at: now)
        case .check(let request): receive(request, from: sender, at: now)
        case .checked(let result): receive(result, from: sender, at: now)
        }
    }

    // MARK: Start and report

    private mutating func receive(
        _ start: RoundStart, from sender: ParticipantID, at now: Instant
    ) {
        guard start.round.term.root == sender, isValid(start) else { return ignore() }
        if start.round.term < term {
            // A root that does not know that it was succeeded.
            ignore()
            let request = AdmissionRequest(term: term, samplesPerSecond: speed)
            return send(.admissionRequest(request), to: sender)
        }
        learn(start.round.term, at: now)
        guard start.round.term == term, root == nil else { return ignore() }
        if let round, start.round < round { return ignore() }
        let stamp = stamp(start.round)
        let isOld = ledgerBook.isNewer(than: stamp)
        guard let list = start.participants.applied(to: participants),
            let ledger = isOld ? self.ledger : start.ledger.applied(to: self.ledger)
        else {
            if isListed { heardAt = now }
            return send(.startUnknown(start.round), to: sender)
        }
        guard list.first == sender,
            list.count <= configuration.participantsMax - start.unnamedCount, isValid(ledger)
        else { return ignore() }
        let isNew = round != start.round
        round = start.round
        if unnamedCount == 0, start.unnamedCount > 0 { meetSome(of: participants) }
        participants = list
        unnamedCount = start.unnamedCount
        noteDiffering(start.differing, at: now)
        obey(quarantine: start.quarantined)
        meet(start.acquaintances)
        if isNew { endContribution(before: start.round) }
        guard start.includesReceiver || participants.contains(identity) else {
            exile(at: now)
            return applyLedger(ledger, at: stamp, now: now)
        }
        // The root sends newcomers a part of its work along with their first start.
        if standing != .listed {
            thief.nextAt = max(thief.nextAt, now + configuration.stealBackoffMin)
        }
        standing = .listed
        heardAt = now
        applyLedger(ledger, at: stamp, now: now)
        if isNew { sealOpen() }
        var report = report(for: start.round)
        report.participantsHash = start.participants.hash
        report.ledgerHash = start.ledger.hash
        if !start.knowsReference { report.reference = reference.digest }
        send(.report(report), to: sender)
        // The root takes these for units to be rendered: it is told when they are.
        if isOfFirstPass(report.claims) { owesFirstPass = true }
        if isLedgerComplete { wantFilm(at: now + configuration.finalFetchDelay) }
    }

    /// Whether a start could be one: what it says as a whole is what its hashes say.
    private func isValid(_ start: RoundStart) -> Bool {
        let list = start.participants
        return (0...configuration.participantsMax).contains(start.unnamedCount)
            && start.acquaintances.count <= configuration.participantsMax
            && start.quarantined.count <= configuration.quarantinedMax
            && (0...configuration.participantsMax).contains(start.differing)
            && list.added.count <= configuration.participantsMax
            && list.removed.count <= configuration.participantsMax && isValid(start.ledger.added)
            && (!list.isWhole || list.applied(to: []) != nil)
            && (!start.ledger.isWhole || start.ledger.applied(to: IntervalSet()) != nil)
    }

    /// A frame has become large: what was the list of all is where acquaintances come from.
    private mutating func meetSome(of all: [ParticipantID]) {
        acquaintances = all.filter { $0 != identity }
        random.shuffle(&acquaintances)
        acquaintances = Array(acquaintances.prefix(configuration.acquaintancesMax))
    }

    /// Remembers participants of a large frame; the newest last.
    private mutating func meet(_ others: [ParticipantID]) {
        guard unnamedCount > 0 else { return acquaintances = [] }
        let others = others.suffix(configuration.acquaintancesMax).filter { $0 != identity }
        acquaintances.removeAll { others.contains($0) }
        acquaintances += others
        let surplus = acquaintances.count - configuration.acquaintancesMax
        if surplus > 0 { acquaintances.removeFirst(surplus) }
    }

    private func stamp(_ round: RoundID) -> CommitLedger.Stamp {
        CommitLedger.Stamp(round: round, isAfterCommit: false)
    }

    /// Seals what has been rendered since the last start.
    mutating func sealOpen() {
        if let number = partials.sealOpen(limit: configuration.sealsMax) { emit(.seal(number)) }
    }

    /// What this node holds. Units of the open partial film, if it could not be sealed or was
    /// begun since, count as claims: nobody else is to render them.
    func report(for round: RoundID) -> RoundReport {
        RoundReport(
            round: round,
            seals: partials.seals.filter { !$0.isWaived }.map {
                RoundReport.Seal(
                    number: $0.number, coverage: $0.coverage, digests: digests(of: $0.coverage))
            },
            claims: claims.union(partials.open), filmUnits: filmCoverage.count,
            samplesPerSecond: speed, bytesPerSecond: linkSpeed, wantsFilm: wantsFilm)
    }

    // MARK: Plan

    private mutating func receive(
        _ plan: RoundPlan, from sender: ParticipantID, at now: Instant
    ) {
        guard sender == term.root, plan.round == round, isListed, root == nil else {
            return ignore()
        }
        guard contribution != plan.round else { return }
        // Nobody is in a tree twice, and no seal is added twice.
        guard (1...TileStripe.countMax).contains(plan.places.count),
            plan.places.allSatisfy({ isPlausible($0, stripes: plan.places.count) }),
            Set(plan.seals).count == plan.seals.count
        else { return ignore() }
        guard plan.seals.allSatisfy({ coverage(of: $0) != nil }) else {
            // What was reported is there no longer: this node is the cause.
            let failure = RoundFailure(round: plan.round, cause: identity)
            return send(.contributionFailed(failure), to: sender)
        }
        contribution = plan.round
        emit(.contribute(round: plan.round, seals: plan.seals, places: plan.places))
    }

    private func isPlausible(_ place: TreePlace, stripes: Int) -> Bool {
        place.children.count <= ReduceTree.arity(stripes: stripes)
            && Set(place.children + [place.parent, identity]).count == place.children.count + 2
    }

    /// A newer round begins: what is left of the last one is of no use.
    mutating func endContribution(before round: RoundID?) {
        guard let old = contribution, old != round else { return }
        contribution = nil
        emit(.abandon(round: old))
    }

    /// The driver cannot go on with a round: a stream broke or stalled, coverages overlapped, a
    /// film was not there.
    /// - Parameter cause: the neighbour in the tree at the other end, or this node.
    public mutating func contributionFailed(
        round: RoundID, cause: ParticipantID, at now: Instant
    ) {
        defer { settle(at: now) }
        if root != nil {
            guard round == self.round else { return }
            return abandonRound(cause: cause, at: now)
        }
        guard contribution == round else { return }
        contribution = nil
        emit(.abandon(round: round))
        send(.contributionFailed(RoundFailure(round: round, cause: cause)), to: term.root)
    }

    // MARK: Ledger

    /// Takes over what is committed: drops partial films and claims that overlap it.
    mutating func applyLedger(
        _ coverage: IntervalSet, at stamp: CommitLedger.Stamp, now: Instant
    ) {
        guard ledgerBook.adopt(coverage, at: stamp) else { return }
        clearCommitted(at: now)
    }

    mutating func clearCommitted(at now: Instant) {
        let dropped = partials.drop(overlapping: ledger)
        if !dropped.seals.isEmpty { emit(.drop(dropped.seals)) }
        if dropped.open { emit(.dropOpen) }
        statistics.unitsDuplicated += dropped.unitsWasted
        if !dropped.waived.isEmpty { root?.stages?.restore(dropped.waived) }
        if !digests.isEmpty { forgetDigests() }
        deque.remove(ledger)
        helping.subtract(ledger)
        contested.subtract(ledger)
        grants.subtract(ledger)
        if isListed, !dropped.reclaimed.isEmpty { addClaims(dropped.reclaimed, at: now) }
    }
}
