// The all-reduce of a film over real sockets, by the code that performs a round's directives in a
// node: every process is one node with a sealed partial film, and each round ends when all of them
// have the whole sum. Only the state machines are left out: a leader says when a round starts.

import Foundation
import Logging
public import MeshCore
import MeshNode
import MeshSecurity
import MeshWire
import Tracer
import WorkStealing

/// What the nodes of one run do.
public struct ReductionBenchmarkSettings: Hashable, Sendable, Codable {
    /// Pixels.
    public var width = 1_920
    /// Pixels.
    public var height = 1_080
    public var nodes = 4
    /// Rounds that are measured; one more goes before them.
    public var rounds = 7
    /// Parts of the film that have trees of their own.
    public var stripes = 3
    /// Whether albedo, normal and depth travel too, not only the beauty and its alpha.
    public var hasAllPlanes = false

    public init() {}
}

/// What one node did in one round.
public struct ReductionBenchmarkFigures: Hashable, Sendable, Codable {
    public var rank: Int
    public var bytesReceived: Int
    public var bytesSent: Int
    /// Of all threads of the process, system time included.
    public var cpuSeconds: Double
    public var isRight: Bool
}

/// One round: the time from its start until the leader knows that all have the sum, and what the
/// nodes did, by rank.
public struct ReductionBenchmarkRound: Hashable, Sendable, Codable {
    public var seconds: Double
    public var nodes: [ReductionBenchmarkFigures]
}

/// Why a run ended early.
public struct ReductionBenchmarkFailure: Error, CustomStringConvertible {
    public let description: String
}

/// What leader and members say to each other, as JSON.
private enum BenchmarkMessage: Codable {
    /// Leader: the member's rank, and where all are, by rank.
    case setup(ReductionBenchmarkSettings, rank: Int, addresses: [String])
    /// Member: its film for the next round is sealed.
    case ready
    case start(round: Int)
    /// Member: it has the whole sum.
    case arrived
    /// Leader: all have it; members check theirs, answer by `checked`, and seal the next film.
    case check
    case checked(ReductionBenchmarkFigures)
    case failed(String)
}

/// One process of the benchmark: the leader, rank 0, or a member.
@EventLoop
public final class ReductionBenchmark {
    private let listener: StreamListener
    public nonisolated let address: NodeAddress
    private var settings: ReductionBenchmarkSettings
    private var continuation: CheckedContinuation<[ReductionBenchmarkRound], any Error>?
    private var node: ReductionBenchmarkNode?
    /// At the leader the streams to all members, by rank less one; at a member that to the leader.
    private var links: [StreamConnection] = []
    /// How many members have answered what the leader said last, and what they said.
    private var answers = 0
    private var figures: [ReductionBenchmarkFigures] = []
    private var memberAddresses: [NodeAddress] = []
    private var began = EventLoop.now
    private var seconds = 0.0
    private var round = -1
    private var results: [ReductionBenchmarkRound] = []
    /// Its films are noise and no secret: every process of a run knows this key.
    private static let sealed = StreamSecurity.sealed(
        Keyring(
            key: MeshKey(bytes: [UInt8](repeating: 0x4d, count: MeshKey.byteCount)) ?? MeshKey(),
            created: "never"))
    private let security: StreamSecurity
    /// How long a member tries to reach the leader.
    private static let joinLimit = Duration.seconds(20)

    /// Binds a port of `address`; all processes of a run are sealed, or none.
    /// - Throws: `NetworkError`.
    public init(
        listen address: NodeAddress, settings: ReductionBenchmarkSettings = .init(),
        isSealed: Bool
    ) throws {
        self.settings = settings
        security = isSealed ? Self.sealed : .plain
        listener = try StreamListener.listen(
            on: address, preamble: MeshProtocol.meshPreamble, security: security)
        self.address = listener.localAddress ?? address
        listener.onConnection = { [weak self] in self?.accept($0) }
    }

    /// Waits for the members, measures all rounds, and lets the members go.
    /// - Throws: ``ReductionBenchmarkFailure``.
    public func lead() async throws -> [ReductionBenchmarkRound] {
        try await withCheckedThrowingContinuation { continuation = $0 }
    }

    /// Takes part in the rounds of a leader until it goes.
    /// - Throws: ``ReductionBenchmarkFailure``.
    public func join(_ leader: NodeAddress) async throws {
        _ = try await withCheckedThrowingContinuation { continuation in
            self.continuation = continuation
            connect(to: leader, until: EventLoop.now + Self.joinLimit)
        }
    }

