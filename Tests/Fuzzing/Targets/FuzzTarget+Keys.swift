// What says who is a member: packets from anywhere and from behind the seal, join codes, keyrings as
// files and as other members tell of them.

import MeshCore

@testable import MeshSecurity

/// The mesh of the targets. Its keys are fixed, so that what a corpus has sealed can be opened.
enum FuzzedMesh {
    /// In the order of their succession; the last is another mesh's.
    static let keys = (0..<4).compactMap { number in
        MeshKey(bytes: (0..<MeshKey.byteCount).map { UInt8($0 * 5 + number * 23) })
    }

    /// The first key is revoked, the second a former one, the third the present one.
    static let keyring: Keyring = {
        var ring = Keyring(key: keys[0], created: "today")
        try? ring.rotate(to: keys[1])
        ring.revokeFormer()
        try? ring.rotate(to: keys[2])
        return ring
    }()
}

extension FuzzTarget {
    /// Packets as they arrive from anywhere, each behind its length.
    static func packet(_ bytes: [UInt8]) -> Bool {
        let seal = PacketSeal(keyring: FuzzedMesh.keyring)
        var reader = ByteReader(bytes)
        var isOpened = false
        while let size = try? reader.read(UInt16.self),
            let packet = try? reader.readBytes(min(Int(size), reader.remaining))
        {
            isOpened = open(packet, with: seal) || isOpened
        }
        return isOpened
    }

    /// Opens a packet, and does with what is in it what a node does.
    private static func open(_ packet: [UInt8], with seal: PacketSeal) -> Bool {
        do throws(SealError) {
            switch try seal.open(packet) {
            case .refusal(_, let key):
                require(seal.keyring.key(key) != nil, "a refusal is of an accepted key")
            case .message(let message, let key, let state):
                require(seal.keyring.key(key) != nil, "a packet is sealed with an accepted key")
                require(
                    packet.count == message.count
                        + (state == nil
                            ? SealedPacket.overheadBytes : SealedPacket.overheadBytesMax),
                    "a packet is as long as it is")
                require(isReplayed(packet, to: seal), "a packet is opened once")
                var ring = seal.keyring
                if let state { ring.merge(state) }
                check(ring)
                seal.keyring = ring
                _ = gossip(message)
            }
            return true
        } catch {
            let answer = PacketRefusal.answer(to: packet, refusedAs: error)
            require((answer?.count ?? -1) < packet.count, "an answer amplifies nothing")
            return false
        }
    }

    private static func isReplayed(_ packet: [UInt8], to seal: PacketSeal) -> Bool {
        do throws(SealError) { _ = try seal.open(packet) } catch { return error == .replayed }
        return false
    }

    // MARK: - Behind the seal

    /// How a packet of `sealed` is made: four bytes, then the length of what is inside.
    struct Sealing {
        /// Two bits: which of the mesh's keys.
        var key: UInt8
        /// Two bits: which process seals.
        var process: UInt8 = 0
        var isDamaged = false
        /// The answer of somebody who could not open a packet of this node.
        var isRefusal = false
        /// Counted from the end of all numbers.
        var isLate = false
        /// Whether what is known of the keys is in front of the content.
        var tellsKeys = true
        var counter: UInt16

        init(key: UInt8, counter: UInt16) {
            self.key = key
            self.counter = counter
        }

        init?(_ reader: inout ByteReader) {
            guard let flags = try? reader.read(UInt8.self),
                let counter = try? reader.read(UInt16.self)
            else { return nil }
            key = flags & 3
            process = flags >> 2 & 3
            isDamaged = flags & 0x10 != 0
            isRefusal = flags & 0x20 != 0
            isLate = flags & 0x40 != 0
            tellsKeys = flags & 0x80 == 0
            self.counter = counter
        }

        /// For seeds: undamaged packets only.
        func write(_ content: [UInt8], to writer: inout ByteWriter) {
            writer.write(key | process << 2)
            writer.write(counter)
            writer.write(UInt16(content.count))
            writer.write(contentsOf: content)
        }
    }

    private static let counterMax = UInt64(1) << (8 * UInt64(SealedPacket.counterBytes)) - 1

