// The driver's part of a frame: films, partial films, commits, whole films fetched. It does exactly
// what the machine says and checks that this is right. Rounds are in Simulation+Rounds.swift.

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

    /// Changes films whose keeper is at hand.
    mutating func changeFilms(_ body: () -> Void) {
        filmsChanged = true
        body()
    }

    func keeper(_ frame: FrameID, at index: Int) -> FilmKeeper? {
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
        case .judge(let tiles, let term):
            judge(tiles, term: term, of: frame, kept, at: index)
        case .sealWaived(let number, let units):
            addSeal(number, SimulatedFilm(waiving: units), of: frame, at: index)
        case .contribute(let round, let seals, let places):
            noteSpoiled(round, of: frame, kept, seals: seals, at: index)
            let stripes = places.map {
                PendingContribution.Stripe(
                    parent: $0.parent, children: $0.children, branches: [])
            }
            contribute(frame, round, seals: seals, stripes: stripes, at: index)
        case .gather(let round, let seals, let places):
            noteSpoiled(round, of: frame, kept, seals: seals, at: index)
            timeline?.beginRound(round, root: index, at: now)
            guard let identity = nodes[index].process?.identity else { return }
            let stripes = places.map { place in
                let tree = ReduceTree(
                    root: identity, others: place.receivers, stripes: places.count)
                return PendingContribution.Stripe(
                    parent: nil, children: place.children, branches: tree.branches)
            }
            contribute(frame, round, seals: seals, stripes: stripes, at: index)
        case .abandon(let round):
            abandon(round, kept)
        case .commit(let round):
            commit(frame, round, at: index)
        case .release(let round, let ledger):
            release(round, ledger: ledger, kept)
        case .fetchFilm(let sources):
            _ = withKeeper(frame, at: index) { $0.fetch = PendingFetch(others: sources) }
            fetchElsewhere(frame, at: index)
        case .send, .event, .workAvailable:
            violate(.disagreement, "node \(index) passes on \(directive)")
        }
    }

    private mutating func commit(_ frame: FrameID, _ round: RoundID, at index: Int) {
        checkCommit(of: frame, round, at: index)
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

    // MARK: Whole films

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
        fetch.progressAt = now
        fetch.source = source
        fetch.others.removeFirst()
        _ = withKeeper(frame, at: index) { $0.fetch = fetch }
        let request = open(
            .request(frame, fetch: fetch.number), of: nil, frame, from: index, to: source)
        if let request { makeReady(request, request.total) }
        scheduleStall(fetch: number, of: frame, at: now + configuration.network.stallLimit, index)
    }

    private mutating func scheduleStall(
        fetch: Int, of frame: FrameID, at time: Instant, _ index: Int
    ) {
        queue.add(
            .local(node: index, boot: nodes[index].boot, .fetchStalls(frame, fetch: fetch)),
            at: time)
    }

    /// Looks whether anything of a film that is fetched has moved of late.
    mutating func stall(fetch number: Int, of frame: FrameID, at index: Int) {
        guard let fetch = keeper(frame, at: index)?.fetch, fetch.number == number else { return }
        let due = fetch.progressAt + configuration.network.stallLimit
        guard due <= now else { return scheduleStall(fetch: number, of: frame, at: due, index) }
        // A piece that is still on a slow link is something that moves.
        let isMoving = flows.values.contains { flow in
            guard case .film(frame, number, _, _) = flow.content, flow.to == index else {
                return false
            }
            return flow.sent > flow.arrived && isAnswering(flow.from, to: index)
        }
        guard !isMoving else {
            let later = now + configuration.network.stallLimit / 4
            return scheduleStall(fetch: number, of: frame, at: later, index)
        }
        fetchElsewhere(frame, at: index)
    }

    /// Sends the whole film to who asked for it.
    mutating func answer(_ frame: FrameID, fetch: Int, from index: Int, to other: Int) {
        guard let identity = nodes[index].process?.identity else { return }
        let film = keeper(frame, at: index)?.film
        let flow = open(
            .film(frame, fetch: fetch, source: identity, film), of: film ?? SimulatedFilm(), frame,
            from: index, toNode: other)
        if let flow { makeReady(flow, flow.total) }
    }

    /// A piece of a whole film is here.
    mutating func receiveFilm(
        _ flow: FilmFlow, _ frame: FrameID, fetch number: Int, source: ParticipantID,
        _ film: SimulatedFilm?, at index: Int
    ) {
        guard let fetch = keeper(frame, at: index)?.fetch, fetch.number == number,
            fetch.source == source, let local = localTime(index)
        else { return refuse(flow) }
        let now = now
        _ = withKeeper(frame, at: index) { $0.fetch?.progressAt = now }
        guard flow.isWhole else { return }
        guard let film else { return fetchElsewhere(frame, at: index) }
        _ = withKeeper(frame, at: index) { $0.fetch = nil }
        let disposition = nodes[index].process?.node.filmFetched(
            frame, coverage: film.coverage, from: source, at: local)
        if disposition == .replace { checkAdoption(of: frame, from: source, at: index) }
        apply(disposition ?? .discard, film, to: frame, at: index)
    }

    mutating func apply(
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
