// A world for frame machines: virtual time, a network that misbehaves on demand, devices, and
// films that are tallies, one count per unit, carried along the real data paths hop by hop. After
// every step the machines' coverages are compared with the tallies.

import MeshCore

@testable import WorkStealing

/// A film of the model: a count per unit stands for the pixels.
struct TallyFilm: Hashable {
    var coverage = IntervalSet()
    var counts: [UInt8]

    init(units: Int) { counts = Array(repeating: 0, count: units) }

    mutating func add(_ unit: Int) {
        coverage.insert(unit)
        counts[unit] += 1
    }

    /// Adds the pixels and the coverage without any check: checks are what is tested.
    mutating func add(_ other: TallyFilm) {
        coverage.formUnion(other.coverage)
        for unit in counts.indices { counts[unit] += other.counts[unit] }
    }

    /// The same coverage, and of the counts only those of the tiles of a stripe.
    func part(_ stripe: TileStripe, tiles: Int) -> TallyFilm {
        var part = self
        for unit in counts.indices where !stripe.contains(tile: unit % tiles) {
            part.counts[unit] = 0
        }
        return part
    }

    /// The film whose stripes these are; nil when they are of different coverages.
    static func whole(_ stripes: [TallyFilm]) -> TallyFilm? {
        guard var film = stripes.first, stripes.allSatisfy({ $0.coverage == film.coverage }) else {
            return nil
        }
        for other in stripes.dropFirst() { film.add(other) }
        return film
    }

    /// Whether the value is the sum over the coverage, each unit once.
    var isTrue: Bool {
        counts.indices.allSatisfy { counts[$0] == (coverage.contains($0) ? 1 : 0) }
    }
}

/// What happens at a moment of virtual time.
enum ModelEvent {
    case message(FrameMessage, from: ParticipantID)
    case wake
    case deviceDone(device: Int, token: Int)
    case stream(RoundID, TileStripe, from: ParticipantID, TallyFilm)
    case streamStalled(RoundID)
    case sum(RoundID, TileStripe, TallyFilm, ledger: IntervalSet, receivers: [ParticipantID])
    case filmRequest(from: ParticipantID, token: Int)
    case film(TallyFilm, from: ParticipantID, token: Int)
    case fetchTimeout(token: Int)
    case gossip
    case fault
    case heal
}

/// One device of a node.
struct ModelDevice {
    var speed: Double
    var unit: Int?
    /// Changes with each unit, so that an event of a former one is known.
    var token = 0
    var isStuck = false
    var isPaused = false
}

/// The driver's part of a round.
struct ModelGathering {
    struct Stripe {
        let parent: ParticipantID?
        let children: [ParticipantID]
        var arrived: [ParticipantID: TallyFilm] = [:]
        /// What has been added up, at the root.
        var sum: TallyFilm?
        var isSent = false
    }
    let round: RoundID
    let own: TallyFilm
    var stripes: [Stripe]

    /// A child that has not sent all its stripes.
    var missing: ParticipantID? {
        for stripe in stripes {
            if let child = stripe.children.first(where: { stripe.arrived[$0] == nil }) {
                return child
            }
        }
        return nil
    }
}

/// A sum on its way to a node.
struct ModelReception {
    let round: RoundID
    var stripes: [TallyFilm?]
}

/// One node: a machine and what its driver would hold.
final class ModelNode {
    let index: Int
    var identity: ParticipantID
    var machine: FrameParticipant
    var isUp = true
    var frozenUntil = Instant.zero
    var devices: [ModelDevice]
    var film: TallyFilm
    var open: TallyFilm
    var sealed: [SealNumber: TallyFilm] = [:]
    var gathering: ModelGathering?
    var buffer: (RoundID, TallyFilm)?
    /// To whom the sum of the round goes, for each stripe.
    var receivers: [[ParticipantID]] = []
    var receptions: [ModelReception] = []
    var early: [(RoundID, TileStripe, ParticipantID, TallyFilm)] = []
    var fetchToken = 0
    var fetchHolders: [ParticipantID] = []
    var wakeAt = Instant.distantFuture
    var unreachableSince: [Instant?]
    var believedDead: [Bool]

