// Thief and victim, and the late units that an idle node renders a second time
// (docs/PROTOCOL.md §4).

import MeshCore

extension FrameParticipant {
    // MARK: Thief

    /// Whether this node is about to run dry and may ask.
    var wantsToSteal: Bool {
        guard isListed, speed > 0, mayRender, participantCount > 1, !isLedgerComplete,
            !isComplete
        else { return false }
        return Double(deque.samples) < speed * configuration.stealAhead.seconds
    }

    /// Asks the next victim, or backs off when all have refused.
    mutating func steal(at now: Instant) {
        guard thief.request == nil, thief.nextAt <= now, wantsToSteal else { return }
        let dead = dead
        guard
            let victim = thief.victims.next(
                among: unnamedCount == 0 || acquaintances.isEmpty ? participants : acquaintances,
                isDead: { dead.contains($0) }, random: &random)
        else {
            thief.victims.restart()
            thief.nextAt = now + thief.backoff + random.duration(below: thief.backoff)
            let longest = max(
                configuration.stealBackoffMax,
                configuration.stealBackoffPerParticipant * participantCount)
            thief.backoff = min(thief.backoff + thief.backoff, longest)
            if thief.isStarving, !hasWork { askForLateUnits(at: now) }
            return
        }
        let number = thief.nextNumber
        thief.nextNumber += 1
        thief.request = ThiefState.Request(
            number: number, victim: victim, deadline: now + configuration.stealTimeout)
        statistics.stealsAsked += 1
        send(
            .stealRequest(StealRequest(term: term, number: number, samplesPerSecond: speed)),
            to: victim)
    }

    mutating func receive(_ grant: StealGrant, from sender: ParticipantID, at now: Instant) {
        guard grant.grant.victim == sender, isValid(grant.units) else { return ignore() }
        learn(grant.term, at: now)
        if thief.request?.number == grant.request { thief.request = nil }
        if let accepted = grants.answer(to: grant.grant) {
            send(accepted ? .grantAccepted(grant.grant) : .grantRefused(grant.grant), to: sender)
            return
        }
        let accepts = isListed && !isLedgerComplete
        grants.remember(grant.grant, accepted: accepts)
        guard accepts else {
            send(.grantRefused(grant.grant), to: sender)
            return
        }
        statistics.stealsWon += 1
        thief.backoff = configuration.stealBackoffMin
        thief.nextAt = now
        // A unit may come back before the answer to the grant it went away with.
        grants.subtract(grant.units)
        addClaims(grant.units, areStolen: true, at: now)
        send(.grantAccepted(grant.grant), to: sender)
    }

    mutating func receive(_ refusal: StealRefusal, from sender: ParticipantID, at now: Instant) {
        learn(refusal.term, at: now)
        guard let request = thief.request, request.number == refusal.request,
            request.victim == sender
        else { return }
        thief.request = nil
        statistics.stealsRefused += 1
        // What was heard of it is over. It is not known to be empty from now on either: work moves.
        thief.victims.forget(sender)
    }

    // MARK: Victim

    mutating func receive(_ request: StealRequest, from thief: ParticipantID, at now: Instant) {
        guard isValid(speed: request.samplesPerSecond), request.samplesPerSecond > 0 else {
            return ignore()
        }
        learn(request.term, at: now)
        // One grant at a time: what a thief does not answer for may never have reached it.
        if let open = grants.openGrant(to: thief, request: request.number) {
            return sendGrant(open)
        }
        if request.term == term, isListed, isParticipant(thief),
            give(to: thief, speed: request.samplesPerSecond, request: request.number, at: now)
        {
            return
        }
        statistics.requestsRefused += 1
        send(.stealRefusal(StealRefusal(term: term, request: request.number)), to: thief)
        guard request.term == term, isListed, isParticipant(thief) else { return }
        waiting.removeAll { $0.id == thief || $0.until <= now }
        if waiting.count < configuration.waitingMax {
            waiting.append(
                WaitingThief(
                    id: thief, samplesPerSecond: request.samplesPerSecond,
                    until: now + configuration.waitingTime))
        }
    }

    /// Whether somebody else takes part, as far as this node knows, and its results arrive.
    /// Whom the list of a large frame does not name is believed: its request names the term.
    func isParticipant(_ other: ParticipantID) -> Bool {
        if let root, let position = root.position(of: other) { return !isMute(root[position]) }
        return unnamedCount > 0 || participants.contains(other)
    }

    /// The root gives newcomers their parts of what it holds before they ask, in proportion to all
    /// their speeds: above all of the first pass, of which thieves that take what they find get too
    /// much or too little, and the first image waits for the unluckiest.
    mutating func share(with newcomers: [Newcomer], at now: Instant) {
        guard configuration.sharesWithNewcomers else { return }
        // The slowest first: what is left over by rounding down ends with the fastest.
        let ordered = newcomers.sorted {
            ($0.samplesPerSecond, $0.id) < ($1.samplesPerSecond, $1.id)
        }
        var rest = ordered.reduce(0) { $0 + $1.samplesPerSecond }
        for member in ordered where member.samplesPerSecond > 0 && !deque.isEmpty {
            rest -= member.samplesPerSecond
            // Who has not told what it got of the reference unit renders that before.
            let ahead = root?.references.knows(member.id) == true ? 0 : 1
            _ = give(
                to: member.id, speed: member.samplesPerSecond, keepingFor: max(0, rest),
                ahead: ahead, request: 0, at: now)
        }
    }

