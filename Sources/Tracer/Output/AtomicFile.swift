// A file that is either the old one or the whole new one, never half: it grows under another name
// in the same folder, is flushed to the disk, and then takes the old one's place.

import Glibc

/// A file being written; without `commit` nothing remains of it.
final class AtomicFile {
    /// The path that the file will have.
    let path: String
    private let temporaryPath: String
    private var descriptor: Int32
    /// The first error of a write through a C callback, which can't throw.
    private(set) var writeErrorCode: Int32 = 0

    /// Makes an empty file beside `path`.
    init(path: String) throws(OutputError) {
        let (folder, name) = Self.split(path)
        try Self.checkPlace(path: path, folder: folder)
        // Another process, or another writer of this one, must not take the same name.
        var generator = SystemRandomNumberGenerator()
        let tag = String(generator.next() as UInt64, radix: 36)
        // A name at the length limit still leaves room for the tag.
        let stem = String(decoding: name.utf8.prefix(200), as: UTF8.self)
        temporaryPath = folder + "/." + stem + "." + tag + ".partial"
        self.path = path
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw .notWritable(path: path, reason: OutputError.reason(errno))
        }
    }

    /// Takes an open file, so that a device that fails can stand in for a disk that does.
    init(path: String, temporaryPath: String, descriptor: Int32) {
        self.path = path
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporaryPath)
    }

    /// Writes all bytes at an offset.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(OutputError) {
        guard writeAll(bytes, at: offset) else { throw failure("write", writeErrorCode) }
    }

    /// Writes all bytes at an offset; false, with `writeErrorCode`, when the system refuses.
    func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let written = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if written > 0 {
                done += written
            } else if written < 0, errno == EINTR {
                continue
            } else {
                // A write that takes nothing and gives no reason is a full device.
                if writeErrorCode == 0 { writeErrorCode = written == 0 ? ENOSPC : errno }
                return false
            }
        }
        return true
    }

    /// Flushes the file to the disk and gives it its name.
    func commit() throws(OutputError) {
        guard fsync(descriptor) == 0 else { throw failure("flush", errno) }
        guard rename(temporaryPath, path) == 0 else { throw failure("rename", errno) }
        let code = close(descriptor) == 0 ? 0 : errno
        descriptor = -1
        // Networked file systems report late errors on close.
        guard code == 0 else { throw failure("close", code) }
        // The new name is on the disk when the folder is; some file systems can't flush one, and
        // then there is nothing more to do.
        let folder = open(Self.split(path).folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// The folder and the name in it.
    static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, String(path[path.index(after: slash)...]))
    }

    private static func checkPlace(path: String, folder: String) throws(OutputError) {
        var status = stat()
        guard stat(folder, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR {
                throw .folderMissing(path: path, folder: folder)
            }
            throw .notWritable(path: path, reason: OutputError.reason(errno))
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .folderMissing(path: path, folder: folder)
        }
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            throw .isFolder(path: path)
        }
    }

    private func failure(_ operation: String, _ code: Int32) -> OutputError {
        .failed(path: path, operation: operation, reason: OutputError.reason(code))
    }
}
