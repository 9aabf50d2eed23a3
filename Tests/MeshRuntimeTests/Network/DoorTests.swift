// Who is let in at a listener, and that nobody who only connects keeps members out.

import MeshCore
import MeshSecurity
import Testing

@testable import MeshRuntime

@Suite("The door of a listener")
struct DoorKeepingTests {
    private func address(_ last: UInt8) -> NodeAddress { NodeAddress(10, 0, 0, last, port: 9) }

    @Test("A machine that only connects displaces its own connections, the oldest first")
    func oneMachine() {
        var door = DoorKeeping()
        door.greetingPerMachineMax = 3
        for ticket in UInt64(0)..<3 {
            let decision = door.arrived(from: address(1))
            #expect(decision == .admit(ticket, instead: nil))
        }
        let other = door.arrived(from: address(2))
        #expect(other == .admit(3, instead: nil))
        let fourth = door.arrived(from: address(1))
        #expect(fourth == .admit(4, instead: 0))
        door.introduced(1)
        let fifth = door.arrived(from: address(1))
        #expect(fifth == .admit(5, instead: nil))
    }

    @Test("Many machines displace the oldest of all")
    func manyMachines() {
        var door = DoorKeeping()
        door.greetingMax = 4
        for machine in UInt8(1)...4 { _ = door.arrived(from: address(machine)) }
        door.introduced(0)
        door.left(1, from: address(2))
        let first = door.arrived(from: address(5))
        let second = door.arrived(from: address(6))
        #expect(first == .admit(4, instead: nil) && second == .admit(5, instead: nil))
        let third = door.arrived(from: address(7))
        #expect(third == .admit(6, instead: 2))
    }

    @Test("A machine has a share of all connections, and gives back what it had")
    func connections() {
        var door = DoorKeeping()
        door.connectionsPerMachineMax = 2
        door.connectionsMax = 3
        for ticket in UInt64(0)..<2 {
            _ = door.arrived(from: address(1))
            door.introduced(ticket)
        }
        let third = door.arrived(from: address(1))
        #expect(third == .refuse)
        let other = door.arrived(from: address(2))
        #expect(other == .admit(2, instead: nil))
        let fourth = door.arrived(from: address(3))
        #expect(fourth == .refuse)
        for ticket in UInt64(0)..<2 { door.left(ticket, from: address(1)) }
        door.left(2, from: address(2))
        #expect(door.openCount == 0 && door.open.isEmpty)
        // One network of IPv6 is one machine.
        let near = ["[2001:db8::1]:9", "[2001:db8::2]:9", "[2001:db8:1::1]:9"]
            .compactMap { NodeAddress($0) }.map { DoorKeeping.Machine($0) }
        #expect(near.count == 3 && near[0] == near[1] && near[0] != near[2])
    }
}

@Suite("Peers that only connect")
@EventLoop
struct SlowPeerTests {
    private let preamble = StreamPreamble(major: 1, minor: 0, purpose: .mesh)
    private let loopback = NodeAddress(127, 0, 0, 1, port: 0)

    @Test("A peer that sends a byte now and then is dropped as soon as one that sends none")
    func trickle() async throws {
        var limits = StreamLimits()
        limits.preambleTimeout = .milliseconds(200)
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: TestMesh.security, limits: limits)
        var reasons: [StreamCloseReason] = []
        listener.onRejected = { reasons.append($1) }
        let raw = try RawSocket(connectedTo: try #require(listener.localAddress))
        var hello = TLSSession(role: .client, keyring: TestMesh.keyring).takeReply()
        // A client's hello, a byte at a time: what arrives is right as far as it goes.
        while reasons.isEmpty, hello.count > 1 {
            raw.send([hello.removeFirst()])
            await Loop.pause(.milliseconds(10))
        }
        #expect(reasons == [.preambleTimedOut] && hello.count > 1)
        raw.close()
        listener.close()
    }

    @Test("A thousand silent connections of one machine keep no member out")
    func flood() async throws {
        let listener = try StreamListener.listen(
            on: loopback, preamble: preamble, security: TestMesh.security)
        var welcomed = 0
        listener.onConnection = { _ in welcomed += 1 }
        let address = try #require(listener.localAddress)
        var silent: [RawSocket] = []
        for number in 0..<1_000 {
            silent.append(try RawSocket(connectedTo: address))
            // The system keeps some hundred for us; the rest would have to wait.
            if number % 100 == 99 { await Loop.pause(.milliseconds(10)) }
        }
        #expect(await Loop.until { listener.counters.displaced >= 1_000 - 64 })
        let member = StreamConnection.connect(
            to: address, preamble: preamble, security: TestMesh.security)
        #expect(await Loop.until { welcomed == 1 })
        #expect(listener.door.openCount <= 65 && listener.counters.refused == 0)
        member.abort()
        for socket in silent { socket.close() }
        listener.close()
    }
}
