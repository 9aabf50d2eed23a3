// Seeds of what says who is a member, under the fixed keys of the targets' mesh.

import MeshCore

@testable import MeshSecurity

extension FuzzSeeds {
    /// - Parameter datagrams: of gossip, not sealed.
    static func security(datagrams: [[UInt8]]) -> [Seed] {
        packets(datagrams) + keyrings() + codes() + handshakes() + records()
    }

    private static func packets(_ datagrams: [[UInt8]]) -> [Seed] {
        let ring = FuzzedMesh.keyring
        let state = ring.state.bytes
        var (plain, inside) = (ByteWriter(), ByteWriter())
        let alice = PacketSeal(keyring: ring)
        for (index, datagram) in datagrams.enumerated() {
            let packet = alice.seal(datagram, with: ring.accepted[index % 2].id)
            plain.write(UInt16(packet.count))
            plain.write(contentsOf: packet)
            FuzzTarget.Sealing(key: UInt8(1 + index % 2), counter: UInt16(index))
                .write(state + datagram, to: &inside)
        }
        var strangers = ByteWriter()
        for key in [FuzzedMesh.keys[0], FuzzedMesh.keys[3], ring.current] {
            let packet = PacketSeal(keyring: Keyring(key: key, created: "")).seal([1, 2, 3])
            strangers.write(UInt16(packet.count))
            strangers.write(contentsOf: packet)
        }
        // Who knows a former key by a greater number, and who says that all former keys are revoked.
        let rotated = KeyState(
            newest: KeyGeneration(
                number: ring.state.newest.number + 1, id: FuzzedMesh.keys[1].id),
            floor: ring.state.floor)
        var revoked = ring
        revoked.revokeFormer()
        var states = ByteWriter()
        for (index, state) in [rotated, revoked.state].enumerated() {
            FuzzTarget.Sealing(key: 2, counter: UInt16(index)).write(state.bytes, to: &states)
        }
        return [
            (.packet, "members", plain.bytes), (.packet, "strangers", strangers.bytes),
            (.sealed, "gossip", inside.bytes), (.sealed, "states", states.bytes),
        ]
    }

    private static func keyrings() -> [Seed] {
        let alone = Keyring(key: FuzzedMesh.keys[3], created: "")
        var other = FuzzedMesh.keyring
        try? other.rotate(to: FuzzedMesh.keys[3])
        other.revokeFormer()
        let both = [FuzzedMesh.keyring, other].map(\.fileText).joined(separator: "--\n")
        return [("alone", alone.fileText), ("two", both)].map { (.keyring, $0.0, Array($0.1.utf8)) }
    }

    private static func codes() -> [Seed] {
        FuzzedMesh.keys.enumerated().map { index, key in
            let text = JoinCode(key: key).text
            let spaced = text.lowercased().split(separator: "-").joined(separator: " \n")
            return (.code, "\(index)", Array((index % 2 == 0 ? text : spaced).utf8))
        }
    }

    private static func handshakes() -> [Seed] {
        let stream = FuzzedStream()
        let hello = stream.client.takeReply()
        _ = try? FuzzedStream.receive(hello, by: stream.server, pieceSize: hello.count)
        let answer = stream.server.takeReply()
        let stranger = TLSSession(
            role: .client, keyring: Keyring(key: FuzzedMesh.keys[3], created: ""))
        return [
            (.handshake, "hello", [252] + hello), (.handshake, "pieces", [4] + hello),
            (.handshake, "answer", [253] + answer),
            (.handshake, "stranger", [252] + stranger.takeReply()),
            // No reader minds the version of a hello's record.
            (.handshake, "between", [2, 0, 0, 0, 2, 0, 1]),
        ]
    }

    private static func records() -> [Seed] {
        typealias Step = FuzzTarget.RecordStep
        let text: [UInt8] = Array("what members say".utf8)
        let scripts: [(String, UInt8, (inout ByteWriter) -> Void)] = [
            (
                "talk", 255,
                { writer in
                    Step.text.write(0, text, to: &writer)
                    Step.answer.write(3, text, to: &writer)
                    Step.text.write(255, text + text + text + text + text, to: &writer)
                    Step.finish.write(to: &writer)
                }
            ),
            (
                "kinds", 0,
                { writer in
                    for type: UInt8 in [23, 0, 21, 22] {
                        Step.record.write(0, [type] + text + [23, 0, 0], to: &writer)
                    }
                }
            ),
            (
                "attack", 1,
                { writer in
                    Step.text.write(0, text, to: &writer)
                    Step.damage.write(9, text, to: &writer)
                    Step.replay.write(to: &writer)
                    Step.bytes.write(0, [23, 3, 3, 0, 40] + text, to: &writer)
                    Step.answer.write(0, text, to: &writer)
                }
            ),
        ]
        return scripts.map { name, pieces, write in
            var writer = ByteWriter()
            writer.write(pieces)
            write(&writer)
            return (.records, name, writer.bytes)
        }
    }
}
