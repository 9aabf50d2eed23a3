// The film of this node: sums that come down, and whole films that are fetched (docs/PROTOCOL.md
// §3 and §5).

public import MeshCore

extension FrameParticipant {
    /// A round's sum has arrived whole, with the ledger after it.
    /// - Returns: what the driver does with the sum. It is added when it is disjoint from the
    ///   film, whatever its term: that is always true, and saves it for a successor.
    public mutating func sumArrived(
        round: RoundID, coverage: IntervalSet, ledger: IntervalSet, at now: Instant
    ) -> FilmDisposition {
        defer { settle(at: now) }
        guard isValid(coverage), isValid(ledger), round.term.root != identity else {
            ignore()
            return .discard
        }
        learn(round.term, at: now)
        guard root == nil else { return .discard }
        var disposition = FilmDisposition.discard
        let before = filmCoverage.count
        let fits = filmCoverage.isDisjoint(with: coverage) || lacks(.sumAddedToAnyBase)
        if wantsFilm, !coverage.isEmpty, fits {
            filmCoverage.formUnion(lacks(.coverageFromMessage) ? ledger : coverage)
            disposition = .add
            noteCompletion(before: before)
        }
        if contribution == round { contribution = nil }
        if round.term == term, isListed {
            heardAt = max(heardAt, now)
            let stamp = CommitLedger.Stamp(round: round, isAfterCommit: true)
            applyLedger(ledger, at: stamp, now: now)
        }
        if filmCoverage == self.ledger {
            // One set in memory for both.
            filmCoverage = self.ledger
        } else {
            wantFilm(at: now + configuration.fetchDelay)
        }
        return disposition
    }

    private mutating func noteCompletion(before: Int) {
        if isComplete, before < workSpace.count { emit(.event(.complete)) }
    }

    // MARK: Fetching

    /// Gossip tells who holds a complete film; it is fetched if ours is not complete and wanted.
    public mutating func learnedCompleteFilm(at participant: ParticipantID, at now: Instant) {
        defer { settle(at: now) }
        guard participant != identity, !isComplete else { return }
        if !fetch.completeAt.contains(participant) {
            if fetch.completeAt.count >= 4 { fetch.completeAt.removeFirst() }
            fetch.completeAt.append(participant)
        }
        wantFilm(at: now)
    }

    /// Notes that a whole film is wanted, at the latest known moment of need.
    mutating func wantFilm(at due: Instant) {
        guard !isComplete, wantsFilm else { return }
        fetch.dueAt = fetch.dueAt.map { min($0, due) } ?? due
    }

    /// When the fetch that is wanted may begin.
    var fetchAt: Instant? {
        guard let due = fetch.dueAt, fetch.deadline == nil else { return nil }
        guard let last = fetch.lastAt else { return due }
        return max(due, last + configuration.fetchInterval)
    }

    mutating func beginFetch(at now: Instant) {
        guard let at = fetchAt, at <= now else { return }
        fetch.dueAt = nil
        let dead = dead
        var holders = fetch.completeAt.filter { !dead.contains($0) && mayAdoptFilm(of: $0) }
        if root == nil {
            // The film may have caught up, or be ahead of the ledger: then it is kept.
            let isBehind = filmCoverage.count <= ledger.count && filmCoverage != ledger
            guard !holders.isEmpty || isBehind else { return }
            if !holders.contains(term.root) { holders.append(term.root) }
        }
        guard !holders.isEmpty, !isComplete else { return }
        startFetch(from: holders, at: now)
    }

    mutating func startFetch(from holders: [ParticipantID], at now: Instant) {
        fetch.lastAt = now
        fetch.deadline = now + configuration.fetchTimeout
        statistics.filmFetches += 1
        emit(.fetchFilm(from: holders))
    }

    /// A whole film has arrived.
    /// - Returns: `.replace` when it holds at least as much as ours; else `.discard`.
    public mutating func filmFetched(
        coverage: IntervalSet, from participant: ParticipantID, at now: Instant
    ) -> FilmDisposition {
        defer { settle(at: now) }
        let before = filmCoverage.count
        let units = coverage.count
        let isBetter = root == nil ? units >= before : units > before
        guard isValid(coverage), coverage != filmCoverage, isBetter, mayReplaceFilm(units),
            mayAdoptFilm(of: participant)
        else {
            fetchEnded(at: now, failed: true)
            return .discard
        }
        filmCoverage = coverage
        noteCompletion(before: before)
        fetchEnded(at: now, failed: false)
        if root != nil { filmAdopted(at: now) }
        if isLedgerComplete, !isComplete { wantFilm(at: now + configuration.fetchInterval) }
        return .replace
    }

    /// Whether nothing is known against a film's holder. What a member's root holds is the frame's
    /// film, whoever it is.
    private func mayAdoptFilm(of holder: ParticipantID) -> Bool {
        !isHeldBack(holder) || holder == term.root
    }

    /// A root replaces its film between rounds only, unless the other one ends the frame.
    private func mayReplaceFilm(_ units: Int) -> Bool {
        guard let root, case .gathering = root.phase else { return true }
        return units == workSpace.count
    }

    /// None of the holders could give its film.
    public mutating func filmFetchFailed(at now: Instant) {
        fetchEnded(at: now, failed: true)
        settle(at: now)
    }

    mutating func fetchEnded(at now: Instant, failed: Bool) {
        fetch.deadline = nil
        if failed {
            fetch.completeAt = []
            adoptionFailed(at: now)
            if isLedgerComplete { wantFilm(at: now + configuration.fetchInterval) }
        }
    }
}
