// The promises of the membership, each in a mesh in virtual time. A failure prints its seed.

import Gossip
import MeshCore
import Testing

@Suite("Membership")
struct MembershipTests {
    static let seeds: [UInt64] = [1, 2, 3, 4, 5]

    @Test("All nodes that join one know each other within seconds", arguments: seeds)
    func joining(seed: UInt64) {
        var mesh = VirtualMesh(seed: seed)
        for index in 0..<20 { mesh.add(metadata: [UInt8](repeating: UInt8(index), count: 100)) }
        mesh.run(.seconds(5)) { $0.isConverged(0..<20) }
        #expect(mesh.isConverged(0..<20), "seed \(seed)")
        for index in 0..<20 {
            let seen = mesh.nodes[(index + 7) % 20].membership.member(VirtualMesh.id(index))
            #expect(seen?.metadata == [UInt8](repeating: UInt8(index), count: 100))
        }
        mesh.checkInvariants()
    }

    @Test("A node that does not know its own address learns it when it joins")
    func unspecifiedAddress() throws {
        var mesh = VirtualMesh(seed: 9)
        mesh.add()
        mesh.add(address: NodeAddress(0, 0, 0, 0, port: 4_040))
        mesh.add()
        mesh.run(.seconds(3))
        #expect(mesh.isConverged(0..<3))
        #expect(mesh.nodes[1].membership.ownMember.address == VirtualMesh.address(1))
        let seen = try #require(mesh.nodes[2].membership.member(VirtualMesh.id(1)))
        #expect(seen.address == VirtualMesh.address(1))
    }

    @Test(
        "A node whose machine gets another address is found there, if it may learn it",
        arguments: [2, 7], seeds)
    func movedAddress(count: Int, seed: UInt64) {
        var configuration = GossipConfiguration()
        configuration.learnsAddress = true
        var mesh = VirtualMesh.converged(count, seed: seed, configuration: configuration)
        let new = NodeAddress(192, 168, 7, 7, port: 4_040)
        mesh.move(1, to: new)
        mesh.run(.seconds(40))
        #expect(mesh.isConverged(0..<count), "seed \(seed)")
        for index in 0..<count {
            let seen = mesh.nodes[index].membership.member(VirtualMesh.id(1))
            #expect(seen?.address == new, "seed \(seed)")
        }
        mesh.run(.seconds(60))
        let before = mesh.nodes[1].membership.statistics.refutations
        mesh.run(.seconds(60))
        #expect(mesh.nodes[1].membership.statistics.refutations == before, "seed \(seed)")
        mesh.checkInvariants()
    }

    @Test("A killed process is known dead by all within 3 s at the median", arguments: [5, 12, 20])
    func detection(count: Int) {
        var times: [Double] = []
        for seed in UInt64(1)...15 {
            var mesh = VirtualMesh.converged(count, seed: seed)
            let victim = Int(seed) % count
            mesh.kill(victim)
            let start = mesh.now
            let others = (0..<count).filter { $0 != victim }
            mesh.run(.seconds(20)) { mesh in
                others.allSatisfy { mesh.status(of: victim, seenBy: $0) == .dead }
            }
            times.append((mesh.now - start).seconds)
            #expect(mesh.isConverged(others), "seed \(seed)")
        }
        times.sort()
        #expect(times[7] <= 3, "median \(times[7]) s, all \(times)")
        #expect(times[14] <= 6, "all \(times)")
    }

    @Test("A host that falls silent is known dead within 10 s", arguments: [2, 3, 5, 12, 20])
    func silentDetection(count: Int) {
        for seed in UInt64(1)...5 {
            var mesh = VirtualMesh.converged(count, seed: seed)
            mesh.refuses = false
            mesh.kill(count - 1)
            mesh.run(.seconds(10))
            #expect(mesh.isConverged(0..<(count - 1)), "seed \(seed)")
        }
    }

