// What one membership makes of what no honest member sends, or of what only chance and copied
// folders make: its memory stays bounded, it goes on being understood, and it says what is wrong.

import MeshCore
import Testing

@testable import Gossip

@Suite("Hostile members")
struct HostileTests {
    static let me = ParticipantID(node: NodeID(1), boot: 5)
    static let peer = ParticipantID(node: NodeID(2), boot: 1)

    static func address(_ number: UInt8) -> NodeAddress {
        NodeAddress(10, 0, 0, number, port: 4_040)
    }

    static func update(
        _ participant: ParticipantID, _ status: MemberStatus, incarnation: UInt32 = 0,
        version: UInt32 = 0, at address: NodeAddress? = nil
    ) -> MemberUpdate {
        let profile = MemberUpdate.Profile(
            address: address ?? Self.address(UInt8(truncatingIfNeeded: participant.node.rawValue)),
            metadataVersion: version, metadata: [])
        return MemberUpdate(
            participant: participant, incarnation: incarnation, status: status, profile: profile)
    }

    /// A membership at address 1 that a test feeds by hand.
    struct Fed {
        var membership: Membership
        var now = Instant.zero
        var sent: [(message: GossipMessage, to: NodeAddress)] = []
        var conflicts: [ParticipantID] = []

        init(membersMax: Int = 100) {
            var configuration = GossipConfiguration()
            configuration.membersMax = membersMax
            membership = Membership(
                participant: me, address: address(1), configuration: configuration, seed: 1,
                at: .zero)
        }

        mutating func receive(
            _ updates: [MemberUpdate], _ body: GossipMessage.Body = .gossip,
            from sender: ParticipantID = peer, at source: NodeAddress = address(2)
        ) {
            let message = GossipMessage(sender: sender, body: body, updates: updates)
            membership.receive(message, from: source, at: now)
            drain()
        }

        mutating func tick(after duration: Duration) {
            now = now + duration
            membership.tick(at: now)
            drain()
        }

        mutating func drain() {
            while let directive = membership.nextDirective() {
                switch directive {
                case .send(let message, let address): sent.append((message, address))
                case .identityConflict(let other): conflicts.append(other)
                case .memberChanged: break
                }
            }
            membership.checkInvariants()
        }
    }

    @Test("Members that come and go without end take bounded memory")
    func flapping() {
        var fed = Fed(membersMax: 8)
        for round in UInt32(0)..<200 {
            fed.receive([
                Self.update(Self.peer, .alive, incarnation: round),
                Self.update(Self.peer, .dead, incarnation: round),
            ])
        }
        #expect(fed.membership.order.order.count <= 16)
        fed.receive([Self.update(Self.peer, .alive, incarnation: 1_000)])
        // The member is probed nonetheless.
        fed.tick(after: .milliseconds(1))
        for _ in 0..<5 { fed.tick(after: .milliseconds(350)) }
        let pings = fed.sent.filter {
            if case .ping = $0.message.body { $0.to == Self.address(2) } else { false }
        }
        #expect(!pings.isEmpty)
    }

    @Test("In a full table who departed first makes room for newcomers; who is present stays")
    func room() {
        var fed = Fed(membersMax: 3)
        let others = (2...6).map { ParticipantID(node: NodeID(UInt64($0)), boot: 1) }
        fed.receive([Self.update(others[0], .alive), Self.update(others[1], .alive)])
        fed.receive([Self.update(others[2], .alive)])
        #expect(fed.membership.member(others[2].node) == nil)
        fed.receive([Self.update(others[1], .dead)])
        fed.receive([Self.update(others[3], .alive)])
        #expect(fed.membership.member(others[1].node) == nil)
        #expect(fed.membership.member(others[3].node)?.status == .alive)
        #expect(fed.membership.members.count == 3)
    }

