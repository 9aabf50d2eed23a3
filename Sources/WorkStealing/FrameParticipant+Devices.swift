// The devices' side: units go out to be rendered, and come back rendered or not.

public import MeshCore

extension FrameParticipant {
    /// The next unit to render, which is then in progress; the lowest first. Nil: nothing now,
    /// ask again at `workAvailable`.
    ///
    /// When there is nothing else, a unit that another device of this node is stuck on is given
    /// out once more; the first result counts.
    public mutating func takeUnit(at now: Instant) -> Int? {
        defer { settle(at: now) }
        guard !isQuarantined else { return nil }
        if let unit = takeReference(at: now) { return unit }
        guard mayRender else { return nil }
        if let unit = checkWork.take() {
            thief.isStarving = false
            return unit
        }
        guard digests.count < configuration.digestsMax else { return nil }
        if let unit = deque.takeFirst() {
            begin(unit, isApart: contested.contains(unit), at: now)
            return unit
        }
        if let unit = helping.first {
            helping.remove(unit)
            begin(unit, isApart: true, at: now)
            return unit
        }
        if let stuck = stuckUnit, stuck.due <= now, !lacks(.stuckUnitsNotDoubled) {
            begin(stuck.unit, isApart: stuck.isApart, at: now)
            return stuck.unit
        }
        thief.isStarving = true
        return nil
    }

    mutating func begin(_ unit: Int, isApart: Bool, at now: Instant) {
        thief.isStarving = false
        inProgress.append(UnitInProgress(unit: unit, since: now, isApart: isApart))
    }

    /// The unit longest in progress and not yet doubled here, and when it counts as stuck.
    private var stuckUnit: (unit: Int, isApart: Bool, due: Instant)? {
        let single = inProgress.filter { entry in
            !ledger.contains(entry.unit)
                && inProgress.count(where: { $0.unit == entry.unit }) == 1
        }
        guard let oldest = single.min(by: { $0.since < $1.since }) else { return nil }
        return (oldest.unit, oldest.isApart, oldest.since + configuration.stuckAge)
    }

    /// When an idle device of this node is to double a stuck unit.
    var stuckDeadline: Instant? {
        guard thief.isStarving, !hasWork, let stuck = stuckUnit else { return nil }
        return max(stuck.due, stuckToldAt + configuration.stuckAge)
    }

    /// A paused device hands its unit back: it is a claim again, and may be stolen.
    public mutating func returnUnit(_ unit: Int, at now: Instant) {
        defer { settle(at: now) }
        if putBackReference(unit) || checkWork.putBack(unit) { return emit(.workAvailable) }
        guard let index = inProgress.firstIndex(where: { $0.unit == unit }) else { return }
        let entry = inProgress.remove(at: index)
        guard !entry.isApart, isListed else { return }
        addClaims(IntervalSet(SampleRange(unit, unit + 1)), at: now)
    }

    /// A device has finished a unit.
    /// - Parameter digest: of the result; needed in a verified frame, and of the reference unit.
    /// - Returns: what the driver does with the result.
    public mutating func rendered(
        _ unit: Int, digest: UnitDigest? = nil, at now: Instant
    ) -> UnitDisposition {
        defer { settle(at: now) }
        if finishReference(unit, digest: digest, at: now) { return .discard }
        if let term = checkWork.finish(unit) {
            answerCheck(CheckResult(term: term, unit: unit, digest: digest ?? .none), at: now)
            return .discard
        }
        guard !isQuarantined, let index = inProgress.firstIndex(where: { $0.unit == unit }) else {
            return .discard
        }
        let entry = inProgress.remove(at: index)
        statistics.unitsRendered += 1
        guard !ledger.contains(unit), !partials.contains(unit) || lacks(.twoResultsKept) else {
            statistics.unitsDuplicated += 1
            return .discard
        }
        // Of the result that is kept, not of a second one.
        if configuration.verifiedShare > 0, let digest { digests[unit] = digest }
        let claimed = IntervalSet(SampleRange(unit, unit + 1))
        deque.remove(claimed)
        helping.subtract(claimed)
        guard entry.isApart || contested.contains(unit) else {
            partials.addToOpen(unit)
            return .addToOpen
        }
        contested.subtract(claimed)
        guard
            let number = partials.sealApart(
                unit, limit: configuration.sealsMax, isNumbered: !lacks(.partialsNotToldApart))
        else {
            statistics.unitsDuplicated += 1
            return .discard
        }
        return .sealApart(number)
    }

    /// The measured speed of all devices that are working; zero when none is.
    public mutating func setSpeed(samplesPerSecond: Double) {
        guard isValid(speed: samplesPerSecond) else { return }
        speed = isQuarantined ? 0 : samplesPerSecond
        isSpeedKnown = true
    }

    /// What this node's link has moved of late; zero: not known.
    public mutating func setLinkSpeed(bytesPerSecond: Double) {
        guard isValid(speed: bytesPerSecond) else { return }
        linkSpeed = bytesPerSecond
    }

    /// Makes units claims of this node, as far as nothing is known of them here yet.
    mutating func addClaims(
        _ units: IntervalSet, areStolen: Bool = false, at now: Instant
    ) {
        var fresh = units.subtracting(ledger).subtracting(partials.coverage)
        fresh.subtract(grants.units)
        fresh.subtract(helping)
        fresh.subtract(IntervalSet(inProgress.map { SampleRange($0.unit, $0.unit + 1) }))
        guard !fresh.isEmpty else { return }
        if areStolen { deque.addStolen(fresh) } else { deque.add(fresh) }
        thief.victims.restart()
        emit(.workAvailable)
    }
}
