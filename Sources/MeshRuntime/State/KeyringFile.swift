// The file with the keys of the mesh that a machine is in: `mesh-key` in the state folder, for its
// owner's eyes only.

import CLibuv
import Foundation
import Glibc
public import MeshSecurity

/// The keyring of a state folder. Any process of the user may replace it; a daemon reads it when
/// it starts.
public enum KeyringFile {
    /// Far more than the file of a full keyring.
    static let bytesMax = 64 << 10

    /// Where the keyring of a state folder is.
    public static func path(inState state: String) -> String { state + "/mesh-key" }

    /// Reads the keyring; nil when the machine is in no mesh.
    /// - Throws: ``StateError`` when the file can't be read, is damaged, or others may read or
    ///   replace it.
    public static func load(state: String) throws(StateError) -> Keyring? {
        let path = path(inState: state)
        // What is no file must not hold us up.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw StateError(
                description: "cannot read '\(path)': \(String(cString: strerror(errno)))")
        }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        try check(handle, path)
        do {
            let bytes = try handle.read(upToCount: bytesMax) ?? Data()
            return try Keyring(fileText: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw StateError(description: "'\(path)' holds no mesh key: \(error)")
        }
    }

    /// Whether what was opened is a key's file that nobody else has a hand in.
    private static func check(_ handle: FileHandle, _ path: String) throws(StateError) {
        var status = stat()
        guard fstat(handle.fileDescriptor, &status) == 0 else {
            throw StateError(
                description: "cannot read '\(path)': \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw StateError(description: "'\(path)' holds no mesh key: it is no file")
        }
        guard status.st_uid == geteuid() else {
            throw StateError(
                description: "'\(path)' belongs to another user (\(status.st_uid)), who may know "
                    + "or replace the mesh's key: 'meshd join' with a --state of your own")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw StateError(
                description: "others may read the mesh's key: chmod 600 '\(path)'; and if they "
                    + "may have done so, make a new one")
        }
        guard status.st_size <= bytesMax else {
            throw StateError(
                description: "'\(path)' holds no mesh key: it has \(status.st_size) bytes, more "
                    + "than \(bytesMax)")
        }
    }

    /// Reads and changes the keyring while no other command does.
    /// - Throws: ``StateError`` when the folder can't be used, or what `body` throws.
    public static func exclusively<Result>(
        state: String, _ body: () throws -> Result
    ) throws -> Result {
        try createFolder(state)
        let path = path(inState: state) + ".lock"
        let lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { if lock >= 0 { Glibc.close(lock) } }
        var isLocked = false
        while lock >= 0, !isLocked {
            isLocked = flock(lock, LOCK_EX) == 0
            if !isLocked, errno != EINTR { break }
        }
        guard isLocked else {
            throw StateError(
                description: "cannot lock '\(path)': \(String(cString: strerror(errno)))")
        }
        return try body()
    }

    private static func createFolder(_ state: String) throws(StateError) {
        guard let reason = Folder.create(state) else { return }
        throw StateError(description: "cannot create the state folder '\(state)': \(reason)")
    }

    /// Replaces the keyring, whole or not at all.
    public static func save(_ keyring: Keyring, state: String) throws(StateError) {
        try createFolder(state)
        try StateFolder.write(keyring.fileText, to: path(inState: state))
    }

    /// Removes the keyring.
    /// - Returns: whether there was one.
    public static func remove(state: String) throws(StateError) -> Bool {
        let path = path(inState: state)
        if unlink(path) == 0 {
            try StateFolder.keepNames(ofFolderWith: path)
            return true
        }
        if errno == ENOENT { return false }
        throw StateError(
            description: "cannot remove '\(path)': \(String(cString: strerror(errno)))")
    }

    /// A mesh as this machine comes into it now: a new one, of this machine alone, unless the key
    /// is another's.
    public static func newMesh(key: MeshKey = MeshKey()) -> Keyring {
        Keyring(key: key, created: Date().ISO8601Format())
    }

    /// The keyring, or that of a private mesh made now.
    /// - Throws: ``StateError``.
    public static func loadOrMake(state: String) throws -> (keyring: Keyring, isNew: Bool) {
        try exclusively(state: state) {
            if let keyring = try load(state: state) { return (keyring, false) }
            let keyring = newMesh()
            try save(keyring, state: state)
            return (keyring, true)
        }
    }
}
