// The kinds of picture files, told by their names.

/// A format that a picture can be written in.
public enum OutputFormat: String, CaseIterable, Sendable {
    /// OpenEXR: scene-linear, with all planes of ``FilmImage`` and metadata.
    case exr
    /// PNG: 8 bits of sRGB, through a ``ViewTransform``.
    case png

    /// The format that a path's extension names, in either case; nil for any other.
    public init?(path: String) {
        let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return nil }
        self.init(rawValue: name[name.index(after: dot)...].lowercased())
    }
}

/// One piece of metadata in a picture file.
public struct PictureAttribute: Hashable, Sendable {
    public enum Value: Hashable, Sendable, CustomStringConvertible {
        case string(String)
        case int(Int)
        case double(Double)

        public var description: String {
            switch self {
            case .string(let text): text
            case .int(let number): String(number)
            case .double(let number): String(number)
            }
        }
    }

    /// ASCII, at most 79 characters, such as `software` or `meshd/seconds`.
    public let name: String
    public let value: Value

    public init(_ name: String, _ value: Value) {
        self.name = name
        self.value = value
    }
}
