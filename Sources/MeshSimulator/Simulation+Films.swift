// The driver's part of a frame: films, partial films, contributions up the tree, sums down, whole
// films fetched. It does exactly what the machine says and checks that this is right.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// Changes the films of one frame at one node.
    private mutating func withKeeper<T>(
        _ frame: FrameID, at index: Int, _ body: (FilmKeeper) -> T
    ) -> T? {
        guard let keeper = keeper(frame, at: index) else { return nil }
        filmsChanged = true
        return body(keeper)
    }

    private func keeper(_ frame: FrameID, at index: Int) -> FilmKeeper? {
        nodes[index].process?.drivers[frame]
    }

    /// Puts a rendered unit where the machine wants it.
    mutating func keep(
        _ unit: Int, _ disposition: UnitDisposition, of frame: FrameID, at index: Int
    ) {
        guard let job = job(of: frame), let kept = keeper(frame, at: index) else { return }
        let film = SimulatedFilm(unit: unit, jobs[job].tallies)
        let isHeld =
            kept.open.coverage.contains(unit)
            || kept.seals.contains { $0.film.coverage.contains(unit) }
        if isHeld, disposition != .discard {
            violate(.twoResults, "node \(index) keeps unit \(unit) of \(frame) twice")
            return
        }
        switch disposition {
        case .addToOpen:
            _ = withKeeper(frame, at: index) { $0.open.add(film) }
        case .sealApart(let number):
            addSeal(number, film, of: frame, at: index)
        case .discard:
            break
        }
    }

    private mutating func addSeal(
        _ number: SealNumber, _ film: SimulatedFilm, of frame: FrameID, at index: Int
    ) {
        if keeper(frame, at: index)?.seal(number) != nil {
            violate(.disagreement, "node \(index) uses \(number) of \(frame) twice")
        }
        _ = withKeeper(frame, at: index) {
            $0.seals.append((number, film))
            $0.seals.sort { $0.number < $1.number }
        }
    }

    mutating func perform(_ directive: FrameDirective, of frame: FrameID, at index: Int) {
        guard let kept = keeper(frame, at: index) else { return }
        log?("\(now) node \(index): \(directive)")
        switch directive {
        case .seal(let number):
            addSeal(number, kept.open, of: frame, at: index)
            _ = withKeeper(frame, at: index) { $0.open = SimulatedFilm() }
        case .drop(let numbers):
            _ = withKeeper(frame, at: index) { keeper in
                keeper.seals.removeAll { numbers.contains($0.number) }
            }
        case .dropOpen:
            _ = withKeeper(frame, at: index) { $0.open = SimulatedFilm() }
        case .contribute(let round, let seals, let parent, let children):
            contribute(frame, round, seals: seals, parent: parent, children: children, at: index)
        case .gather(let round, let seals, let children):
            timeline?.beginRound(round, root: index, at: now)
            contribute(frame, round, seals: seals, parent: nil, children: children, at: index)
        case .abandon(let round):
            _ = withKeeper(frame, at: index) { keeper in
                keeper.contributions[round] = nil
                keeper.buffers[round] = nil
                keeper.early.removeAll { $0.round == round }
            }
        case .commit(let round):
            commit(frame, round, at: index)
        case .broadcast(let round, let ledger, let receivers):
            let buffer = withKeeper(frame, at: index) { $0.buffers.removeValue(forKey: round) }
            if let buffer = buffer ?? nil {
                pass(frame, round, ledger, buffer, to: receivers, flowsFrom: now, from: index)
            }
        case .fetchFilm(let sources):
            _ = withKeeper(frame, at: index) { $0.fetch = PendingFetch(others: sources) }
            fetchElsewhere(frame, at: index)
        case .send, .event, .workAvailable:
            violate(.disagreement, "node \(index) passes on \(directive)")
        }
    }

    // MARK: Up the tree

    private mutating func contribute(
        _ frame: FrameID, _ round: RoundID, seals: [SealNumber], parent: ParticipantID?,
        children: [ParticipantID], at index: Int
    ) {
        let now = now
        _ = withKeeper(frame, at: index) {
            $0.contributions[round] = PendingContribution(
                seals: seals, parent: parent, waitsFor: children, flowsFrom: now)
        }
        let event = SimulatedEvent.local(
            node: index, boot: nodes[index].boot, .contributionStalls(frame, round))
        queue.add(event, at: now + configuration.network.stallLimit)
        for early in keeper(frame, at: index)?.early ?? [] where early.round == round {
            add(early.film, of: early.child, flowsFrom: now, to: frame, round, at: index)
        }
        _ = withKeeper(frame, at: index) { $0.early.removeAll { $0.round == round } }
        finishContribution(frame, round, at: index)
    }

    /// Adds a child's film to a contribution that waits for it.
    private mutating func add(
        _ film: SimulatedFilm, of child: ParticipantID, flowsFrom: Instant, to frame: FrameID,
        _ round: RoundID, at index: Int
    ) {
        guard let pending = keeper(frame, at: index)?.contributions[round],
            let place = pending.waitsFor.firstIndex(of: child)
        else { return }
        let isChecked = !lacks(.disjointnessUnchecked)
        let isAdded = withKeeper(frame, at: index) { keeper in
            keeper.contributions[round]?.waitsFor.remove(at: place)
            keeper.contributions[round]?.flowsFrom = max(pending.flowsFrom, flowsFrom)
            return keeper.contributions[round]?.sum.add(film, isChecked: isChecked) ?? false
        }
        if isAdded != true { failContribution(frame, round, cause: child, at: index) }
    }

    /// Sends a contribution on, or hands it to the root's machine, once all children are in.
    private mutating func finishContribution(_ frame: FrameID, _ round: RoundID, at index: Int) {
        guard let kept = keeper(frame, at: index), let pending = kept.contributions[round],
            pending.waitsFor.isEmpty, let local = localTime(index),
            let identity = nodes[index].process?.identity
        else { return }
        var sum = pending.sum
        for number in pending.seals {
            guard let seal = kept.seal(number),
                sum.add(seal, isChecked: !lacks(.disjointnessUnchecked))
            else {
                failContribution(frame, round, cause: identity, at: index)
                return
            }
        }
        if lacks(.parentAddsIntoSeal), pending.sum != SimulatedFilm() {
            _ = withKeeper(frame, at: index) { $0.replace(pending.seals.first, with: sum) }
        }
        _ = withKeeper(frame, at: index) { $0.contributions[round] = nil }
        if let parent = pending.parent {
            stream(
                .contribution(frame, round, sender: identity, sum), of: sum, frame,
                flowsFrom: pending.flowsFrom, from: index, to: parent)
        } else {
            _ = withKeeper(frame, at: index) { $0.buffers[round] = sum }
            nodes[index].process?.node.gathered(
                frame, round: round, coverage: sum.coverage, at: local)
        }
    }

    mutating func failContribution(
        _ frame: FrameID, _ round: RoundID, cause: ParticipantID, at index: Int
    ) {
        guard let local = localTime(index) else { return }
        _ = withKeeper(frame, at: index) { $0.contributions[round] = nil }
        nodes[index].process?.node.contributionFailed(frame, round: round, cause: cause, at: local)
    }

    /// The children of a contribution have had their time.
    mutating func stall(_ frame: FrameID, _ round: RoundID, at index: Int) {
        guard let child = keeper(frame, at: index)?.contributions[round]?.waitsFor.first else {
            return
        }
        if mayStillCome(frame, round, at: index) { return }
        guard lacks(.plannedCoverageCommitted) else {
            return failContribution(frame, round, cause: child, at: index)
        }
        _ = withKeeper(frame, at: index) { $0.contributions[round]?.waitsFor = [] }
        finishContribution(frame, round, at: index)
    }

    private mutating func commit(_ frame: FrameID, _ round: RoundID, at index: Int) {
        let name = lacks(.termWithoutRoot) ? round.withoutRoot : round
        if !commits.insert(CommittedRound(frame: frame, round: name)).inserted {
            violate(.doubleCommit, "\(round) of \(frame)")
        }
        let isAdded = withKeeper(frame, at: index) { keeper in
            keeper.buffers[round].map { keeper.film.add($0) }
        }
        switch isAdded ?? nil {
        case true?: break
        case false?: violate(.overlappingMerge, "node \(index) commits \(round) of \(frame)")
        case nil: violate(.disagreement, "node \(index) commits \(round), which it has not")
        }
    }

    // MARK: Down the tree, and whole films

    /// Sends a sum to the first of each half of the receivers, which pass it on.
    private mutating func pass(
        _ frame: FrameID, _ round: RoundID, _ ledger: IntervalSet, _ film: SimulatedFilm,
        to receivers: [ParticipantID], flowsFrom: Instant, from index: Int
    ) {
        let middle = (receivers.count + 1) / 2
        for half in [receivers[..<middle], receivers[middle...]] {
            guard let child = half.first else { continue }
            stream(
                .sum(frame, round, ledger: ledger, receivers: Array(half.dropFirst()), film),
                of: film, frame, flowsFrom: flowsFrom, from: index, to: child)
        }
    }

    /// Opens a stream to a participant whose address the node knows.
    private mutating func stream(
        _ transfer: FilmTransfer, of film: SimulatedFilm?, _ frame: FrameID,
        flowsFrom: Instant? = nil, from index: Int, to participant: ParticipantID
    ) {
        guard let address = nodes[index].process?.node.address(of: participant),
            let other = self.index(at: address), let job = job(of: frame)
        else { return }
        let bytes = film.map {
            jobs[job].tallies.streamBytes(
                of: $0.coverage, bytesPerPixel: configuration.bytesPerPixel)
        }
        send(transfer, bytes: bytes ?? 64, flowsFrom: flowsFrom, from: index, to: other)
    }

    /// Asks the next source for its film, or gives up.
    mutating func fetchElsewhere(_ frame: FrameID, at index: Int) {
        guard var fetch = keeper(frame, at: index)?.fetch, let local = localTime(index) else {
            return
        }
        guard let source = fetch.others.first else {
            _ = withKeeper(frame, at: index) { $0.fetch = nil }
            nodes[index].process?.node.filmFetchFailed(frame, at: local)
            return
        }
        let number = (nodes[index].process?.fetches ?? 0) + 1
        nodes[index].process?.fetches = number
        fetch.number = number
        fetch.source = source
        fetch.others.removeFirst()
        _ = withKeeper(frame, at: index) { $0.fetch = fetch }
        stream(.request(frame, fetch: fetch.number), of: nil, frame, from: index, to: source)
        let event = SimulatedEvent.local(
            node: index, boot: nodes[index].boot, .fetchStalls(frame, fetch: fetch.number))
        queue.add(event, at: now + configuration.network.stallLimit)
    }

    /// A stream has come to its end.
    /// - Parameter isWhole: false when its sender died before that.
    mutating func receive(
        _ transfer: FilmTransfer, from: Int, isWhole: Bool, flowsFrom: Instant, at index: Int
    ) {
        guard let local = localTime(index) else { return }
        switch transfer {
        case .contribution(let frame, let round, let sender, let film):
            guard let kept = keeper(frame, at: index) else { return }
            if kept.contributions[round] == nil {
                _ = withKeeper(frame, at: index) { keeper in
                    if isWhole { keeper.early.append((round, sender, film)) }
                    if keeper.early.count > FilmKeeper.earlyMax { keeper.early.removeFirst() }
                }
            } else if isWhole {
                add(film, of: sender, flowsFrom: flowsFrom, to: frame, round, at: index)
                finishContribution(frame, round, at: index)
            } else {
                failContribution(frame, round, cause: sender, at: index)
            }
        case .sum(let frame, let round, let ledger, let receivers, let film):
            guard isWhole, keeper(frame, at: index) != nil else { return }
            pass(frame, round, ledger, film, to: receivers, flowsFrom: flowsFrom, from: index)
            let disposition = nodes[index].process?.node.sumArrived(
                frame, round: round, coverage: film.coverage, ledger: ledger, at: local)
            apply(disposition ?? .discard, film, to: frame, at: index)
        case .request(let frame, let fetch):
            guard isWhole, let identity = nodes[index].process?.identity,
                let job = job(of: frame)
            else { return }
            let film = keeper(frame, at: index)?.film
            let bytes = jobs[job].tallies.streamBytes(
                of: film?.coverage ?? IntervalSet(), bytesPerPixel: configuration.bytesPerPixel)
            send(
                .film(frame, fetch: fetch, source: identity, film), bytes: bytes, from: index,
                to: from)
        case .film(let frame, let number, let source, let film):
            guard let fetch = keeper(frame, at: index)?.fetch, fetch.number == number,
                fetch.source == source
            else { return }
            guard isWhole, let film else { return fetchElsewhere(frame, at: index) }
            _ = withKeeper(frame, at: index) { $0.fetch = nil }
            let disposition = nodes[index].process?.node.filmFetched(
                frame, coverage: film.coverage, from: source, at: local)
            apply(disposition ?? .discard, film, to: frame, at: index)
        }
    }

    private mutating func apply(
        _ disposition: FilmDisposition, _ film: SimulatedFilm, to frame: FrameID, at index: Int
    ) {
        switch disposition {
        case .add:
            let isAdded = withKeeper(frame, at: index) { $0.film.add(film) }
            if isAdded == false {
                violate(.overlappingMerge, "node \(index) adds a sum of \(frame)")
            }
        case .replace:
            _ = withKeeper(frame, at: index) { $0.film = film }
        case .discard:
            break
        }
    }
}
