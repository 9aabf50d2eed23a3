// One simulated machine: what outlives its process, the process with the very MeshNode of the
// daemon, and the films that the simulated driver keeps for it.

import MeshCore
import MeshNode

/// A machine.
struct SimulatedNode {
    /// As its disk has it.
    var id: NodeID
    let address: NodeAddress
    /// Of its devices, samples per second.
    let speeds: [Double]
    /// How much too fast its clock runs.
    let clockDrift: Double
    /// Numbers its processes; names what belongs to the last one.
    var boot: UInt64 = 0
    /// How often it has started, as its disk has it.
    var bootOnDisk: UInt64 = 0
    /// Frames whose scenes are on its disk, by their place among the jobs.
    var scenes: Set<Int> = []
    var process: SimulatedProcess?
    /// It will not be started again.
    var isGone = false
    /// Its network stack answers while no process runs: somebody was here and is not.
    var refuses = false
    /// While it is stopped: what has happened meanwhile, in order.
    var isFrozen = false
    var backlog: [SimulatedEvent] = []
    /// Devices need this many times longer.
    var slowness = 1.0
    /// For each device how many faults keep it from finishing anything.
    var stuck: [Int]
    /// How often its owner sits at it.
    var pauses = 0
    /// How many faults break the streams that it opens.
    var mutes = 0
    /// Its link, each way.
    var sending: SimulatedLink
    var receiving: SimulatedLink
    /// Streams that it sends; they take turns on the link.
    var outgoing: [FilmFlow] = []
    /// Whether an event comes when the link is free.
    var isSending = false
    /// What it has cost and done so far, over all its processes.
    var figures = NodeFigures()
    /// When the last process began.
    var startedAt = Instant.zero

    /// Whether it runs and does something.
    var isRunning: Bool { process != nil && !isFrozen }

    init(
        id: NodeID, address: NodeAddress, speeds: [Double], clockDrift: Double,
        bytesPerSecond: Double
    ) {
        self.id = id
        self.address = address
        self.speeds = speeds
        self.clockDrift = clockDrift
        stuck = speeds.map { _ in 0 }
        sending = SimulatedLink(bytesPerSecond: bytesPerSecond)
        receiving = sending
    }

    /// What a device renders now, samples per second.
    func speed(of device: Int) -> Double {
        isFrozen || pauses > 0 || stuck[device] > 0 ? 0 : speeds[device] / slowness
    }
}

/// A running process. A class, because a machine of some kilobytes is looked at after every event
/// and should not be copied for that; only the simulation has it.
final class SimulatedProcess {
    let identity: ParticipantID
    var node: MeshNode
    /// No two processes have the same origin.
    var clock: SimulatedClock
    var drivers: [FrameID: FilmKeeper] = [:]
    var devices: [SimulatedDevice]
    /// When the next timer event comes.
    var timer = Instant.distantFuture
    var wantsUnits = false
    /// Whether it has noticed that its machine's owner is there.
    var knowsOwner = false
    /// Attempts to fetch a film so far.
    var fetches = 0
    /// By frame: when a request for work counts as unanswered. Only looked up.
    var asksUntil: [FrameID: Instant] = [:]

    init(identity: ParticipantID, node: MeshNode, clock: SimulatedClock, speeds: [Double]) {
        self.identity = identity
        self.node = node
        self.clock = clock
        devices = speeds.map { SimulatedDevice(speed: $0) }
    }
}

/// A device and the unit it renders.
struct SimulatedDevice: Sendable {
    let speed: Double
    /// Numbers the units it took.
    var task = 0
    var unit: (frame: FrameID, unit: Int)?
    /// What is left of the unit, samples of average cost, at `since`.
    var rest = 0.0
    var since = Instant.zero
    /// When the unit was given to it.
    var beganAt = Instant.zero
}

/// The films of one frame at one node, as the driver keeps them.
final class FilmKeeper {
    var film = SimulatedFilm()
    /// The film when it was last found to be true.
    var checkedFilm = SimulatedFilm()
    var open = SimulatedFilm()
    /// By number, sorted.
    var seals: [(number: SealNumber, film: SimulatedFilm)] = []
    /// Gathered at the root, not yet committed and released.
    var buffers: [RoundID: SimulatedFilm] = [:]
    /// This node's part in the round whose pixels are under way.
    var contribution: PendingContribution?
    /// At the root: the streams of sums that are not released.
    var sums: [RoundID: [FilmFlow]] = [:]
    /// Sums that come down, the oldest round first.
    var receptions: [PendingSum] = []
    /// The last one that came down whole.
    var lastSum: SimulatedFilm?
    /// Streams that came before the directive that explains them; the oldest go first.
    var early: [FilmFlow] = []
    var fetch: PendingFetch?

    static let earlyMax = 64
    /// One that is gathered, and one that is being replaced by it.
    static let roundsMax = 4
    /// Sums on their way at a time.
    static let receptionsMax = 4

    /// Puts a film in the place of a sealed partial film: a planted bug.
    func replace(_ number: SealNumber?, with film: SimulatedFilm) {
        guard let place = seals.firstIndex(where: { $0.number == number }) else { return }
        seals[place].film = film
    }

    func seal(_ number: SealNumber) -> SimulatedFilm? {
        seals.first { $0.number == number }?.film
    }
}

/// A film that is being fetched.
struct PendingFetch: Sendable {
    /// Names the attempt at this node.
    var number = 0
    /// When something of it last arrived.
    var progressAt = Instant.zero
    /// Who was asked; nil at first.
    var source: ParticipantID?
    /// To be asked if that fails.
    var others: [ParticipantID]
}
