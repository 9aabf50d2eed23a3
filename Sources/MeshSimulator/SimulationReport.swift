// What came of a run.

public import MeshCore

/// A promise that was broken.
public struct Violation: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Hashable, Sendable {
        /// A film's value is not the sum over its coverage.
        case untrueFilm
        /// A root asked whether a tile needs more before its film had all stages of it.
        case untimelyVerdict
        /// A film was to be added to one that overlaps it.
        case overlappingMerge
        /// The driver's films and the machine's idea of them differ.
        case disagreement
        /// A round was committed twice.
        case doubleCommit
        /// A node kept two results of one unit.
        case twoResults
        /// The frames were not settled in time.
        case unfinished
        /// Events without end.
        case restless
        /// Two complete films of one frame differ.
        case unequalFilms
        /// Units that nobody renders, holds or counts as lost for longer than the loss window.
        case unheldUnits
        /// The members' views of each other are wrong for too long after the last fault.
        case unconverged
        /// A machine keeps more than its configuration allows.
        case unbounded
        /// Results of a node whose reference unit is wrong were added to a film, by a root that knows
        /// the right one.
        case wrongResults
    }
    public var kind: Kind
    /// The number of the event after which it was found.
    public var step: Int
    public var time: Instant
    public var text: String

    public var description: String { "step \(step), \(time): \(kind.rawValue): \(text)" }
}

/// What came of one frame.
public struct FrameOutcome: Hashable, Sendable {
    public enum End: String, Hashable, Sendable {
        /// Its originator got the complete film.
        case delivered
        /// Its originator is gone; every participant that is left has the complete film.
        case kept
        /// It was never submitted, because its originator was not there, or nobody was left who
        /// took part in it.
        case void
        /// Somebody ended it, and all have forgotten it.
        case cancelled
        case unfinished
    }
    public var end = End.unfinished
    /// From the submission to the complete film at the originator, or at the first participant.
    public var makespanSeconds: Double?
    /// The work that the devices of all nodes could have done from the submission until then,
    /// over the work of the frame: 1 is perfect. Only of use when one frame is under way.
    public var makespanOverIdeal: Double?
    /// From the submission to the first whole pass in the originator's film.
    public var firstImageSeconds: Double?
    /// Units rendered over units of the frame.
    public var rendersPerUnit = 0.0
}

/// The results of a run.
public struct SimulationReport: Sendable {
    public var seed: UInt64
    public var nodes: Int
    public var violations: [Violation] = []
    public var frames: [FrameOutcome] = []
    /// By the index of the node.
    public var perNode: [NodeFigures] = []
    /// Of all nodes.
    public var traffic = TrafficByKind()
    /// Of all nodes, before and during the first frame.
    public var gossip = GossipRates()
    /// Rounds that moved pixels and were committed, and such as were given up.
    public var roundsCommitted = 0
    public var roundsAbandoned = 0
    public var unitsLost = 0
    /// The nodes, by index, whose results were found wrong in a verified frame.
    public var quarantined: [Int] = []
    /// The nodes, by index, whose reference unit was another than that of others.
    public var keptOut: [Int] = []
    /// Running members that another suspected while no cut was in force.
    public var falseSuspicions = 0
    /// Running members that another declared dead while no cut was in force.
    public var falseDeaths = 0
    /// For each process that died and each member that noticed: the seconds until it did; in the
    /// order of noticing.
    public var detections: [Double] = []
    public var steps = 0
    public var virtualSeconds = 0.0
    /// Over all events: equal for equal runs.
    public var traceHash: UInt64 = 0

    /// Whether no promise was broken and every frame that could be was settled.
    public var isGood: Bool { violations.isEmpty }

    /// Of the first frame.
    public var makespanOverIdeal: Double? { frames.first?.makespanOverIdeal }
    /// Of the first frame.
    public var firstImageSeconds: Double? { frames.first?.firstImageSeconds }
    /// Whether every frame that was submitted came to its good end.
    public var isCompleted: Bool { frames.allSatisfy { $0.end != .unfinished } }
    /// The median of ``detections``.
    public var detectionSeconds: Double? {
        detections.isEmpty ? nil : detections.sorted()[detections.count / 2]
    }
    /// Units rendered over units of the frames.
    public var rendersPerUnit: Double {
        let counted = frames.filter { $0.end != .void }
        guard !counted.isEmpty else { return 0 }
        return counted.reduce(0) { $0 + $1.rendersPerUnit } / Double(counted.count)
    }
}
