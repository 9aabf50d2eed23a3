// Seals and opens the datagrams of one node. Sans-I/O; docs/adr/0015-sealed-packets.md says what
// replays could do and why they don't.

public import MeshCore

/// What came out of a packet.
public enum OpenedPacket: Hashable, Sendable {
    /// From a member, with what it knows of the keys if it says so.
    case message([UInt8], sealedWith: KeyID, KeyState?)
    /// Somebody says that it cannot open what this node has sealed with that key.
    case refusal(PacketRefusal, of: KeyID)
}

/// One node's sealing and opening of packets, for one keyring.
public final class PacketSeal {
    /// Processes whose keys and counters are remembered; of more, the longest silent is forgotten.
    public static let sendersMax = 4_096

    /// With one key alone there is rarely news of keys: each so many packets say what is known of
    /// them. While former keys are accepted each does.
    static let keyStateInterval: UInt64 = 8
    /// After a start and after a change, so many packets say it in any case.
    static let keyStateRepeats = 32
    /// After a sender was heard that was not known, likewise.
    static let keyStateGreetings = 8

    /// The keys; set it when they change.
    public var keyring: Keyring {
        didSet {
            guard keyring != oldValue else { return }
            keyStatesDue = Self.keyStateRepeats
            let accepted = Set(keyring.accepted.map(\.id))
            senders = senders.filter { accepted.contains($0.value.key) }
            sealers = sealers.filter { accepted.contains($0.key) }
            gossipKeys = Self.gossipKeys(of: keyring)
        }
    }

    /// This process as one that seals with a key.
    private struct Sealer {
        let salt: [UInt8]
        let cipher: PacketCipher
        var counter: UInt64 = 0

        init(key: MeshKey) {
            salt = SystemRandom.bytes(SealedPacket.saltBytes)
            cipher = PacketCipher(
                key: PacketSeal.packetKey(key.derived(for: .gossip), salt), for: .sealing)
        }
    }

    /// Another process that seals, known by its salt.
    private final class Sender {
        let key: KeyID
        let cipher: PacketCipher
        var window = ReplayWindow()
        var lastUse: UInt64 = 0
        /// Where its last packet came from.
        var source: NodeAddress?

        init(key: KeyID, cipher: PacketCipher) {
            self.key = key
            self.cipher = cipher
        }
    }

    private var gossipKeys: [KeyID: [UInt8]]
    private var sealers: [KeyID: Sealer] = [:]
    private var senders: [[UInt8]: Sender] = [:]
    private var uses: UInt64 = 0
    private var keyStatesDue = keyStateRepeats
    private var budget = OpeningBudget()

    public init(keyring: Keyring) {
        self.keyring = keyring
        gossipKeys = Self.gossipKeys(of: keyring)
    }

    private static func gossipKeys(of keyring: Keyring) -> [KeyID: [UInt8]] {
        Dictionary(
            keyring.accepted.map { ($0.id, $0.derived(for: .gossip)) },
            uniquingKeysWith: { first, _ in first })
    }

    static func packetKey(_ gossipKey: [UInt8], _ salt: [UInt8]) -> [UInt8] {
        KeyDerivation.derive(
            from: gossipKey, salt: salt, info: "meshd v1 packets of one process",
            byteCount: PacketCipher.keyBytes)
    }

    // MARK: - Sealing

    /// Seals a message: `overheadBytes` longer, or `overheadBytesMax`.
    /// - Parameter id: an accepted key that the receiver has; the present one if it is none.
    public func seal(_ message: [UInt8], with id: KeyID? = nil) -> [UInt8] {
        let key = id.flatMap { keyring.key($0) } ?? keyring.current
        var sealer = sealers[key.id] ?? Sealer(key: key)
        // 89 years of 100,000 packets a second.
        precondition(
            sealer.counter < 1 << (8 * SealedPacket.counterBytes),
            "a process does not send that many packets")
        let tellsKeys = isKeyStateDue(sealer.counter)
        var packet: [UInt8] = [
            SealedPacket.firstByte,
            tellsKeys ? SealedPacket.Kind.sealedWithKeyState : SealedPacket.Kind.sealed,
        ]
        packet.reserveCapacity(message.count + SealedPacket.overheadBytesMax)
        packet += key.id.bytes
        packet += sealer.salt
        withUnsafeBytes(of: sealer.counter.bigEndian) {
            packet += $0.suffix(SealedPacket.counterBytes)
        }
        sealer.cipher.seal(
            tellsKeys ? keyring.state.bytes + message : message, nonce: sealer.counter,
            into: &packet)
        sealer.counter += 1
        sealers[key.id] = sealer
        return packet
    }

    private func isKeyStateDue(_ counter: UInt64) -> Bool {
        guard keyStatesDue == 0 else {
            keyStatesDue -= 1
            return true
        }
        return !keyring.former.isEmpty || counter % Self.keyStateInterval == 0
    }

    // MARK: - Opening

