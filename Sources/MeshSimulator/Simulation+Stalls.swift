// Streams on slow links: one on which bytes still move has not failed, however long it takes.

import MeshCore
import WorkStealing

extension Simulation {
    /// Whether a child's contribution is still flowing; then it is looked for again later.
    mutating func mayStillCome(_ frame: FrameID, _ round: RoundID, at index: Int) -> Bool {
        let isFlowing = isUnderWay(to: index) { transfer in
            if case .contribution(frame, round, _, _) = transfer { true } else { false }
        }
        return isFlowing && lookAgain(.contributionStalls(frame, round), at: index)
    }

    /// Whether a film that was asked for is still flowing; then it is looked for again later.
    mutating func mayStillCome(_ frame: FrameID, fetch: Int, at index: Int) -> Bool {
        let isFlowing = isUnderWay(to: index) { transfer in
            if case .film(frame, fetch, _, _) = transfer { true } else { false }
        }
        return isFlowing && lookAgain(.fetchStalls(frame, fetch: fetch), at: index)
    }

    private mutating func lookAgain(_ event: LocalEvent, at index: Int) -> Bool {
        queue.add(
            .local(node: index, boot: nodes[index].boot, event),
            at: now + configuration.network.stallLimit / 4)
        return true
    }
}
