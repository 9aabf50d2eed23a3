// Nodes of different meshes, and packets that no member has sent now.

import MeshCore
import MeshNode
import MeshSecurity
import ProgramTesting
import Testing

@testable import Gossip
@testable import MeshRuntime

@Suite("Trust")
@EventLoop
struct TrustTests {
    @Test("A node with another key joins nothing, and both sides say why, once")
    func otherMesh() async throws {
        let member = try TestNode("member")
        var lines: [String] = []
        member.runtime.onNotice = { lines.append($0) }
        let stranger = try TestNode(
            "stranger", peers: [member.runtime.address],
            keyring: Keyring(key: MeshKey(), created: "now"))
        var itsLines: [String] = []
        stranger.runtime.onNotice = { itsLines.append($0) }
        #expect(await Loop.until { !lines.isEmpty && !itsLines.isEmpty })
        // Time for some more attempts.
        await Loop.pause(.milliseconds(300))
        #expect(member.aliveCount == 1 && stranger.aliveCount == 1)
        #expect(lines.count == 1 && lines[0].contains("another mesh"), "\(lines)")
        #expect(itsLines.count == 1 && itsLines[0].contains("does not talk"), "\(itsLines)")
        #expect(!(lines + itsLines).contains { $0.contains("stranger") })
        await stranger.runtime.stop()
        await member.runtime.stop()
    }

    @Test("A packet is taken from members only, once, and unchanged")
    func packets() async throws {
        let node = try TestNode("one")
        let before = node.runtime.garbageReceived
        let socket = try DatagramSocket.bind(to: NodeAddress(127, 0, 0, 1, port: 0))
        var answers: [[UInt8]] = []
        socket.onDatagram = { bytes, _ in answers.append(bytes) }
        let seal = PacketSeal(keyring: TestMesh.keyring)
        let message = GossipMessage(
            sender: Films.participant(5), body: .ping(.init(sequence: 7)), updates: [])
        let packet = seal.seal(message.encode())

        // What is not even like a packet of meshd does not reach the process.
        socket.send([UInt8](repeating: 0x47, count: 200), to: node.runtime.address)
        for length in [1, 20, packet.count - 1] {
            socket.send(Array(packet.prefix(length)), to: node.runtime.address)
        }
        var changed = packet
        changed[40] ^= 1
        socket.send(changed, to: node.runtime.address)
        socket.send(message.encode(), to: node.runtime.address)
        #expect(await Loop.until { node.runtime.garbageReceived >= before + 5 })
        #expect(node.runtime.garbageReceived == before + 5)
        answers = []

        socket.send(packet, to: node.runtime.address)
        #expect(await Loop.until { !answers.isEmpty })
        let answered = answers.count
        socket.send(packet, to: node.runtime.address)
        await Loop.pause(.milliseconds(50))
        #expect(answers.count == answered)
        #expect(node.runtime.garbageReceived == before + 5)
        socket.close()
        await node.runtime.stop()
    }

    @Test("A new key reaches all, the old one is revoked by all, and who was off is told so")
    func rotation() async throws {
        let one = try TestNode("one")
        let two = try TestNode("two", peers: [one.runtime.address])
        let three = try TestNode("three", peers: [one.runtime.address])
        let nodes = [one, two, three]
        var lines: [[String]] = [[], [], []]
        for (index, node) in nodes.enumerated() {
            node.runtime.onNotice = { lines[index].append($0) }
        }
        #expect(await Loop.until { nodes.allSatisfy { $0.aliveCount == 3 } })
        _ = try one.runtime.rotateKey()
        let key = one.runtime.keyring.current
        #expect(throws: KeyChangeError.self) { try one.runtime.revokeOldKeys(force: false) }
        #expect(await Loop.until { nodes.allSatisfy { $0.runtime.keyring.current == key } })
        #expect(nodes.allSatisfy { $0.runtime.keyring.accepted.count == 2 })
        // Each node hears from each of the others in the end.
        #expect(
            await Loop.until { (try? two.runtime.revokeOldKeys(force: false)) != nil })
        #expect(await Loop.until { nodes.allSatisfy { $0.runtime.keyring.accepted == [key] } })
        for node in nodes {
            let kept = try KeyringFile.load(state: node.runtime.state.path)
            #expect(kept == node.runtime.keyring)
        }
        #expect(nodes.allSatisfy { $0.aliveCount == 3 })
        #expect(lines.allSatisfy { line in !line.contains { $0.contains("another mesh") } })

