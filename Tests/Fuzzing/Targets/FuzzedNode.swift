// A node that is told things by bytes: datagrams and messages of hostile peers, time, films that
// come, units that are rendered. Its driver is honest, as the daemon's is, and holds no pixels.

import MeshCore
import MeshWire
import WorkStealing

@testable import Gossip
@testable import MeshNode

/// One step in a node's life, as bytes: kind, argument, length of the content, content.
enum NodeStep: UInt8, CaseIterable {
    /// From the peer that the argument names: a datagram.
    case datagram
    /// Likewise a control message.
    case message
    /// Time passes: the square of the argument, in 1/8 ms.
    case wait
    /// The user submits a small frame, ends one, or the node leaves.
    case user
    /// Devices take so many units and hand them in; a set high bit gives them back.
    case render
    /// Streams end: the argument says which; the content is what they covered.
    case film
    /// The peer's port is closed.
    case refusal

    /// The step as the target reads it.
    func encoded(_ argument: UInt8, _ content: [UInt8] = []) -> [UInt8] {
        let size = UInt16(clamping: content.count)
        return [rawValue, argument, UInt8(size & 0xff), UInt8(size >> 8)] + content
    }
}

/// The node and what its driver knows.
struct FuzzedNode {
    /// What the driver keeps of a frame: coverages where it would keep films.
    struct Keeper {
        var open = IntervalSet()
        var seals: [SealNumber: IntervalSet] = [:]
        var film = IntervalSet()
        var round: RoundID?
        var buffer: IntervalSet?
        var space: WorkSpace?
    }

    var node: MeshNode
    var now = Instant.zero
    var keepers: [FrameID: Keeper] = [:]
    /// Everything it sent, for who carries it on.
    var sent: [NodeDirective] = []
    /// Directives about films that whoever drives several nodes has to follow.
    var films: [(frame: FrameID, directive: FrameDirective)] = []
    let keepsOutput: Bool
    private var isLeaving = false

    static let job = JobDescription(
        width: 20, height: 13, tileSize: 8, samplesPerPixel: 5, payload: [1])
    static let adaptiveJob = JobDescription(
        width: 20, height: 13, tileSize: 8, samplesPerPixel: 70, isAdaptive: true, payload: [1])
    /// Directives that one input may cause.
    private static let directivesMax = 100_000

    static func identity(_ index: Int) -> ParticipantID {
        ParticipantID(node: NodeID(UInt64(index) + 1), boot: 1)
    }

    static func address(_ index: Int) -> NodeAddress {
        NodeAddress(10, 0, 0, UInt8(truncatingIfNeeded: index), port: 9)
    }

    init(index: Int, keepsOutput: Bool = false) {
        var configuration = MeshNodeConfiguration()
        // Small bounds, so that few bytes reach them.
        configuration.gossip.membersMax = 32
        configuration.framesMax = 6
        configuration.tombstonesMax = 4
        node = MeshNode(
            identity: Self.identity(index), name: "n\(index)", address: Self.address(index),
            configuration: configuration, samplesPerSecond: 1_000, seed: UInt64(index), at: .zero)
        self.keepsOutput = keepsOutput
        drain()
    }

    // MARK: Steps

    mutating func perform(_ step: NodeStep, _ argument: UInt8, _ content: [UInt8]) {
        let peer = Int(argument & 7) + 1
        switch step {
        case .datagram:
            guard let datagram = try? GossipMessage(decoding: content) else { return }
            node.receive(datagram: datagram, from: Self.address(peer), at: now)
        case .message:
            guard let message = try? MeshMessage(decoding: content) else { return }
            node.receive(message, from: Self.identity(peer), at: now)
        case .wait: wait(until: now + .microseconds(125) * (Int(argument) * Int(argument)))
        case .user: act(argument)
        case .render: render(argument)
        case .film: endStream(argument, content)
        case .refusal: node.connectionRefused(by: Self.address(peer), at: now)
        }
        drain()
        node.checkInvariants()
    }