    /// Lends a thief its share of what is left.
    /// - Parameters:
    ///   - others: the speed of those who are to have a part of it too.
    ///   - ahead: see ``ClaimDeque/give(thiefSpeed:victimSpeed:ahead:)``.
    /// - Returns: false when there is nothing worth giving.
    private mutating func give(
        to thief: ParticipantID, speed thiefSpeed: Double, keepingFor others: Double = 0,
        ahead: Int = 0, request: UInt64, at now: Instant
    ) -> Bool {
        guard !grants.isFull else { return false }
        // A victim that has not been measured yet takes itself for the thief's equal.
        let units = deque.give(
            thiefSpeed: thiefSpeed, victimSpeed: others + (isSpeedKnown ? speed : thiefSpeed),
            ahead: ahead)
        guard !units.isEmpty else { return false }
        _ = grants.lend(units, to: thief, request: request, at: now)
        statistics.grantsGiven += 1
        waiting.removeAll { $0.id == thief }
        noteFirstPass(units, of: thief, speed: thiefSpeed, at: now)
        if let lent = grants.lent.last { sendGrant(lent) }
        return true
    }

    mutating func sendGrant(_ lent: GrantBook.Lent) {
        send(
            .stealGrant(
                StealGrant(
                    term: term, grant: lent.id, request: lent.request, units: lent.units)),
            to: lent.thief)
    }

    /// Gives work to thieves that asked in vain a moment ago.
    mutating func pushWork(at now: Instant) {
        guard !waiting.isEmpty, isListed else { return }
        waiting.removeAll { $0.until <= now }
        while let next = waiting.first,
            Double(deque.samples) > 2 * speed * configuration.stealAhead.seconds
        {
            waiting.removeFirst()
            if give(to: next.id, speed: next.samplesPerSecond, request: 0, at: now) {
                statistics.grantsPushed += 1
            }
        }
    }

    mutating func receiveAnswer(
        to id: GrantID, accepted: Bool, from thief: ParticipantID, at now: Instant
    ) {
        guard let lent = grants.settle(id, from: thief), !accepted else { return }
        takeBack(lent, at: now)
    }

    /// Takes back what was lent to the dead, the dismissed and the silent.
    mutating func takeBackGrants(at now: Instant) {
        let back = grants.takeBack(at: now) { dead.contains($0) }
        for lent in back {
            statistics.grantsTakenBack += 1
            takeBack(lent, at: now)
        }
    }

    private mutating func takeBack(_ lent: GrantBook.Lent, at now: Instant) {
        addClaims(lent.units, at: now)
        if isOfFirstPass(lent.units), let position = root?.position(of: lent.thief) {
            root?[position].firstPassUntil = nil
        }
    }

    // MARK: Late units

    private mutating func askForLateUnits(at now: Instant) {
        if root != nil {
            helpWithLateUnit(identity, at: now)
        } else {
            send(.lateUnitRequest(term), to: term.root)
        }
    }

    /// From the root: render these as well.
    mutating func receiveLate(_ late: LateUnits, from sender: ParticipantID, at now: Instant) {
        guard late.term == term, sender == term.root, isListed, isValid(late.units),
            late.units.count <= configuration.lateUnitsMax
        else { return ignore() }
        help(with: late.units)
    }

    mutating func help(with units: IntervalSet) {
        var fresh = units.subtracting(ledger).subtracting(partials.coverage)
        fresh.subtract(claims)
        guard !fresh.isEmpty, helping.count + fresh.count <= configuration.helpingMax else {
            return
        }
        helping.formUnion(fresh)
        emit(.workAvailable)
    }

    /// From the root: somebody else renders these too.
    mutating func receiveContested(
        _ late: LateUnits, from sender: ParticipantID, at now: Instant
    ) {
        guard late.term == term, sender == term.root, isValid(late.units),
            late.units.count <= configuration.lateUnitsMax
        else { return ignore() }
        contest(late.units)
    }

    /// A unit on a device is kept apart when it is done; one not begun is left to the helper.
    mutating func contest(_ units: IntervalSet) {
        for index in inProgress.indices where units.contains(inProgress[index].unit) {
            inProgress[index].isApart = true
        }
        contested.formUnion(units.intersection(grants.units))
        deque.remove(units)
    }

    mutating func ignore() { statistics.messagesIgnored += 1 }

    // MARK: Out of work

    /// Tells the root when nothing is left here, so that the last round begins at once.
    mutating func noteExhaustion(at now: Instant) {
        let isEmpty =
            isListed && deque.isEmpty && helping.isEmpty && inProgress.isEmpty
            && grants.lent.isEmpty && !isLedgerComplete
        guard isEmpty, root == nil else {
            saysExhausted = ExhaustedState()
            return
        }
        if saysExhausted.emptySince == nil {
            saysExhausted.emptySince = now
            saysExhausted.nextAt = now + configuration.exhaustedDelay
        }
        guard let at = saysExhausted.nextAt, at <= now else { return }
        send(
            .exhausted(Exhausted(term: term, uncommittedUnits: partials.coverage.count)),
            to: term.root)
        saysExhausted.nextAt = now + configuration.exhaustedRepeat
    }
}