    init(index: Int, machine: FrameParticipant, devices: [ModelDevice], units: Int, nodes: Int) {
        self.index = index
        identity = machine.identity
        self.machine = machine
        self.devices = devices
        film = TallyFilm(units: units)
        open = TallyFilm(units: units)
        unreachableSince = Array(repeating: nil, count: nodes)
        believedDead = Array(repeating: false, count: nodes)
    }
}

/// What a run is made of.
struct ModelSetting {
    var speeds: [Double]
    var workSpace: WorkSpace
    /// Seconds of one device of speed 1 for one sample of one pixel.
    var secondsPerSample: Double
    /// Unit costs are spread evenly by this factor around their mean.
    var costSpread = 0.5
    var latency: Duration = .milliseconds(1)
    var latencySpread: Duration = .microseconds(200)
    var faults = 0
    var ledgerOnlyShare = 0.0
    var devicesMax = 1
    /// Restricts the kinds of faults; empty: all.
    var kinds: [ModelFault] = ModelFault.allCases
    /// Ways to and from the originator are not cut.
    var sparesOriginator = false
    var configuration = FrameConfiguration()
    /// Large frames are checked now and then only.
    var checkInterval = 1
}

/// A broken promise, found by a check.
struct ModelViolation: Error, CustomStringConvertible {
    let description: String
}

final class FrameModel {
    let setting: ModelSetting
    let seed: UInt64
    var random: RandomNumbers
    var now = Instant.zero
    var nodes: [ModelNode] = []
    var queue = EventQueue()
    var highestTerm: [Term]
    var commits: [RoundID: ParticipantID] = [:]
    var partition: Set<Int>?
    var cutLinks: [(Int, Int)] = []
    /// Nothing comes through one way; gossip takes another.
    var cutWays: [(from: Int, to: Int)] = []
    var noise = 0.0
    var faultsLeft: Int
    var faultsEndedAt: Instant?
    var trace: [String] = []
    var isTracing = false
    var firstCompleteAt: Instant?
    var firstCommitAt: Instant?
    var step = 0
    /// What a report left out.
    var omission: String?
    let frame: FrameID
    var units: Int { setting.workSpace.count }

    init(_ setting: ModelSetting, seed: UInt64) {
        self.setting = setting
        self.seed = seed
        random = RandomNumbers(seed: seed)
        faultsLeft = setting.faults
        let originator = ParticipantID(node: NodeID(1), boot: 1)
        frame = FrameID(originator: originator, number: 1)
        highestTerm = Array(
            repeating: Term(number: 1, root: originator), count: setting.speeds.count)
        for index in setting.speeds.indices {
            let identity = ParticipantID(node: NodeID(UInt64(index + 1)), boot: 1)
            let node = makeNode(index: index, identity: identity, originates: index == 0)
            nodes.append(node)
        }
        for node in nodes {
            schedule(.gossip, at: now + random.duration(below: .milliseconds(100)), node: node)
            settle(node)
        }
        if setting.faults > 0 {
            schedule(.fault, at: now + .milliseconds(Int64(random.below(1_500))), node: nil)
        }
    }

    func makeNode(index: Int, identity: ParticipantID, originates: Bool) -> ModelNode {
        var configuration = setting.configuration
        // Its frames are small: every other run divides their sums all the same.
        if seed.isMultiple(of: 2) { configuration.stripedBytesMin = 0 }
        if !originates, random.unit() < setting.ledgerOnlyShare { configuration.keepsFilm = false }
        let speed = setting.speeds[index]
        let count = 1 + random.below(setting.devicesMax)
        let devices = (0..<count).map { _ in ModelDevice(speed: speed / Double(count)) }
        let machineSeed = random.next()
        var machine =
            originates
            ? FrameParticipant(
                originating: frame, workSpace: setting.workSpace, identity: identity,
                configuration: configuration, seed: machineSeed, at: now)
            : FrameParticipant(
                joining: frame, workSpace: setting.workSpace, identity: identity,
                term: highestTerm[index], configuration: configuration, seed: machineSeed,
                at: now)
        machine.setSpeed(samplesPerSecond: speed / setting.secondsPerSample)
        return ModelNode(
            index: index, machine: machine, devices: devices, units: units,
            nodes: setting.speeds.count)
    }

