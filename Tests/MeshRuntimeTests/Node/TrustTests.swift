// Nodes of different meshes, and packets that no member has sent now.

import MeshCore
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

        for length in [1, 20, packet.count - 1] {
            socket.send(Array(packet.prefix(length)), to: node.runtime.address)
        }
        var changed = packet
        changed[40] ^= 1
        socket.send(changed, to: node.runtime.address)
        socket.send(message.encode(), to: node.runtime.address)
        #expect(await Loop.until { node.runtime.garbageReceived == before + 5 })
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
