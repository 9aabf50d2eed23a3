// A node's streams without the node: what the tests of rounds, sums and fetches talk to.

import MeshCore
import MeshSecurity
import MeshWire
import Testing
import Tracer
import WorkStealing

@testable import MeshRuntime

/// Listens on the loopback interface and opens streams to its like.
@EventLoop
final class StreamPeer: StreamOpener {
    let identity: ParticipantID
    let listener: StreamListener
    let address: NodeAddress
    /// Where the others are; one that is missing is not known.
    var addresses: [ParticipantID: NodeAddress] = [:]
    /// Called with what each stream that others open is for.
    var onOpening: (@EventLoop (StreamOpening, StreamConnection) -> Void)?
    private(set) var openings: [StreamOpening] = []
    /// Connections that have carried a stream of this peer's.
    let pool = StreamPool()

    init(_ number: UInt64) throws {
        identity = Films.participant(number)
        listener = try StreamListener.listen(
            on: NodeAddress(127, 0, 0, 1, port: 0), preamble: MeshProtocol.meshPreamble,
            security: TestMesh.security)
        address = try #require(listener.localAddress)
        listener.onConnection = { [weak self] stream in
            stream.onFrame = { [weak self, weak stream] kind, payload in
                guard let self, let stream, kind == StreamKind.opening,
                    let opening = try? StreamOpening(decoding: payload)
                else { return }
                stream.onFrame = nil
                self.openings.append(opening)
                self.onOpening?(opening, stream)
            }
        }
    }

    /// Peers that know each other, numbered from one.
    static func mesh(_ count: Int) throws -> [StreamPeer] {
        let peers = try (1...count).map { try StreamPeer(UInt64($0)) }
        for peer in peers {
            for other in peers { peer.addresses[other.identity] = other.address }
        }
        return peers
    }

    func open(_ opening: StreamOpening, to participant: ParticipantID) -> StreamConnection? {
        guard let address = addresses[participant] else { return nil }
        let stream = pool.take(to: address, of: nil) ?? connect(to: address)
        stream.send(kind: StreamKind.opening, payload: opening.encoded())
        return stream
    }

    private func connect(to address: NodeAddress) -> StreamConnection {
        let stream = StreamConnection.connect(
            to: address, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
        pool.adopt(stream)
        return stream
    }

    /// A stream of this peer to another's part in a round.
    func openContribution(
        to parent: StreamPeer, round: UInt64 = 1, stripe: TileStripe = .whole
    ) throws -> StreamConnection {
        try #require(
            open(
                .contribution(Films.frame, Films.round(round), stripe, sender: identity),
                to: parent.identity))
    }
}

/// One node's part in a round, and what became of it.
@EventLoop
final class RoundPart {
    let peer: StreamPeer
    private(set) var contribution: StripedContribution?
    private(set) var gathering: SumGathering?
    private(set) var gathered: Film?
    private(set) var isDelivered = false
    private(set) var cause: ParticipantID?
    private(set) var reason = ""

    /// A part with the same neighbours in the trees of all stripes.
    init(
        _ peer: StreamPeer, own: [Film], children: [StreamPeer], parent: StreamPeer?,
        workSpace: WorkSpace, stripes: Int = 1, receivers: [StreamPeer] = [],
        stallLimit: Duration = .seconds(8)
    ) throws {
        self.peer = peer
        if parent == nil {
            let frame = Films.frame
            let round = Films.round(1)
            let others = receivers.map(\.identity)
            gathering = SumGathering(round: round, workSpace: workSpace, stripes: stripes) {
                [unowned peer] stripe in
                let tree = ReduceTree(root: peer.identity, others: others, stripes: stripe.count)
                return SumSender(
                    frame: frame, round: round, stripe: stripe, branches: tree.branches,
                    opener: peer)
            }
        }
        let parts = try TileStripe.all(stripes).map { stripe in
            StripedContribution.Part(
                merger: try FilmMerger(
                    workSpace: workSpace, stripe: stripe, own: own,
                    children: children.map(\.identity), identity: peer.identity),
                parent: try parent.map {
                    (
                        participant: $0.identity,
                        stream: try peer.openContribution(to: $0, stripe: stripe)
                    )
                }, sink: gathering?.sink(of: stripe))
        }
        let contribution = StripedContribution(
            round: Films.round(1), parts: parts, stallLimit: stallLimit,
            onDelivered: { [weak self] in self?.isDelivered = true },
            onFailed: { [weak self] in
                self?.cause = $0
                self?.reason = $1
            })
        gathering?.onGathered = { [weak self] in self?.gathered = $0 }
        gathering?.onFailed = { contribution.fail(peer.identity, $0) }
        self.contribution = contribution
        peer.onOpening = { opening, stream in
            guard case .contribution(_, _, let stripe, let sender) = opening else { return }
            contribution.accept(stream, from: sender, stripe: stripe)
        }
    }
}
