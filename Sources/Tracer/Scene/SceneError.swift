// Why a scene can't be used. One line each, for a person who has the file in front of them.

/// A scene, or a file it refers to, that cannot be read.
public enum SceneError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file that the scene needs is not there.
    case missingFile(String)
    /// A file is there and can't be read: the name and the system's reason.
    case unreadableFile(String, reason: String)
    /// A file's bytes are not what its format demands.
    case malformed(file: String, reason: String)
    /// The file demands something that this program does not do.
    case unsupported(file: String, feature: String)
    /// What the user asked for is not in the scene, such as a camera's name.
    case notFound(String)
    /// The scene is larger than a bound.
    case tooLarge(String)

    public var description: String {
        switch self {
        case .missingFile(let name): "missing file '\(name)'"
        case .unreadableFile(let name, let reason): "cannot read '\(name)': \(reason)"
        case .malformed(let file, let reason): "'\(file)' is malformed: \(reason)"
        case .unsupported(let file, let feature): "'\(file)' needs \(feature), not supported"
        case .notFound(let what): "\(what)"
        case .tooLarge(let what): "\(what)"
        }
    }
}

/// Where an import finds the bytes of files by the names the scene uses: a folder at submission,
/// the hash-named store on a peer.
public protocol SceneFiles: Sendable {
    /// The whole contents of a file.
    /// - Throws: `SceneError.missingFile` or `.unreadableFile`.
    func contents(of name: String) throws(SceneError) -> [UInt8]
}