    /// Packets that are sealed as they should be, with anything inside.
    static func sealed(_ bytes: [UInt8]) -> Bool {
        let seal = PacketSeal(keyring: FuzzedMesh.keyring)
        var reader = ByteReader(bytes)
        var highest: [String: UInt64] = [:]
        var isOpened = false
        while let sealing = Sealing(&reader), let size = try? reader.read(UInt16.self),
            let content = try? reader.readBytes(min(Int(size), reader.remaining))
        {
            guard !sealing.isRefusal else {
                _ = open(refusal(sealing, content, of: seal.seal([1])), with: seal)
                continue
            }
            let counter =
                sealing.isLate ? counterMax - UInt64(sealing.counter) : UInt64(sealing.counter)
            let packet = packet(sealing, counter, content)
            let key = FuzzedMesh.keys[Int(sealing.key)].id
            let sender = "\(key) \(sealing.process)"
            let isNew = highest[sender].map { $0 < counter } ?? (counter < .max)
            let isAuthentic = !sealing.isDamaged && seal.keyring.key(key) != nil
            let mustOpen =
                isNew && isAuthentic
                && (!sealing.tellsKeys || content.count >= KeyState.byteCount)
            let isOpen = open(packet, with: seal)
            require(isOpen || !mustOpen, "a member's packet is opened")
            require(!(isOpen && sealing.isDamaged), "a damaged packet is not")
            // What is too short for what it says it has was seen all the same.
            if isAuthentic { highest[sender] = max(counter, highest[sender] ?? 0) }
            isOpened = isOpened || isOpen
        }
        return isOpened
    }

    private static func packet(
        _ sealing: Sealing, _ counter: UInt64, _ content: [UInt8]
    ) -> [UInt8] {
        let key = FuzzedMesh.keys[Int(sealing.key)]
        let salt = [UInt8](repeating: sealing.process, count: SealedPacket.saltBytes)
        let cipher = PacketCipher(
            key: PacketSeal.packetKey(key.derived(for: .gossip), salt), for: .sealing)
        let kind =
            sealing.tellsKeys ? SealedPacket.Kind.sealedWithKeyState : SealedPacket.Kind.sealed
        var packet = [SealedPacket.firstByte, kind] + key.id.bytes + salt
        withUnsafeBytes(of: counter.bigEndian) { packet += $0.suffix(SealedPacket.counterBytes) }
        cipher.seal(content, nonce: counter, into: &packet)
        if sealing.isDamaged {
            let place = Int(sealing.counter) % packet.count
            packet[place] ^= (content.first ?? 0) | 1
        }
        return packet
    }

    private static func refusal(
        _ sealing: Sealing, _ content: [UInt8], of packet: [UInt8]
    ) -> [UInt8] {
        var refusal =
            [SealedPacket.firstByte, SealedPacket.Kind.refusal, content.first ?? 0]
            + packet[SealedPacket.saltOffset..<SealedPacket.headerBytes]
        if sealing.isDamaged { refusal[Int(sealing.counter) % refusal.count] ^= 0x11 }
        return refusal + content.dropFirst()
    }

    // MARK: - Keyrings and codes

    /// A keyring's file; behind a line of `--` another, whose owner is met.
    static func keyring(_ bytes: [UInt8]) -> Bool {
        let halves = String(decoding: bytes, as: UTF8.self).split(separator: "\n--\n", maxSplits: 1)
        let rings = halves.compactMap { try? Keyring(fileText: String($0)) }
        for ring in rings { check(ring) }
        guard let first = rings.first else { return false }
        guard rings.count == 2 else { return true }
        var (here, there) = (first, rings[1])
        here.merge(rings[1])
        there.merge(first)
        check(here)
        require(
            here.accepted == there.accepted && here.state == there.state,
            "two nodes that have met have the same keys")
        return true
    }

    /// What a keyring promises, whoever had a say in it.
    private static func check(_ ring: Keyring) {
        let accepted = ring.accepted.map(\.id)
        require(ring.former.count <= Keyring.formerKeysMax, "former keys are bounded")
        require(ring.revoked.count <= Keyring.revokedMax, "revoked keys are bounded")
        require(ring.revoked.allSatisfy { !accepted.contains($0) }, "no key is both")
        require((try? Keyring(fileText: ring.fileText)) == ring, "a keyring reads as it was")
        var same = ring
        require(!same.merge(ring) && !same.merge(ring.state), "what is known is no news")
    }

    /// A join code as somebody has typed it; and the first 32 bytes as a key whose code gets one
    /// wrong character, by the next two.
    static func code(_ bytes: [UInt8]) -> Bool {
        if let key = MeshKey(bytes: Array(bytes.prefix(MeshKey.byteCount))), bytes.count >= 34 {
            mistype(JoinCode(key: key), at: Int(bytes[32]), as: bytes[33])
        }
        guard let code = try? JoinCode(String(decoding: bytes, as: UTF8.self)) else { return false }
        require((try? JoinCode(code.text)) == code, "a code reads as it was")
        let loose = code.text.lowercased().filter { $0 != "-" }
        require((try? JoinCode(loose)) == code, "a code may be written small and without dashes")
        return true
    }

    private static func mistype(_ code: JoinCode, at place: Int, as letter: UInt8) {
        require((try? JoinCode(code.text)) == code, "a code reads as it was")
        var letters = Array(code.text.utf8)
        letters[place % letters.count] = letter
        let typed = try? JoinCode(String(decoding: letters, as: UTF8.self))
        require(typed == nil || typed == code, "one wrong character is found")
    }
}
