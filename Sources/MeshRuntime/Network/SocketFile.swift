// The file of a Unix-domain socket: one that a killed daemon left behind is replaced, one that
// somebody still answers, or that is no socket, is not.

import CLibuv
import Glibc

enum SocketFile {
    /// The longest path that fits a `sockaddr_un` with its terminator.
    static var pathBytesMax: Int { MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1 }

    /// - Throws: `ENAMETOOLONG`; libuv would cut the path.
    static func checkLength(_ path: String) throws(NetworkError) {
        if path.utf8.count > pathBytesMax {
            throw NetworkError(
                code: UV_ENAMETOOLONG.rawValue,
                operation: "use the socket \(path), of more than \(pathBytesMax) bytes")
        }
    }

    /// Makes sure that a socket can be bound at `path`.
    /// - Throws: `EADDRINUSE` when somebody answers there, `EEXIST` when it is no socket.
    static func removeStale(_ path: String) throws(NetworkError) {
        try checkLength(path)
        var information = stat()
        guard lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw NetworkError(
                code: UV_EEXIST.rawValue, operation: "use \(path), which is no socket")
        }
        if try isAnswered(path) {
            throw NetworkError(code: UV_EADDRINUSE.rawValue, operation: "listen at \(path)")
        }
        if unlink(path) != 0, errno != ENOENT {
            throw NetworkError(code: -errno, operation: "remove the stale socket \(path)")
        }
    }

    /// Whether a process listens at the socket.
    private static func isAnswered(_ path: String) throws(NetworkError) -> Bool {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, flags, 0)
        try check(descriptor < 0 ? -errno : 0, "create a Unix socket")
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: address) {
            connect(
                descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
                socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        // A full queue (EAGAIN) has somebody behind it; so, to be careful, has anything unclear.
        return result == 0 || (errno != ECONNREFUSED && errno != ENOENT)
    }
}
