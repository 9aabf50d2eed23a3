// Who is not of this mesh, and what its user hears of that: a line for each kind of stranger, at
// most once a minute, on both sides.

import Logging
import MeshCore
import MeshSecurity

/// The kinds of peers that this node does not talk to.
enum Stranger: Hashable {
    case otherMesh
    /// One that mDNS shows, and that did nothing.
    case neighbour
    case revokedKey
    case otherVersion
    /// Forges, or is in between and changes bytes.
    case impostor
    /// A member, but another than the one that was known at its address.
    case otherNode
    /// It does not talk to this node.
    case refusesUs
    /// No meshd at all; not worth a line to the user.
    case noise

    init(_ error: SealError) {
        switch error {
        case .unknownKey: self = .otherMesh
        case .revokedKey: self = .revokedKey
        case .otherVersion: self = .otherVersion
        case .forged: self = .impostor
        case .notMeshd, .replayed, .overrun: self = .noise
        }
    }

    init(_ error: TLSError) {
        switch error {
        case .unknownKey: self = .otherMesh
        case .revokedKey: self = .revokedKey
        case .unsealed: self = .otherVersion
        case .wrongKey, .forged: self = .impostor
        case .wrongNode: self = .otherNode
        case .refusedByPeer: self = .refusesUs
        case .notTLS, .failed: self = .noise
        }
    }
}

/// When a line was last written about each kind of stranger, and how many answers they may get.
struct StrangerLog {
    static let interval = Duration.seconds(60)
    /// Answers to packets that can't be opened, in half a second.
    private static let answersMax = 8
    private var last: [Stranger: Instant] = [:]
    private var answersLeft = answersMax

    /// Whether a line is due; then none is for a minute.
    mutating func mayTell(of stranger: Stranger, at now: Instant) -> Bool {
        if let then = last[stranger], now - then < Self.interval { return false }
        last[stranger] = now
        return true
    }

    mutating func mayAnswer() -> Bool {
        guard answersLeft > 0 else { return false }
        answersLeft -= 1
        return true
    }

    /// To be called twice a second.
    mutating func refillAnswers() { answersLeft = Self.answersMax }
}

extension NodeRuntime {
    /// Strangers may try again; while they flood this node the system drops most of what is not of
    /// senders that are known. To be called twice a second.
    func watchStrangers() {
        strangers.refillAnswers()
        seal.refill()
        let wasFlood = flood.isFlood
        flood.tick()
        if flood.isFlood {
            filterStrangers()
        } else if wasFlood {
            endpoint.datagrams.dropForeign(mark: SealedPacket.mark)
        }
    }

    private func filterStrangers() {
        endpoint.datagrams.sampleStrangers(
            mark: SealedPacket.mark, offset: SealedPacket.saltOffset,
            known: seal.knownSenders(atMost: DatagramSocket.knownSendersMax),
            oneIn: flood.oneIn, loud: flood.loudAddresses, loudOneIn: FloodWatch.loudOneIn)
    }

    /// Opens a packet; nil when it is none of a member.
    func opened(
        _ packet: [UInt8], from source: NodeAddress
    ) -> (bytes: [UInt8], key: KeyID, state: KeyState?)? {
        do throws(SealError) {
            switch try seal.open(packet, from: source) {
            case .message(let bytes, let key, let state): return (bytes, key, state)
            case .refusal(let reason, let key):
                if reason.isOfKey, peerKeys.refused(source, key, in: keyring) { return nil }
                note(.refusesUs, "\(source) does not talk to this node: \(reason)")
            }
        } catch {
            // The network doubles packets; that is nobody's fault, unless it is too much.
            if error != .replayed { garbageReceived += 1 }
            if flood.note(source) { filterStrangers() }
            note(Stranger(error), "dropped a packet from \(source): \(error)")
            if let answer = PacketRefusal.answer(to: packet, refusedAs: error),
                strangers.mayAnswer()
            {
                endpoint.datagrams.send(answer, to: source)
            }
        }
        return nil
    }

    /// Connects to a member.
    /// - Parameter node: who must be there.
    func connect(to address: NodeAddress, of node: NodeID) -> StreamConnection {
        let key = peerKeys.key(for: address, in: keyring)
        let stream = StreamConnection.connect(
            to: address, preamble: configuration.preamble,
            security: .offering(key, keyring, as: state.key), expecting: node)
        stream.onEnded = { [weak self] reason in
            switch reason {
            case .untrusted(let error):
                if let self, error == .refusedByPeer,
                    self.peerKeys.refused(address, key, in: self.keyring)
                {
                    return
                }
                self?.note(Stranger(error), "no connection to \(address): \(reason)")
            case .incompatible:
                self?.note(.otherVersion, "no connection to \(address): \(reason)")
            case .closedInHandshake:
                self?.logger.debug("no connection to \(address): \(reason)")
            default: break
            }
        }
        follow(stream)
        return stream
    }

    /// mDNS shows a node that is not of this mesh.
    func sawOtherMesh(at address: NodeAddress) {
        guard strangers.mayTell(of: .neighbour, at: EventLoop.now) else { return }
        logger.info("another mesh is on this network: \(address)")
    }

    /// Tells the user of a stranger, if that was not done within the last minute.
    func note(_ stranger: Stranger, _ line: @autoclosure () -> String) {
        guard stranger != .noise, strangers.mayTell(of: stranger, at: EventLoop.now) else {
            logger.debug("\(line())")
            return
        }
        notice(line())
    }
}
