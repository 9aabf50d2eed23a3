// What a node keeps between two starts: its identity, how often it has started, the peers it
// knew, and the scene files it has fetched.

import Foundation
import Glibc
public import MeshCore
public import MeshSecurity

/// Why the state folder can't be used.
public struct StateError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

/// A node's folder on disk. One process uses it at a time: a lock file sees to it.
public final class StateFolder: Sendable {
    public let path: String
    /// By what this node proves who it is.
    public let key: NodeKey
    /// This node's identity, with this start's number.
    public let identity: ParticipantID
    private let lock: Int32

    /// Opens or creates the folder, takes its lock and counts this start.
    /// - Throws: ``StateError`` when the folder can't be written or another process holds it.
    public init(path: String) throws(StateError) {
        self.path = path
        if let reason = Folder.create(path) {
            throw StateError(
                description: "cannot create the state folder '\(path)': \(reason)")
        }
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw StateError(
                description: "cannot write to the state folder '\(path)': "
                    + String(cString: strerror(errno)))
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(lock)
            throw StateError(
                description: "another meshd uses the state folder '\(path)'; "
                    + "stop it or choose another with --state")
        }
        do throws(StateError) {
            let boot: UInt64
            (key, boot) = try Self.countStart(in: path)
            identity = ParticipantID(node: key.node, boot: boot)
        } catch {
            Glibc.close(lock)
            throw error
        }
    }

    deinit { Glibc.close(lock) }

    /// This node's key and this start's number, written before they are used. A node whose count of
    /// starts can't be read is a new node: under a number used before, others would take it for its
    /// past self.
    private static func countStart(
        in path: String
    ) throws(StateError) -> (key: NodeKey, boot: UInt64) {
        let kept = path + "/node-key"
        guard access(kept, F_OK) != 0 || access(kept, R_OK) == 0 else {
            // Another one would be another node.
            throw StateError(
                description: "cannot read '\(kept)': " + String(cString: strerror(errno)))
        }
        if let key = word(in: kept).flatMap({ NodeKey(hexadecimal: $0) }),
            let last = word(in: path + "/boot").flatMap({ UInt64($0) }), last < bootMax
        {
            try write("\(last + 1)\n", to: path + "/boot")
            return (key, last + 1)
        }
        let key = NodeKey()
        // A node of the old name must not be left with the new count, nor the reverse.
        unlink(path + "/boot")
        try write("\(key.hexadecimal)\n", to: kept)
        try write("1\n", to: path + "/boot")
        return (key, 1)
    }

    /// More starts than any node has.
    private static let bootMax: UInt64 = 1 << 48

    private static func word(in path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

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

    /// Replaces a file whole, and has it on the disk before this returns. Several processes may do so
    /// at once: the last one counts.
    static func write(_ text: String, to path: String) throws(StateError) {
        // A file of nobody else's, for its owner only.
        let temporary = "\(path).\(UUID().uuidString)"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure(path) }
        let bytes = Array(text.utf8)
        let isWritten = Glibc.write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
        let cause = errno
        Glibc.close(file)
        guard isWritten else {
            unlink(temporary)
            errno = cause
            throw failure(path)
        }
        guard rename(temporary, path) == 0 else {
            let cause = errno
            unlink(temporary)
            errno = cause
            throw failure(path)
        }
        try keepNames(ofFolderWith: path)
    }

    /// Has the names in a file's folder on the disk: without that the file may be its former self
    /// after a power cut.
    static func keepNames(ofFolderWith path: String) throws(StateError) {
        let name = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure(path) }
        defer { Glibc.close(folder) }
        // Some file systems have no such thing for folders.
        guard fsync(folder) == 0 || errno == EINVAL else { throw failure(path) }
    }

    private static func failure(_ path: String) -> StateError {
        StateError(description: "cannot write '\(path)': \(String(cString: strerror(errno)))")
    }
}
