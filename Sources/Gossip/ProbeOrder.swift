// In which order members are probed: round robin over a random order, so that each member is
// probed once in every 2n − 1 intervals at the latest (SWIM §4.3).

import MeshCore

/// A shuffled round over the members; newcomers enter at a random place of what is left of it.
struct ProbeOrder: Sendable {
    private(set) var order: [NodeID] = []
    private var cursor = 0
    private let placesMax: Int

    /// - Parameter membersMax: the most members; a round has at most twice as many places.
    init(membersMax: Int) { placesMax = 2 * membersMax }

    /// Adds a newcomer to the present round.
    mutating func insert(_ node: NodeID, random: inout RandomNumbers) {
        guard order.count < placesMax else {
            // More came and went than a mesh has members: the next round, with all of them,
            // begins now.
            order.removeAll()
            cursor = 0
            return
        }
        order.append(node)
        order.swapAt(cursor + random.below(order.count - cursor), order.count - 1)
    }

    /// The next member that `isProbed` accepts; nil when a whole round has none.
    mutating func next(
        in table: MemberTable, random: inout RandomNumbers, where isProbed: (Member) -> Bool
    ) -> Member? {
        for _ in 0..<2 {
            while cursor < order.count {
                let node = order[cursor]
                cursor += 1
                if let member = table.member(node), isProbed(member) { return member }
            }
            order = table.members.filter(isProbed).map(\.participant.node)
            random.shuffle(&order)
            cursor = 0
        }
        return nil
    }
}
