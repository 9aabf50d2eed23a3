// A film stream on its way from one node to another: pieces that exist at the sender one after the
// other, take turns with those of its other streams on the link, and arrive in their order.

import MeshCore
import WorkStealing

/// A stream and how far it is. A class, since both its ends and the link look at it; only the
/// simulation has it.
final class FilmFlow {
    /// Names it in events.
    let number: Int
    let from: Int
    let to: Int
    /// Of the sending process.
    let boot: UInt64
    /// Of the receiving process, from the first piece on.
    var receiverBoot: UInt64?
    let content: FilmTransfer
    let bytes: Int
    /// Pieces of pixels. The first one has the head, and so the coverage.
    let pieces: Int
    /// With the piece that releases a sum.
    let total: Int
    /// Pieces that exist at the sender, that it has sent, and that have arrived.
    private(set) var ready = 0
    private(set) var sent = 0
    private(set) var arrived = 0
    /// What the release of a sum says.
    var ledger: IntervalSet?
    /// Who is to blame when it breaks; nil: its sender.
    var cause: ParticipantID?
    var isOver = false

    init(
        number: Int, from: Int, to: Int, boot: UInt64, content: FilmTransfer, bytes: Int,
        pieces: Int
    ) {
        self.number = number
        self.from = from
        self.to = to
        self.boot = boot
        self.content = content
        self.bytes = bytes
        self.pieces = pieces
        if case .sum = content { total = pieces + 1 } else { total = pieces }
    }

    var isWhole: Bool { arrived == total }
    /// Whether all of the pixels have arrived.
    var hasPixels: Bool { arrived >= pieces }

    func makeReady(_ count: Int) { ready = max(ready, min(count, total)) }

    /// How many of another stream's pieces can be made of what has arrived of this one.
    func share(of other: FilmFlow) -> Int { min(arrived, pieces) * other.pieces / pieces }

    func canSend(inFlightMax: Int) -> Bool {
        !isOver && sent < ready && sent - arrived < inFlightMax
    }

    /// Takes the next piece and returns its bytes.
    func send() -> Int {
        sent += 1
        guard sent <= pieces else { return 16 + 4 * (ledger?.ranges.count ?? 0) }
        return bytes * sent / pieces - bytes * (sent - 1) / pieces
    }

    func arrive() { arrived += 1 }
}

/// One node's part in the data phase of a round.
final class PendingContribution {
    let round: RoundID
    let seals: [SealNumber]
    /// What the seals hold together.
    let own: SimulatedFilm
    var stripes: [Stripe]
    /// When something last arrived.
    var progressAt: Instant

    /// One tree's part of it.
    struct Stripe {
        /// Nil at the root.
        let parent: ParticipantID?
        var children: [ParticipantID]
        /// At the root: to whom the sum goes.
        let receivers: [ParticipantID]
        /// What the children send; only looked up.
        var incoming: [ParticipantID: FilmFlow] = [:]
        /// To the parent, or to the receivers of the sum.
        var outgoing: [FilmFlow] = []
        /// Once all children have said what they bring.
        var sum: SimulatedFilm?

        /// Whether all of the children's pixels are here.
        var isWhole: Bool {
            sum != nil && children.allSatisfy { incoming[$0]?.hasPixels == true }
        }
    }

    init(
        round: RoundID, seals: [SealNumber], own: SimulatedFilm, stripes: [Stripe], at now: Instant
    ) {
        self.round = round
        self.seals = seals
        self.own = own
        self.stripes = stripes
        progressAt = now
    }
}

/// A sum that comes down, in as many streams as it has stripes.
final class PendingSum {
    let round: RoundID
    var incoming: [FilmFlow?]
    /// For each stripe the streams on which it is passed on.
    var outgoing: [[FilmFlow]]

    init(round: RoundID, stripes: Int) {
        self.round = round
        incoming = Array(repeating: nil, count: stripes)
        outgoing = Array(repeating: [], count: stripes)
    }
}
