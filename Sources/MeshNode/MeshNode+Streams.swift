// What became of the film streams that the driver was told to open, per frame.

public import MeshCore
public import WorkStealing

extension MeshNode {
    /// As the root: the buffer of this round is whole, and holds exactly `coverage`.
    public mutating func gathered(
        _ frame: FrameID, round: RoundID, coverage: IntervalSet, at instant: Instant
    ) {
        perform(frame, at: instant) { participant, now in
            participant.gathered(round: round, coverage: coverage, at: now)
        }
    }

    /// This node's part of the round cannot be finished because of `cause`.
    public mutating func contributionFailed(
        _ frame: FrameID, round: RoundID, cause: ParticipantID, at instant: Instant
    ) {
        perform(frame, at: instant) { participant, now in
            participant.contributionFailed(round: round, cause: cause, at: now)
        }
    }

    /// The sum of a round has arrived whole, with its true coverage; says what to do with it, and
    /// that at once.
    public mutating func sumArrived(
        _ frame: FrameID, round: RoundID, coverage: IntervalSet, ledger: IntervalSet,
        at instant: Instant
    ) -> FilmDisposition {
        var disposition = FilmDisposition.discard
        perform(frame, at: instant) { participant, now in
            disposition = participant.sumArrived(
                round: round, coverage: coverage, ledger: ledger, at: now)
        }
        return disposition
    }

    /// A whole film has arrived, with its true coverage; says what to do with it, and that at
    /// once.
    public mutating func filmFetched(
        _ frame: FrameID, coverage: IntervalSet, from source: ParticipantID, at instant: Instant
    ) -> FilmDisposition {
        var disposition = FilmDisposition.discard
        perform(frame, at: instant) { participant, now in
            disposition = participant.filmFetched(coverage: coverage, from: source, at: now)
        }
        return disposition
    }

    /// As the root of an adaptive frame: which of the tiles that `judge` named need the next stage.
    public mutating func judged(
        _ frame: FrameID, _ asked: [TileStage], needed: Set<Int>, term: Term, at instant: Instant
    ) {
        perform(frame, at: instant) { participant, now in
            participant.judged(asked, needed: needed, term: term, at: now)
        }
    }

    /// None of the nodes named gave its film.
    public mutating func filmFetchFailed(_ frame: FrameID, at instant: Instant) {
        // Some who still announce a complete film are asked again in a while.
        var holders =
            index(of: frame).map { records[$0].sortedAnnouncers(where: \.isComplete) } ?? []
        random.shuffle(&holders)
        perform(frame, at: instant) { participant, now in
            participant.filmFetchFailed(at: now)
            for holder in holders.prefix(4) {
                participant.learnedCompleteFilm(at: holder, at: now)
            }
        }
    }

    /// Gives an input to the machine of one frame, if there still is one.
    private mutating func perform(
        _ frame: FrameID, at instant: Instant,
        _ input: (inout FrameParticipant, Instant) -> Void
    ) {
        advance(to: instant)
        guard let index = index(of: frame), var participant = records[index].participant else {
            return
        }
        // Out of the record while it changes, so that it is not copied.
        records[index].participant = nil
        input(&participant, now)
        records[index].participant = participant
        performParticipant(at: index)
        announceWhenDue()
    }
}