    /// Opens a packet, once.
    /// - Parameter source: who fails too often is not heard until ``refill()``; nil for no bound.
    /// - Throws: why not.
    public func open(
        _ packet: [UInt8], from source: NodeAddress? = nil
    ) throws(SealError) -> OpenedPacket {
        guard let first = packet.first, first & 0xf0 == SealedPacket.mark else { throw .notMeshd }
        guard first == SealedPacket.firstByte else { throw .otherVersion(Int(first & 15)) }
        guard packet.count >= 2 else { throw .notMeshd }
        switch packet[1] {
        case SealedPacket.Kind.refusal: return try openRefusal(packet)
        case SealedPacket.Kind.sealed, SealedPacket.Kind.sealedWithKeyState:
            return try openSealed(packet, from: source)
        default: throw .notMeshd
        }
    }

    private func openSealed(
        _ packet: [UInt8], from source: NodeAddress?
    ) throws(SealError) -> OpenedPacket {
        guard packet.count >= SealedPacket.overheadBytes,
            let id = KeyID(bytes: packet[SealedPacket.keyOffset..<SealedPacket.saltOffset])
        else { throw .notMeshd }
        guard let gossipKey = gossipKeys[id] else {
            throw keyring.revoked.contains(id) ? .revokedKey(id) : .unknownKey(id)
        }
        let salt = Array(packet[SealedPacket.saltOffset..<SealedPacket.counterOffset])
        let counter = packet[SealedPacket.counterOffset..<SealedPacket.headerBytes]
            .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        // Who is not known yet is remembered once a packet of its was opened: strangers can't
        // make us forget anybody.
        let known = senders[salt].flatMap { $0.key == id ? $0 : nil }
        // Others cannot use up what a known sender may do from where it is.
        if let source, known == nil || known?.source != source {
            guard budget.mayTry(source, isKnown: known != nil) else { throw .overrun }
        }
        let sender =
            known
            ?? Sender(
                key: id,
                cipher: PacketCipher(key: Self.packetKey(gossipKey, salt), for: .opening))
        guard sender.window.mayAccept(counter) else { throw .replayed }
        guard
            let message = sender.cipher.open(
                packet, headerBytes: SealedPacket.headerBytes, nonce: counter)
        else {
            if let source { budget.failed(source, isKnown: known != nil) }
            throw .forged
        }
        sender.window.accept(counter)
        sender.source = source
        uses += 1
        sender.lastUse = uses
        if known == nil {
            remember(sender, salt)
            keyStatesDue = max(keyStatesDue, Self.keyStateGreetings)
        }
        guard packet[1] == SealedPacket.Kind.sealedWithKeyState else {
            return .message(message, sealedWith: id, nil)
        }
        guard let state = KeyState(bytes: message.prefix(KeyState.byteCount)) else {
            throw .notMeshd
        }
        return .message(Array(message.dropFirst(KeyState.byteCount)), sealedWith: id, state)
    }

    /// To be called twice a second: all may fail again.
    public func refill() { budget = OpeningBudget() }

    /// Who has sealed packets that were opened here, the last ones first: the address of the last of
    /// them, and the first word of the salt that they carry at `SealedPacket.saltOffset`.
    public func knownSenders(atMost count: Int) -> [(source: NodeAddress, word: UInt32)] {
        senders.sorted { $0.value.lastUse > $1.value.lastUse }.prefix(count).compactMap {
            salt, sender in
            let word = salt.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return sender.source.map { ($0, word) }
        }
    }

    private func remember(_ sender: Sender, _ salt: [UInt8]) {
        if senders.count >= Self.sendersMax {
            // Rare enough to look at all: a mesh has fewer members.
            let oldest = senders.min { $0.value.lastUse < $1.value.lastUse }
            if let oldest { senders[oldest.key] = nil }
        }
        senders[salt] = sender
    }

    /// A refusal must quote a packet that this process may have sent.
    private func openRefusal(_ packet: [UInt8]) throws(SealError) -> OpenedPacket {
        guard packet.count == PacketRefusal.byteCount else { throw .forged }
        let quote = packet.dropFirst(3)
        let salt = quote.prefix(SealedPacket.saltBytes)
        let counter = quote.dropFirst(SealedPacket.saltBytes)
        let sealer = sealers.first { $0.value.salt.elementsEqual(salt) }
        guard let sealer, counter.reduce(UInt64(0), { $0 << 8 | UInt64($1) }) < sealer.value.counter
        else { throw .forged }
        guard let reason = PacketRefusal(rawValue: packet[2]) else { throw .notMeshd }
        return .refusal(reason, of: sealer.key)
    }
}

/// Which of a sender's counters have been seen: the last 128 exactly, none before them is
/// accepted (after RFC 4303 §3.4.3).
struct ReplayWindow {
    static let width = UInt64(UInt128.bitWidth)
    /// One more than the highest counter seen.
    private var end: UInt64 = 0
    /// Bit n: `end` − 1 − n was seen.
    private var seen: UInt128 = 0

    func mayAccept(_ counter: UInt64) -> Bool {
        guard counter < end else { return counter < .max }
        let age = end - 1 - counter
        return age < Self.width && seen >> UInt128(age) & 1 == 0
    }

    mutating func accept(_ counter: UInt64) {
        if counter >= end {
            let shift = counter + 1 - end
            seen = shift >= Self.width ? 0 : seen << UInt128(shift)
            end = counter + 1
        }
        seen |= 1 << UInt128(end - 1 - counter)
    }
}
