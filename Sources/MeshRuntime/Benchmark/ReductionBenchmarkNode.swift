// One node of the reduction benchmark: what a node does with the directives of a round, and the
// answers that the state machine would give.

import Glibc
import Logging
import MeshCore
import MeshNode
import MeshWire
import Tracer
import WorkStealing

/// Performs one round after the other, each with a driver of its own.
@EventLoop
final class ReductionBenchmarkNode: FrameDriverHost {
    let identity: ParticipantID
    let logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    /// Called when the sum of the present round is whole here.
    var onArrived: (@EventLoop () -> Void)?
    var onFailed: (@EventLoop (String) -> Void)?

    private let rank: Int
    private let addresses: [NodeAddress]
    private let noise: NoiseFilm
    private let stripes: Int
    private let security: StreamSecurity
    private let pool = StreamPool()
    private let tiles: [FilmTile]
    private let expected: Film
    private var driver: FrameDriver?
    private var frame: FrameID
    private var hasArrived = false
    /// All streams of the present round, for their bytes.
    private var streams: [StreamConnection] = []
    private var cpuAtStart = 0.0

    init(
        rank: Int, addresses: [NodeAddress], noise: NoiseFilm, stripes: Int,
        security: StreamSecurity
    ) {
        self.security = security
        self.stripes = stripes
        self.rank = rank
        self.addresses = addresses
        self.noise = noise
        identity = Self.participant(rank)
        tiles = (0..<noise.workSpace.grid.count).map { noise.tile($0, of: rank) }
        expected = noise.sum()
        frame = FrameID(originator: Self.participant(0), number: 0)
        prepare(0)
    }

    private static func participant(_ rank: Int) -> ParticipantID {
        ParticipantID(node: NodeID(UInt64(rank) + 1), boot: 1)
    }

    /// Each round is a frame of its own, so that every film begins empty.
    private func prepare(_ round: Int) {
        driver?.close()
        frame = FrameID(originator: Self.participant(0), number: UInt64(round))
        let driver = FrameDriver(frame: frame, workSpace: noise.workSpace, host: self)
        for (index, tile) in tiles.enumerated() {
            let unit = noise.unit(tile: index, of: rank)
            driver.take(
                UnitResult(frame: frame, unit: unit, tile: tile, duration: .zero), .addToOpen)
        }
        driver.perform(.seal(SealNumber(1)))
        self.driver = driver
        hasArrived = false
        streams = []
    }

    /// Plays this node's part in a round; the trees follow from the round's number.
    func start(_ number: Int) {
        cpuAtStart = Self.cpuSeconds
        var random = RandomNumbers(seed: UInt64(number))
        let others = (1..<addresses.count).map { ReducePlan.Candidate(Self.participant($0)) }
        let plan = ReducePlan(
            root: Self.participant(0), contributors: others, receivers: others, stripes: stripes,
            random: &random)
        let round = round(number)
        let seals = [SealNumber(1)]
        if rank == 0 {
            driver?.perform(.gather(round: round, seals: seals, stripes: plan.root))
        } else if let places = plan.contributors.first(where: { $0.id == identity })?.places {
            driver?.perform(.contribute(round: round, seals: seals, places: places))
        }
    }

    private func round(_ number: Int) -> RoundID {
        RoundID(term: Term(number: 1, root: Self.participant(0)), number: UInt64(number) + 1)
    }

    func accept(_ stream: StreamConnection, _ opening: StreamOpening) {
        streams.append(stream)
        switch opening {
        case .contribution(frame, let round, let stripe, let sender):
            driver?.acceptContribution(round, stripe: stripe, from: sender, stream: stream)
        case .sum(frame, let round, let stripe, let receivers):
            driver?.acceptSum(round, stripe: stripe, receivers: receivers, stream: stream)
        default: stream.abort()
        }
    }

    /// Compares the sum with what it must be, and goes on to the next round's film.
    func check() -> ReductionBenchmarkFigures {
        let cpuSeconds = Self.cpuSeconds - cpuAtStart
        let figures = ReductionBenchmarkFigures(
            rank: rank, bytesReceived: streams.reduce(0) { $0 + $1.counters.bytesReceived },
            bytesSent: streams.reduce(0) { $0 + $1.counters.bytesSent }, cpuSeconds: cpuSeconds,
            isRight: driver?.film == expected)
        prepare(Int(frame.number) + 1)
        return figures
    }

    func close() {
        driver?.close()
        driver = nil
        pool.closeAll()
    }

    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    // MARK: - The driver's host

    func open(_ opening: StreamOpening, to participant: ParticipantID) -> StreamConnection? {
        let address = addresses[Int(participant.node.rawValue) - 1]
        let stream = pool.take(to: address, of: nil) ?? connect(to: address)
        stream.send(kind: StreamKind.opening, payload: opening.encoded())
        streams.append(stream)
        return stream
    }

    private func connect(to address: NodeAddress) -> StreamConnection {
        let stream = StreamConnection.connect(
            to: address, preamble: MeshProtocol.meshPreamble, security: security)
        pool.adopt(stream)
        return stream
    }

    func gathered(_ frame: FrameID, round: RoundID, coverage: IntervalSet) {
        driver?.perform(.commit(round: round))
        driver?.perform(.release(round: round, ledger: coverage))
        drive()
    }

    func judged(_ frame: FrameID, _ asked: [TileStage], needed: Set<Int>, term: Term) {
        preconditionFailure("the film of the benchmark is not adaptive")
    }

    func contributionFailed(_ frame: FrameID, round: RoundID, cause: ParticipantID) {
        onFailed?("rank \(rank): the round failed, because of \(cause)")
    }

    func sumArrived(
        _ frame: FrameID, round: RoundID, coverage: IntervalSet, ledger: IntervalSet
    ) -> FilmDisposition { .add }

    func filmFetched(
        _ frame: FrameID, coverage: IntervalSet, from: ParticipantID
    ) -> FilmDisposition { .discard }

    func filmFetchFailed(_ frame: FrameID) {}

    func drive() {
        guard !hasArrived, let driver, !driver.film.isEmpty else { return }
        hasArrived = true
        onArrived?()
    }
}
