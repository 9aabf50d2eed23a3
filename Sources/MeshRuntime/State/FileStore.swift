// The scene files a node holds, each under the name of its hash. A file is in the store whole and
// verified, or not at all.

import Foundation
public import MeshCore
import MeshSecurity

/// Why bytes did not enter the store.
public enum FileStoreError: Error, Sendable, CustomStringConvertible {
    /// The bytes are not those that the name promises.
    case wrongHash(expected: Digest)
    /// The disk refused.
    case disk(path: String, reason: String)

    public var description: String {
        switch self {
        case .wrongHash(let digest): "the bytes received do not have the hash \(digest)"
        case .disk(let path, let reason): "cannot write '\(path)': \(reason)"
        }
    }
}

/// Files by their SHA-256, in a folder. Safe to use from several threads: files are written under
/// a name of their own and renamed.
public struct FileStore: Sendable {
    public let folder: String
    /// The largest file that is taken from a peer, bytes.
    public static let fileBytesMax = 4 << 30

    public init(folder: String) throws(FileStoreError) {
        self.folder = folder
        if let reason = Folder.create(folder) { throw .disk(path: folder, reason: reason) }
        removeLeftovers()
    }

    /// A process that was killed while it wrote has left a file under no digest's name.
    private func removeLeftovers() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where Digest(hexadecimal: name) == nil {
            try? FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }

    public func contains(_ digest: Digest) -> Bool {
        FileManager.default.fileExists(atPath: path(of: digest))
    }

    public func path(of digest: Digest) -> String { folder + "/\(digest)" }

    /// The whole file; nil when it is not in the store. One that the disk has damaged is removed,
    /// so that it is fetched again.
    public func contents(of digest: Digest) -> [UInt8]? {
        guard let data = FileManager.default.contents(atPath: path(of: digest)) else { return nil }
        let bytes = [UInt8](data)
        guard Digest(hashing: bytes) == digest else {
            try? FileManager.default.removeItem(atPath: path(of: digest))
            return nil
        }
        return bytes
    }

    /// Puts bytes into the store, under the hash they must have.
    public func insert(_ bytes: [UInt8], as digest: Digest) throws(FileStoreError) {
        guard Digest(hashing: bytes) == digest else { throw .wrongHash(expected: digest) }
        if contains(digest) { return }
        let target = path(of: digest)
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: target), options: .atomic)
        } catch {
            throw .disk(path: target, reason: Self.reason(error))
        }
    }

    /// The system's words, where Foundation has kept them.
    private static func reason(_ error: any Error) -> String {
        let error = error as NSError
        let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
        guard cause.domain == NSPOSIXErrorDomain else { return cause.localizedDescription }
        return String(cString: strerror(Int32(cause.code)))
    }
}
