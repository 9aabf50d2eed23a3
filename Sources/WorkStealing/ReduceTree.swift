// The shape of one reduction: a binary tree over the root and the contributors, in an order that
// changes from round to round, so that no slow node is an inner node for long.

public import MeshCore

/// A complete tree of arity 2 in heap order.
public struct ReduceTree: Hashable, Sendable {
    /// The root first.
    public let nodes: [ParticipantID]
    public static let arity = 2

    /// - Parameter contributors: without the root; each once.
    public init(
        root: ParticipantID, contributors: [ParticipantID], random: inout RandomNumbers
    ) {
        var order = contributors
        random.shuffle(&order)
        nodes = [root] + order
    }

    /// A tree in the order given, for passing a sum down.
    public init(ordered nodes: [ParticipantID]) { self.nodes = nodes }

    public func parent(ofIndex index: Int) -> ParticipantID? {
        index == 0 ? nil : nodes[(index - 1) / Self.arity]
    }

    public func children(ofIndex index: Int) -> [ParticipantID] {
        let first = index * Self.arity + 1
        guard first < nodes.count else { return [] }
        return Array(nodes[first..<min(first + Self.arity, nodes.count)])
    }
}