    @Test("A synchronisation ends, whatever is answered", arguments: [true, false])
    func endlessPages(areEmpty: Bool) throws {
        var fed = Fed(membersMax: 20)
        let digest = GossipMessage.SyncDigest(
            digests: [UInt64](repeating: 3, count: MemberTable.bucketCount), wantsReply: false,
            observed: nil)
        fed.receive([], .digest(digest))
        var pages = 0
        while pages < 1_000 {
            guard case .pull(let pull)? = fed.sent.last?.message.body else { break }
            fed.sent = []
            pages += 1
            let records = areEmpty ? [] : [Self.update(Self.peer, .alive)]
            let page = GossipMessage.SyncPage(
                sequence: pull.sequence, records: records, next: NodeID(UInt64(pages)))
            fed.receive([], .page(page))
        }
        #expect(pages == (areEmpty ? 1 : 20))
    }

    @Test("A counter that somebody drove to its end does not make this node unreadable")
    func exhaustedCounters() throws {
        var fed = Fed()
        fed.receive([Self.update(Self.peer, .alive)])
        let last = MemberUpdate.counterMax
        fed.receive([Self.update(Self.me, .alive, version: last)])
        fed.receive([Self.update(Self.me, .suspect, incarnation: last)])
        for value in UInt8(0)..<3 {
            fed.now = fed.now + .milliseconds(300)
            fed.membership.updateMetadata([value], at: fed.now)
            fed.tick(after: .milliseconds(1))
        }
        #expect(!fed.sent.isEmpty)
        for (message, _) in fed.sent {
            #expect(try GossipMessage(decoding: message.encode()) == message)
        }
        #expect(fed.conflicts == [Self.me], "beyond the last incarnation nothing can be refuted")
    }

    @Test("A copied state folder is noticed even when the boot numbers are equal, and told once")
    func clone() {
        var fed = Fed()
        fed.receive([Self.update(Self.me, .alive, at: Self.address(1))])
        #expect(fed.conflicts.isEmpty)
        for _ in 0..<5 { fed.receive([Self.update(Self.me, .alive, at: Self.address(9))]) }
        #expect(fed.conflicts == [Self.me])
        let later = ParticipantID(node: Self.me.node, boot: 6)
        for _ in 0..<30 {
            fed.tick(after: .seconds(2))
            fed.receive([], from: later, at: Self.address(9))
        }
        #expect(fed.conflicts == [Self.me, later], "at most one in a minute")
    }

    @Test("A relay pings an address that is no member's without a word of news")
    func reflection() throws {
        var fed = Fed()
        fed.receive([Self.update(Self.peer, .alive)])
        let stranger = ParticipantID(node: NodeID(77), boot: 1)
        for (target, address) in [(stranger, Self.address(77)), (Self.peer, Self.address(77))] {
            fed.sent = []
            fed.receive(
                [], .indirectPing(.init(sequence: 1, target: target, address: address)),
                from: ParticipantID(node: NodeID(3), boot: 1), at: Self.address(3))
            let ping = try #require(fed.sent.first { $0.to == address })
            #expect(ping.message.updates.isEmpty)
        }
        fed.sent = []
        fed.receive(
            [], .indirectPing(.init(sequence: 2, target: Self.peer, address: Self.address(2))),
            from: ParticipantID(node: NodeID(3), boot: 1), at: Self.address(3))
        #expect(fed.sent.contains { $0.to == Self.address(2) })
    }

    @Test("Who answers at a member's address under another name accuses it, member or not")
    func successor() throws {
        var fed = Fed()
        let successor = ParticipantID(node: NodeID(3), boot: 1)
        fed.receive([
            Self.update(Self.peer, .alive), Self.update(successor, .alive, at: Self.address(2)),
        ])
        var accused = false
        for _ in 0..<20 where !accused {
            fed.sent = []
            fed.tick(after: .milliseconds(100))
            for (message, to) in fed.sent where to == Self.address(2) {
                guard case .ping(let ping) = message.body else { continue }
                fed.receive(
                    [], .ack(.init(sequence: ping.sequence, subject: nil)), from: successor)
            }
            accused = fed.membership.member(Self.peer.node)?.status == .suspect
        }
        #expect(accused)
        #expect(fed.membership.suspicions.first?.refusals == [Self.me.node])
        #expect(fed.membership.member(successor.node)?.status == .alive)
    }
}