    private mutating func act(_ argument: UInt8) {
        switch argument & 3 {
        case 0, 1:
            guard keepers.count < 4 else { return }
            let job = argument & 0x80 == 0 ? Self.job : Self.adaptiveJob
            let frame = node.submit(job, at: now)
            keepers[frame] = Keeper(space: job.workSpace)
        case 2:
            let frames = keepers.keys.sorted()
            guard !frames.isEmpty else { return }
            node.cancel(frames[Int(argument >> 2) % frames.count], at: now)
        default:
            // Only from the last value, so that it is rare.
            guard argument == 255, !isLeaving else { return }
            isLeaving = true
            node.leave(at: now)
        }
    }

    private mutating func render(_ argument: UInt8) {
        for _ in 0..<(argument & 0x7f) {
            guard let (frame, unit) = node.takeUnit(at: now) else { return }
            // What is in a seal or a film depends on what was said before.
            drain()
            guard argument < 0x80 else {
                node.returnUnit(unit, of: frame, at: now)
                return drain()
            }
            let digest =
                node.needsDigest(of: unit, frame)
                ? UnitDigest(hash: UInt64(unit + 1), sums: .one, arithmeticClass: 1) : nil
            switch node.rendered(unit, of: frame, digest: digest, at: now) {
            case .addToOpen: keepers[frame]?.open.insert(unit)
            case .sealApart(let number):
                keepers[frame]?.seals[number] = IntervalSet(SampleRange(unit, unit + 1))
            case .discard: break
            }
            drain()
        }
    }

    /// The argument: what happens in the low bits, then which frame, then which peer.
    private mutating func endStream(_ argument: UInt8, _ content: [UInt8]) {
        let frames = keepers.keys.sorted()
        guard !frames.isEmpty else { return }
        let frame = frames[Int(argument >> 2 & 3) % frames.count]
        guard let keeper = keepers[frame], let space = keeper.space else { return }
        let peer = Self.identity(Int(argument >> 4 & 7) + 1)
        var reader = ByteReader(content)
        switch argument & 3 {
        case 0:
            guard let round = keeper.round, let coverage = try? IntervalSet(from: &reader),
                coverage.upperBound <= space.count
            else { return }
            keepers[frame]?.buffer = coverage
            node.gathered(frame, round: round, coverage: coverage, at: now)
        case 1:
            guard let round = keeper.round else { return }
            node.contributionFailed(frame, round: round, cause: peer, at: now)
        case 2:
            // The ledger is what a peer said, the coverage what a decoder has checked.
            guard let opening = try? StreamOpening(decoding: content.dropLength(&reader)),
                case .sum(_, let round, _, _) = opening,
                let coverage = try? IntervalSet(from: &reader),
                let ledger = try? IntervalSet(from: &reader), coverage.upperBound <= space.count
            else { return }
            let disposition = node.sumArrived(
                frame, round: round, coverage: coverage, ledger: ledger, at: now)
            take(disposition, coverage, of: frame)
        default:
            guard let coverage = try? IntervalSet(from: &reader),
                coverage.upperBound <= space.count
            else { return node.filmFetchFailed(frame, at: now) }
            let disposition = node.filmFetched(frame, coverage: coverage, from: peer, at: now)
            take(disposition, coverage, of: frame)
        }
    }

    private mutating func take(
        _ disposition: FilmDisposition, _ coverage: IntervalSet, of frame: FrameID
    ) {
        switch disposition {
        case .add:
            let isNew = keepers[frame]?.film.isDisjoint(with: coverage) ?? true
            FuzzTarget.require(isNew, "a sum is added to what lacks it")
            keepers[frame]?.film.formUnion(coverage)
        case .replace: keepers[frame]?.film = coverage
        case .discard: break
        }
    }