    @Test("Nobody is declared dead under loss", arguments: [0.1, 0.2], [UInt64(1), 2, 3])
    func loss(share: Double, seed: UInt64) {
        var mesh = VirtualMesh.converged(12, seed: seed)
        mesh.loss = share
        mesh.run(.seconds(180))
        for index in 0..<12 { #expect(mesh.deaths(of: index) == 0, "seed \(seed)") }
        let suspicions = mesh.nodes.reduce(0) { $0 + $1.membership.statistics.suspicions }
        #expect(suspicions > 0, "the loss must have been felt")
        mesh.checkInvariants()
    }

    @Test(
        "A node stopped for 3 or 5 s accuses nobody and is not declared dead",
        arguments: [3, 5], seeds)
    func freeze(seconds: Int, seed: UInt64) {
        var mesh = VirtualMesh.converged(12, seed: seed)
        for round in 0..<4 {
            mesh.freeze((round * 5 + 3) % 12, for: .seconds(seconds))
            mesh.run(.seconds(15))
        }
        for index in 0..<12 { #expect(mesh.deaths(of: index) == 0, "seed \(seed)") }
        let freezes = mesh.nodes.reduce(0) { $0 + $1.membership.statistics.freezes }
        #expect(freezes == 4, "seed \(seed)")
        #expect(mesh.isConverged(0..<12), "seed \(seed)")
    }

    @Test("Stops of 3 and 5 s and a fifth of all datagrams lost: still nobody is declared dead")
    func freezeUnderLoss() {
        var mesh = VirtualMesh.converged(12, seed: 200)
        mesh.loss = 0.2
        for round in 0..<12 {
            mesh.freeze((round * 5 + 3) % 12, for: .seconds(round % 2 == 0 ? 3 : 5))
            mesh.run(.seconds(15))
        }
        for index in 0..<12 { #expect(mesh.deaths(of: index) == 0) }
        mesh.checkInvariants()
    }

    @Test("A node that was given a false refusal refutes it and lives on", arguments: seeds)
    func falseRefusal(seed: UInt64) {
        var mesh = VirtualMesh.converged(8, seed: seed)
        for witness in [1, 2, 3] {
            mesh.act(witness) { $0.noteRefusal(of: VirtualMesh.address(6), at: $1) }
        }
        mesh.run(.seconds(5))
        #expect(mesh.isConverged(0..<8), "seed \(seed)")
        #expect(mesh.deaths(of: 6) == 0, "seed \(seed)")
        #expect(mesh.nodes[6].membership.statistics.refutations > 0, "seed \(seed)")
    }

    @Test("Departed members are forgotten in time, and the table stays within its bound")
    func bounds() {
        var configuration = GossipConfiguration()
        configuration.departedRetention = .seconds(20)
        configuration.membersMax = 6
        var mesh = VirtualMesh.converged(9, seed: 3, configuration: configuration)
        for node in mesh.nodes { #expect(node.membership.members.count <= 6) }
        mesh = VirtualMesh.converged(4, seed: 3, configuration: configuration)
        mesh.kill(3)
        mesh.run(.seconds(10))
        #expect(mesh.status(of: 3, seenBy: 0) == .dead)
        mesh.run(.seconds(30))
        for index in 0..<3 { #expect(mesh.status(of: 3, seenBy: index) == nil) }
        mesh.checkInvariants()
    }

    @Test("A second process with the same node id and a higher boot number is reported")
    func identityConflict() {
        let own = ParticipantID(node: NodeID(1), boot: 1)
        var membership = Membership(
            participant: own, address: VirtualMesh.address(0), seed: 1, at: .zero)
        let clone = ParticipantID(node: NodeID(1), boot: 2)
        membership.receive(
            GossipMessage(sender: clone, body: .gossip), from: VirtualMesh.address(1), at: .zero)
        #expect(membership.nextDirective() == .identityConflict(clone))
        #expect(membership.nextDirective() == nil)
    }

    @Test("A long stop ends in death for others and in return for all", arguments: seeds)
    func longFreeze(seed: UInt64) {
        var mesh = VirtualMesh.converged(8, seed: seed)
        mesh.freeze(3, for: .seconds(30))
        mesh.run(.seconds(25))
        #expect(mesh.isConverged([0, 1, 2, 4, 5, 6, 7]), "seed \(seed)")
        mesh.run(.seconds(15))
        #expect(mesh.isConverged(0..<8), "seed \(seed)")
        for index in [0, 1, 2, 4, 5, 6, 7] {
            #expect(mesh.deaths(of: index) == 0, "the stopped node accused \(index), seed \(seed)")
        }
        #expect(mesh.nodes[3].membership.statistics.refutations > 0)
    }

    @Test("Halves that declared each other dead merge within 10 s of healing", arguments: seeds)
    func partition(seed: UInt64) {
        var mesh = VirtualMesh.converged(12, seed: seed)
        mesh.setGroup(1, of: 0..<5)
        mesh.run(.seconds(40))
        #expect(mesh.isConverged(0..<5), "seed \(seed)")
        #expect(mesh.isConverged(5..<12), "seed \(seed)")
        mesh.setGroup(0, of: 0..<5)
        mesh.run(.seconds(10))
        #expect(mesh.isConverged(0..<12), "seed \(seed)")
        mesh.checkInvariants()
    }

    @Test("A single node that was cut off comes back within 10 s", arguments: seeds)
    func cutOff(seed: UInt64) {
        var mesh = VirtualMesh.converged(6, seed: seed)
        mesh.setGroup(1, of: [2])
        mesh.run(.seconds(60))
        #expect(mesh.isConverged([2]), "seed \(seed)")
        mesh.setGroup(0, of: [2])
        mesh.run(.seconds(10))
        #expect(mesh.isConverged(0..<6), "seed \(seed)")
    }

    @Test("A node that leaves is known to have left, and nobody looks for it", arguments: seeds)
    func leaving(seed: UInt64) {
        var mesh = VirtualMesh.converged(10, seed: seed)
        mesh.act(4) { $0.leave(at: $1) }
        mesh.run(.seconds(1))
        #expect(mesh.nodes[4].membership.isQuiet)
        mesh.kill(4)
        mesh.run(.seconds(2))
        for index in 0..<10 where index != 4 {
            #expect(mesh.status(of: 4, seenBy: index) == .left, "seed \(seed)")
        }
        #expect(mesh.deaths(of: 4) == 0)
        mesh.run(.seconds(30))
        #expect(mesh.isConverged((0..<10).filter { $0 != 4 }))
    }

    @Test("A restarted node replaces its former participant at once", arguments: seeds)
    func restart(seed: UInt64) throws {
        var mesh = VirtualMesh.converged(8, seed: seed)
        mesh.kill(5)
        mesh.run(.milliseconds(200))
        mesh.restart(5, boot: 2, joining: 1)
        mesh.run(.seconds(2))
        #expect(mesh.isConverged(0..<8), "seed \(seed)")
        for index in 0..<8 where index != 5 {
            let member = try #require(mesh.nodes[index].membership.member(VirtualMesh.id(5)))
            #expect(member.participant.boot == 2)
            let events = mesh.nodes[index].events.filter {
                $0.member.participant.node == VirtualMesh.id(5)
            }
            let last = try #require(events.last { $0.member.participant.boot == 1 })
            #expect(last.member.status == .dead, "the old participant is reported gone")
            #expect(events.last?.member.participant.boot == 2)
        }
        mesh.run(.seconds(30))
        #expect(mesh.isConverged(0..<8), "seed \(seed)")
    }

    @Test("New metadata reaches all within two seconds, the latest wins", arguments: seeds)
    func metadata(seed: UInt64) {
        var mesh = VirtualMesh.converged(20, seed: seed)
        let versions = mesh.nodes[6].membership.ownMember.metadataVersion
        for value in UInt8(1)...20 {
            mesh.act(6) { $0.updateMetadata([value], at: $1) }
            mesh.run(.milliseconds(50))
        }
        mesh.run(.seconds(2))
        for index in 0..<20 {
            #expect(
                mesh.nodes[index].membership.member(VirtualMesh.id(6))?.metadata == [20],
                "seed \(seed)")
        }
        // 1 s of changes at 50 ms goes out at most every 200 ms.
        #expect(mesh.nodes[6].membership.ownMember.metadataVersion - versions <= 6)
    }

    @Test("Everyone may change metadata all the time under loss; afterwards all agree")
    func metadataStorm() {
        var mesh = VirtualMesh.converged(10, seed: 77)
        mesh.loss = 0.1
        for value in UInt8(1)...50 {
            for index in 0..<10 {
                mesh.act(index) {
                    $0.updateMetadata([UInt8](repeating: value, count: 300), at: $1)
                }
            }
            mesh.run(.milliseconds(200))
        }
        mesh.run(.seconds(60))
        for index in 0..<10 {
            for other in 0..<10 {
                let seen = mesh.nodes[index].membership.member(VirtualMesh.id(other))
                #expect(seen?.metadata.first == 50)
            }
        }
    }

    @Test("Clocks may differ in origin and run 2 % fast or slow")
    func clocks() {
        var mesh = VirtualMesh(seed: 5)
        for index in 0..<8 {
            mesh.add(joining: nil)
            mesh.setClock(
                index, offset: .seconds(index * 1_000), rate: 0.98 + Double(index) * 0.005)
        }
        mesh.run(.seconds(1))
        for index in 1..<8 { mesh.act(index) { $0.join([VirtualMesh.address(0)], at: $1) } }
        mesh.run(.seconds(60))
        #expect(mesh.isConverged(0..<8))
        for index in 0..<8 { #expect(mesh.deaths(of: index) == 0) }
    }

    @Test("The same seed gives the same run, another seed another", arguments: [UInt64(3), 4])
    func determinism(seed: UInt64) {
        func trace(_ seed: UInt64) -> UInt64 {
            var mesh = VirtualMesh.converged(10, seed: seed)
            mesh.loss = 0.15
            mesh.run(.seconds(20))
            mesh.kill(2)
            mesh.freeze(4, for: .seconds(4))
            mesh.run(.seconds(20))
            return mesh.traceHash
        }
        #expect(trace(seed) == trace(seed))
        #expect(trace(seed) != trace(seed + 10))
    }

    @Test(
        "An idle node sends at most 400 bytes a second, frames and seal included",
        arguments: [2, 5, 12, 20, 60])
    func idleTraffic(count: Int) {
        var mesh = VirtualMesh(seed: 11)
        for index in 0..<count { mesh.add(metadata: [UInt8](repeating: UInt8(index), count: 200)) }
        mesh.run(.seconds(40))
        let before = mesh.nodes.map { ($0.sentBytes, $0.sentDatagrams) }
        mesh.run(.seconds(120))
        for index in 0..<count {
            let bytes = mesh.nodes[index].sentBytes - before[index].0
            let datagrams = mesh.nodes[index].sentDatagrams - before[index].1
            // Ethernet, IPv4 and UDP headers are 42 bytes; a seal is 40, and 16 more in one of eight.
            let rate = Double(bytes + datagrams * (42 + 42)) / 120
            #expect(rate <= 400, "node \(index) of \(count)")
        }
    }
}
