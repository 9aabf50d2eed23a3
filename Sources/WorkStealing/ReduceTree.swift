// The shape of one reduction: for each stripe of the tiles a tree over the root and the others,
// such that all trees together load every link alike (P. Sanders, J. Speck, J. L. Träff, "Two-tree
// algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing 35, 2009; here
// with as many trees as there are stripes).

public import MeshCore

/// A tree in heap order. With one stripe it is complete and low, for small sums. With more its
/// first node, the root, has one child, and the others have as many children as there are stripes:
/// a node that is an inner node in one tree only receives one film in all, and sends one.
public struct ReduceTree: Hashable, Sendable {
    /// In heap order; the root first.
    public let nodes: [ParticipantID]
    /// The most children of a node.
    public let arity: Int
    private let rootArity: Int

    /// Of the tree of a sum that is not divided.
    public static let lowArity = 4

    /// The most children of a node when there are so many stripes.
    public static func arity(stripes: Int) -> Int { stripes == 1 ? lowArity : stripes }

    /// The tree over the root of a round and the others in the order given.
    public init(root: ParticipantID, others: [ParticipantID], stripes: Int) {
        nodes = [root] + others
        arity = Self.arity(stripes: stripes)
        rootArity = stripes == 1 ? arity : 1
    }

    /// The part of a tree below one of its nodes, which comes first.
    public init(subtree nodes: [ParticipantID], stripes: Int) {
        self.nodes = nodes
        arity = Self.arity(stripes: stripes)
        rootArity = arity
    }

    public func parent(ofIndex index: Int) -> ParticipantID? {
        guard index > 0 else { return nil }
        return nodes[index <= rootArity ? 0 : (index - 1 - rootArity) / arity + 1]
    }

    public func children(ofIndex index: Int) -> [ParticipantID] {
        childIndices(of: index).map { nodes[$0] }
    }

    /// For each child of the first node, the nodes of its subtree: itself, then level by level, so
    /// that ``init(subtree:stripes:)`` makes the same tree of them.
    public var branches: [[ParticipantID]] {
        childIndices(of: 0).map { child in
            var level = [child]
            var branch: [ParticipantID] = []
            while !level.isEmpty {
                branch += level.map { nodes[$0] }
                level = level.flatMap { childIndices(of: $0) }
            }
            return branch
        }
    }

    private func childIndices(of index: Int) -> Range<Int> {
        let first = index == 0 ? 1 : rootArity + 1 + (index - 1) * arity
        let last = first + (index == 0 ? rootArity : arity)
        return min(first, nodes.count)..<min(last, nodes.count)
    }
}

/// Who stands where in the trees of a round: contributions go up, and the sum goes down others.
public struct ReducePlan: Sendable {
    /// Somebody who takes part, and how many bytes its link moves in a second; zero: not known.
    public struct Candidate: Hashable, Sendable {
        public let id: ParticipantID
        public let bytesPerSecond: Double
        public init(_ id: ParticipantID, bytesPerSecond: Double = 0) {
            self.id = id
            self.bytesPerSecond = bytesPerSecond
        }
    }

    /// The root's places, for each stripe.
    public let root: [GatherPlace]
    /// The contributors with their places, for each stripe.
    public let contributors: [(id: ParticipantID, places: [TreePlace])]

    /// - Parameters:
    ///   - contributors: without the root; each once.
    ///   - receivers: the same.
    public init(
        root: ParticipantID, contributors: [Candidate], receivers: [Candidate], stripes: Int,
        random: inout RandomNumbers
    ) {
        let up = ReduceOrder.shuffled(contributors, random: &random)
        let down = ReduceOrder.shuffled(receivers, random: &random)
        let orders = zip(
            ReduceOrder.orders(up.order, slow: up.slow, stripes: stripes),
            ReduceOrder.orders(down.order, slow: down.slow, stripes: stripes))
        var places: [ParticipantID: [TreePlace]] = [:]
        var own: [GatherPlace] = []
        for (upOrder, downOrder) in orders {
            let tree = ReduceTree(root: root, others: upOrder, stripes: stripes)
            for (index, node) in tree.nodes.enumerated() {
                guard let parent = tree.parent(ofIndex: index) else { continue }
                let children = tree.children(ofIndex: index)
                places[node, default: []].append(TreePlace(parent: parent, children: children))
            }
            own.append(GatherPlace(children: tree.children(ofIndex: 0), receivers: downOrder))
        }
        self.root = own
        self.contributors = up.order.map { ($0, places[$0] ?? []) }
    }
}

/// The orders of nodes in the trees of a round.
enum ReduceOrder {
    typealias Candidate = ReducePlan.Candidate

    /// A random order, but for links that are much slower than most: they come last.
    /// - Returns: the order, and how many at its end are slow, at most an eighth.
    static func shuffled(
        _ candidates: [Candidate], random: inout RandomNumbers
    ) -> (order: [ParticipantID], slow: Int) {
        var order = candidates
        random.shuffle(&order)
        let known = order.map(\.bytesPerSecond).filter { $0 > 0 }.sorted()
        guard known.count > 1 else { return (order.map(\.id), 0) }
        let limit = known[known.count / 2] / 2
        var slow = order.filter { $0.bytesPerSecond > 0 && $0.bytesPerSecond < limit }
        slow.sort { $0.bytesPerSecond < $1.bytesPerSecond }
        let last = slow.prefix(max(1, order.count / 8))
        let isLast = Set(last)
        let first = order.filter { !isLast.contains($0) }
        return ((first + last.reversed()).map(\.id), last.count)
    }

    /// For each stripe an order of the nodes that puts others in front, where trees have their
    /// inner nodes; the slow ones, at the end of `order`, are leaves in all trees.
    ///
    /// With n nodes a tree has m = ⌈(n − 1) / stripes⌉ inner ones, and all but the last of them
    /// have as many children as there are stripes. The stripes take these m − 1 from the order one
    /// after the other. The last ones have fewer children, and are those with least to do so far.
    static func orders(
        _ order: [ParticipantID], slow: Int, stripes: Int
    ) -> [[ParticipantID]] {
        let count = order.count
        guard stripes > 1, count > 1 else { return Array(repeating: order, count: stripes) }
        let inner = (count - 2 + stripes) / stripes
        let lastChildren = count - 1 - (inner - 1) * stripes
        let eligible = max(count - slow, inner)
        var load = Array(repeating: 0, count: eligible)
        var places: [[Int]] = []
        for stripe in 0..<stripes {
            let full = (0..<(inner - 1)).map { (stripe * (inner - 1) + $0) % eligible }
            for place in full { load[place] += stripes }
            places.append(full)
        }
        return places.map { full in
            var isInner = Array(repeating: false, count: count)
            for place in full { isInner[place] = true }
            var last: Int?
            for place in 0..<eligible where !isInner[place] {
                if last.map({ load[place] < load[$0] }) ?? true { last = place }
            }
            guard let last else { return order }
            load[last] += lastChildren
            isInner[last] = true
            // The leaves from there on, so that no tree has the same neighbours as another.
            let leaves = (1..<count).map { (last + $0) % count }.filter { !isInner[$0] }
            return (full + [last] + leaves).map { order[$0] }
        }
    }
}
