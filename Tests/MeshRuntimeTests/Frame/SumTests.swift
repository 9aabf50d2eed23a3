// Sums on their way down a tree, and whole films fetched, over real streams.

import MeshCore
import MeshWire
import Testing
import Tracer
import WorkStealing

@testable import MeshRuntime

@Suite("Sums and whole films")
@EventLoop
struct SumTests {
    /// A node that passes a sum on, and what it got.
    @EventLoop
    private final class Receiver {
        private var reception: SumReception?
        private(set) var film: Film?
        private(set) var ledger: IntervalSet?
        private(set) var hasFailed = false
        /// How many streams come.
        private(set) var streams = 0

        func forget() {
            reception = nil
            film = nil
        }

        init(_ peer: StreamPeer, workSpace: WorkSpace, stallLimit: Duration = .seconds(8)) {
            peer.onOpening = { [weak self, weak peer] opening, stream in
                guard let self, let peer,
                    case .sum(let frame, let round, let stripe, let receivers) = opening
                else { return }
                let reception =
                    self.reception
                    ?? SumReception(
                        round: round, stripes: stripe.count, workSpace: workSpace,
                        stallLimit: stallLimit
                    ) { [weak self] result in
                        self?.film = result?.sum
                        self?.ledger = result?.ledger
                        self?.hasFailed = result == nil
                    }
                self.reception = reception
                streams += 1
                let tree = ReduceTree(
                    subtree: [peer.identity] + receivers, stripes: stripe.count)
                reception.accept(stripe, stream: stream) {
                    SumSender(
                        frame: frame, round: round, stripe: stripe, branches: tree.branches,
                        opener: peer)
                }
            }
        }
    }

    /// A root that has the whole sum itself, and the participants that get it.
    private func gather(
        _ sum: Film, at root: StreamPeer, for receivers: [ParticipantID], stripes: Int
    ) throws -> (gathering: SumGathering, contribution: StripedContribution) {
        let identity = root.identity
        let gathering = SumGathering(
            round: Films.round(1), workSpace: sum.workSpace, stripes: stripes
        ) { [unowned root] stripe in
            let tree = ReduceTree(root: identity, others: receivers, stripes: stripe.count)
            return SumSender(
                frame: Films.frame, round: Films.round(1), stripe: stripe,
                branches: tree.branches, opener: root)
        }
        let parts = try TileStripe.all(stripes).map { stripe in
            StripedContribution.Part(
                merger: try FilmMerger(
                    workSpace: sum.workSpace, stripe: stripe, own: [sum], children: [],
                    identity: identity), parent: nil, sink: gathering.sink(of: stripe))
        }
        let contribution = StripedContribution(
            round: Films.round(1), parts: parts, onDelivered: {}, onFailed: { _, _ in })
        return (gathering, contribution)
    }

