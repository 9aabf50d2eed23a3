// The bytes of the datagrams: they come back, later versions may add to them, and nothing from
// outside does harm.

import MeshCore
import Testing

@testable import Gossip

@Suite("GossipMessage")
struct MessageTests {
    static let me = ParticipantID(node: NodeID(0x0123_4567_89ab_cdef), boot: 3)
    static let other = ParticipantID(node: NodeID(77), boot: 300)
    static let address = NodeAddress(10, 0, 0, 1, port: 4_040)

    static let record = MemberUpdate(
        participant: other, incarnation: 5, status: .alive,
        profile: .init(address: address, metadataVersion: 9, metadata: Array(0..<200)))
    static let suspicion = MemberUpdate(
        participant: me, incarnation: 1 << 30, status: .suspect,
        witnesses: [NodeID(1), NodeID(2)], refusals: [NodeID(2)])

    static let bodies: [GossipMessage.Body] = [
        .ping(.init(sequence: 70_000)), .ack(.init(sequence: 1, subject: nil)),
        .ack(.init(sequence: 1, subject: other)),
        .indirectPing(.init(sequence: 2, target: other, address: address)),
        .nack(.init(sequence: 3)), .gossip, .join(.init(record: record)),
        .digest(.init(digests: [1], wantsReply: true, observed: nil)),
        .digest(.init(digests: Array(0..<64), wantsReply: false, observed: address)),
        .pull(.init(sequence: 4, buckets: .max, after: nil)),
        .pull(.init(sequence: 4, buckets: 1, after: NodeID(5))),
        .page(.init(sequence: 5, records: [record, suspicion], next: NodeID(9))),
        .page(.init(sequence: 5, records: [], next: nil)),
    ]

    @Test("Every message comes back from its bytes", arguments: bodies)
    func roundTrip(body: GossipMessage.Body) throws {
        let left = MemberUpdate(participant: Self.other, incarnation: 0, status: .left)
        let message = GossipMessage(
            sender: Self.me, body: body, updates: [Self.record, Self.suspicion, left])
        let bytes = message.encode()
        #expect(bytes.count == message.encodedSize)
        #expect(try GossipMessage(decoding: bytes) == message)
    }

    @Test("Cut messages are errors or lack whole records, never a trap", arguments: bodies)
    func truncation(body: GossipMessage.Body) {
        let message = GossipMessage(sender: Self.me, body: body, updates: [Self.suspicion])
        let bytes = message.encode()
        for length in 0..<bytes.count {
            guard let read = try? GossipMessage(decoding: Array(bytes[..<length])) else {
                continue
            }
            #expect(read != message && read.sender == Self.me)
        }
    }

    @Test("Random bytes and random changes do no harm", arguments: Array(UInt64(1)...10))
    func garbage(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var readable = 0
        for _ in 0..<3_000 {
            let body = Self.bodies[random.below(Self.bodies.count)]
            var bytes = GossipMessage(sender: Self.me, body: body, updates: [Self.suspicion])
                .encode()
            for _ in 0...random.below(4) {
                bytes[random.below(bytes.count)] = UInt8(random.below(256))
            }
            if let message = try? GossipMessage(decoding: bytes) {
                readable += 1
                #expect(message.updates.count <= GossipMessage.updatesMax)
            }
            let noise = (0..<random.below(100)).map { _ in UInt8(random.below(256)) }
            _ = try? GossipMessage(decoding: [0xe1] + noise)
        }
        #expect(readable > 0, "seed \(seed)")
    }

    @Test("Unknown records and longer records are skipped")
    func extensibility() throws {
        let message = GossipMessage(sender: Self.me, body: .ping(.init(sequence: 5)))
        var bytes = message.encode() + [99, 3, 1, 2, 3]
        #expect(try GossipMessage(decoding: bytes) == message)
        // The ping's record grows by a field: kind 1, length 1 → 3.
        let start = bytes.count - 5 - 3
        #expect(bytes[start] == 1 && bytes[start + 1] == 1)
        bytes[start + 1] = 3
        bytes.insert(contentsOf: [8, 8], at: start + 3)
        #expect(try GossipMessage(decoding: bytes) == message)
    }

    @Test("Foreign bytes and other versions are named")
    func versions() {
        let bytes = GossipMessage(sender: Self.me, body: .gossip).encode()
        #expect(throws: MalformedBytes.invalid("magic byte")) {
            try GossipMessage(decoding: [0x16] + bytes.dropFirst())
        }
        #expect(throws: MalformedBytes.invalid("protocol version")) {
            try GossipMessage(decoding: [0xe2] + bytes.dropFirst())
        }
        #expect(throws: MalformedBytes.truncated) { try GossipMessage(decoding: []) }
        #expect(throws: MalformedBytes.invalid("datagram size")) {
            try GossipMessage(decoding: bytes + [UInt8](repeating: 0, count: 1_400))
        }
    }

    @Test("A mesh lives with corrupted datagrams and noise", arguments: [UInt64(1), 2, 3])
    func corruption(seed: UInt64) {
        var mesh = VirtualMesh.converged(8, seed: seed)
        mesh.corruption = 0.2
        var random = RandomNumbers(seed: seed)
        for _ in 0..<400 {
            let noise = (0..<random.below(200)).map { _ in UInt8(random.below(256)) }
            mesh.inject([0xe1] + noise, to: random.below(8), from: VirtualMesh.address(9))
            mesh.run(.milliseconds(100))
        }
        mesh.checkInvariants()
        #expect(mesh.rejected > 0)
        for node in mesh.nodes { #expect(node.membership.presentCount >= 1) }
    }
}
