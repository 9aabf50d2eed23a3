// What a node holds of one frame: its film, its partial films, and the streams that move them.
// The state machine decides; the driver performs, and the films themselves refuse what is wrong.

import Logging
import MeshCore
import MeshNode
import MeshWire
import Tracer
import WorkStealing

/// What a frame's driver tells the node it belongs to.
@EventLoop
protocol FrameDriverHost: StreamOpener {
    var identity: ParticipantID { get }
    var logger: Logger { get }
    func gathered(_ frame: FrameID, round: RoundID, coverage: IntervalSet)
    func judged(_ frame: FrameID, _ asked: [TileStage], needed: Set<Int>, term: Term)
    func contributionFailed(_ frame: FrameID, round: RoundID, cause: ParticipantID)
    func sumArrived(
        _ frame: FrameID, round: RoundID, coverage: IntervalSet, ledger: IntervalSet
    ) -> FilmDisposition
    func filmFetched(
        _ frame: FrameID, coverage: IntervalSet, from: ParticipantID
    ) -> FilmDisposition
    func filmFetchFailed(_ frame: FrameID)
    /// Performs what the machine wants done after the last input.
    func drive()
}

/// Performs the directives of one frame.
@EventLoop
final class FrameDriver {
    let frame: FrameID
    let workSpace: WorkSpace
    /// Nil until the scene is ready here.
    var prepared: PreparedJob?
    private(set) var film: Film
    /// What this node has rendered and not sealed.
    private var open: Film
    private var sealed: [SealNumber: Film] = [:]
    /// The root's sums, until they have been sent.
    private var gatherings: [RoundID: SumGathering] = [:]
    private var contributions: [RoundID: StripedContribution] = [:]
    private var receptions: [RoundID: SumReception] = [:]
    private var fetch: FilmFetch?
    private(set) var isClosed = false
    /// Children that began to send before this node had its plan.
    private var early: [EarlyStream] = []
    /// The last round this node had a part in.
    private var lastRound: RoundID?
    /// Whole films on their way to others.
    private var answers = 0
    unowned let host: any FrameDriverHost

    private struct EarlyStream {
        let round: RoundID
        let child: ParticipantID
        let stripe: TileStripe
        let stream: StreamConnection
        /// Ends the wait for a plan that never comes.
        let limit: LoopTimer
    }

    /// Called when the film has changed.
    var onFilmChanged: (@EventLoop () -> Void)?

    init(frame: FrameID, workSpace: WorkSpace, host: any FrameDriverHost) {
        self.frame = frame
        self.workSpace = workSpace
        self.host = host
        film = Film(workSpace: workSpace)
        open = Film(workSpace: workSpace)
    }

    /// Adds a unit that a device has finished, where the machine says.
    func take(_ result: UnitResult, _ disposition: UnitDisposition) {
        do {
            switch disposition {
            case .addToOpen:
                try open.add(unit: result.unit, result.tile)
            case .sealApart(let number):
                var partial = Film(workSpace: workSpace)
                try partial.add(unit: result.unit, result.tile)
                sealed[number] = partial
            case .discard:
                break
            }
        } catch {
            report("unit \(result.unit)", error)
        }
    }

    func perform(_ directive: FrameDirective) {
        switch directive {
        case .send, .workAvailable, .event:
            preconditionFailure("the node performs these")
        case .seal(let number):
            sealed[number] = open.seal()
        case .drop(let numbers):
            for number in numbers { sealed[number] = nil }
        case .dropOpen:
            open = Film(workSpace: workSpace)
        case .judge(let tiles, let term):
            judge(tiles, term: term)
        case .sealWaived(let number, let units):
            sealed[number] = film(waiving: units)
        case .contribute(let round, let seals, let places):
            contribute(round, seals: seals, places: places)
        case .gather(let round, let seals, let stripes):
            gather(round, seals: seals, stripes: stripes)
        case .abandon(let round):
            contributions.removeValue(forKey: round)?.abandon()
            gatherings.removeValue(forKey: round)?.abandon()
        case .commit(let round):
            commit(round)
        case .release(let round, let ledger):
            gatherings[round]?.release(ledger: ledger)
        case .fetchFilm(let sources):
            fetchFilm(from: sources)
        }
    }

    // MARK: - Rounds