    /// Lets time pass as a driver does: from one deadline to the next.
    mutating func wait(until end: Instant) {
        var ticks = 0
        while node.nextDeadline <= end {
            now = max(now, node.nextDeadline)
            node.tick(at: now)
            drain()
            ticks += 1
            FuzzTarget.require(ticks < 20_000, "a node comes to rest")
        }
        now = max(now, end)
    }

    // MARK: Directives

    private mutating func drain() {
        var count = 0
        while let directive = node.nextDirective() {
            count += 1
            FuzzTarget.require(count < Self.directivesMax, "an input has an end")
            switch directive {
            case .sendDatagram(let datagram, to: _):
                let bytes = datagram.encode()
                FuzzTarget.require(
                    (try? GossipMessage(decoding: bytes)) == datagram, "others can read it")
                if keepsOutput { sent.append(directive) }
            case .send(let message, to: _, at: _):
                FuzzTarget.require(
                    (try? MeshMessage(decoding: message.encoded())) == message,
                    "others can read it")
                if keepsOutput { sent.append(directive) }
            case .prepareScene(let frame, let job, sources: _):
                keepers[frame] = Keeper(space: job.workSpace)
                node.scenePrepared(frame, at: now)
            case .forget(let frame): keepers[frame] = nil
            case .frame(let frame, let directive): follow(directive, of: frame)
            case .workAvailable, .event: break
            }
        }
    }

    private mutating func follow(_ directive: FrameDirective, of frame: FrameID) {
        if keepsOutput { films.append((frame, directive)) }
        switch directive {
        case .seal(let number):
            let open = keepers[frame]?.open ?? IntervalSet()
            keepers[frame]?.seals[number] = open
            keepers[frame]?.open = IntervalSet()
        case .drop(let numbers):
            for number in numbers { keepers[frame]?.seals[number] = nil }
        case .dropOpen: keepers[frame]?.open = IntervalSet()
        case .judge(let tiles, let term):
            let needed = tiles.filter { ($0.tile + $0.stage) % 3 != 0 }.map(\.tile)
            node.judged(frame, tiles, needed: Set(needed), term: term, at: now)
        case .sealWaived(let number, let units): keepers[frame]?.seals[number] = units
        case .contribute(let round, let seals, places: _):
            keepers[frame]?.round = round
            let own = union(of: seals, frame)
            keepers[frame]?.buffer = own
        case .gather(let round, let seals, let stripes):
            keepers[frame]?.round = round
            let own = union(of: seals, frame)
            keepers[frame]?.buffer = own
            guard stripes.allSatisfy(\.children.isEmpty) else { return }
            node.gathered(frame, round: round, coverage: own, at: now)
        case .commit:
            take(.add, keepers[frame]?.buffer ?? IntervalSet(), of: frame)
        case .abandon, .release, .fetchFilm, .send, .workAvailable, .event: break
        }
    }

    private func union(of seals: [SealNumber], _ frame: FrameID) -> IntervalSet {
        seals.reduce(into: IntervalSet()) {
            $0.formUnion(keepers[frame]?.seals[$1] ?? IntervalSet())
        }
    }
}

extension [UInt8] {
    /// A block that begins with its length, read off a reader of these bytes.
    fileprivate func dropLength(_ reader: inout ByteReader) -> [UInt8] {
        guard let size = try? reader.read(UInt8.self) else { return [] }
        return (try? reader.readBytes(Int(size))) ?? []
    }
}

extension FuzzTarget {
    /// The life of one node, from the first step on.
    static func node(_ bytes: [UInt8]) -> Bool {
        var fuzzed = FuzzedNode(index: 0)
        var reader = ByteReader(bytes)
        while let kind = try? reader.read(UInt8.self), let argument = try? reader.read(UInt8.self),
            let size = try? reader.read(UInt16.self),
            let content = try? reader.readBytes(Swift.min(Int(size), reader.remaining))
        {
            let steps = NodeStep.allCases
            fuzzed.perform(steps[Int(kind) % steps.count], argument, content)
        }
        return fuzzed.now > .zero
    }
}