    @Test(
        "Every receiver gets the sum, whatever their number, once it is released",
        arguments: [1, 2, 3, 7, 12], [1, 4])
    func everybody(count: Int, stripes: Int) async throws {
        var random = RandomNumbers(seed: UInt64(count))
        let space = try Films.space(width: 200, height: 160)
        let sum = try Films.split(space, among: 1, from: &random)[0]
        let peers = try StreamPeer.mesh(count + 1)
        let receivers = peers.dropFirst().map { Receiver($0, workSpace: space) }
        let root = try gather(
            sum, at: peers[0], for: peers.dropFirst().map(\.identity), stripes: stripes)
        var hasSent = false
        root.gathering.onSent = { hasSent = true }
        #expect(
            await Loop.until {
                root.gathering.film != nil && receivers.allSatisfy { $0.streams == stripes }
            })
        #expect(receivers.allSatisfy { $0.film == nil } && !hasSent, "it is not committed")
        root.gathering.release(ledger: sum.coverage)
        #expect(await Loop.until { hasSent && receivers.allSatisfy { $0.film != nil } })
        #expect(receivers.allSatisfy { $0.film == sum && $0.ledger == sum.coverage })
        root.contribution.abandon()
        withExtendedLifetime(peers) {}
    }

    @Test("A sum of an adaptive frame arrives with what it waives", arguments: [1, 4])
    func waived(stripes: Int) async throws {
        var random = RandomNumbers(seed: 20)
        let space = try Films.space(width: 200, height: 160, samples: 64, isAdaptive: true)
        // The second sum has no samples at all: nothing but heads comes down.
        var spared = Film(workSpace: space)
        try spared.waive(IntervalSet(space.units(ofStage: 1)))
        for sum in [try Films.split(space, among: 1, from: &random)[0], spared] {
            let peers = try StreamPeer.mesh(6)
            let receivers = peers.dropFirst().map { Receiver($0, workSpace: space) }
            let root = try gather(
                sum, at: peers[0], for: peers.dropFirst().map(\.identity), stripes: stripes)
            #expect(await Loop.until { root.gathering.film != nil })
            root.gathering.release(ledger: sum.coverage)
            #expect(await Loop.until { receivers.allSatisfy { $0.film != nil } })
            #expect(receivers.allSatisfy { $0.film == sum })
            root.contribution.abandon()
            withExtendedLifetime(peers) {}
        }
    }

    @Test("A sum that is abandoned reaches nobody", arguments: [1, 4])
    func abandoned(stripes: Int) async throws {
        var random = RandomNumbers(seed: 3)
        let space = try Films.space(width: 200, height: 160)
        let sum = try Films.split(space, among: 1, from: &random)[0]
        let peers = try StreamPeer.mesh(6)
        let receivers = peers.dropFirst().map { Receiver($0, workSpace: space) }
        let root = try gather(
            sum, at: peers[0], for: peers.dropFirst().map(\.identity), stripes: stripes)
        #expect(await Loop.until { receivers.allSatisfy { $0.streams == stripes } })
        root.gathering.abandon()
        #expect(await Loop.until { receivers.allSatisfy(\.hasFailed) })
        #expect(receivers.allSatisfy { $0.film == nil })
        root.contribution.abandon()
        withExtendedLifetime(peers) {}
    }

    @Test(
        "A receiver that is not known, or does not listen, keeps the sum from nobody else",
        arguments: [1, 4])
    func unreachable(stripes: Int) async throws {
        var random = RandomNumbers(seed: 9)
        let space = try Films.space()
        let sum = try Films.split(space, among: 1, from: &random)[0]
        let peers = try StreamPeer.mesh(7)
        let closed = try StreamPeer(99)
        for peer in peers { peer.addresses[closed.identity] = closed.address }
        closed.listener.close()
        let receivers = peers.dropFirst().map { Receiver($0, workSpace: space) }
        let known = peers.dropFirst().map(\.identity)
        let all =
            [Films.participant(77), known[0], closed.identity, known[1], Films.participant(79)]
            + known[2...]
        for order in [all, all.reversed(), [closed.identity] + known] {
            let root = try gather(sum, at: peers[0], for: order, stripes: stripes)
            #expect(await Loop.until { root.gathering.film != nil })
            root.gathering.release(ledger: sum.coverage)
            #expect(await Loop.until { receivers.allSatisfy { $0.film != nil } })
            #expect(receivers.allSatisfy { $0.film == sum })
            for receiver in receivers { receiver.forget() }
            root.contribution.abandon()
        }
        withExtendedLifetime(peers) {}
    }

    @Test("A sum that is garbage, breaks off or stands still reaches nobody", arguments: 0..<4)
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
                    Films.frame, Films.round(1), TileStripe(0, of: kind == 3 ? 2 : 1),
                    receivers: [peers[2].identity]), to: peers[1].identity))
        var bytes = Films.stream(sum)
        if kind == 0 { bytes[2] ^= 0xff } else { bytes.removeLast(10) }
        if kind == 3 { bytes = Films.stream(sum, TileStripe(0, of: 2)) }
        stream.send(kind: StreamKind.film, payload: bytes)
        if kind == 3 {
            // One stripe of two is whole, and the other never comes.
            var ledger = ByteWriter()
            sum.coverage.write(to: &ledger)
            stream.send(kind: StreamKind.release, payload: ledger.bytes)
        }
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
