// The scene files a node holds, each under the name of its hash. A file is in the store whole and
// verified, or not at all. The store is a guest on this machine's disk: it has a budget, and what
// was used least recently goes first.
//
// When a file was last used stands on the disk as its time of modification, so that the order
// outlives the process however it ends. The times are strictly increasing within a store, whatever
// the clock does.

// libuv's headers are where this module sees `struct stat`.
import CLibuv
import Foundation
import Glibc
public import MeshCore
import MeshSecurity
import Synchronization

/// Why bytes did not enter the store.
public enum FileStoreError: Error, Sendable, CustomStringConvertible {
    /// The bytes are not those that the name promises.
    case wrongHash(expected: Digest)
    /// The disk refused.
    case disk(path: String, reason: String)
    /// The budget has no room for so many bytes beside the files of frames in progress.
    case noRoom(neededBytes: Int, budgetBytes: Int)

    public var description: String {
        switch self {
        case .wrongHash(let digest): "the bytes received do not have the hash \(digest)"
        case .disk(let path, let reason): "cannot write '\(path)': \(reason)"
        case .noRoom(let needed, let budget):
            "there is no room for \(sizeText(needed)) of scene files among the \(sizeText(budget)) "
                + "that this node keeps of them (--disk)"
        }
    }
}

/// Files by their SHA-256, in a folder. Safe to use from several threads: files are written under
/// a name of their own and renamed, and a reader keeps the file that it has opened.
///
/// One store uses a folder at a time.
public final class FileStore: Sendable {
    public let folder: String
    /// The most bytes of files that are kept.
    public let budgetBytes: Int
    private let shelf = Mutex(Shelf())
    /// The largest file that is taken from a peer, bytes.
    public static let fileBytesMax = 4 << 30
    /// What a store may take at most unless it is told otherwise, bytes, and as a share of the
    /// disk, one part in so many.
    static let defaultBudgetBytesMax = 20 << 30
    static let defaultBudgetDivisor = 10

    /// What is in the folder. Entries are the files, `usedBytes` counts those that are being
    /// written as well.
    private struct Shelf {
        var entries: [Digest: Entry] = [:]
        var usedBytes = 0
        /// Files that stay, and how many want that.
        var holds: [Digest: Int] = [:]
        /// The time given last, nanoseconds since 1970.
        var lastUse: Int64 = 0
        /// Names for files that are being written.
        var temporaries = 0
    }

    private struct Entry {
        var sizeBytes: Int
        /// Nanoseconds since 1970.
        var lastUse: Int64
    }

    /// Opens or makes a store, and removes what exceeds its budget.
    /// - Parameter budgetBytes: nil for the smaller of 20 GiB and a tenth of the disk.
    public init(folder: String, budgetBytes: Int? = nil) throws(FileStoreError) {
        self.folder = folder
        if let reason = Folder.create(folder) { throw .disk(path: folder, reason: reason) }
        self.budgetBytes = budgetBytes ?? Self.defaultBudget(folder: folder)
        shelf.withLock { shelf in
            takeStock(&shelf)
            _ = makeRoom(for: 0, &shelf)
        }
    }

