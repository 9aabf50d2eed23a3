// What the runtime's driver would do: performs directives, moves films, runs devices.

import MeshCore

@testable import WorkStealing

extension FrameModel {
    func perform(_ event: ModelEvent, at node: ModelNode) throws {
        switch event {
        case .message(let message, let sender):
            node.machine.receive(message, from: sender, at: now)
        case .wake:
            node.wakeAt = .distantFuture
            if node.machine.nextDeadline <= now {
                node.machine.tick(at: now)
                guard node.machine.nextDeadline > now else {
                    throw ModelViolation(
                        description: "seed \(seed): a timer of node \(node.index) does not move, "
                            + node.machine.timers(at: now))
                }
            }
        case .deviceDone(let device, let token): deviceDone(device, token: token, at: node)
        case .stream(let round, let stripe, let sender, let film):
            arrive(film, of: round, stripe, from: sender, at: node)
        case .streamStalled(let round):
            if let gathering = node.gathering, gathering.round == round,
                let cause = gathering.missing
            {
                node.gathering = nil
                node.machine.contributionFailed(round: round, cause: cause, at: now)
            }
        case .sum(let round, let stripe, let part, let ledger, let receivers):
            let tree = ReduceTree(
                subtree: [node.identity] + receivers, stripes: stripe.count)
            pass(round, stripe, part, ledger: ledger, to: tree.branches, from: node)
            guard let film = receive(part, of: round, stripe, at: node) else { return }
            let disposition = node.machine.sumArrived(
                round: round, coverage: film.coverage, ledger: ledger, at: now)
            if disposition == .add { node.film.add(film) }
            if disposition == .replace { node.film = film }
        case .filmRequest(let sender, let token):
            if let requester = liveNode(sender), !node.film.coverage.isEmpty {
                transfer(
                    .film(node.film, from: node.identity, token: token), from: node,
                    to: requester)
            }
        case .film(let film, let holder, let token):
            guard token == node.fetchToken else { return }
            node.fetchToken += 1
            let disposition = node.machine.filmFetched(
                coverage: film.coverage, from: holder, at: now)
            if disposition == .replace { node.film = film }
        case .fetchTimeout(let token):
            if token == node.fetchToken { fetchNext(node) }
        case .gossip: gossip(node)
        case .fault, .heal: break
        }
    }

    /// Performs directives, wakes devices, sets the timer.
    func settle(_ node: ModelNode) {
        drain(node)
        for device in node.devices.indices { startDevice(device, at: node) }
        let deadline = max(node.machine.nextDeadline, now)
        if deadline < node.wakeAt, deadline < .distantFuture {
            node.wakeAt = deadline
            schedule(.wake, at: deadline, node: node)
        }
        highestTerm[node.index] = max(highestTerm[node.index], node.machine.term)
    }

    func drain(_ node: ModelNode) {
        while let directive = node.machine.nextDirective() { perform(directive, at: node) }
    }

    private func perform(_ directive: FrameDirective, at node: ModelNode) {
        switch directive {
        case .send(let message, let receiver): post(message, from: node, to: receiver)
        case .workAvailable: break
        case .seal(let number):
            node.sealed[number] = node.open
            node.open = TallyFilm(units: units)
        case .drop(let numbers): for number in numbers { node.sealed[number] = nil }
        case .dropOpen: node.open = TallyFilm(units: units)
        case .judge, .sealWaived: preconditionFailure("the model's frames are not adaptive")
        case .contribute(let round, let seals, let places):
            let stripes = places.map {
                ModelGathering.Stripe(parent: $0.parent, children: $0.children)
            }
            begin(round, seals: seals, stripes: stripes, at: node)
        case .gather(let round, let seals, let places):
            let stripes = places.map {
                ModelGathering.Stripe(parent: nil, children: $0.children)
            }
            node.receivers = places.map(\.receivers)
            begin(round, seals: seals, stripes: stripes, at: node)
        case .abandon(let round):
            if node.gathering?.round == round { node.gathering = nil }
            if node.buffer?.0 == round { node.buffer = nil }
        case .commit(let round): commit(round, at: node)
        case .release(let round, let ledger):
            if let (buffered, film) = node.buffer, buffered == round {
                release(round, film, ledger: ledger, from: node)
                node.buffer = nil
            }
        case .fetchFilm(let holders):
            node.fetchHolders = holders
            fetchNext(node)
        case .event(let event): say("node \(node.index): \(event)")
        }
    }

