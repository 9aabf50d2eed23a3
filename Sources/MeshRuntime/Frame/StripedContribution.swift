// One node's part in the data phase of a round: as many contributions as the round has stripes,
// each in a tree of its own. They succeed together, or fail together.

import MeshCore
import Tracer
import WorkStealing

/// The data phase of one round at one node.
@EventLoop
final class StripedContribution {
    /// What is needed for one stripe.
    struct Part {
        let merger: FilmMerger
        /// An opened stream to the parent; nil at the root, which has a sink.
        let parent: (participant: ParticipantID, stream: StreamConnection)?
        let sink: StripeSink?
    }

    let round: RoundID
    private var stripes: [Contribution] = []
    private var deliveredCount = 0
    private var isOver = false
    /// Called once: the parents have all of it.
    private let onDelivered: @EventLoop () -> Void
    /// Called once when the round can't be finished here, with the node that is the cause.
    private let onFailed: @EventLoop (ParticipantID, String) -> Void

    /// - Parameter stallLimit: a neighbour that is silent for this long has failed.
    init(
        round: RoundID, parts: [Part], stallLimit: Duration = StreamBounds.stallLimit,
        onDelivered: @escaping @EventLoop () -> Void,
        onFailed: @escaping @EventLoop (ParticipantID, String) -> Void
    ) {
        self.round = round
        self.onDelivered = onDelivered
        self.onFailed = onFailed
        stripes = parts.map { part in
            Contribution(
                round: round, merger: part.merger, parent: part.parent, sink: part.sink,
                stallLimit: stallLimit, onDelivered: { [weak self] in self?.delivered() },
                onFailed: { [weak self] in self?.fail($0, $1) })
        }
    }

    /// Takes over a child's stream; that of anybody else is closed.
    func accept(_ stream: StreamConnection, from child: ParticipantID, stripe: TileStripe) {
        guard stripe.count == stripes.count else { return stream.abort() }
        stripes[stripe.index].accept(stream, from: child)
    }

    private func delivered() {
        deliveredCount += 1
        guard deliveredCount == stripes.count, !isOver else { return }
        isOver = true
        onDelivered()
    }

    /// One stripe cannot be finished, and so none.
    func fail(_ cause: ParticipantID, _ reason: String) {
        guard !isOver else { return }
        isOver = true
        for stripe in stripes { stripe.fail(cause, reason) }
        onFailed(cause, reason)
    }

    /// Ends this node's part, however far it is.
    func abandon() {
        isOver = true
        for stripe in stripes { stripe.abandon() }
    }
}
