// The door through which films become files.

/// Writes films as pictures, atomically: a reader of the path sees the old picture or the new.
public struct PictureWriter: Sendable {
    /// How films look in formats for the eye.
    public var view: ViewTransform

    public init(view: ViewTransform = ViewTransform()) { self.view = view }

    /// Writes a film, complete or not, in the format that the path's extension names.
    /// - Throws: ``OutputError``; the file at the path is then what it was.
    public func write(
        _ film: Film, to path: String, metadata: [PictureAttribute] = []
    ) throws(OutputError) {
        try write(FilmImage(film), to: path, metadata: metadata)
    }

    /// Writes a resolved film, for callers that write one picture in several formats.
    /// - Throws: ``OutputError``; the file at the path is then what it was.
    public func write(
        _ image: FilmImage, to path: String, metadata: [PictureAttribute] = []
    ) throws(OutputError) {
        guard let format = OutputFormat(path: path) else { throw .unknownExtension(path: path) }
        let file = try AtomicFile(path: path)
        switch format {
        case .exr: try EXRFile.write(image, attributes: metadata, to: file)
        case .png:
            try PNGFile.write(
                view.bytes(of: image), width: image.width, height: image.height,
                attributes: metadata, to: file)
        }
        try file.commit()
    }

    /// Finds out, before anything is rendered, whether a picture can be written to a path: by
    /// making a file in its folder and removing it.
    /// - Throws: ``OutputError``, for an unknown extension too.
    public static func check(path: String) throws(OutputError) {
        guard OutputFormat(path: path) != nil else { throw .unknownExtension(path: path) }
        try check(folderOf: path)
    }

    /// Writes a text file, such as a frame's figures, as atomically as a picture.
    /// - Throws: ``OutputError``; the file at the path is then what it was.
    public static func write(text: String, to path: String) throws(OutputError) {
        let file = try AtomicFile(path: path)
        let bytes = Array(text.utf8)
        guard bytes.withUnsafeBytes({ file.writeAll($0, at: 0) }) else {
            throw .failed(
                path: path, operation: "write", reason: OutputError.reason(file.writeErrorCode))
        }
        try file.commit()
    }

    /// Finds out whether any file can be written to a path.
    /// - Throws: ``OutputError``.
    public static func check(folderOf path: String) throws(OutputError) {
        _ = try AtomicFile(path: path)
    }
}