    private func commit(_ round: RoundID, at node: ModelNode) {
        guard let (buffered, film) = node.buffer, buffered == round else {
            preconditionFailure("seed \(seed): a commit without a buffer")
        }
        precondition(commits[round] == nil, "seed \(seed): two commits of \(round)")
        commits[round] = node.identity
        if firstCommitAt == nil { firstCommitAt = now }
        node.film.add(film)
    }

    // MARK: Data of a round

    private func begin(
        _ round: RoundID, seals: [SealNumber], stripes: [ModelGathering.Stripe],
        at node: ModelNode
    ) {
        var own = TallyFilm(units: units)
        for seal in seals {
            guard let film = node.sealed[seal] else {
                preconditionFailure("seed \(seed): a plan names a seal that the driver lacks")
            }
            own.add(film)
        }
        node.gathering = ModelGathering(round: round, own: own, stripes: stripes)
        schedule(.streamStalled(round), at: now + .seconds(2), node: node)
        let early = node.early
        node.early = []
        for (earlyRound, stripe, sender, film) in early where earlyRound == round {
            arrive(film, of: round, stripe, from: sender, at: node)
        }
        for stripe in TileStripe.all(stripes.count) { flow(round, stripe, node) }
    }

    private func arrive(
        _ film: TallyFilm, of round: RoundID, _ stripe: TileStripe, from sender: ParticipantID,
        at node: ModelNode
    ) {
        guard let gathering = node.gathering, gathering.round == round else {
            if node.early.count < 64 { node.early.append((round, stripe, sender, film)) }
            return
        }
        guard stripe.count == gathering.stripes.count,
            gathering.stripes[stripe.index].children.contains(sender)
        else { return }
        node.gathering?.stripes[stripe.index].arrived[sender] = film
        flow(round, stripe, node)
    }

    private func flow(_ round: RoundID, _ name: TileStripe, _ node: ModelNode) {
        guard let gathering = node.gathering, gathering.round == round else { return }
        let stripe = gathering.stripes[name.index]
        guard !stripe.isSent, stripe.children.allSatisfy({ stripe.arrived[$0] != nil }) else {
            return
        }
        var sum = gathering.own.part(name, tiles: setting.workSpace.grid.count)
        for child in stripe.children {
            guard let film = stripe.arrived[child] else { return }
            guard sum.coverage.isDisjoint(with: film.coverage) else {
                node.gathering = nil
                node.machine.contributionFailed(round: round, cause: child, at: now)
                return drain(node)
            }
            sum.add(film)
        }
        node.gathering?.stripes[name.index].isSent = true
        node.gathering?.stripes[name.index].sum = sum
        if let parent = stripe.parent {
            if let receiver = liveNode(parent) {
                transfer(
                    .stream(round, name, from: node.identity, sum), from: node, to: receiver)
            }
            if node.gathering?.stripes.allSatisfy(\.isSent) == true { node.gathering = nil }
        } else {
            gatherWhole(round, node)
        }
    }

    /// The root: all stripes are in, of the same coverage.
    private func gatherWhole(_ round: RoundID, _ node: ModelNode) {
        guard let stripes = node.gathering?.stripes, stripes.allSatisfy(\.isSent) else { return }
        node.gathering = nil
        guard let film = TallyFilm.whole(stripes.compactMap(\.sum)) else {
            node.machine.contributionFailed(round: round, cause: node.identity, at: now)
            return drain(node)
        }
        node.buffer = (round, film)
        node.machine.gathered(round: round, coverage: film.coverage, at: now)
        drain(node)
        if node.buffer?.0 == round { node.buffer = nil }
    }

