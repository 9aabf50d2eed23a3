// Members that say that they are others, and members of other versions.

import MeshCore
import MeshSecurity
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Node identity")
@EventLoop
struct NodeIdentityTests {
    /// What a connection with these first words comes to: its end, and what the node tells.
    private func end(
        _ opening: StreamOpening, security: StreamSecurity
    ) async throws -> (reason: StreamCloseReason?, lines: [String], garbage: Int) {
        let node = try TestNode("one")
        var lines: [String] = []
        node.runtime.onNotice = { lines.append($0) }
        let before = node.runtime.garbageReceived
        let stream = StreamConnection.connect(
            to: node.runtime.address, preamble: MeshProtocol.meshPreamble, security: security)
        var reason: StreamCloseReason?
        stream.onClose = { reason = $0 }
        stream.send(kind: StreamKind.opening, payload: opening.encoded())
        await Loop.pause(.milliseconds(300))
        let result = (reason, lines, node.runtime.garbageReceived - before)
        stream.abort()
        await node.runtime.stop()
        return result
    }

    @Test("A member that says that it is another one is refused, and named")
    func impostor() async throws {
        let other = NodeKey().node
        for opening in [
            .control(sender: ParticipantID(node: other, boot: 1), name: "x"),
            .contribution(
                Films.frame, Films.round(1), .whole, sender: ParticipantID(node: other, boot: 1)),
        ] as [StreamOpening] {
            let (reason, lines, garbage) = try await end(opening, security: TestMesh.security)
            #expect(reason != nil && garbage == 1)
            #expect(
                lines.count == 1 && lines[0].contains("\(TestMesh.key.node)")
                    && lines[0].contains("\(other)"), "\(lines)")
        }
        // As itself it may.
        let (reason, lines, garbage) = try await end(
            .control(sender: TestMesh.participant, name: "x"), security: TestMesh.security)
        #expect(reason == nil && lines == [] && garbage == 0)
    }

    @Test("A member that does not prove who it is gets nothing")
    func anonymous() async throws {
        for opening in [
            .control(sender: TestMesh.participant, name: "x"), .film(Films.frame),
            .file(Digest(hashing: [])),
        ] as [StreamOpening] {
            let (reason, _, garbage) = try await end(
                opening, security: .sealed(TestMesh.keyring))
            #expect(reason == .closedByPeer && garbage == 1)
        }
    }

    @Test("Who is called and is another, or does not say who it is, is not spoken to")
    func wrongAddress() async throws {
        for key in [NodeKey(), nil] {
            let listener = try StreamListener.listen(
                on: NodeAddress(127, 0, 0, 1, port: 0), preamble: MeshProtocol.meshPreamble,
                security: .sealed(TestMesh.keyring, as: key))
            let address = try #require(listener.localAddress)
            let node = try TestNode("one")
            var lines: [String] = []
            node.runtime.onNotice = { lines.append($0) }
            let expected = NodeKey().node
            var reason: StreamCloseReason?
            let stream = node.runtime.connect(to: address, of: expected)
            stream.onClose = { reason = $0 }
            #expect(await Loop.until { reason != nil })
            #expect(reason == .untrusted(.wrongNode))
            #expect(lines.count == 1 && lines[0].contains("\(address)"), "\(lines)")
            if let key {
                let right = node.runtime.connect(to: address, of: key.node)
                var isReady = false
                right.onReady = { _ in isReady = true }
                #expect(await Loop.until { isReady })
                #expect(right.peerNode == key.node)
                right.abort()
            }
            await node.runtime.stop()
            listener.close()
        }
    }

    @Test("A proof that another node gave in another session is worth nothing")
    func relayed() async throws {
        let listener = try StreamListener.listen(
            on: NodeAddress(127, 0, 0, 1, port: 0), preamble: MeshProtocol.meshPreamble,
            security: TestMesh.security)
        var stolen: NodeProof?
        listener.onConnection = { stolen = $0.peerPreamble?.proof }
        let address = try #require(listener.localAddress)
        let victim = StreamConnection.connect(
            to: address, preamble: MeshProtocol.meshPreamble,
            security: .sealed(TestMesh.keyring, as: NodeKey()))
        #expect(await Loop.until { stolen != nil })
        victim.abort()
        var rejected: StreamCloseReason?
        listener.onConnection = { _ in Issue.record("a thief was let in") }
        listener.onRejected = { rejected = $1 }
        var preamble = MeshProtocol.meshPreamble
        preamble.proof = stolen
        // Without a key of its own a stream sends its preamble as it is.
        let thief = StreamConnection.connect(
            to: address, preamble: preamble, security: .sealed(TestMesh.keyring))
        #expect(await Loop.until { rejected != nil })
        #expect(rejected == .untrusted(.wrongNode))
        thief.abort()
        listener.close()
    }

    @Test("Nodes of an older and a newer minor version render a frame together")
    func minorVersions() async throws {
        let major = MeshProtocol.major
        let older = StreamPreamble(major: major, minor: MeshProtocol.minor - 1, purpose: .mesh)
        let newer = StreamPreamble(
            major: major, minor: MeshProtocol.minor + 1, purpose: .mesh,
            features: StreamFeatures(rawValue: 0x0000_00f0))
        let one = try TestNode("one")
        let peers = [one.runtime.address]
        let nodes = [
            one, try TestNode("old", peers: peers, preamble: older),
            try TestNode("new", peers: peers, preamble: newer),
        ]
        #expect(await Loop.until { nodes.allSatisfy { $0.aliveCount == 3 } })
        let frame = try SmallFrame(size: 256, samples: 256)
        try one.store(frame)
        let session = one.runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let end = try #require(await Updates.end(session.updates))
        #expect(end.statistics.filmHash == (try await frame.localHash()))
        #expect(end.statistics.nodes.count == 3)
        #expect(end.statistics.nodes.allSatisfy { $0.samples > 0 }, "\(end.statistics.nodes)")
        for node in nodes { await node.runtime.stop() }
    }
}
