// The files of a scene on disk, at submission.

import Glibc

/// Files below a folder on disk.
///
/// Names that leave the folder (`..`, absolute paths, URL schemes, symbolic links that point out
/// of it) are refused, and so is everything that is not a regular file.
public struct FolderFiles: SceneFiles {
    /// The folder, as it was given.
    public let folder: String

    public init(folder: String) { self.folder = folder.isEmpty ? "." : folder }

    public func contents(of name: String) throws(SceneError) -> [UInt8] {
        let shown = printable(name)
        let isInside =
            !name.isEmpty && !name.hasPrefix("/") && !name.contains("://")
            && !name.utf8.contains(0) && !name.split(separator: "/").contains("..")
        guard isInside else {
            throw .unreadableFile(shown, reason: "it does not name a file below the scene's folder")
        }
        guard let root = Self.realPath(folder) else { throw Self.failure(folder) }
        guard let path = Self.realPath(root + "/" + name) else { throw Self.failure(name) }
        guard root == "/" || path.hasPrefix(root + "/") else {
            throw .unreadableFile(shown, reason: "it is a link out of the scene's folder")
        }
        // Non-blocking, or opening a pipe would wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure(name) }
        defer { close(descriptor) }
        return try Self.read(descriptor, name: name)
    }

    /// The name by which a file of the folder, given by its path, is known here.
    /// - Throws: ``SceneError`` when it is not there, or not in or below the folder.
    public func name(of path: String) throws(SceneError) -> String {
        guard let root = Self.realPath(folder) else { throw Self.failure(folder) }
        // The file itself may be a link: what it is named by is where it stands.
        var parent = path
        var file = path
        if let slash = path.lastIndex(of: "/") {
            parent = slash == path.startIndex ? "/" : String(path[..<slash])
            file = String(path[path.index(after: slash)...])
        } else {
            parent = "."
        }
        guard let parent = Self.realPath(parent) else { throw Self.failure(path) }
        let prefix = root == "/" ? "/" : root + "/"
        let whole = (parent == "/" ? "" : parent) + "/" + file
        guard whole.hasPrefix(prefix) else {
            throw .unreadableFile(printable(path), reason: "it is not below '\(printable(folder))'")
        }
        return String(whole.dropFirst(prefix.count))
    }

    /// Reads a regular file to its end.
    private static func read(_ descriptor: Int32, name: String) throws(SceneError) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(name) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            throw .unreadableFile(
                printable(name), reason: isFolder ? "it is a folder" : "it is not a regular file")
        }
        let size = Int(status.st_size)
        guard size <= SceneLimits.fileSizeMax else {
            throw .tooLarge(
                "'\(printable(name))' has \(size) bytes, more than \(SceneLimits.fileSizeMax)")
        }
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = Glibc.read(
                    descriptor, buffer.baseAddress.map { $0 + count }, size - count)
                if got < 0, errno == EINTR { continue }
                if got < 0 { code = errno }
                // A file that shrinks meanwhile simply ends sooner.
                if got <= 0 { return }
                count += got
            }
        }
        guard code == 0 else {
            throw .unreadableFile(printable(name), reason: String(cString: strerror(code)))
        }
        return bytes
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The error that `errno` stands for.
    private static func failure(_ name: String) -> SceneError {
        let code = errno
        if code == ENOENT || code == ENOTDIR { return .missingFile(printable(name)) }
        return .unreadableFile(printable(name), reason: String(cString: strerror(code)))
    }
}