    /// Sends the stripes of a sum down their trees.
    private func release(
        _ round: RoundID, _ film: TallyFilm, ledger: IntervalSet, from node: ModelNode
    ) {
        for stripe in TileStripe.all(node.receivers.count) {
            let tree = ReduceTree(
                root: node.identity, others: node.receivers[stripe.index], stripes: stripe.count)
            let part = film.part(stripe, tiles: setting.workSpace.grid.count)
            pass(round, stripe, part, ledger: ledger, to: tree.branches, from: node)
        }
    }

    private func pass(
        _ round: RoundID, _ stripe: TileStripe, _ film: TallyFilm, ledger: IntervalSet,
        to branches: [[ParticipantID]], from node: ModelNode
    ) {
        for branch in branches {
            guard let first = branch.first, let receiver = liveNode(first) else { continue }
            transfer(
                .sum(
                    round, stripe, film, ledger: ledger, receivers: Array(branch.dropFirst())),
                from: node, to: receiver)
        }
    }

    /// Keeps a stripe of a sum.
    /// - Returns: the sum, when all stripes are here.
    private func receive(
        _ part: TallyFilm, of round: RoundID, _ stripe: TileStripe, at node: ModelNode
    ) -> TallyFilm? {
        let place =
            node.receptions.firstIndex { $0.round == round } ?? node.receptions.endIndex
        if place == node.receptions.endIndex {
            let empty = [TallyFilm?](repeating: nil, count: stripe.count)
            node.receptions.append(ModelReception(round: round, stripes: empty))
        }
        node.receptions[place].stripes[stripe.index] = part
        let stripes = node.receptions[place].stripes.compactMap(\.self)
        if stripes.count == stripe.count {
            node.receptions.remove(at: place)
            return TallyFilm.whole(stripes)
        }
        if node.receptions.count > 8 { node.receptions.removeFirst() }
        return nil
    }

    private func fetchNext(_ node: ModelNode) {
        node.fetchToken += 1
        guard !node.fetchHolders.isEmpty else {
            node.machine.filmFetchFailed(at: now)
            return drain(node)
        }
        let holder = node.fetchHolders.removeFirst()
        let token = node.fetchToken
        schedule(.fetchTimeout(token: token), at: now + .milliseconds(300), node: node)
        if let holder = liveNode(holder) {
            transfer(
                .filmRequest(from: node.identity, token: token), from: node, to: holder)
        }
    }

    // MARK: Devices

    func startDevice(_ index: Int, at node: ModelNode) {
        guard node.devices[index].unit == nil, !node.devices[index].isPaused,
            let unit = node.machine.takeUnit(at: now)
        else { return drain(node) }
        drain(node)
        let size = setting.workSpace.sampleCount(of: IntervalSet(SampleRange(unit, unit + 1)))
        let spread = 1 + setting.costSpread * (2 * random.unit() - 1)
        let seconds =
            Double(size) * setting.secondsPerSample * spread / node.devices[index].speed
        node.devices[index].unit = unit
        node.devices[index].token += 1
        let token = node.devices[index].token
        schedule(
            .deviceDone(device: index, token: token), at: now + Duration(seconds: seconds),
            node: node)
    }

    private func deviceDone(_ index: Int, token: Int, at node: ModelNode) {
        guard let unit = node.devices[index].unit, node.devices[index].token == token,
            !node.devices[index].isStuck
        else { return }
        node.devices[index].unit = nil
        switch node.machine.rendered(unit, at: now) {
        case .addToOpen: node.open.add(unit)
        case .sealApart(let number):
            var film = TallyFilm(units: units)
            film.add(unit)
            node.sealed[number] = film
        case .discard: break
        }
    }
}
