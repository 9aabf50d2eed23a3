// Members that a node knows before it has heard a word: from its last run, or because a simulation
// begins with a mesh that has long found together.

import MeshCore

/// Members that a ``Membership`` starts with.
///
/// One value serves any number of memberships, which share its memory until they differ. What has
/// changed meanwhile is found as everything is: who is gone does not answer, who restarted says so,
/// and views are compared now and then.
public struct KnownMembers: Sendable {
    private(set) var table = MemberTable()

    /// Knows nobody.
    public init() {}

    /// Knows these members as alive, but for those that had departed; of two with one node id the
    /// one that started last.
    public init(_ members: some Sequence<Member>) {
        for member in members.sorted(by: { $0.participant < $1.participant })
        where member.status.isPresent && !member.address.isUnspecified {
            var known = member
            known.status = .alive
            table.store(known)
        }
    }

    public var count: Int { table.count }

    /// The table of a membership that knows them, and itself.
    func table(with own: Member, max: Int) -> MemberTable {
        var result = table
        if result.member(own.participant.node) != own { result.store(own) }
        while result.count > max {
            let last = result.node(at: result.count - 1)
            result.remove(
                last == own.participant.node ? result.node(at: result.count - 2) : last)
        }
        return result
    }
}
