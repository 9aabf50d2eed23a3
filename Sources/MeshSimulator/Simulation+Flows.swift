// Film streams on the simulated network: store and forward by pieces. A link sends one piece at a
// time, of all its streams in turn; a receiver that is behind holds its sender back.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// Opens a stream to a participant whose address the node knows.
    /// - Parameter film: whose tiles, in a stripe of the frame, are its bytes; nil: a request.
    mutating func open(
        _ content: FilmTransfer, of film: SimulatedFilm?, _ frame: FrameID,
        stripe: TileStripe = .whole, from index: Int, to participant: ParticipantID
    ) -> FilmFlow? {
        var other = directory[participant]
        if other == nil, let address = nodes[index].process?.node.address(of: participant) {
            other = self.index(at: address)
        }
        guard let other else { return nil }
        return open(content, of: film, frame, stripe: stripe, from: index, toNode: other)
    }

    mutating func open(
        _ content: FilmTransfer, of film: SimulatedFilm?, _ frame: FrameID,
        stripe: TileStripe = .whole, from index: Int, toNode other: Int
    ) -> FilmFlow? {
        guard let job = job(of: frame) else { return nil }
        let network = configuration.network
        let bytes = film.map {
            jobs[job].tallies.streamBytes(
                of: $0.coverage, waived: $0.waived, stripe: stripe,
                bytesPerPixel: configuration.bytesPerPixel)
        }
        let pieces = ((bytes ?? 1) + network.pieceBytes - 1) / network.pieceBytes
        flowNumber += 1
        let flow = FilmFlow(
            number: flowNumber, from: index, to: other, boot: nodes[index].boot, content: content,
            bytes: bytes ?? 64, pieces: min(pieces, network.piecesMax))
        flow.breaks =
            nodes[index].mutes > 0
            || network.streamLoss > 0 && random.unit() < network.streamLoss
        flows[flow.number] = flow
        nodes[index].outgoing.append(flow)
        nodes[index].figures.sent[.reduce].messages += 1
        nodes[other].figures.received[.reduce].messages += 1
        return flow
    }

    /// Says that so many pieces of a stream exist.
    mutating func makeReady(_ flow: FilmFlow, _ count: Int) {
        guard !flow.isOver else { return }
        flow.makeReady(count)
        pump(flow.from)
    }

    /// Sends the next piece of the stream whose turn it is.
    mutating func pump(_ index: Int) {
        guard nodes[index].isRunning, !nodes[index].isSending else { return }
        let inFlightMax = configuration.network.piecesInFlightMax
        guard
            let place = nodes[index].outgoing.firstIndex(where: {
                $0.canSend(inFlightMax: inFlightMax)
            })
        else { return }
        let flow = nodes[index].outgoing.remove(at: place)
        nodes[index].outgoing.append(flow)
        let bytes = flow.send()
        let last = occupyLinks(bytes: bytes, from: index, to: flow.to)
        nodes[index].figures.sent[.reduce].bytes += bytes
        nodes[flow.to].figures.received[.reduce].bytes += bytes
        if flow.breaks {
            nodes[index].outgoing.removeAll { $0 === flow }
            queue.add(.broken(flow: flow.number), at: last)
        } else {
            queue.add(.piece(flow: flow.number), at: last)
        }
        if nodes[index].outgoing.contains(where: { $0.canSend(inFlightMax: inFlightMax) }) {
            nodes[index].isSending = true
            queue.add(.linkFree(node: index), at: nodes[index].sending.until)
        }
    }

    /// Something of a stream has come to its receiver's link.
    mutating func arrive(_ event: SimulatedEvent, of number: Int) {
        guard let flow = flows[number], !flow.isOver else { return }
        let index = flow.to
        if let until = clogEnd(from: flow.from, to: index) { return queue.add(event, at: until) }
        // A stream that meets a partition is gone; its receiver has to find out.
        guard !isBlocked(from: flow.from, to: index) else { return end(flow) }
        let boot = nodes[index].boot
        guard nodes[index].process != nil, flow.receiverBoot ?? boot == boot else {
            if nodes[index].process == nil { refuse(from: flow.from, to: index, boot: flow.boot) }
            return end(flow)
        }
        guard !nodes[index].isFrozen else { return nodes[index].backlog.append(event) }
        flow.receiverBoot = boot
        if case .broken = event {
            end(flow)
            lost(flow, at: index)
        } else {
            flow.arrive()
            if flow.isWhole { end(flow) }
            received(flow, at: index)
            repeatSum(flow)
            pump(flow.from)
        }
        drive(index)
    }

    /// A sum that has come comes once more.
    private mutating func repeatSum(_ flow: FilmFlow) {
        let rate = configuration.network.sumDuplication
        guard rate > 0, flow.isWhole,
            case .sum(let frame, _, let stripe, _, let film) = flow.content,
            nodes[flow.from].boot == flow.boot, random.unit() < rate,
            let again = open(
                flow.content, of: film, frame, stripe: stripe, from: flow.from, toNode: flow.to)
        else { return }
        again.ledger = flow.ledger
        makeReady(again, again.total)
    }

    /// Forgets a stream.
    private mutating func end(_ flow: FilmFlow) {
        flow.isOver = true
        flows[flow.number] = nil
        nodes[flow.from].outgoing.removeAll { $0 === flow }
    }

    /// The sender's end of a stream is no more: the receiver learns it.
    mutating func breakOff(_ flow: FilmFlow, cause: ParticipantID?) {
        guard !flow.isOver else { return }
        flow.cause = cause
        nodes[flow.from].outgoing.removeAll { $0 === flow }
        queue.add(.broken(flow: flow.number), at: now + latency())
    }

    /// The receiver's end of a stream is no more.
    mutating func refuse(_ flow: FilmFlow) {
        if !flow.isOver { end(flow) }
    }

    private mutating func received(_ flow: FilmFlow, at index: Int) {
        switch flow.content {
        case .contribution(let frame, let round, _, _, _):
            receiveContribution(flow, frame, round, at: index)
        case .sum(let frame, let round, let stripe, let receivers, let film):
            receiveSum(flow, frame, round, stripe, receivers: receivers, film, at: index)
        case .request(let frame, let fetch):
            answer(frame, fetch: fetch, from: index, to: flow.from)
        case .film(let frame, let fetch, let source, let film):
            receiveFilm(flow, frame, fetch: fetch, source: source, film, at: index)
        }
    }

    private mutating func lost(_ flow: FilmFlow, at index: Int) {
        switch flow.content {
        case .contribution(let frame, let round, let stripe, let sender, _):
            guard let kept = keeper(frame, at: index) else { return }
            kept.early.removeAll { $0 === flow }
            guard let pending = kept.contribution, pending.round == round,
                stripe.count == pending.stripes.count,
                pending.stripes[stripe.index].children.contains(sender),
                (pending.stripes[stripe.index].incoming[sender] ?? flow) === flow
            else { return }
            failContribution(frame, round, cause: flow.cause ?? sender, at: index)
        case .sum(let frame, let round, let stripe, _, _):
            loseSum(flow, frame, round, stripe, at: index)
        case .film(let frame, let fetch, _, _):
            guard keeper(frame, at: index)?.fetch?.number == fetch else { return }
            fetchElsewhere(frame, at: index)
        case .request: break
        }
    }
}
