// All members that a node knows, itself included, sorted by node id, with digests that tell in a
// few bytes whether two nodes know the same.

import MeshCore

/// A sorted table of members. Lookups are logarithmic; digests are kept up to date with every
/// change.
struct MemberTable: Sendable {
    private(set) var members: [Member] = []
    /// The exclusive or of the hashes of the present members of each bucket. Departed members are
    /// not in it, because nodes forget them at different times.
    private(set) var digests = [UInt64](repeating: 0, count: bucketCount)
    /// The number of members that are alive or suspect.
    private(set) var presentCount = 0

    static let bucketCount = 64

    var count: Int { members.count }

    /// One digest for the whole table.
    var digest: UInt64 {
        digests.reduce(UInt64(presentCount)) { Self.mix($0 &* 31 &+ $1) }
    }

    subscript(index: Int) -> Member { members[index] }

    func index(of node: NodeID) -> Int? {
        let index = insertionIndex(of: node)
        return index < members.count && members[index].participant.node == node ? index : nil
    }

    /// The index of the first member whose id is not below `node`.
    func insertionIndex(of node: NodeID) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].participant.node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func member(_ node: NodeID) -> Member? { index(of: node).map { members[$0] } }

    /// Adds a member, or replaces the one of the same node id.
    mutating func store(_ member: Member) {
        let index = insertionIndex(of: member.participant.node)
        if index < members.count, members[index].participant.node == member.participant.node {
            toggle(members[index], by: -1)
            members[index] = member
        } else {
            members.insert(member, at: index)
        }
        toggle(member, by: 1)
    }

    mutating func remove(_ node: NodeID) {
        guard let index = index(of: node) else { return }
        toggle(members[index], by: -1)
        members.remove(at: index)
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
        var fresh = MemberTable()
        for (index, member) in members.enumerated() {
            precondition(
                index == 0 || members[index - 1].participant.node < member.participant.node)
            precondition(member.metadata.count <= GossipMessage.metadataSizeMax)
            fresh.store(member)
        }
        precondition(fresh.digests == digests && fresh.presentCount == presentCount)
    }
}
