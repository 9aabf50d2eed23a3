// Folders on disk, made with the system's own words when that fails.

import Foundation
import Glibc

/// A folder that only its owner reads.
enum Folder {
    /// Makes a folder and those above it that are missing, for their owner only.
    /// - Returns: nil when the folder is there afterwards; otherwise the reason.
    static func create(_ path: String) -> String? {
        guard !path.isEmpty else { return "it has no name" }
        var end = path.startIndex
        repeat {
            let rest = path[end...].drop { $0 == "/" }
            end = rest.firstIndex(of: "/") ?? path.endIndex
            let part = String(path[..<end])
            guard mkdir(part, 0o700) == 0 || isFolder(part) else {
                let code = errno
                return code == EEXIST ? "'\(part)' is no folder" : String(cString: strerror(code))
            }
        } while end != path.endIndex
        return nil
    }

    /// Whether a path names a folder; leaves `errno` as it was.
    private static func isFolder(_ path: String) -> Bool {
        let code = errno
        defer { errno = code }
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
            && isDirectory.boolValue
    }
}
