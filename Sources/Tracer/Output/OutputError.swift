// Why a picture can't be written: the path, and the system's reason in its own words.

import Glibc

/// A picture that cannot be written.
public enum OutputError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name ends in none of the known extensions.
    case unknownExtension(path: String)
    /// The folder that the file should be in is not there, or is no folder.
    case folderMissing(path: String, folder: String)
    /// There is a folder of the file's name.
    case isFolder(path: String)
    /// The folder lets no file be made in it.
    case notWritable(path: String, reason: String)
    /// A later step failed: what it was (`write`, `flush`, `rename`) and the system's reason, such
    /// as a full disk.
    case failed(path: String, operation: String, reason: String)
    /// The format's library refused the picture.
    case encoding(path: String, operation: String, reason: String)

    public var description: String {
        switch self {
        case .unknownExtension(let path):
            "cannot write '\(path)': unknown extension; use .exr or .png"
        case .folderMissing(let path, let folder):
            "cannot write '\(path)': there is no folder '\(folder)'"
        case .isFolder(let path): "cannot write '\(path)': it is a folder"
        case .notWritable(let path, let reason): "cannot write '\(path)': \(reason)"
        case .failed(let path, let operation, let reason):
            "cannot write '\(path)': \(operation): \(reason)"
        case .encoding(let path, let operation, let reason):
            "cannot write '\(path)': \(operation): \(reason)"
        }
    }

    /// The system's words for an error number.
    static func reason(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(
            decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
