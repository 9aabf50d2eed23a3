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

    // Data of a round.
    /// Inner node or leaf: add the streams of `children` and the own `seals`, tile by tile, into
    /// one stream to `parent`. Sealed partials are read-only. On any failure call
    /// `contributionFailed`.
    case contribute(
        round: RoundID, seals: [SealNumber], parent: ParticipantID, children: [ParticipantID])
    /// Root: the same, into a buffer; then call `gathered`.
    case gather(round: RoundID, seals: [SealNumber], children: [ParticipantID])
    /// Stop contributing to this round, or gathering it, and forget its buffer. A sum of this
    /// round that comes down all the same is passed on.
    case abandon(round: RoundID)
    /// Root: add the buffer of this round to the film.
    case commit(round: RoundID)
    /// Root: send the buffer of this round, its coverage and the new ledger down a tree over
    /// `receivers`, then forget the buffer. The driver splits the list for its children.
    case broadcast(round: RoundID, ledger: IntervalSet, receivers: [ParticipantID])

    // The film of this node.
    /// Fetch a whole film from one of these; then call `filmFetched` or `filmFetchFailed`.
    case fetchFilm(from: [ParticipantID])

    /// For the user, the log and the statistics.
    case event(FrameEvent)
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
    /// The film of this node is complete.
    case complete
}
