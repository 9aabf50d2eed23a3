// The data phase of rounds: films come up the trees of their stripes and are added while they
// come, the sum goes down other trees while it still comes up, and counts once it is released.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    // MARK: Up the trees

    /// Begins this node's part in a round.
    mutating func contribute(
        _ frame: FrameID, _ round: RoundID, seals: [SealNumber],
        stripes: [PendingContribution.Stripe], at index: Int
    ) {
        guard let kept = keeper(frame, at: index), let identity = nodes[index].process?.identity
        else { return }
        endContribution(of: kept)
        var own = SimulatedFilm()
        let isWhole = seals.allSatisfy { number in
            kept.seal(number).map { own.add($0, isChecked: !lacks(.disjointnessUnchecked)) }
                ?? false
        }
        kept.contribution = PendingContribution(
            round: round, seals: seals, own: own, stripes: stripes, at: now)
        guard isWhole else { return failContribution(frame, round, cause: identity, at: index) }
        scheduleStall(frame, round, at: now + configuration.network.stallLimit, index)
        let known = kept.early
        kept.early = known.filter {
            if case .contribution(_, let other, _, _, _) = $0.content {
                other > round
            } else {
                false
            }
        }
        for flow in known {
            guard case .contribution(_, round, _, _, _) = flow.content else { continue }
            receiveContribution(flow, frame, round, at: index)
        }
        for stripe in stripes.indices { advance(frame, round, stripe: stripe, at: index) }
    }

    private mutating func scheduleStall(
        _ frame: FrameID, _ round: RoundID, at time: Instant, _ index: Int
    ) {
        queue.add(
            .local(node: index, boot: nodes[index].boot, .contributionStalls(frame, round)),
            at: time)
    }

    /// A piece of somebody's contribution is here.
    mutating func receiveContribution(
        _ flow: FilmFlow, _ frame: FrameID, _ round: RoundID, at index: Int
    ) {
        guard case .contribution(_, _, let stripe, let sender, _) = flow.content,
            let kept = keeper(frame, at: index)
        else { return refuse(flow) }
        guard let pending = kept.contribution, pending.round == round else {
            guard flow.arrived == 1, !kept.early.contains(where: { $0 === flow }) else { return }
            kept.early.append(flow)
            if kept.early.count > FilmKeeper.earlyMax { refuse(kept.early.removeFirst()) }
            return
        }
        guard stripe.count == pending.stripes.count,
            pending.stripes[stripe.index].children.contains(sender),
            (pending.stripes[stripe.index].incoming[sender] ?? flow) === flow
        else { return refuse(flow) }
        pending.stripes[stripe.index].incoming[sender] = flow
        pending.progressAt = now
        let part = pending.stripes[stripe.index]
        if part.sum != nil, let out = part.outgoing.first, !flow.mayAdvance(out) { return }
        advance(frame, round, stripe: stripe.index, at: index)
    }

    /// Sends on what can be sent, once all children of a stripe have said what they bring.
    private mutating func advance(
        _ frame: FrameID, _ round: RoundID, stripe: Int, at index: Int
    ) {
        guard let pending = keeper(frame, at: index)?.contribution, pending.round == round else {
            return
        }
        if pending.stripes[stripe].sum == nil {
            guard addHeads(frame, pending, stripe: stripe, at: index) else { return }
        }
        let part = pending.stripes[stripe]
        if let first = part.outgoing.first {
            // All that go out of here have as many pieces.
            let shares = part.children.lazy.map { part.incoming[$0]?.share(of: first) ?? 0 }
            let ready = shares.min() ?? first.pieces
            if ready > first.ready {
                for flow in part.outgoing { makeReady(flow, ready) }
            }
        }
        if pending.stripes.allSatisfy(\.isWhole) {
            finishContribution(frame, pending, at: index)
        }
    }

    /// Adds what the children of a stripe bring, if all have said so, and opens the streams on.
    private mutating func addHeads(
        _ frame: FrameID, _ pending: PendingContribution, stripe: Int, at index: Int
    ) -> Bool {
        let part = pending.stripes[stripe]
        guard part.children.allSatisfy({ part.incoming[$0] != nil }),
            let identity = nodes[index].process?.identity
        else { return false }
        var sum = pending.own
        for child in part.children {
            guard case .contribution(_, _, _, _, let film)? = part.incoming[child]?.content else {
                continue
            }
            if !sum.add(film, isChecked: !lacks(.disjointnessUnchecked)) {
                failContribution(frame, pending.round, cause: child, at: index)
                return false
            }
        }
        pending.stripes[stripe].sum = sum
        let name = TileStripe(stripe, of: pending.stripes.count)
        guard let parent = part.parent else { return openSums(frame, pending, at: index) }
        let flow = open(
            .contribution(frame, pending.round, name, sender: identity, sum), of: sum, frame,
            stripe: name, from: index, to: parent)
        pending.stripes[stripe].outgoing = [flow].compactMap(\.self)
        return true
    }

    /// The root: opens the streams of the sum, once the coverage of all stripes is known.
    private mutating func openSums(
        _ frame: FrameID, _ pending: PendingContribution, at index: Int
    ) -> Bool {
        let sums = pending.stripes.compactMap(\.sum)
        guard sums.count == pending.stripes.count, let kept = keeper(frame, at: index),
            let identity = nodes[index].process?.identity
        else { return false }
        guard SimulatedFilm(stripes: sums) != nil else {
            failContribution(frame, pending.round, cause: identity, at: index)
            return false
        }
        for (stripe, sum) in sums.enumerated() {
            let name = TileStripe(stripe, of: sums.count)
            pending.stripes[stripe].outgoing = pass(
                frame, pending.round, name, sum, to: pending.stripes[stripe].branches, from: index)
        }
        kept.sums[pending.round] = pending.stripes.flatMap(\.outgoing)
        // Those that were whole before were not sent on.
        for stripe in sums.indices { advance(frame, pending.round, stripe: stripe, at: index) }
        return false
    }

    /// All children of all stripes are in: the root's machine is told.
    private mutating func finishContribution(
        _ frame: FrameID, _ pending: PendingContribution, at index: Int
    ) {
        guard let kept = keeper(frame, at: index), let local = localTime(index) else { return }
        if lacks(.parentAddsIntoSeal), let sum = pending.stripes.first?.sum, sum != pending.own {
            changeFilms { kept.replace(pending.seals.first, with: sum) }
        }
        guard pending.stripes[0].parent == nil else { return }
        kept.contribution = nil
        guard let sum = SimulatedFilm(stripes: pending.stripes.compactMap(\.sum)) else { return }
        kept.buffers[pending.round] = sum
        nodes[index].process?.node.gathered(
            frame, round: pending.round, coverage: sum.coverage, at: local)
    }

    mutating func failContribution(
        _ frame: FrameID, _ round: RoundID, cause: ParticipantID, at index: Int
    ) {
        guard let kept = keeper(frame, at: index), let pending = kept.contribution,
            pending.round == round, let local = localTime(index)
        else { return }
        for flow in pending.stripes.flatMap(\.outgoing) { breakOff(flow, cause: cause) }
        endContribution(of: kept)
        nodes[index].process?.node.contributionFailed(frame, round: round, cause: cause, at: local)
    }

    /// Ends a part in a round, however far it is.
    private mutating func endContribution(of kept: FilmKeeper) {
        guard let pending = kept.contribution else { return }
        kept.contribution = nil
        kept.sums[pending.round] = nil
        for stripe in pending.stripes {
            for flow in stripe.outgoing { breakOff(flow, cause: nil) }
            for child in stripe.children {
                if let flow = stripe.incoming[child] { refuse(flow) }
            }
        }
    }

    /// Looks whether anything of a contribution has moved of late.
    mutating func stall(_ frame: FrameID, _ round: RoundID, at index: Int) {
        guard let pending = keeper(frame, at: index)?.contribution, pending.round == round else {
            return
        }
        let due = pending.progressAt + configuration.network.stallLimit
        guard due <= now else { return scheduleStall(frame, round, at: due, index) }
        let missing = pending.stripes.enumerated().flatMap { number, stripe in
            stripe.children.filter { stripe.incoming[$0]?.hasPixels != true }.map { ($0, number) }
        }
        // Who has all of it waits for the parent.
        guard !missing.isEmpty else { return }
        let silent = missing.first { child, stripe in
            !isHeard(child, frame, round, stripe: stripe, at: index)
        }
        guard let silent = silent?.0 else {
            return scheduleStall(
                frame, round, at: now + configuration.network.stallLimit / 4, index)
        }
        guard lacks(.plannedCoverageCommitted) else {
            return failContribution(frame, round, cause: silent, at: index)
        }
        for stripe in pending.stripes.indices {
            let incoming = pending.stripes[stripe].incoming
            pending.stripes[stripe].children.removeAll { incoming[$0]?.hasPixels != true }
        }
        for stripe in pending.stripes.indices { advance(frame, round, stripe: stripe, at: index) }
    }

    /// Whether a child says now and then that it is there, as it does while it takes part and its
    /// stream has not broken.
    private func isHeard(
        _ child: ParticipantID, _ frame: FrameID, _ round: RoundID, stripe: Int, at index: Int
    ) -> Bool {
        guard let other = nodes.firstIndex(where: { $0.process?.identity == child }),
            isAnswering(other, to: index),
            let pending = keeper(frame, at: other)?.contribution, pending.round == round,
            stripe < pending.stripes.count
        else { return false }
        let part = pending.stripes[stripe]
        return part.sum == nil || part.outgoing.contains { !$0.isOver }
    }

    /// Whether what a node says reaches another now.
    func isAnswering(_ other: Int, to index: Int) -> Bool {
        nodes[other].isRunning && !isBlocked(from: other, to: index)
            && clogEnd(from: other, to: index) == nil
    }

    // MARK: Down the trees

    /// Opens the streams of a stripe of a sum to the first of each branch that can be reached.
    private mutating func pass(
        _ frame: FrameID, _ round: RoundID, _ stripe: TileStripe, _ film: SimulatedFilm,
        to branches: [[ParticipantID]], from index: Int
    ) -> [FilmFlow] {
        branches.compactMap { branch in
            var rest = branch[...]
            while let child = rest.popFirst() {
                let content = FilmTransfer.sum(
                    frame, round, stripe, receivers: Array(rest), film)
                let flow = open(
                    content, of: film, frame, stripe: stripe, from: index, to: child)
                if let flow { return flow }
            }
            return nil
        }
    }

    /// The root's sum counts from now on.
    mutating func release(_ round: RoundID, ledger: IntervalSet, _ kept: FilmKeeper) {
        kept.buffers[round] = nil
        for flow in kept.sums.removeValue(forKey: round) ?? [] {
            flow.ledger = ledger
            makeReady(flow, flow.total)
        }
    }

    /// The root's sum never counts.
    mutating func abandon(_ round: RoundID, _ kept: FilmKeeper) {
        if kept.contribution?.round == round { endContribution(of: kept) }
        for flow in kept.sums.removeValue(forKey: round) ?? [] { breakOff(flow, cause: nil) }
        kept.buffers[round] = nil
        for flow in kept.early {
            if case .contribution(_, round, _, _, _) = flow.content { refuse(flow) }
        }
        kept.early.removeAll(where: \.isOver)
    }

    /// Ends all of a frame's rounds at a node that forgets it.
    mutating func endRounds(of kept: FilmKeeper) {
        endContribution(of: kept)
        for flow in kept.sums.values.joined() { breakOff(flow, cause: nil) }
        for flow in kept.receptions.flatMap({ $0.outgoing.joined() }) { breakOff(flow, cause: nil) }
    }

    /// A piece of a sum is here.
    mutating func receiveSum(
        _ flow: FilmFlow, _ frame: FrameID, _ round: RoundID, _ stripe: TileStripe,
        receivers: [ParticipantID], _ film: SimulatedFilm, at index: Int
    ) {
        guard let kept = keeper(frame, at: index),
            let sum = reception(of: round, stripes: stripe.count, in: kept),
            let identity = nodes[index].process?.identity,
            (sum.incoming[stripe.index] ?? flow) === flow
        else { return refuse(flow) }
        if sum.incoming[stripe.index] == nil {
            sum.incoming[stripe.index] = flow
            let tree = ReduceTree(subtree: [identity] + receivers, stripes: stripe.count)
            sum.outgoing[stripe.index] = pass(
                frame, round, stripe, film, to: tree.branches, from: index)
        }
        for out in sum.outgoing[stripe.index] {
            out.ledger = flow.ledger
            makeReady(out, flow.isWhole ? out.total : flow.share(of: out))
        }
        guard sum.incoming.allSatisfy({ $0?.isWhole == true }) else { return }
        finish(sum, frame, kept, at: index)
    }

    /// What is here of a round's sum; nil for one older than those that are on their way.
    private mutating func reception(
        of round: RoundID, stripes: Int, in kept: FilmKeeper
    ) -> PendingSum? {
        if let known = kept.receptions.first(where: { $0.round == round }) {
            return known.incoming.count == stripes ? known : nil
        }
        if kept.receptions.count == FilmKeeper.receptionsMax {
            guard kept.receptions[0].round < round else { return nil }
            let oldest = kept.receptions.removeFirst()
            for flow in oldest.incoming.compactMap(\.self) { refuse(flow) }
            for flow in oldest.outgoing.joined() where flow.ledger == nil {
                breakOff(flow, cause: nil)
            }
        }
        let sum = PendingSum(round: round, stripes: stripes)
        let place = kept.receptions.firstIndex { round < $0.round } ?? kept.receptions.count
        kept.receptions.insert(sum, at: place)
        return sum
    }

    /// All stripes of a sum are here.
    private mutating func finish(
        _ sum: PendingSum, _ frame: FrameID, _ kept: FilmKeeper, at index: Int
    ) {
        kept.receptions.removeAll { $0 === sum }
        let films = sum.incoming.compactMap { flow -> SimulatedFilm? in
            if case .sum(_, _, _, _, let film)? = flow?.content { film } else { nil }
        }
        let ledgers = sum.incoming.map { $0?.ledger }
        guard let ledger = ledgers.first ?? nil, ledgers.allSatisfy({ $0 == ledger }),
            let film = SimulatedFilm(stripes: films), let local = localTime(index)
        else { return }
        sumsArrived += 1
        kept.lastSum = film
        let disposition = nodes[index].process?.node.sumArrived(
            frame, round: sum.round, coverage: film.coverage, ledger: ledger, at: local)
        apply(disposition ?? .discard, film, to: frame, at: index)
    }

    /// A stripe of a sum broke; the others are passed on.
    mutating func loseSum(
        _ flow: FilmFlow, _ frame: FrameID, _ round: RoundID, _ stripe: TileStripe, at index: Int
    ) {
        guard let kept = keeper(frame, at: index),
            let sum = kept.receptions.first(where: { $0.round == round }),
            sum.incoming[stripe.index] === flow
        else { return }
        for out in sum.outgoing[stripe.index] { breakOff(out, cause: nil) }
        if sum.incoming.allSatisfy({ $0?.isOver == true }) {
            kept.receptions.removeAll { $0 === sum }
        }
    }
}
