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
    /// The root's sums, from gathered to broadcast.
    private var buffers: [RoundID: Film] = [:]
    private var contributions: [RoundID: Contribution] = [:]
    private var relays: [RoundID: SumRelay] = [:]
    private var broadcasts: [RoundID: SumBroadcast] = [:]
    private var fetch: FilmFetch?
    private var isClosed = false
    /// Children that began to send before this node had its plan.
    private var early: [EarlyStream] = []
    /// The last round this node had a part in.
    private var lastRound: RoundID?
    /// Whole films on their way to others.
    private var answers = 0
    private unowned let host: any FrameDriverHost

    private struct EarlyStream {
        let round: RoundID
        let child: ParticipantID
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
        case .contribute(let round, let seals, let parent, let children):
            contribute(round, seals: seals, parent: parent, children: children)
        case .gather(let round, let seals, let children):
            begin(round, seals: seals, parent: nil, children: children)
        case .abandon(let round):
            contributions.removeValue(forKey: round)?.abandon()
            buffers[round] = nil
        case .commit(let round):
            commit(round)
        case .broadcast(let round, let ledger, let receivers):
            broadcast(round, ledger: ledger, receivers: receivers)
        case .fetchFilm(let sources):
            fetchFilm(from: sources)
        }
    }

    // MARK: - Rounds

    private func contribute(
        _ round: RoundID, seals: [SealNumber], parent: ParticipantID, children: [ParticipantID]
    ) {
        guard
            let stream = host.open(.contribution(frame, round, sender: host.identity), to: parent)
        else { return failSoon(round, cause: parent) }
        begin(round, seals: seals, parent: (parent, stream), children: children)
    }

    private func begin(
        _ round: RoundID, seals: [SealNumber],
        parent: (participant: ParticipantID, stream: StreamConnection)?,
        children: [ParticipantID]
    ) {
        let own = seals.compactMap { sealed[$0] }
        let merger: FilmMerger
        do {
            guard own.count == seals.count else {
                throw MergeFailure(
                    cause: host.identity, description: "a sealed partial is no longer here")
            }
            merger = try FilmMerger(
                workSpace: workSpace, own: own, children: children, identity: host.identity)
        } catch {
            parent?.stream.abort()
            report("round \(round)", error)
            return failSoon(round, cause: host.identity)
        }
        // Whatever still runs is out of date.
        for contribution in contributions.values { contribution.abandon() }
        for old in buffers.keys where old < round { buffers[old] = nil }
        let contribution = Contribution(
            round: round, merger: merger, parent: parent,
            onGathered: { [weak self] film in self?.gathered(round, film) },
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
                contribution.accept(entry.stream, from: entry.child)
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
        _ round: RoundID, from child: ParticipantID, stream: StreamConnection
    ) {
        if let contribution = contributions[round] {
            contribution.accept(stream, from: child)
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
        let entry = EarlyStream(round: round, child: child, stream: stream, limit: limit)
        stream.onClose = { [weak self, weak stream] _ in
            limit.close()
            self?.early.removeAll { $0.stream === stream }
        }
        early.append(entry)
    }

    private func gathered(_ round: RoundID, _ sum: Film) {
        contributions[round] = nil
        buffers[round] = sum
        host.gathered(frame, round: round, coverage: sum.coverage)
    }

    private func commit(_ round: RoundID) {
        guard let sum = buffers[round] else {
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

    private func broadcast(_ round: RoundID, ledger: IntervalSet, receivers: [ParticipantID]) {
        guard let sum = buffers.removeValue(forKey: round), !receivers.isEmpty else { return }
        let sender = SumSender(
            frame: frame, round: round, ledger: ledger, receivers: receivers, opener: host)
        broadcasts[round] = SumBroadcast(sum, sender: sender) { [weak self] in
            self?.broadcasts[round] = nil
        }
    }

    /// A sum comes down the tree.
    func acceptSum(
        _ round: RoundID, ledger: IntervalSet, receivers: [ParticipantID],
        stream: StreamConnection
    ) {
        guard relays[round] == nil, relays.count < 4 else {
            stream.abort()
            return
        }
        // Each node once and never this one: a list from outside must not make sums go round.
        var seen: Set<ParticipantID> = [host.identity]
        let sender = SumSender(
            frame: frame, round: round, ledger: ledger,
            receivers: receivers.filter { seen.insert($0).inserted }, opener: host)
        relays[round] = SumRelay(
            round: round, ledger: ledger, stream: stream, sender: sender, workSpace: workSpace
        ) { [weak self] sum in
            self?.relays[round] = nil
            if let sum { self?.sumArrived(round, sum, ledger: ledger) }
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

    private func report(_ what: String, _ error: any Error) {
        host.logger.error("frame \(frame): \(what): \(error)")
    }

    /// Ends every stream of the frame.
    func close() {
        for contribution in contributions.values { contribution.abandon() }
        for relay in relays.values { relay.abandon() }
        for broadcast in broadcasts.values { broadcast.abandon() }
        for entry in early {
            entry.limit.close()
            entry.stream.abort()
        }
        fetch?.abandon()
        isClosed = true
        buffers = [:]
        contributions = [:]
        relays = [:]
        broadcasts = [:]
        early = []
        fetch = nil
        onFilmChanged = nil
    }
}

/// The root's sending of one sum to all.
@EventLoop
final class SumBroadcast {
    private let sender: SumSender
    private var pieces: FilmSender?

    init(_ sum: Film, sender: SumSender, onFinished: @escaping @EventLoop () -> Void) {
        self.sender = sender
        let pieces = FilmSender(
            sum, send: { sender.send($0) }, isWritable: { sender.isWritable },
            onFinished: {
                sender.finish()
                onFinished()
            })
        sender.onWritable = { [weak pieces] in pieces?.schedule() }
        self.pieces = pieces
    }

    func abandon() {
        pieces?.stop()
        sender.abort()
    }
}
