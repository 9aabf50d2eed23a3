// Where a frame's result goes: pictures and figures, and how much is said on the way.

import ArgumentParser
import Foundation
import Glibc
import Tracer

/// The options of every command that writes a frame's pictures.
struct OutputOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("A picture, .exr or .png; may be repeated.", valueName: "file"))
    var pictures: [String] = []

    @Option(help: ArgumentHelp("Stops of exposure, for .png.", valueName: "stops"))
    var exposure: Float = 0

    @Option(help: ArgumentHelp("Write the frame's figures as JSON.", valueName: "file"))
    var stats: String?

    @Flag(help: "Say only what goes wrong.") var quiet = false

    func validate() throws {
        guard !pictures.isEmpty else {
            throw ValidationError("name at least one picture with -o")
        }
        guard exposure.isFinite, abs(exposure) <= 20 else {
            throw ValidationError("--exposure is between -20 and 20 stops")
        }
        var places: Set<String> = []
        for path in pictures + (stats.map { [$0] } ?? []) {
            guard places.insert(Self.place(of: path)).inserted else {
                throw ValidationError("'\(path)' is named twice as an output")
            }
        }
    }

    /// Finds out, before anything is rendered, whether all outputs can be written.
    /// - Throws: an exit code, after saying which one can't.
    func checkWritable() throws {
        do {
            for picture in pictures { try PictureWriter.check(path: picture) }
            if let stats { try PictureWriter.check(folderOf: stats) }
        } catch {
            throw failure(.unwritableOutput, "\(error)")
        }
    }

    /// One spelling for each file: the folder's real path, and the name in it.
    private static func place(of path: String) -> String {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        guard let resolved = realpath(folder, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved) + "/" + name
    }
}
