// All members that a node knows, itself included, sorted by node id, with digests that tell in a
// few bytes whether two nodes know the same.

import MeshCore

/// A sorted table of members. Lookups are logarithmic; digests are kept up to date with every
/// change.
///
/// Copies share what does not differ: ten thousand tables of ten thousand members, as a simulation
/// has them, take 8 bytes for each member of a table that was changed, and nothing of one that was
/// not. So members lie in boxes, and their ids apart, where searching them touches little memory.
struct MemberTable: Sendable {
    /// Sorted.
    private var nodes: [NodeID] = []
    /// Of the same order.
    private var boxes: [MemberBox] = []
    /// The exclusive or of the hashes of the present members of each bucket. Departed members are
    /// not in it, because nodes forget them at different times.
    private(set) var digests = [UInt64](repeating: 0, count: bucketCount)
    /// The number of members that are alive or suspect.
    private(set) var presentCount = 0

    static let bucketCount = 64

    var count: Int { boxes.count }

    /// By node id. Linear time for the whole; nothing is copied for the first.
    var members: LazyMapCollection<[MemberBox], Member> { boxes.lazy.map(\.member) }

    /// One digest for the whole table.
    var digest: UInt64 {
        digests.reduce(UInt64(presentCount)) { Self.mix($0 &* 31 &+ $1) }
    }

    subscript(index: Int) -> Member { boxes[index].member }

    func node(at index: Int) -> NodeID { nodes[index] }

    func index(of node: NodeID) -> Int? {
        let index = insertionIndex(of: node)
        return index < nodes.count && nodes[index] == node ? index : nil
    }

    /// The index of the first member whose id is not below `node`.
    func insertionIndex(of node: NodeID) -> Int {
        var low = 0
        var high = nodes.count
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle] < node { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func member(_ node: NodeID) -> Member? { index(of: node).map { boxes[$0].member } }

    /// Adds a member, or replaces the one of the same node id.
    mutating func store(_ member: Member) {
        let node = member.participant.node
        let index = insertionIndex(of: node)
        let box = MemberBox(member)
        if index < nodes.count, nodes[index] == node {
            toggle(boxes[index].member, by: -1)
            boxes[index] = box
        } else {
            nodes.insert(node, at: index)
            boxes.insert(box, at: index)
        }
        toggle(member, by: 1)
    }

    mutating func remove(_ node: NodeID) {
        guard let index = index(of: node) else { return }
        toggle(boxes[index].member, by: -1)
        nodes.remove(at: index)
        boxes.remove(at: index)
    }

    private mutating func toggle(_ member: Member, by count: Int) {
        guard member.status.isPresent else { return }
        presentCount += count
        digests[Self.bucket(of: member.participant.node)] ^= Self.hash(member)
    }

    static func bucket(of node: NodeID) -> Int { Int(mix(node.rawValue) % UInt64(bucketCount)) }

    private static func hash(_ member: Member) -> UInt64 {
        var hash = mix(member.participant.node.rawValue)
        hash = mix(hash ^ member.participant.boot)
        return mix(hash ^ (UInt64(member.incarnation) << 32 | UInt64(member.metadataVersion)))
    }

    /// A bijection that spreads every input bit (SplitMix64's finalizer).
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Checks order, counts and digests against a fresh computation.
    func checkInvariants() {
        precondition(nodes.count == boxes.count)
        var fresh = [UInt64](repeating: 0, count: Self.bucketCount)
        var present = 0
        for (index, box) in boxes.enumerated() {
            let node = box.member.participant.node
            precondition(nodes[index] == node && (index == 0 || nodes[index - 1] < node))
            precondition(box.member.metadata.count <= GossipMessage.metadataSizeMax)
            guard box.member.status.isPresent else { continue }
            present += 1
            fresh[Self.bucket(of: node)] ^= Self.hash(box.member)
        }
        precondition(fresh == digests && present == presentCount)
    }
}

/// One member, shared by all copies of the table in which it did not change.
final class MemberBox: Sendable {
    let member: Member
    init(_ member: Member) { self.member = member }
}