    private func connect(to leader: NodeAddress, until limit: Instant) {
        let stream = StreamConnection.connect(
            to: leader, preamble: MeshProtocol.meshPreamble, security: security)
        // The leader finds the host by itself; nobody has an identity before its rank.
        let nobody = ParticipantID(node: NodeID(.max), boot: 1)
        stream.send(
            kind: StreamKind.opening,
            payload: StreamOpening.control(sender: nobody, name: "\(address.port)").encoded())
        stream.onFrame = { [weak self] _, payload in self?.receive(payload) }
        stream.onClose = { [weak self] reason in
            guard let self else { return }
            if case .connectFailed = reason, EventLoop.now < limit {
                EventLoop.schedule(after: .milliseconds(100)) {
                    self.connect(to: leader, until: limit)
                }
            } else if case .closedByPeer = reason, self.round >= 0 {
                self.finish(.success([]))
            } else {
                self.fail("the leader at \(leader) is gone: \(reason)")
            }
        }
        links = [stream]
    }

    private func accept(_ stream: StreamConnection) {
        stream.onFrame = { [weak self, unowned stream] _, payload in
            stream.onFrame = nil
            guard let self, let opening = try? StreamOpening(decoding: payload) else {
                return stream.abort()
            }
            guard case .control(_, let port) = opening else {
                self.node?.accept(stream, opening)
                return
            }
            guard let port = UInt16(port), let host = stream.remoteAddress,
                self.links.count < self.settings.nodes - 1
            else { return stream.abort() }
            stream.onFrame = { [weak self] _, payload in self?.receive(payload) }
            stream.onClose = { [weak self] in self?.fail("a member is gone: \($0)") }
            self.links.append(stream)
            self.memberAddresses.append(host.with(port: port))
            if self.links.count == self.settings.nodes - 1 { self.beginRun() }
        }
    }

    private func say(_ message: BenchmarkMessage, to streams: [StreamConnection]) {
        do {
            let payload = [UInt8](try JSONEncoder().encode(message))
            for stream in streams { stream.send(kind: StreamKind.message, payload: payload) }
        } catch {
            preconditionFailure("a message that JSON does not know: \(error)")
        }
    }

    private func receive(_ payload: [UInt8]) {
        do {
            switch try JSONDecoder().decode(BenchmarkMessage.self, from: Data(payload)) {
            case .setup(let settings, let rank, let addresses):
                self.settings = settings
                try setUp(rank: rank, addresses: addresses.compactMap { NodeAddress($0) })
                round = 0
                say(.ready, to: links)
            case .start(let round):
                node?.start(round)
            case .check:
                guard let node else { return }
                say(.checked(node.check()), to: links)
            case .ready, .arrived:
                answered()
            case .checked(let member):
                figures.append(member)
                answered()
            case .failed(let reason):
                fail(reason)
            }
        } catch {
            fail("\(error)")
        }
    }

    private func setUp(rank: Int, addresses: [NodeAddress]) throws {
        guard addresses.count == settings.nodes,
            let noise = NoiseFilm(
                width: settings.width, height: settings.height, nodes: settings.nodes,
                hasAllPlanes: settings.hasAllPlanes)
        else { throw ReductionBenchmarkFailure(description: "a frame out of bounds") }
        let node = ReductionBenchmarkNode(
            rank: rank, addresses: addresses, noise: noise, stripes: settings.stripes,
            security: security)
        node.onArrived = { [weak self] in
            guard let self else { return }
            if rank == 0 { self.answered() } else { self.say(.arrived, to: self.links) }
        }
        node.onFailed = { [weak self] in self?.fail($0) }
        self.node = node
    }

    // MARK: - Leader

    private enum Phase { case preparing, running, checking }
    private var phase = Phase.preparing

    private func beginRun() {
        let addresses = [address] + memberAddresses
        for (index, link) in links.enumerated() {
            say(
                .setup(settings, rank: index + 1, addresses: addresses.map(\.description)),
                to: [link])
        }
        do {
            try setUp(rank: 0, addresses: addresses)
            answered()
        } catch {
            fail("\(error)")
        }
    }

    /// A node, this one or a member, has done what the leader waits for.
    private func answered() {
        answers += 1
        guard answers == settings.nodes, let node else { return }
        answers = 0
        switch phase {
        case .running:
            seconds = (EventLoop.now - began).seconds
            phase = .checking
            say(.check, to: links)
            figures = [node.check()]
            answered()
        case .checking:
            figures.sort { $0.rank < $1.rank }
            if let wrong = figures.first(where: { !$0.isRight }) {
                return fail("the sum at rank \(wrong.rank) is not right")
            }
            if round > 0 { results.append(.init(seconds: seconds, nodes: figures)) }
            if round == settings.rounds { return finish(.success(results)) }
            startRound()
        case .preparing:
            startRound()
        }
    }

    private func startRound() {
        phase = .running
        round += 1
        began = EventLoop.now
        say(.start(round: round), to: links)
        node?.start(round)
    }

    private func fail(_ reason: String) {
        guard continuation != nil else { return }
        say(.failed(reason), to: links)
        finish(.failure(ReductionBenchmarkFailure(description: reason)))
    }

    private func finish(_ result: Result<[ReductionBenchmarkRound], any Error>) {
        guard let continuation else { return }
        self.continuation = nil
        for link in links {
            link.onClose = nil
            link.closeAfterFlush()
        }
        node?.close()
        listener.close()
        continuation.resume(with: result)
    }
}
