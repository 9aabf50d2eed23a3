// Which key each peer has shown to know, while a mesh has more than one: what goes to a peer is
// sealed with the newest of those.

import MeshCore
import MeshSecurity

/// What peers have shown to know of the mesh's keys, by address.
struct PeerKeys {
    /// Beyond so many addresses all are forgotten and learned anew.
    private static let peersMax = 16_384
    /// A peer is told of newer keys so often: it may have lost what it was told.
    private static let tellInterval = Duration.seconds(5)
    /// The most peers that are told in half a second; others tell too.
    private static let tellingsMax = 32

    private var known: [NodeAddress: KeyID] = [:]
    private var told: [NodeAddress: Instant] = [:]
    private var tellingsLeft = tellingsMax

    /// The key for what goes to a peer. Of one that was not heard it is the oldest that is
    /// accepted: who has not heard of a rotation has no other.
    func key(for peer: NodeAddress, in keyring: Keyring) -> KeyID {
        guard let oldest = keyring.former.last else { return keyring.current.id }
        return known[peer] ?? oldest.id
    }

    /// Whether a peer is known to have the present key.
    func hasCurrent(_ peer: NodeAddress, in keyring: Keyring) -> Bool {
        keyring.former.isEmpty || known[peer] == keyring.current.id
    }

    /// A peer has sealed with one key, and may say what it knows.
    mutating func heard(
        _ peer: NodeAddress, sealedWith key: KeyID, _ state: KeyState?, in keyring: Keyring
    ) {
        guard !keyring.former.isEmpty else { return }
        if known.count >= Self.peersMax { known = [:] }
        let newest = state.flatMap { keyring.key($0.newest.id)?.id }
        known[peer] = newest ?? key
    }

    /// A peer does not know a key that was used with it: the next newer one is used. Anybody can
    /// say so; what follows is a choice between accepted keys.
    /// - Returns: whether there is another one to try.
    mutating func refused(_ peer: NodeAddress, _ key: KeyID, in keyring: Keyring) -> Bool {
        let accepted = keyring.accepted.map(\.id)
        guard let index = accepted.firstIndex(of: key) else { return true }
        guard index > 0 else { return false }
        known[peer] = accepted[index - 1]
        return true
    }

    /// Whether a peer may be told of newer keys now.
    mutating func mayTell(_ peer: NodeAddress, at now: Instant) -> Bool {
        if let then = told[peer], now - then < Self.tellInterval { return false }
        guard tellingsLeft > 0 else { return false }
        if told.count >= Self.peersMax { told = [:] }
        tellingsLeft -= 1
        told[peer] = now
        return true
    }

    /// To be called twice a second.
    mutating func refill() { tellingsLeft = Self.tellingsMax }

    /// The keyring has changed: what was known of keys that are gone is forgotten.
    mutating func follow(_ keyring: Keyring) {
        guard !keyring.former.isEmpty else {
            self = PeerKeys()
            return
        }
        known = known.filter { keyring.key($0.value) != nil }
        told = [:]
    }
}
