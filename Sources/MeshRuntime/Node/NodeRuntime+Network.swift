// What comes in from the network and where it goes.

import Gossip
import Logging
import MeshCore
import MeshNode
import MeshSecurity
import MeshWire
import WorkStealing

extension NodeRuntime {
    func received(datagram packet: [UInt8], from source: NodeAddress) {
        guard let opened = opened(packet, from: source) else { return }
        do {
            let message = try GossipMessage(decoding: opened.bytes)
            met(message.sender, at: source, sealedWith: opened.key, opened.state)
            node.receive(datagram: message, from: source, at: EventLoop.now)
        } catch {
            garbageReceived += 1
            logger.debug("dropped a datagram from \(source): \(error)")
            return
        }
        drive()
    }

    /// A connection or datagram was refused: nobody listens at the address.
    func refused(by address: NodeAddress) {
        node.connectionRefused(by: address, at: EventLoop.now)
        drive()
    }

    func rejected(_ source: NodeAddress?, _ reason: StreamCloseReason) {
        garbageReceived += 1
        let from = source.map { "\($0)" } ?? "an unknown address"
        func line() -> String { "refused a connection from \(from): \(reason)" }
        switch reason {
        case .incompatible: note(.otherVersion, line())
        case .untrusted(let error): note(Stranger(error), line())
        default: logger.debug("dropped a connection from \(from): \(reason)")
        }
    }

    /// A peer has connected: its first frame says what for, and that soon. Or its connection waits
    /// for another stream, which it may do for longer.
    func accept(_ stream: StreamConnection) {
        let isSuccessor = stream.isSuccessor
        let limit = EventLoop.schedule(
            after: isSuccessor ? StreamBounds.nextOpeningLimit : StreamBounds.openingLimit
        ) { [weak self, weak stream] in
            if !isSuccessor { self?.garbageReceived += 1 }
            stream?.abort()
        }
        stream.onClose = { _ in limit.close() }
        stream.onFrame = { [weak self, weak stream] kind, payload in
            limit.close()
            guard let self, let stream else { return }
            // Its key was accepted when it was connected, which may be long ago.
            if isSuccessor, let key = stream.key, self.keyring.key(key) == nil {
                return stream.abort()
            }
            guard kind == StreamKind.opening,
                let opening = try? StreamOpening(decoding: payload),
                self.isHonest(opening, of: stream)
            else {
                self.garbageReceived += 1
                stream.abort()
                return
            }
            self.opened(stream, opening)
        }
    }

    /// Whether a stream comes from a node that has proven who it is, which it names if it names one;
    /// this node never speaks to itself.
    private func isHonest(_ opening: StreamOpening, of stream: StreamConnection) -> Bool {
        guard let node = stream.peerNode else { return false }
        switch opening {
        case .control(let sender, _), .contribution(_, _, _, let sender):
            guard sender != identity else { return false }
            if sender.node == node { return true }
            note(
                .impostor,
                "refused a connection from node \(node): it says that it is \(sender.node)")
            return false
        case .sum, .film, .file: return true
        }
    }

    private func answerFile(_ digest: Digest, over stream: StreamConnection) {
        guard filesOnTheirWay < StreamBounds.fileAnswersMax else {
            stream.send(kind: StreamKind.absent, payload: [])
            return stream.closeAfterFlush()
        }
        filesOnTheirWay += 1
        stream.onClose = { [weak self] _ in self?.filesOnTheirWay -= 1 }
        SceneFetch.answer(stream, digest: digest, from: store)
    }

    private func opened(_ stream: StreamConnection, _ opening: StreamOpening) {
        stream.onFrame = nil
        stream.onClose = nil
        switch opening {
        case .control(let sender, _):
            stream.onFrame = { [weak self, weak stream] kind, payload in
                guard let self, let stream else { return }
                guard !self.isStopped, self.isTrusted(stream) else { return stream.abort() }
                self.received(kind, payload, from: sender, over: stream)
            }
        case .contribution(let frame, let round, let stripe, let sender):
            guard let driver = frames[frame] else { return stream.abort() }
            count(stream, for: frame)
            driver.acceptContribution(round, stripe: stripe, from: sender, stream: stream)
        case .sum(let frame, let round, let stripe, let receivers):
            guard let driver = frames[frame] else { return stream.abort() }
            count(stream, for: frame)
            driver.acceptSum(round, stripe: stripe, receivers: receivers, stream: stream)
        case .film(let frame):
            guard let driver = frames[frame] else {
                stream.send(kind: StreamKind.absent, payload: [])
                return stream.closeAfterFlush()
            }
            count(stream, for: frame)
            driver.answerFilm(over: stream)
        case .file(let digest):
            let user = frames.keys.sorted().first { frame in
                frames[frame]?.prepared?.job.files.contains { $0.digest == "\(digest)" } ?? false
            }
            if let user { count(stream, for: user) }
            answerFile(digest, over: stream)
        }
    }

