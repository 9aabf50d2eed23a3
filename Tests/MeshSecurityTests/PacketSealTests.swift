// Packets as members, strangers and the network in between treat them.

import MeshCore
import Testing

@testable import MeshSecurity

@Suite("Sealed packets")
struct PacketSealTests {
    private let ring = Keyring(key: MeshKey(), created: "now")
    private let message: [UInt8] = (0..<200).map { UInt8($0) }

    /// A message of a member whose keyring is this one.
    private func mine(_ text: [UInt8]) -> OpenedPacket {
        .message(text, sealedWith: ring.current.id, ring.state)
    }

    @Test("A member opens what another has sealed, and nothing of it shows")
    func roundTrip() throws {
        let (alice, bob) = (PacketSeal(keyring: ring), PacketSeal(keyring: ring))
        for length in [0, 1, 17, 200, 1_300] {
            let text = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
            let packet = alice.seal(text)
            #expect(packet.count == length + SealedPacket.overheadBytesMax)
            #expect(length < 16 || !contains(packet, Array(text.prefix(16))))
            #expect(try bob.open(packet) == mine(text))
        }
        #expect(SealedPacket.overheadBytes == 40 && SealedPacket.overheadBytesMax == 56)
    }

    @Test("What is known of the keys is said after a change and in a rotation, then seldom")
    func keyStates() throws {
        let (alice, bob) = (PacketSeal(keyring: ring), PacketSeal(keyring: ring))
        func told(_ packets: Int) throws -> [KeyState] {
            try (0..<packets).compactMap { _ in
                guard case .message(message, _, let state) = try bob.open(alice.seal(message))
                else {
                    Issue.record("another message")
                    return nil
                }
                return state
            }
        }
        #expect(try told(32) == [KeyState](repeating: ring.state, count: 32))
        #expect(try told(80) == [KeyState](repeating: ring.state, count: 10))
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        bob.keyring = rotated
        alice.keyring = rotated
        #expect(try told(200) == [KeyState](repeating: rotated.state, count: 200))
        rotated.revokeFormer()
        alice.keyring = rotated
        #expect(try told(32) == [KeyState](repeating: rotated.state, count: 32))
        #expect(try told(80).count == 10)
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: part) }
    }

    @Test("No byte of a packet can be changed, and none left out or added")
    func tampering() throws {
        let (alice, bob) = (PacketSeal(keyring: ring), PacketSeal(keyring: ring))
        let packet = alice.seal(message)
        for place in packet.indices {
            for bit in 0..<8 {
                var changed = packet
                changed[place] ^= 1 << UInt8(bit)
                #expect(throws: SealError.self, "byte \(place), bit \(bit)") {
                    try bob.open(changed)
                }
            }
        }
        for length in packet.indices {
            #expect(throws: SealError.self) { try bob.open(Array(packet.prefix(length))) }
        }
        #expect(throws: SealError.forged) { try bob.open(packet + [0]) }
        #expect(try bob.open(packet) == mine(message))
    }

    @Test("A packet is opened once, in whatever order, and not when it is too old")
    func replays() throws {
        let (alice, bob) = (PacketSeal(keyring: ring), PacketSeal(keyring: ring))
        let packets = (0..<300).map { alice.seal([UInt8(truncatingIfNeeded: $0)]) }
        for index in [5, 3, 4, 100, 99, 0, 2] {
            _ = try bob.open(packets[index])
            #expect(throws: SealError.replayed) { try bob.open(packets[index]) }
        }
        _ = try bob.open(packets[299])
        // The window is 128 wide: 172 … 299.
        #expect(throws: SealError.replayed) { try bob.open(packets[171]) }
        _ = try bob.open(packets[172])
        for index in [5, 3, 4, 100, 99, 172, 299] {
            #expect(throws: SealError.replayed) { try bob.open(packets[index]) }
        }
    }

    @Test("The window gives the same answers as a set that forgets nothing it must know")
    func window() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            var window = ReplayWindow()
            var seen: Set<UInt64> = []
            var highest: UInt64?
            for _ in 0..<500 {
                let near = highest ?? 0
                let step = UInt64.random(in: 0...300, using: &generator)
                let back = UInt64.random(in: 0...200, using: &generator)
                let counter = near + step >= back ? near + step - back : 0
                let isOld = highest.map { counter + ReplayWindow.width <= $0 } ?? false
                let expected = !isOld && !seen.contains(counter)
                #expect(window.mayAccept(counter) == expected, "\(counter) after \(near)")
                guard expected else { continue }
                window.accept(counter)
                seen.insert(counter)
                highest = max(highest ?? 0, counter)
            }
        }
        var window = ReplayWindow()
        window.accept(.max - 1)
        #expect(!window.mayAccept(.max - 1) && !window.mayAccept(.max))
    }

    @Test("A restarted sender never repeats a key with a nonce")
    func restarts() throws {
        let bob = PacketSeal(keyring: ring)
        var packets: Set<[UInt8]> = []
        for _ in 0..<20 {
            let packet = PacketSeal(keyring: ring).seal(message)
            #expect(packets.insert(packet).inserted)
            #expect(try bob.open(packet) == mine(message))
        }
    }

    @Test("Another mesh, an old key, another version and garbage are told apart")
    func failures() throws {
        let stranger = PacketSeal(keyring: Keyring(key: MeshKey(), created: "now"))
        let bob = PacketSeal(keyring: ring)
        let id = stranger.keyring.current.id
        #expect(throws: SealError.unknownKey(id)) { try bob.open(stranger.seal(message)) }

        let late = PacketSeal(keyring: ring)
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        bob.keyring = rotated
        #expect(throws: Never.self) { try bob.open(late.seal(message)) }
        rotated.revokeFormer()
        bob.keyring = rotated
        #expect(throws: SealError.revokedKey(ring.current.id)) {
            try bob.open(late.seal(message))
        }
        #expect(throws: SealError.unknownKey(rotated.current.id)) {
            try late.open(bob.seal(message))
        }

        #expect(throws: SealError.otherVersion(1)) { try bob.open([0xe1, 0, 0]) }
        #expect(throws: SealError.notMeshd) { try bob.open([]) }
        #expect(throws: SealError.notMeshd) { try bob.open(Array("GET / HTTP/1.1".utf8)) }
        #expect(throws: SealError.notMeshd) { try bob.open([0xe3, 0, 1, 2, 3]) }
    }

    @Test("During a rotation each is sealed for with a key that it has, and hears of the other")
    func overlap() throws {
        var rotated = ring
        try rotated.rotate(to: MeshKey())
        let (alice, bob) = (PacketSeal(keyring: rotated), PacketSeal(keyring: ring))
        let old = ring.current.id
        #expect(
            try bob.open(alice.seal(message, with: old))
                == .message(message, sealedWith: old, rotated.state))
        #expect(try alice.open(bob.seal(message)) == mine(message))
        let packet = alice.seal(message)
        #expect(throws: SealError.unknownKey(rotated.current.id)) { try bob.open(packet) }
        bob.keyring = rotated
        #expect(
            try bob.open(packet)
                == .message(message, sealedWith: rotated.current.id, rotated.state))
        // A key that is none of the mesh's is not used.
        rotated.revokeFormer()
        alice.keyring = rotated
        #expect(
            try bob.open(alice.seal(message, with: old))
                == .message(message, sealedWith: rotated.current.id, rotated.state))
    }

    @Test("A packet under a known key's name without the key is forged")
    func impostors() {
        let bob = PacketSeal(keyring: ring)
        var packet = PacketSeal(keyring: Keyring(key: MeshKey(), created: "now")).seal(message)
        packet.replaceSubrange(2..<6, with: ring.current.id.bytes)
        #expect(throws: SealError.forged) { try bob.open(packet) }
    }

    @Test("Strangers can't make a node forget members, and more members than it knows can speak")
    func memory() throws {
        let bob = PacketSeal(keyring: ring)
        let alice = PacketSeal(keyring: ring)
        let first = alice.seal(message)
        _ = try bob.open(first)
        var forged = first
        for salt in 0..<UInt16(5_000) {
            forged[6] = UInt8(truncatingIfNeeded: salt)
            forged[7] = UInt8(salt >> 8)
            #expect(throws: SealError.self) { try bob.open(forged) }
        }
        #expect(throws: SealError.replayed) { try bob.open(first) }
        for _ in 0..<(PacketSeal.sendersMax + 10) {
            _ = try bob.open(PacketSeal(keyring: ring).seal([1]))
        }
        #expect(try bob.open(alice.seal(message)) == mine(message))
    }

    @Test("Who forges is soon not tried any more; members are, and newcomers from elsewhere")
    func overrun() throws {
        let bob = PacketSeal(keyring: ring)
        let (alice, carol) = (PacketSeal(keyring: ring), PacketSeal(keyring: ring))
        let home = NodeAddress(10, 0, 0, 2, port: 7)
        let liar = NodeAddress(10, 0, 0, 9, port: 7)
        _ = try bob.open(alice.seal(message), from: home)
        func forge(_ salt: UInt16, _ source: NodeAddress) -> SealError? {
            var packet = alice.seal(message)
            // With zero it is Alice's own.
            packet[6] ^= UInt8(salt >> 8)
            packet[7] ^= UInt8(salt & 255)
            packet[packet.count - 1] ^= 1
            do throws(SealError) { _ = try bob.open(packet, from: source) } catch { return error }
            return nil
        }
        for salt in UInt16(1)...32 { #expect(forge(salt, liar) == .forged) }
        #expect(forge(33, liar) == .overrun && forge(0, liar) == .overrun)
        // Another port is the same machine, another machine is not.
        #expect(forge(33, liar.with(port: 8)) == .overrun)
        #expect(
            try bob.open(carol.seal(message), from: NodeAddress(10, 0, 0, 3, port: 7))
                == mine(message))
        for number in 0..<1_000 {
            let source = NodeAddress(10, 1, UInt8(number / 250), UInt8(number % 250), port: 7)
            let error = forge(UInt16(100 + number), source)
            #expect(error == (number < 256 - 32 ? .forged : .overrun), "\(number)")
        }
        // Who is known is heard from where it is, whatever others do, and from elsewhere too.
        #expect(throws: Never.self) { try bob.open(alice.seal(message), from: home) }
        let moved = NodeAddress(10, 0, 0, 4, port: 7)
        #expect(throws: Never.self) { try bob.open(alice.seal(message), from: moved) }
        #expect(bob.knownSenders(atMost: 1).map(\.source) == [moved])
        let late = PacketSeal(keyring: ring)
        let first = late.seal(message)
        #expect(throws: SealError.overrun) { try bob.open(first, from: home) }
        bob.refill()
        #expect(try bob.open(first, from: home) == mine(message))
    }

    @Test("Who cannot open a packet can say so, and only to its sender")
    func refusals() throws {
        let alice = PacketSeal(keyring: ring)
        let stranger = PacketSeal(keyring: Keyring(key: MeshKey(), created: "now"))
        let packet = alice.seal(message)
        var refusal: [UInt8] = []
        do {
            _ = try stranger.open(packet)
        } catch {
            refusal = try #require(PacketRefusal.answer(to: packet, refusedAs: error))
        }
        #expect(refusal.count < packet.count)
        #expect(try alice.open(refusal) == .refusal(.unknownKey, of: ring.current.id))
        #expect(throws: SealError.forged) { try stranger.open(refusal) }
        // A packet that was not sent yet can't have been refused.
        var early = refusal
        early[early.count - 1] = 9
        #expect(throws: SealError.forged) { try alice.open(early) }
        #expect(PacketRefusal.answer(to: refusal, refusedAs: .forged) == nil)
        #expect(PacketRefusal.answer(to: packet, refusedAs: .replayed) == nil)
    }
}
