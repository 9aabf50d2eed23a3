// Sums on their way down a tree, and whole films fetched, over real streams.

import MeshCore
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Sums and whole films")
@EventLoop
struct SumTests {
    /// A node that passes a sum on, and what it got.
    @EventLoop
    private final class Receiver {
        private var relay: SumRelay?
        private(set) var film: Film?
        private(set) var hasFailed = false

        init(_ peer: StreamPeer, workSpace: WorkSpace, stallLimit: Duration = .seconds(8)) {
            peer.onOpening = { [weak self, weak peer] opening, stream in
                guard let self, let peer,
                    case .sum(let frame, let round, let ledger, let receivers) = opening
                else { return }
                let sender = SumSender(
                    frame: frame, round: round, ledger: ledger, receivers: receivers,
                    opener: peer)
                relay = SumRelay(
                    round: round, ledger: ledger, stream: stream, sender: sender,
                    workSpace: workSpace, stallLimit: stallLimit
                ) { [weak self] sum in
                    self?.film = sum
                    self?.hasFailed = sum == nil
                }
            }
        }
    }

    @Test("Every receiver gets the sum, whatever their number", arguments: [1, 2, 3, 7, 12])
    func everybody(count: Int) async throws {
        var random = RandomNumbers(seed: UInt64(count))
        let space = try Films.space(width: 200, height: 160)
        let sum = try Films.split(space, among: 1, from: &random)[0]
        let peers = try StreamPeer.mesh(count + 1)
        let receivers = peers.dropFirst().map { Receiver($0, workSpace: space) }
        let sender = SumSender(
            frame: Films.frame, round: Films.round(1), ledger: sum.coverage,
            receivers: peers.dropFirst().map(\.identity), opener: peers[0])
        var hasSent = false
        let broadcast = SumBroadcast(sum, sender: sender) { hasSent = true }
        #expect(await Loop.until { hasSent && receivers.allSatisfy { $0.film != nil } })
        #expect(receivers.allSatisfy { $0.film == sum })
        broadcast.abandon()
        withExtendedLifetime((peers, sender)) {}
    }

    @Test("A receiver whose address is not known does not keep the sum from the rest")
    func unknownReceiver() async throws {
        var random = RandomNumbers(seed: 9)
        let space = try Films.space()
        let sum = try Films.split(space, among: 1, from: &random)[0]
        let peers = try StreamPeer.mesh(4)
        let receivers = peers.dropFirst().map { Receiver($0, workSpace: space) }
        let known = peers.dropFirst().map(\.identity)
        let sender = SumSender(
            frame: Films.frame, round: Films.round(1), ledger: sum.coverage,
            receivers: [Films.participant(77), known[0], Films.participant(78), known[1]]
                + [Films.participant(79), known[2]], opener: peers[0])
        let broadcast = SumBroadcast(sum, sender: sender) {}
        #expect(await Loop.until { receivers.allSatisfy { $0.film != nil } })
        #expect(receivers.allSatisfy { $0.film == sum })
        broadcast.abandon()
        withExtendedLifetime((peers, sender)) {}
    }

    @Test("A sum that is garbage, breaks off or stands still reaches nobody", arguments: 0..<3)
    func broken(kind: Int) async throws {
        var random = RandomNumbers(seed: 10)
        let space = try Films.space()
        let sum = try Films.film(space, 0..<space.count, from: &random)
        let peers = try StreamPeer.mesh(3)
        let receivers = peers.dropFirst().map {
            Receiver($0, workSpace: space, stallLimit: .milliseconds(100))
        }
        let stream = try #require(
            peers[0].open(
                .sum(
                    Films.frame, Films.round(1), ledger: sum.coverage,
                    receivers: [peers[2].identity]), to: peers[1].identity))
        var bytes = Films.stream(sum)
        if kind == 0 { bytes[2] ^= 0xff } else { bytes.removeLast(10) }
        stream.send(kind: StreamKind.film, payload: bytes)
        if kind == 1 { stream.closeAfterFlush() }
        // The second hears of it only if its stream was there before the first gave up.
        #expect(await Loop.until { receivers[0].hasFailed })
        #expect(receivers.allSatisfy { $0.film == nil })
        stream.abort()
        withExtendedLifetime(peers) {}
    }

    @Test("A film is fetched from the first that gives it whole")
    func fetch() async throws {
        var random = RandomNumbers(seed: 11)
        let space = try Films.space()
        let film = try Films.split(space, among: 1, from: &random)[0]
        let peers = try StreamPeer.mesh(6)
        peers[1].onOpening = { _, stream in
            stream.send(kind: StreamKind.absent, payload: [])
            stream.closeAfterFlush()
        }
        peers[2].onOpening = { _, stream in
            stream.send(kind: StreamKind.film, payload: [UInt8](repeating: 1, count: 999))
        }
        // The fourth says nothing.
        peers[4].onOpening = { _, stream in stream.abort() }
        var answersEnded = 0
        peers[5].onOpening = { _, stream in
            FilmSender.answer(stream, with: film) { answersEnded += 1 }
        }
        var result: (film: Film?, source: ParticipantID?)?
        let fetch = FilmFetch(
            frame: Films.frame, workSpace: space,
            sources: [Films.participant(99)] + peers.dropFirst().map(\.identity),
            opener: peers[0], stallLimit: .milliseconds(200)
        ) { result = ($0, $1) }
        #expect(await Loop.until { result != nil && answersEnded == 1 })
        #expect(result?.film == film)
        #expect(result?.source == peers[5].identity)
        #expect(peers[1...5].allSatisfy { $0.openings == [.film(Films.frame)] })
        fetch.abandon()
        withExtendedLifetime(peers) {}
    }

    @Test("A film that nobody gives is none")
    func fetchNothing() async throws {
        let space = try Films.space()
        let peers = try StreamPeer.mesh(2)
        peers[1].onOpening = { _, stream in stream.abort() }
        var answers: [Film?] = []
        let fetch = FilmFetch(
            frame: Films.frame, workSpace: space,
            sources: [Films.participant(9), peers[1].identity], opener: peers[0]
        ) { film, _ in answers.append(film) }
        #expect(await Loop.until { !answers.isEmpty })
        #expect(answers == [nil])
        fetch.abandon()
        withExtendedLifetime(peers) {}
    }
}