    /// A tenth of the disk that holds a folder, but at most 20 GiB.
    static func defaultBudget(folder: String) -> Int {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return defaultBudgetBytesMax }
        let disk = UInt64(status.f_blocks).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        guard !disk.overflow else { return defaultBudgetBytesMax }
        return Int(
            min(UInt64(defaultBudgetBytesMax), disk.partialValue / UInt64(defaultBudgetDivisor)))
    }

    /// Learns what is there. A process that was killed while it wrote has left a file under no
    /// digest's name.
    private func takeStock(_ shelf: inout Shelf) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names {
            if let digest = Digest(hexadecimal: name) {
                _ = locate(digest, &shelf)
            } else {
                try? FileManager.default.removeItem(atPath: folder + "/" + name)
            }
        }
    }

    // MARK: - Use

    /// Bytes of all files, and of those that are being written.
    public var usedBytes: Int { shelf.withLock { $0.usedBytes } }

    public func contains(_ digest: Digest) -> Bool { shelf.withLock { locate(digest, &$0) } }

    /// Where a file is or would be: a name of 64 hexadecimal digits in the folder, whatever a peer
    /// has said.
    func path(of digest: Digest) -> String { folder + "/\(digest)" }

    /// The whole file; nil when it is not in the store. One that the disk has damaged is removed,
    /// so that it is fetched again.
    public func contents(of digest: Digest) -> [UInt8]? {
        guard let handle = open(digest), let data = try? handle.readToEnd() ?? Data() else {
            return nil
        }
        let bytes = [UInt8](data)
        guard Digest(hashing: bytes) == digest else {
            shelf.withLock { remove(digest, &$0) }
            return nil
        }
        return bytes
    }

    /// A file for reading, which counts as a use of it; nil when it is not in the store.
    func open(_ digest: Digest) -> FileHandle? {
        guard let handle = FileHandle(forReadingAtPath: path(of: digest)) else { return nil }
        shelf.withLock { shelf in
            if locate(digest, &shelf) { touch(digest, &shelf) }
        }
        return handle
    }

    /// Puts bytes into the store, under the hash they must have.
    /// - Throws: ``FileStoreError``; the store is then as it was, but for files that had to go.
    public func insert(_ bytes: [UInt8], as digest: Digest) throws(FileStoreError) {
        guard Digest(hashing: bytes) == digest else { throw .wrongHash(expected: digest) }
        let budget = budgetBytes
        let temporary = try shelf.withLock { shelf throws(FileStoreError) -> String? in
            if locate(digest, &shelf) {
                touch(digest, &shelf)
                return nil
            }
            guard makeRoom(for: bytes.count, &shelf) else {
                throw .noRoom(neededBytes: bytes.count, budgetBytes: budget)
            }
            shelf.usedBytes += bytes.count
            shelf.temporaries += 1
            return folder + "/.new-\(shelf.temporaries)"
        }
        guard let temporary else { return }
        var code = Self.write(bytes, to: temporary)
        // Others fill the disk as well: then files of the store go although its budget has room.
        while [ENOSPC, EDQUOT].contains(code),
            shelf.withLock({ free(bytes.count, &$0) })
        {
            code = Self.write(bytes, to: temporary)
        }
        let target = path(of: digest)
        code = shelf.withLock { shelf in
            shelf.usedBytes -= bytes.count
            var code = code
            if code == 0, rename(temporary, target) != 0 { code = errno }
            guard code == 0 else { return code }
            // Another thread may have put it there meanwhile.
            if !locate(digest, &shelf) { return ENOENT }
            touch(digest, &shelf)
            return 0
        }
        guard code == 0 else {
            unlink(temporary)
            throw .disk(path: target, reason: String(cString: strerror(code)))
        }
    }

    /// Writes a new file whole.
    /// - Returns: 0, or the system's error number; nothing is left of the file then.
    private static func write(_ bytes: [UInt8], to path: String) -> Int32 {
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return errno }
        var code: Int32 = 0
        var done = 0
        while done < bytes.count, code == 0 {
            let written = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if written >= 0 { done += written } else if errno != EINTR { code = errno }
        }
        // Some file systems find out only now.
        if close(file) != 0, code == 0 { code = errno }
        if code != 0 { unlink(path) }
        return code
    }

    // MARK: - Frames in progress

    /// Keeps files from being removed, those that are not there yet as well.
    public func hold(_ digests: Set<Digest> = []) -> FileHold { FileHold(self, digests) }

    fileprivate func retain(_ digest: Digest) {
        shelf.withLock { $0.holds[digest, default: 0] += 1 }
    }

    fileprivate func release(_ digests: Set<Digest>) {
        shelf.withLock { shelf in
            for digest in digests {
                let count = shelf.holds[digest, default: 0]
                shelf.holds[digest] = count > 1 ? count - 1 : nil
            }
        }
    }

    // MARK: - The shelf

    /// Whether a file is there, as the disk says.
    private func locate(_ digest: Digest, _ shelf: inout Shelf) -> Bool {
        var status = stat()
        let isThere =
            lstat(path(of: digest), &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        guard isThere else {
            shelf.usedBytes -= shelf.entries.removeValue(forKey: digest)?.sizeBytes ?? 0
            return false
        }
        let use = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        let known = shelf.entries[digest]
        shelf.usedBytes += Int(status.st_size) - (known?.sizeBytes ?? 0)
        shelf.entries[digest] = Entry(
            sizeBytes: Int(status.st_size), lastUse: known?.lastUse ?? use)
        shelf.lastUse = max(shelf.lastUse, use)
        return true
    }

    /// Notes that a file is used now.
    private func touch(_ digest: Digest, _ shelf: inout Shelf) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let reading = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
        shelf.lastUse = max(reading, shelf.lastUse + 1)
        shelf.entries[digest]?.lastUse = shelf.lastUse
        let time = timespec(
            tv_sec: Int(shelf.lastUse / 1_000_000_000), tv_nsec: Int(shelf.lastUse % 1_000_000_000))
        // On a disk that can't take it the order of this process holds.
        utimensat(AT_FDCWD, path(of: digest), [time, time], AT_SYMLINK_NOFOLLOW)
    }

    private func remove(_ digest: Digest, _ shelf: inout Shelf) {
        unlink(path(of: digest))
        _ = locate(digest, &shelf)
    }

    /// Removes what was used least recently until so many bytes have room in the budget.
    /// - Returns: whether they have; otherwise nothing was removed.
    private func makeRoom(for bytes: Int, _ shelf: inout Shelf) -> Bool {
        let excess = shelf.usedBytes + bytes - budgetBytes
        guard excess > 0 else { return true }
        let removable = shelf.entries.reduce(0) {
            $0 + (shelf.holds[$1.key] == nil ? $1.value.sizeBytes : 0)
        }
        guard removable >= excess else { return false }
        return free(excess, &shelf)
    }

    /// Removes what was used least recently, so many bytes of it if there are.
    /// - Returns: whether anything was removed.
    private func free(_ bytes: Int, _ shelf: inout Shelf) -> Bool {
        let candidates = shelf.entries.filter {
            shelf.holds[$0.key] == nil && $0.value.sizeBytes > 0
        }
        .sorted { ($0.value.lastUse, $0.key) < ($1.value.lastUse, $1.key) }
        let before = shelf.usedBytes
        for (digest, _) in candidates where before - shelf.usedBytes < bytes {
            remove(digest, &shelf)
        }
        return shelf.usedBytes < before
    }
}

/// While it lives, some files stay in their store.
public final class FileHold: Sendable {
    private let store: FileStore
    private let digests = Mutex<Set<Digest>>([])

    fileprivate init(_ store: FileStore, _ digests: Set<Digest>) {
        self.store = store
        for digest in digests { add(digest) }
    }

    deinit { release() }

    /// Has one more file stay.
    public func add(_ digest: Digest) {
        if digests.withLock({ $0.insert(digest).inserted }) { store.retain(digest) }
    }

    /// Lets all of them go.
    public func release() {
        let held = digests.withLock { digests in
            let held = digests
            digests = []
            return held
        }
        store.release(held)
    }
}