    private func contribute(_ round: RoundID, seals: [SealNumber], places: [TreePlace]) {
        var streams: [(participant: ParticipantID, stream: StreamConnection)] = []
        for (stripe, place) in zip(TileStripe.all(places.count), places) {
            let opening = StreamOpening.contribution(frame, round, stripe, sender: host.identity)
            guard let stream = host.open(opening, to: place.parent) else {
                for (_, stream) in streams { stream.abort() }
                return failSoon(round, cause: place.parent)
            }
            stream.sendBufferBytes = StreamBounds.treeBufferBytes
            streams.append((place.parent, stream))
        }
        guard let mergers = mergers(round, seals: seals, children: places.map(\.children)) else {
            for (_, stream) in streams { stream.abort() }
            return
        }
        begin(
            round,
            parts: zip(mergers, streams).map {
                StripedContribution.Part(merger: $0, parent: $1, sink: nil)
            })
    }

    private func gather(_ round: RoundID, seals: [SealNumber], stripes: [GatherPlace]) {
        guard let mergers = mergers(round, seals: seals, children: stripes.map(\.children)) else {
            return
        }
        let frame = frame
        let host = host
        let gathering = SumGathering(
            round: round, workSpace: workSpace, stripes: stripes.count
        ) { stripe in
            let tree = ReduceTree(
                root: host.identity, others: stripes[stripe.index].receivers,
                stripes: stripe.count)
            return SumSender(
                frame: frame, round: round, stripe: stripe, branches: tree.branches, opener: host)
        }
        gathering.onGathered = { [weak self] sum in self?.gathered(round, sum) }
        gathering.onSent = { [weak self] in self?.gatherings[round] = nil }
        gathering.onFailed = { [weak self] reason in
            guard let self else { return }
            self.contributions[round]?.fail(self.host.identity, reason)
        }
        for (old, other) in gatherings where !other.isReleased {
            other.abandon()
            gatherings[old] = nil
        }
        gatherings[round] = gathering
        begin(
            round,
            parts: mergers.map {
                StripedContribution.Part(
                    merger: $0, parent: nil, sink: gathering.sink(of: $0.stripe))
            })
    }

    /// What adds up each stripe; nil, and the machine is told, when that can't be.
    private func mergers(
        _ round: RoundID, seals: [SealNumber], children: [[ParticipantID]]
    ) -> [FilmMerger]? {
        let own = seals.compactMap { sealed[$0] }
        do {
            guard own.count == seals.count else {
                throw MergeFailure(
                    cause: host.identity, description: "a sealed partial is no longer here")
            }
            return try zip(TileStripe.all(children.count), children).map { stripe, children in
                try FilmMerger(
                    workSpace: workSpace, stripe: stripe, own: own, children: children,
                    identity: host.identity)
            }
        } catch {
            report("round \(round)", error)
            failSoon(round, cause: host.identity)
            return nil
        }
    }

    private func begin(_ round: RoundID, parts: [StripedContribution.Part]) {
        // Whatever still runs is out of date.
        for contribution in contributions.values { contribution.abandon() }
        let contribution = StripedContribution(
            round: round, parts: parts,
            onDelivered: { [weak self] in self?.contributions[round] = nil },
            onFailed: { [weak self] cause, reason in
                guard let self else { return }
                self.contributions[round] = nil
                self.host.logger.info("round \(round): \(cause): \(reason)")
                self.host.contributionFailed(self.frame, round: round, cause: cause)
            })
        contributions = [round: contribution]
        lastRound = round
        let known = early.filter { $0.round <= round }
        early.removeAll { $0.round <= round }
        for entry in known {
            entry.limit.close()
            if entry.round == round {
                contribution.accept(entry.stream, from: entry.child, stripe: entry.stripe)
            } else {
                entry.stream.abort()
            }
        }
    }

    /// Tells the machine in a later turn: it takes no input while its directives are performed.
    private func failSoon(_ round: RoundID, cause: ParticipantID) {
        EventLoop.nextTurn { [weak self] in
            guard let self, !self.isClosed else { return }
            self.host.contributionFailed(self.frame, round: round, cause: cause)
        }
    }

    /// A child's stream has been opened.
    func acceptContribution(
        _ round: RoundID, stripe: TileStripe, from child: ParticipantID,
        stream: StreamConnection
    ) {
        if let contribution = contributions[round] {
            contribution.accept(stream, from: child, stripe: stripe)
            return
        }
        if let lastRound, round <= lastRound {
            stream.abort()
            return
        }
        // The oldest makes room: rounds that never come must not keep out those that do.
        if early.count >= StreamBounds.earlyStreamsMax { early[0].stream.abort() }
        stream.pauseReading()
        let limit = EventLoop.schedule(after: StreamBounds.stallLimit) { [weak stream] in
            stream?.abort()
        }
        let entry = EarlyStream(
            round: round, child: child, stripe: stripe, stream: stream, limit: limit)
        stream.onClose = { [weak self, weak stream] _ in
            limit.close()
            self?.early.removeAll { $0.stream === stream }
        }
        early.append(entry)
    }

