// What a node keeps between two starts: its identity, how often it has started, the peers it
// knew, and the scene files it has fetched.

import Foundation
public import MeshCore

/// Why the state folder can't be used.
public struct StateError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

/// A node's folder on disk. One process uses it at a time: a lock file sees to it.
public final class StateFolder: Sendable {
    public let path: String
    /// This node's identity, with this start's number.
    public let identity: ParticipantID
    private let lock: Int32

    /// Opens or creates the folder, takes its lock and counts this start.
    /// - Throws: ``StateError`` when the folder can't be written or another process holds it.
    public init(path: String) throws(StateError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw StateError(
                description: "cannot create the state folder '\(path)': \(Self.reason(error))")
        }
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw StateError(
                description: "cannot write to the state folder '\(path)': "
                    + String(cString: strerror(errno)))
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw StateError(
                description: "another meshd uses the state folder '\(path)'; "
                    + "stop it or choose another with --state")
        }
        let node: NodeID
        if let text = try? String(contentsOfFile: path + "/node-id", encoding: .utf8),
            let known = NodeID(text.trimmingCharacters(in: .whitespacesAndNewlines))
        {
            node = known
        } else {
            var generator = SystemRandomNumberGenerator()
            node = NodeID(generator.next())
            try Self.write("\(node)\n", to: path + "/node-id")
        }
        let last =
            (try? String(contentsOfFile: path + "/boot", encoding: .utf8))
            .flatMap { UInt64($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 0
        identity = ParticipantID(node: node, boot: last + 1)
        try Self.write("\(last + 1)\n", to: path + "/boot")
    }

    deinit { close(lock) }

    /// The path of the control socket of the daemon that uses this folder.
    public static func controlSocket(inState path: String) -> String { path + "/control.sock" }

    /// Where a user's daemon keeps its state: `$MESHD_STATE`, `$XDG_STATE_HOME/meshd` or
    /// `~/.local/state/meshd`.
    public static var defaultPath: String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["MESHD_STATE"], !path.isEmpty { return path }
        if let home = environment["XDG_STATE_HOME"], !home.isEmpty { return home + "/meshd" }
        return NSHomeDirectory() + "/.local/state/meshd"
    }

    /// Peers this node has been in touch with, most recent first, at most 64.
    public var rememberedPeers: [NodeAddress] {
        guard let text = try? String(contentsOfFile: path + "/peers", encoding: .utf8) else {
            return []
        }
        return text.split(separator: "\n").prefix(64).compactMap { NodeAddress(String($0)) }
    }

    /// Remembers peers for the next start. Failure is not worth an error.
    public func remember(_ peers: [NodeAddress]) {
        let text = peers.prefix(64).map { "\($0)\n" }.joined()
        try? Self.write(text, to: path + "/peers")
    }

    private static func write(_ text: String, to path: String) throws(StateError) {
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw StateError(description: "cannot write '\(path)': \(reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        return (cause ?? error as NSError).localizedDescription
    }
}
