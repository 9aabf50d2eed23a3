// Adaptive frames: the root asks its driver which tiles need the next stage, as soon as its film has
// all the stages before. It opens that to them, and waives it for the others: waived units are in the
// coverage of films, and nobody renders them (docs/PROTOCOL.md §9).

public import MeshCore

extension FrameParticipant {
    /// Units of stages that are not open, at a root: nobody has to hold them. For checks.
    package var closedUnits: IntervalSet { root?.stages?.closed ?? IntervalSet() }

    /// Root: asks about the tiles whose open stages have all come into the film.
    mutating func judgeTiles() {
        guard root?.stages != nil, root?.judgedUnits != filmCoverage.count, !isComplete else {
            return
        }
        root?.judgedUnits = filmCoverage.count
        let film =
            lacks(.stagesJudgedEarly) ? filmCoverage.union(partials.coverage) : filmCoverage
        let due = root?.stages?.due(film) ?? []
        if !due.isEmpty { emit(.judge(due, term: term)) }
    }

    /// The driver has looked at the tiles that `judge` named.
    /// - Parameters:
    ///   - asked: as the directive had them.
    ///   - needed: the tiles among them that need the next stage, by the film that the node had
    ///     when it performed the directive.
    ///   - askedTerm: the term of the directive; answers for a former one are ignored.
    public mutating func judged(
        _ asked: [TileStage], needed: Set<Int>, term askedTerm: Term, at now: Instant
    ) {
        defer { settle(at: now) }
        // A machine that miscalculates does not see noise as it is.
        let needed = isQuarantined ? Set(asked.map(\.tile)) : needed
        guard term == askedTerm, let opened = root?.stages?.settle(asked, needed: needed) else {
            return
        }
        claimOpened(opened, at: now)
    }

    /// The root claims the units that it has opened, but not those that others say they hold: a
    /// former root opened them. Until all have reported it leaves that to the count of losses.
    private mutating func claimOpened(_ units: IntervalSet, at now: Instant) {
        guard let root, root.others.allSatisfy({ $0.report != nil }) else { return }
        var held: [SampleRange] = []
        for report in root.others.compactMap(\.report) {
            held += report.claims.ranges
            for seal in report.seals { held += seal.coverage.ranges }
        }
        addClaims(units.subtracting(IntervalSet(held)), at: now)
    }

    /// Root: puts what is to be waived into a sealed partial film of its own, before a round.
    mutating func sealWaived() {
        guard hasUnitsToWaive, !lacks(.waivedUnitsForgotten) else { return }
        let known = ledger.union(partials.coverage)
        guard partials.seals.count < configuration.sealsMax,
            let units = root?.stages?.takePending(besides: known), !units.isEmpty
        else { return }
        deque.remove(units)
        emit(.sealWaived(partials.seal(waived: units), units))
    }

    /// Whether some units only wait for a round to be waived.
    var hasUnitsToWaive: Bool { root?.stages?.pending.isEmpty == false }

    /// Root: what is open follows from the film that it has now.
    mutating func resetStages() {
        guard workSpace.isAdaptive, root != nil else { return }
        dropWaived()
        root?.stages = StageBook(workSpace, film: filmCoverage)
        root?.judgedUnits = -1
    }

    /// Waived units belong to the root that waived them: the next decides for itself.
    mutating func dropWaived() {
        let dropped = partials.dropWaived()
        if !dropped.isEmpty { emit(.drop(dropped)) }
    }
}