        let late = try TestNode("late", peers: [one.runtime.address])
        var itsLines: [String] = []
        late.runtime.onNotice = { itsLines.append($0) }
        #expect(await Loop.until { !itsLines.isEmpty })
        #expect(itsLines.count == 1 && itsLines[0].contains("join anew"), "\(itsLines)")
        #expect(lines[0].last?.contains("revoked key") == true, "\(lines[0])")
        #expect(late.aliveCount == 1)
        for node in nodes + [late] { await node.runtime.stop() }
    }

    @Test("What a packet says of keys is true of the member's address, wherever it came from")
    func replayed() async throws {
        let one = try TestNode("one")
        let two = try TestNode("two", peers: [one.runtime.address])
        #expect(await Loop.until { one.aliveCount == 2 && two.aliveCount == 2 })
        let elsewhere = try StreamListener.listen(
            on: NodeAddress(127, 0, 0, 1, port: 0), preamble: MeshProtocol.meshPreamble,
            security: TestMesh.security)
        let source = try #require(elsewhere.localAddress)
        var knocks = 0
        elsewhere.onConnection = { _ in knocks += 1 }
        elsewhere.onRejected = { _, _ in knocks += 1 }
        let old = one.runtime.keyring
        _ = try one.runtime.rotateKey()
        let ring = one.runtime.keyring
        one.runtime.met(
            two.runtime.identity, at: source, sealedWith: old.current.id, old.state)
        one.runtime.met(
            two.runtime.identity, at: source, sealedWith: ring.current.id, ring.state)
        #expect(!one.runtime.peerKeys.hasCurrent(source, in: ring))
        #expect(one.runtime.peerKeys.hasCurrent(two.runtime.address, in: ring))
        #expect(await Loop.until { two.runtime.keyring.current == ring.current })
        #expect(knocks == 0)
        // Of who is not known yet there is no other address.
        one.runtime.met(Films.participant(9), at: source, sealedWith: old.current.id, old.state)
        #expect(await Loop.until { knocks == 1 })
        elsewhere.close()
        for node in [one, two] { await node.runtime.stop() }
    }

    @Test("All streams under a revoked key are closed after a while, whatever they are for")
    func revokedStreams() async throws {
        let one = try TestNode("one")
        let two = try TestNode("two", peers: [one.runtime.address])
        one.runtime.revocationGrace = .milliseconds(200)
        #expect(await Loop.until { one.aliveCount == 2 && two.aliveCount == 2 })
        let listener = try StreamListener.listen(
            on: NodeAddress(127, 0, 0, 1, port: 0), preamble: MeshProtocol.meshPreamble,
            security: TestMesh.security)
        let stream = StreamConnection.connect(
            to: try #require(listener.localAddress), preamble: MeshProtocol.meshPreamble,
            security: TestMesh.security)
        var end: StreamCloseReason?
        var peer: StreamConnection?
        listener.onConnection = { peer = $0 }
        stream.onClose = { end = $0 }
        one.runtime.follow(stream)
        #expect(await Loop.until { peer != nil })
        _ = try one.runtime.rotateKey()
        // The keys went over a stream, which both of them know.
        #expect(
            await Loop.until { two.runtime.keyring.current == one.runtime.keyring.current })
        #expect(one.runtime.openStreams.count > 1 && !two.runtime.openStreams.isEmpty)
        _ = try one.runtime.revokeOldKeys(force: true)
        await Loop.pause(.milliseconds(20))
        #expect(end == nil)
        #expect(await Loop.until { end == .closedHere })
        #expect(one.runtime.openStreams[ObjectIdentifier(stream)] == nil)
        #expect(one.runtime.openStreams.values.allSatisfy { one.runtime.isTrusted($0) })
        listener.close()
        for node in [one, two] { await node.runtime.stop() }
    }

    @Test("Who is suspected may be up, and is asked for before an old key is revoked")
    func suspects() async throws {
        let one = try TestNode("one")
        let two = try TestNode("two", peers: [one.runtime.address])
        #expect(await Loop.until { one.aliveCount == 2 && two.aliveCount == 2 })
        let member = two.runtime.identity
        two.runtime.endpoint.close()
        #expect(
            await Loop.until {
                one.runtime.node.members.contains {
                    $0.participant == member && $0.status == .suspect
                }
            })
        _ = try one.runtime.rotateKey()
        let error = #expect(throws: KeyChangeError.self) {
            try one.runtime.revokeOldKeys(force: false)
        }
        #expect(error?.description.contains("two") == true)
        for node in [two, one] { await node.runtime.stop() }
    }

    @Test("Another version of the protocol is named on both sides, once")
    func versions() async throws {
        let node = try TestNode("one")
        var lines: [String] = []
        node.runtime.onNotice = { lines.append($0) }
        let socket = try DatagramSocket.bind(to: NodeAddress(127, 0, 0, 1, port: 0))
        var answers: [[UInt8]] = []
        socket.onDatagram = { bytes, _ in answers.append(bytes) }
        for _ in 0..<3 {
            // A later version: what is behind its first byte is not known here.
            socket.send([0xe7] + [UInt8](repeating: 9, count: 80), to: node.runtime.address)
        }
        #expect(await Loop.until { answers.count == 3 })
        #expect(answers.allSatisfy { $0.starts(with: [0xe3, 1, 1]) })
        #expect(lines.count == 1 && lines[0].contains("version 7"), "\(lines)")

        // The answer, as who has sent the packet reads it.
        let seal = PacketSeal(keyring: TestMesh.keyring)
        let packet = seal.seal([1])
        let answer = try #require(PacketRefusal.answer(to: packet, refusedAs: .otherVersion(7)))
        #expect(
            try seal.open(answer) == .refusal(.otherVersion, of: TestMesh.keyring.current.id))
        #expect(PacketRefusal.otherVersion.description.contains("another version"))
        socket.close()
        await node.runtime.stop()
    }

    @Test("A peer is spoken to with the newest key that it has shown to know")
    func peerKeys() throws {
        var keys = PeerKeys()
        var ring = Keyring(key: MeshKey(), created: "now")
        let old = ring.current.id
        let peer = NodeAddress(10, 0, 0, 1, port: 1)
        #expect(keys.key(for: peer, in: ring) == old)
        #expect(keys.hasCurrent(peer, in: ring))
        let before = ring.state
        try ring.rotate(to: MeshKey())
        keys.follow(ring)
        #expect(keys.key(for: peer, in: ring) == old)
        keys.heard(peer, sealedWith: old, before, in: ring)
        let knows = keys.hasCurrent(peer, in: ring)
        #expect(!knows && keys.key(for: peer, in: ring) == old)
        keys.heard(peer, sealedWith: old, ring.state, in: ring)
        #expect(keys.key(for: peer, in: ring) == ring.current.id)

        // A peer that has joined since, by the new code.
        let other = NodeAddress(10, 0, 0, 2, port: 1)
        let next = keys.refused(other, old, in: ring)
        #expect(next && keys.key(for: other, in: ring) == ring.current.id)
        let last = keys.refused(other, ring.current.id, in: ring)
        #expect(!last)

        let now = EventLoop.now
        let tells = (0..<100).count { _ in keys.mayTell(peer, at: now) }
        #expect(tells == 1)
        let told = (1...200).count { number in
            keys.mayTell(NodeAddress(10, 0, 1, UInt8(number), port: 1), at: now)
        }
        #expect(told > 0 && told < 100)
        ring.revokeFormer()
        keys.follow(ring)
        #expect(keys.key(for: peer, in: ring) == ring.current.id)
    }

    @Test("A line of each kind is due at most once a minute")
    func lines() {
        var log = StrangerLog()
        let start = EventLoop.now
        let due = [
            log.mayTell(of: .otherMesh, at: start),
            log.mayTell(of: .otherMesh, at: start + .seconds(59)),
            log.mayTell(of: .revokedKey, at: start + .seconds(59)),
            log.mayTell(of: .otherMesh, at: start + .seconds(60)),
        ]
        #expect(due == [true, false, true, true])
        var answers = 0
        while answers < 1_000, log.mayAnswer() { answers += 1 }
        #expect(answers > 0 && answers < 100)
        log.refillAnswers()
        let mayAnswer = log.mayAnswer()
        #expect(mayAnswer)
    }
}
