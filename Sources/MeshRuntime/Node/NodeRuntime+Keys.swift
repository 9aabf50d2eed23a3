// How a new key reaches every node: whoever hears a member with an older one tells it, over TLS,
// under a key that both have. Members gossip with members chosen by chance, so a key spreads as a
// rumour does, in a time that grows with the logarithm of their number. That old keys are revoked is
// part of what packets say (docs/adr/0018-rotation.md).

import Gossip
import Logging
import MeshCore
import MeshNode
import MeshSecurity

/// Why keys can't be changed.
public struct KeyChangeError: Error, CustomStringConvertible {
    public let description: String
}

extension NodeRuntime {
    /// The most names in a line.
    private static let namesMax = 5

    // MARK: - For this machine's user

    /// Gives the mesh another key. Former ones are accepted until they are revoked.
    /// - Throws: when there can't be one, or it can't be kept.
    func rotateKey() throws -> String {
        var next = keyring
        try next.rotate(to: MeshKey())
        try keep(next)
        return "the mesh has another key, which its nodes learn of each other; the old code lets "
            + "machines in until 'meshd key revoke-old'"
    }

    /// Accepts the present key only.
    /// - Parameter force: whether also when there are members that are not known to have it.
    /// - Throws: ``KeyChangeError``.
    func revokeOldKeys(force: Bool) throws -> String {
        guard !keyring.former.isEmpty else {
            throw KeyChangeError(description: "there is no old key: 'meshd key rotate' first")
        }
        let late = node.members.filter { member in
            // A suspect is up as far as is known.
            member.status.isPresent && member.participant != identity
                && !peerKeys.hasCurrent(member.address, in: keyring)
        }
        if !late.isEmpty, !force {
            var names = late.prefix(Self.namesMax).map(\.name).joined(separator: ", ")
            if late.count > Self.namesMax { names += ", …" }
            throw KeyChangeError(
                description: "\(late.count) of the nodes that are up have not shown yet that they "
                    + "have the new key: \(names); wait a moment, or --force: they must join anew")
        }
        var next = keyring
        next.revokeFormer()
        try keep(next)
        return "the old key is revoked; a machine that was off must join anew, with the code that "
            + "'meshd key show' prints"
    }

    /// The file of the keys was changed by a command.
    /// - Returns: false when it is another mesh's.
    func takeOver(_ changed: Keyring) -> Bool {
        guard changed.accepted.contains(keyring.current) || keyring.key(changed.current.id) != nil
        else { return false }
        var next = keyring
        if next.merge(changed) { adopt(next) }
        return true
    }

    // MARK: - From and to other members

    /// A member's packet was opened. Somebody else may have sent it again from elsewhere: what it
    /// says is true of the member at the address that the membership knows, if there is one.
    /// - Parameter state: what it knows of the keys, if it says so.
    func met(
        _ peer: ParticipantID, at source: NodeAddress, sealedWith key: KeyID, _ state: KeyState?
    ) {
        let address = node.address(of: peer) ?? source
        var next = keyring
        if let state, state != keyring.state, next.merge(state) { learn(next) }
        peerKeys.heard(address, sealedWith: key, state, in: keyring)
        // Who says nothing of keys has one only.
        let isNews = state.map { keyring.isNews(to: $0) } ?? (key != keyring.current.id)
        guard isNews, peer != identity, peerKeys.mayTell(address, at: EventLoop.now) else { return }
        links.send(kind: StreamKind.keys, [UInt8](keyring.fileText.utf8), to: peer, at: address)
    }

    /// A member tells of keys.
    func received(keys payload: [UInt8], from sender: ParticipantID) {
        guard payload.count <= KeyringFile.bytesMax,
            let told = try? Keyring(fileText: String(decoding: payload, as: UTF8.self))
        else {
            garbageReceived += 1
            return
        }
        var next = keyring
        if next.merge(told) { learn(next) }
        if let address = node.address(of: sender) {
            peerKeys.heard(address, sealedWith: told.current.id, told.state, in: keyring)
        }
    }

    private func learn(_ next: Keyring) {
        do {
            try keep(next)
        } catch {
            // This process goes on with it; the next one has to be told again.
            adopt(next)
            notice("the mesh's keys can't be kept: \(error)")
        }
    }

    private func keep(_ next: Keyring) throws {
        try KeyringFile.save(next, state: state.path)
        adopt(next)
    }

    /// Goes over to other keys of the same mesh.
    private func adopt(_ next: Keyring) {
        let before = keyring
        keyring = next
        seal.keyring = next
        endpoint.listener.security = .sealed(next, as: state.key)
        peerKeys.follow(next)
        if next.current != before.current {
            notice("the mesh has another key now (\(next.current.id)): 'meshd key show' prints it")
        }
        let gone = before.accepted.filter { next.key($0.id) == nil }.map(\.id)
        if !gone.isEmpty {
            notice("the mesh's old key is revoked")
            revokedAt = EventLoop.now
            links.renew { next.key($0) != nil }
        }
        pool.renew { next.key($0) != nil }
        endpoint.listener.renew { next.key($0) != nil }
        if next.accepted != before.accepted { restartDiscovery() }
    }

    // MARK: - Streams under revoked keys

    /// Whether what comes over a stream may be believed: the key that opened it is accepted, or was
    /// so a moment ago.
    func isTrusted(_ stream: StreamConnection) -> Bool {
        guard let key = stream.key, keyring.key(key) == nil else { return true }
        return revokedAt.map { EventLoop.now - $0 < revocationGrace } ?? false
    }

    /// Remembers a stream to or from a member as long as it is open.
    func follow(_ stream: StreamConnection) {
        let id = ObjectIdentifier(stream)
        openStreams[id] = stream
        let listener = stream.onEnded
        stream.onEnded = { [weak self] reason in
            listener?(reason)
            self?.openStreams[id] = nil
        }
    }

    /// Closes what is open under keys that were revoked a while ago. To be called now and then.
    func closeRevokedStreams() {
        guard let then = revokedAt, EventLoop.now - then >= revocationGrace else { return }
        revokedAt = nil
        for stream in openStreams.values where !isTrusted(stream) { stream.abort() }
    }
}