    func say(_ text: @autoclosure () -> String) {
        if isTracing { trace.append("\(now) \(text())") }
    }

    // MARK: Time

    func schedule(_ event: ModelEvent, at time: Instant, node: ModelNode?) {
        queue.insert(
            EventQueue.Entry(
                time: time, node: node?.index ?? -1, boot: node?.identity.boot ?? 0, event: event))
    }

    /// Runs until `isDone` or `limit`.
    /// - Returns: whether it was done.
    func run(until limit: Instant, isDone: (FrameModel) -> Bool) throws -> Bool {
        while !isDone(self) {
            guard let entry = queue.removeFirst() else { return false }
            guard entry.time <= limit else { return false }
            now = max(now, entry.time)
            step += 1
            if entry.node < 0 {
                performFault(entry.event)
                continue
            }
            let node = nodes[entry.node]
            guard node.isUp, node.identity.boot == entry.boot else { continue }
            if node.frozenUntil > now {
                // Whatever comes is seen after the thaw, in its order.
                queue.insert(
                    EventQueue.Entry(
                        time: node.frozenUntil, node: entry.node, boot: entry.boot,
                        event: entry.event))
                continue
            }
            try perform(entry.event, at: node)
            settle(node)
            if step % setting.checkInterval == 0 { try check(node) }
            if firstCompleteAt == nil, node.machine.isComplete { firstCompleteAt = now }
        }
        return true
    }

    // MARK: Checks

    func check(_ node: ModelNode) throws {
        func fail(_ what: String) -> ModelViolation {
            ModelViolation(
                description: "seed \(seed), step \(step), \(now), node \(node.index): \(what)")
        }
        if let omission { throw ModelViolation(description: omission) }
        node.machine.checkInvariants()
        guard node.film.isTrue else { throw fail("film \(node.film.counts)") }
        guard node.open.isTrue else { throw fail("open partial \(node.open.counts)") }
        guard node.machine.filmCoverage == node.film.coverage else {
            throw fail("machine and driver differ on the film")
        }
        guard node.machine.openCoverage == node.open.coverage else {
            throw fail("machine and driver differ on the open partial film")
        }
        var held = node.open.counts
        for (number, film) in node.sealed {
            guard film.isTrue else { throw fail("\(number) \(film.counts)") }
            guard node.machine.coverage(of: number) == film.coverage else {
                throw fail("machine and driver differ on \(number)")
            }
            for unit in held.indices { held[unit] += film.counts[unit] }
        }
        guard held.allSatisfy({ $0 <= 1 }) else { throw fail("two results of one unit") }
        guard node.machine.uncommitted.count == held.reduce(0, { $0 + Int($1) }) else {
            throw fail("the machine knows a partial film that the driver lacks")
        }
    }

    /// A report names all that its sender holds: what it leaves out would be rendered twice.
    func check(_ report: RoundReport, of node: ModelNode) {
        var held = node.machine.deque.units.union(node.machine.grants.units)
        let reference = node.machine.reference.extra > 0 ? node.machine.referenceUnit : nil
        for device in node.devices {
            if let unit = device.unit, unit != reference { held.insert(unit) }
        }
        held.formUnion(node.machine.helping)
        held.formUnion(node.open.coverage)
        for film in node.sealed.values { held.formUnion(film.coverage) }
        var named = report.claims.union(node.machine.ledger)
        for seal in report.seals { named.formUnion(seal.coverage) }
        let left = held.subtracting(named)
        if !left.isEmpty, omission == nil {
            omission = "seed \(seed), step \(step): node \(node.index) reports nothing of \(left)"
        }
    }

    // MARK: Outcome

    var up: [ModelNode] { nodes.filter(\.isUp) }

    /// Whether all that want the film have it, and all others know that it is complete.
    var isFinished: Bool {
        (setting.faults == 0 || faultsEndedAt != nil)
            && up.allSatisfy {
                $0.machine.isComplete
                    || (!$0.machine.wantsFilm && $0.machine.isLedgerComplete)
            } && up.contains { $0.machine.isComplete }
    }
}
