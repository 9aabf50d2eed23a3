// What a participant's state machine tells its driver to do for one frame. The driver owns the
// pixels; the machine owns every decision about them. Both track coverage, and must agree.

public import MeshCore

/// One output of ``FrameParticipant``. Directives are performed in order, and all of them before
/// the machine gets its next input: only then do driver and machine agree on which partial film is
/// open when a device hands in a unit.
public enum FrameDirective: Hashable, Sendable {
    /// Send a control message. It may be lost; the machine repeats what matters.
    case send(FrameMessage, to: ParticipantID)
    /// Work has arrived or returned: devices that wait may ask again.
    case workAvailable

    // Partial films of this node.
    /// Close the open partial film under this number; a new, empty one is opened.
    case seal(SealNumber)
    /// Forget sealed partial films: committed, or overlapping the ledger.
    case drop([SealNumber])
    /// Forget the open partial film's pixels: it overlaps the ledger.
    case dropOpen

    // Stages of an adaptive frame.
    /// Root: look whether these tiles need the stages named, by the film as it is now, and then call
    /// `judged`. The answer follows from a tile's sums and nothing else, so that all roots decide alike.
    case judge([TileStage], term: Term)
    /// Root: make a sealed partial film that covers these units and holds no samples of them.
    case sealWaived(SealNumber, IntervalSet)

    // Data of a round.
    /// Inner node or leaf, in each stripe's tree: add the streams of the children and the own
    /// `seals`, tile by tile, into one stream to the parent. Sealed partials are read-only. On any
    /// failure call `contributionFailed`.
    case contribute(round: RoundID, seals: [SealNumber], places: [TreePlace])
    /// Root: the same, into a buffer; then call `gathered`, if all stripes have the same coverage.
    /// The sum goes down to the receivers while it comes up: each stripe begins when all coverages
    /// are known, and each tile follows when it is whole. It counts only once it is released.
    case gather(round: RoundID, seals: [SealNumber], stripes: [GatherPlace])
    /// Stop contributing to this round, or gathering it and sending its sum down, and forget its
    /// buffer. A released sum of this round that comes down all the same is passed on.
    case abandon(round: RoundID)
    /// Root: add the buffer of this round to the film.
    case commit(round: RoundID)
    /// Root: end the streams of this round's sum with the new ledger, then forget the buffer.
    case release(round: RoundID, ledger: IntervalSet)

    // The film of this node.
    /// Fetch a whole film from one of these; then call `filmFetched` or `filmFetchFailed`.
    case fetchFilm(from: [ParticipantID])

    /// For the user, the log and the statistics.
    case event(FrameEvent)
}

/// The root's neighbours in one stripe's trees.
public struct GatherPlace: Hashable, Sendable {
    /// Whose contributions come up.
    public var children: [ParticipantID]
    /// To whom the sum goes down, in the order of the stripe's ``ReduceTree``.
    public var receivers: [ParticipantID]
    public init(children: [ParticipantID], receivers: [ParticipantID]) {
        self.children = children
        self.receivers = receivers
    }
}

/// What the driver does with a unit that a device has finished.
public enum UnitDisposition: Hashable, Sendable {
    /// Add it to the open partial film.
    case addToOpen
    /// Put it into a sealed partial film of its own under this number.
    case sealApart(SealNumber)
    /// Forget it: it is committed or held already.
    case discard
}

/// What the driver does with a film or a sum that has arrived.
public enum FilmDisposition: Hashable, Sendable {
    /// Add the sum to the film.
    case add
    /// Replace the film by what was fetched.
    case replace
    case discard
}

/// Something worth telling.
public enum FrameEvent: Hashable, Sendable {
    /// The ledger grew to this many units.
    case committed(round: RoundID, ledgerUnits: Int)
    case roundAbandoned(RoundID, cause: ParticipantID?)
    case becameRoot(Term)
    case steppedDown(Term)
    case admitted(ParticipantID)
    case dismissed(ParticipantID)
    /// Units that nobody held any more; they are rendered again.
    case lost(IntervalSet)
    /// Two others got something else than this participant, who is kept out of the frame now;
    /// perhaps this node itself. The root knows for which unit.
    case quarantined(ParticipantID, unit: Int?)
    /// So many others got something else of the reference unit than this participant, who is kept
    /// out of the frame; perhaps this node itself.
    case keptOut(ParticipantID, differing: Int)
    /// The film of this node is complete.
    case complete
}
