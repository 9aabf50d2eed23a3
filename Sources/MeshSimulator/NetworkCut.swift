// What stands in the way of packets between nodes: cuts lose them, clogs hold them back.

import MeshCore

/// A border that some of the network's traffic does not cross.
struct NetworkCut: Sendable {
    let number: Int
    /// For each node, whether it is inside.
    let inside: [Bool]
    let oneWay: Bool

    func blocks(from: Int, to: Int) -> Bool {
        inside[from] != inside[to] && (inside[from] || !oneWay)
    }
}

/// Everything on a way between nodes is held back.
struct NetworkClog: Sendable {
    let number: Int
    let node: Int
    /// Nil: all others.
    let peer: Int?
    let until: Instant

    func holds(from: Int, to: Int) -> Bool {
        guard from == node || to == node else { return false }
        return peer.map { from == $0 || to == $0 } ?? true
    }
}
