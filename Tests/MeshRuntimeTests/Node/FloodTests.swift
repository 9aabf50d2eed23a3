// What is let in of too many packets that can't be opened.

import MeshCore
import MeshSecurity
import Testing

@testable import Gossip
@testable import MeshRuntime

@Suite("A flood of packets")
@EventLoop
struct FloodTests {
    private func address(_ number: Int) -> NodeAddress {
        NodeAddress(10, 0, UInt8(number >> 8), UInt8(number & 255), port: UInt16(number))
    }

    @Test("Whoever floods by itself is loud, whatever its port; nobody else is let in less for it")
    func loud() {
        var watch = FloodWatch()
        var changes = 0
        for number in 0..<511 {
            if watch.note(address(1).with(port: UInt16(number))) { changes += 1 }
        }
        #expect(changes == 0 && !watch.isFlood)
        // Another one fails now and then.
        for _ in 0..<10 { if watch.note(address(2)) { changes += 1 } }
        #expect(changes == 1 && watch.isFlood && watch.oneIn == 1)
        #expect(watch.loudAddresses == [address(1).with(port: 0)])
        // As long as something of it comes through it goes on.
        for _ in 0..<30 {
            _ = watch.note(address(1))
            watch.tick()
            #expect(watch.isFlood)
        }
        // Two in five seconds, as of somebody who sends a little in its name, are not enough.
        for _ in 0..<2 { _ = watch.note(address(1)) }
        let after = (0..<12).map { _ in
            watch.tick()
            return watch.isFlood
        }
        #expect(after == (0..<12).map { $0 < 9 })
    }

    @Test("A flood from everywhere is let in to a part that is little, until it is over")
    func everywhere() {
        var watch = FloodWatch()
        // 88,000 packets a second, of which the system passes one in `oneIn`.
        var passed: [Int] = []
        for _ in 0..<20 {
            var count = 0
            var number = 0
            while number < 44_000 {
                _ = watch.note(address(number % 5_000))
                count += 1
                number += watch.oneIn
            }
            passed.append(count)
            watch.tick()
        }
        #expect(
            passed[0] < 3_000 && passed[1...].allSatisfy { (40...512).contains($0) }, "\(passed)")
        #expect(watch.loudAddresses.isEmpty)
        // Less of it, and more is let in; none, and all is.
        let high = watch.oneIn
        for _ in 0..<20 {
            for number in 0..<(2_000 / watch.oneIn) { _ = watch.note(address(number)) }
            watch.tick()
        }
        #expect(watch.oneIn < high && watch.oneIn > 1)
        for _ in 0..<11 { watch.tick() }
        #expect(!watch.isFlood)
    }

    @Test("No more addresses are told apart than the system can be told of")
    func bounds() {
        var watch = FloodWatch()
        for number in 0..<200 {
            for _ in 0..<512 where watch.oneIn == 1 { _ = watch.note(address(number)) }
        }
        #expect(watch.loudAddresses.count == DatagramSocket.loudSendersMax)
        #expect(watch.oneIn > 1)
    }

    @Test("Packets that are repeated without end reach the node no more, and its members do")
    func repeated() async throws {
        let node = try TestNode("one")
        let socket = try DatagramSocket.bind(to: NodeAddress(127, 0, 0, 1, port: 0))
        let seal = PacketSeal(keyring: TestMesh.keyring)
        let message = GossipMessage(
            sender: Films.participant(5), body: .ping(.init(sequence: 7)), updates: [])
        let packet = seal.seal(message.encode())
        let garbage = node.runtime.garbageReceived
        for _ in 0..<200 where !node.runtime.flood.isFlood {
            for _ in 0..<50 { socket.send(packet, to: node.runtime.address) }
            await Loop.pause(.zero)
        }
        #expect(node.runtime.flood.loudAddresses == [NodeAddress(127, 0, 0, 1, port: 0)])
        #expect(node.runtime.garbageReceived == garbage)
        let before = node.runtime.endpoint.datagrams.counters.datagramsReceived
        // Another salt is one that is not known: of this address nearly nothing of it passes.
        let stranger = PacketSeal(keyring: Keyring(key: MeshKey(), created: "now")).seal([1])
        for _ in 0..<2_000 { socket.send(stranger, to: node.runtime.address) }
        await Loop.pause(.milliseconds(50))
        let strangers = node.runtime.endpoint.datagrams.counters.datagramsReceived - before
        #expect(strangers < 40, "of 2,000 one in 1,024 passes, by chance")
        // The sender whose packet was opened is known there.
        var answers = 0
        socket.onDatagram = { _, _ in answers += 1 }
        socket.send(seal.seal(message.encode()), to: node.runtime.address)
        #expect(await Loop.until { answers > 0 })
        socket.close()
        await node.runtime.stop()
    }
}
