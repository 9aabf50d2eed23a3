// Memberships that know others from the start.

import MeshCore
import Testing

@testable import Gossip

@Suite("Known members")
struct KnownMembersTests {
    static func member(_ index: Int, boot: UInt64 = 1, status: MemberStatus = .alive) -> Member {
        Member(
            participant: ParticipantID(node: NodeID(UInt64(index) + 1), boot: boot),
            address: VirtualMesh.address(index), status: status, metadata: [UInt8(index)])
    }

    static func membership(_ index: Int, knowing known: KnownMembers, max: Int = 100) -> Membership
    {
        var configuration = GossipConfiguration()
        configuration.membersMax = max
        let own = member(index)
        return Membership(
            participant: own.participant, address: own.address, metadata: own.metadata,
            knowing: known, configuration: configuration, seed: UInt64(index), at: .zero)
    }

    @Test("Members known from the start are present, and nobody is told of them")
    func start() {
        let known = KnownMembers((0..<5).map { Self.member($0) })
        var first = Self.membership(0, knowing: known)
        let second = Self.membership(1, knowing: known)
        first.checkInvariants()
        #expect(first.presentCount == 5)
        #expect(first.members == second.members)
        #expect(first.nextDirective() == nil)
        first.tick(at: first.nextDeadline)
        first.tick(at: first.nextDeadline)
        guard case .send(_, to: let address) = first.nextDirective() else {
            Issue.record("it speaks to one of them")
            return
        }
        #expect((1..<5).contains { VirtualMesh.address($0) == address })
    }

    @Test("Who had departed is not known, a suspect is alive, the latest start counts")
    func choice() {
        let known = KnownMembers([
            Self.member(0, boot: 7), Self.member(0, boot: 3), Self.member(1, status: .dead),
            Self.member(2, status: .left), Self.member(3, status: .suspect),
        ])
        #expect(known.count == 2)
        let membership = Self.membership(9, knowing: known)
        membership.checkInvariants()
        #expect(membership.member(NodeID(1))?.participant.boot == 7)
        #expect(membership.member(NodeID(4))?.status == .alive)
        #expect(membership.presentCount == 3)
    }

    @Test("More members than a table holds are left out, its owner never")
    func overflow() {
        let known = KnownMembers((0..<50).map { Self.member($0) })
        for own in [0, 20, 49, 60] {
            let membership = Self.membership(own, knowing: known, max: 10)
            membership.checkInvariants()
            #expect(membership.presentCount == 10)
            #expect(membership.ownMember == Self.member(own))
        }
    }

    @Test("A known member that is gone is found out, one that restarted takes its place")
    func staleKnowledge() {
        let known = KnownMembers((0..<3).map { Self.member($0) })
        var membership = Self.membership(0, knowing: known)
        let restarted = Member(
            participant: ParticipantID(node: NodeID(2), boot: 2),
            address: VirtualMesh.address(1))
        membership.receive(
            GossipMessage(
                sender: restarted.participant, body: .join(.init(record: MemberUpdate(restarted)))),
            from: VirtualMesh.address(1), at: .zero)
        #expect(membership.member(NodeID(2))?.participant.boot == 2)
        for step in 0..<400 {
            membership.tick(at: .zero + .milliseconds(100) * step)
            while membership.nextDirective() != nil {}
        }
        #expect(membership.member(NodeID(3))?.status == .dead)
    }
}