    private func gathered(_ round: RoundID, _ sum: Film) {
        contributions[round] = nil
        host.gathered(frame, round: round, coverage: sum.coverage)
    }

    private func commit(_ round: RoundID) {
        guard let sum = gatherings[round]?.film else {
            preconditionFailure("a commit of a round that was not gathered")
        }
        do {
            try film.add(sum)
            onFilmChanged?()
        } catch {
            // The machine compares coverages before it commits: this is a mistake of ours, and
            // the film, unchanged, is still true.
            report("commit of round \(round)", error)
        }
    }

    /// A stripe of a sum comes down its tree.
    func acceptSum(
        _ round: RoundID, stripe: TileStripe, receivers: [ParticipantID],
        stream: StreamConnection
    ) {
        if receptions[round] == nil, receptions.count >= StreamBounds.receptionsMax,
            let oldest = receptions.keys.min()
        {
            guard oldest < round else { return stream.abort() }
            receptions[oldest]?.abandon()
        }
        let reception = receptions[round] ?? reception(of: round, stripes: stripe.count)
        receptions[round] = reception
        // Each node once and never this one: a list from outside must not make sums go round.
        var seen: Set<ParticipantID> = [host.identity]
        let others = receivers.filter { seen.insert($0).inserted }
        let tree = ReduceTree(subtree: [host.identity] + others, stripes: stripe.count)
        reception.accept(stripe, stream: stream) {
            SumSender(
                frame: frame, round: round, stripe: stripe, branches: tree.branches, opener: host)
        }
    }

    private func reception(of round: RoundID, stripes: Int) -> SumReception {
        SumReception(round: round, stripes: stripes, workSpace: workSpace) { [weak self] result in
            guard let self else { return }
            self.receptions[round] = nil
            if let (sum, ledger) = result { self.sumArrived(round, sum, ledger: ledger) }
        }
    }

    private func sumArrived(_ round: RoundID, _ sum: Film, ledger: IntervalSet) {
        let disposition = host.sumArrived(
            frame, round: round, coverage: sum.coverage, ledger: ledger)
        apply(disposition, sum, "sum of round \(round)")
        host.drive()
    }

    // MARK: - Films

    private func fetchFilm(from sources: [ParticipantID]) {
        fetch?.abandon()
        fetch = FilmFetch(
            frame: frame, workSpace: workSpace, sources: sources, opener: host
        ) { [weak self] film, source in
            guard let self else { return }
            self.fetch = nil
            guard let film, let source else {
                self.host.filmFetchFailed(self.frame)
                return
            }
            let disposition = self.host.filmFetched(
                self.frame, coverage: film.coverage, from: source)
            self.apply(disposition, film, "film of \(source)")
            self.host.drive()
        }
    }

    /// Sends the film to a node that asked for it.
    func answerFilm(over stream: StreamConnection) {
        guard answers < StreamBounds.filmAnswersMax else {
            stream.send(kind: StreamKind.absent, payload: [])
            stream.closeAfterFlush()
            return
        }
        answers += 1
        FilmSender.answer(stream, with: film) { [weak self] in self?.answers -= 1 }
    }

    private func apply(_ disposition: FilmDisposition, _ other: Film, _ what: String) {
        do {
            switch disposition {
            case .add: try film.add(other)
            case .replace: try film.replace(with: other)
            case .discard: return
            }
            onFilmChanged?()
        } catch {
            report(what, error)
        }
    }

    func report(_ what: String, _ error: any Error) {
        host.logger.error("frame \(frame): \(what): \(error)")
    }

    /// Ends every stream of the frame.
    func close() {
        for contribution in contributions.values { contribution.abandon() }
        for reception in receptions.values { reception.abandon() }
        for gathering in gatherings.values { gathering.abandon() }
        for entry in early {
            entry.limit.close()
            entry.stream.abort()
        }
        fetch?.abandon()
        isClosed = true
        gatherings = [:]
        contributions = [:]
        receptions = [:]
        early = []
        fetch = nil
        onFilmChanged = nil
    }
}