    /// Counts a stream's bytes as a frame's, when it ends.
    func count(_ stream: StreamConnection, for frame: FrameID) {
        let listener = stream.onEnded
        stream.onEnded = { [weak self, unowned stream] reason in
            listener?(reason)
            self?.counters[frame]?.bytesSent += stream.counters.bytesSent
            self?.counters[frame]?.bytesReceived += stream.counters.bytesReceived
        }
    }

    /// A frame of a control connection.
    private func received(
        _ kind: UInt8, _ payload: [UInt8], from sender: ParticipantID,
        over stream: StreamConnection
    ) {
        switch kind {
        case StreamKind.message:
            do {
                let message = try MeshMessage(decoding: payload)
                if case .frame(let frame, _) = message {
                    counters[frame]?.bytesReceived += payload.count
                }
                logger.trace("from \(sender): \(message)")
                node.receive(message, from: sender, at: EventLoop.now)
            } catch {
                garbageReceived += 1
                logger.debug("a message of \(sender) is malformed: \(error)")
                return stream.abort()
            }
            drive()
        case StreamKind.contribution:
            received(contribution: payload, from: sender)
        case StreamKind.keys:
            received(keys: payload, from: sender)
        case StreamKind.refusal:
            received(refusal: payload, from: sender)
        default:
            // A kind that a later version has added.
            break
        }
    }

    func send(_ message: MeshMessage, to peer: ParticipantID, at address: NodeAddress) {
        logger.trace("to \(peer): \(message)")
        let bytes = message.encoded()
        if case .frame(let frame, _) = message { counters[frame]?.bytesSent += bytes.count }
        links.send(kind: StreamKind.message, bytes, to: peer, at: address)
    }
}

extension NodeRuntime: FrameDriverHost {
    func open(_ opening: StreamOpening, to participant: ParticipantID) -> StreamConnection? {
        guard let address = node.address(of: participant) else { return nil }
        let stream = stream(for: opening, to: address, of: participant.node)
        stream.send(kind: StreamKind.opening, payload: opening.encoded())
        switch opening {
        case .contribution(let frame, _, _, _), .sum(let frame, _, _, _), .film(let frame):
            count(stream, for: frame)
            stream.onDeliveryRate = { [weak self] rate in
                guard let self else { return }
                self.linkSpeed.add(rate)
                self.node.setLinkSpeed(bytesPerSecond: self.linkSpeed.bytesPerSecond)
            }
        case .control, .file: break
        }
        return stream
    }

    /// A stream to open something on: those of rounds on connections that are kept, if there are any.
    private func stream(
        for opening: StreamOpening, to address: NodeAddress, of node: NodeID
    ) -> StreamConnection {
        switch opening {
        case .control, .film, .file: return connect(to: address, of: node)
        case .contribution, .sum: break
        }
        if let kept = pool.take(to: address, of: node) {
            follow(kept)
            return kept
        }
        let stream = connect(to: address, of: node)
        pool.adopt(stream)
        return stream
    }

    func gathered(_ frame: FrameID, round: RoundID, coverage: IntervalSet) {
        node.gathered(frame, round: round, coverage: coverage, at: EventLoop.now)
        drive()
    }

    func judged(_ frame: FrameID, _ asked: [TileStage], needed: Set<Int>, term: Term) {
        node.judged(frame, asked, needed: needed, term: term, at: EventLoop.now)
        drive()
    }

    func contributionFailed(_ frame: FrameID, round: RoundID, cause: ParticipantID) {
        node.contributionFailed(frame, round: round, cause: cause, at: EventLoop.now)
        drive()
    }

    func sumArrived(
        _ frame: FrameID, round: RoundID, coverage: IntervalSet, ledger: IntervalSet
    ) -> FilmDisposition {
        node.sumArrived(
            frame, round: round, coverage: coverage, ledger: ledger, at: EventLoop.now)
    }

    func filmFetched(
        _ frame: FrameID, coverage: IntervalSet, from source: ParticipantID
    ) -> FilmDisposition {
        node.filmFetched(frame, coverage: coverage, from: source, at: EventLoop.now)
    }

    func filmFetchFailed(_ frame: FrameID) {
        node.filmFetchFailed(frame, at: EventLoop.now)
        drive()
    }
}
