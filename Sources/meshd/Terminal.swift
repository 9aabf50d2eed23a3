// The rules of output: results on stdout, everything else on stderr; a line that renews itself
// only on a terminal.

import Foundation

/// Where lines go.
enum Terminal {
    /// Whether stderr is a terminal that understands control sequences.
    static let isInteractive =
        isatty(STDERR_FILENO) != 0 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// A result.
    static func out(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    /// Something to know.
    static func note(_ line: String) {
        let clear = isInteractive ? "\r\u{1B}[K" : ""
        FileHandle.standardError.write(Data((clear + line + "\n").utf8))
    }

    static func error(_ message: String) { note("meshd: \(message)") }

    /// Replaces the line that the last call wrote.
    static func renew(_ line: String) {
        var text = line
        if text.count >= columns { text = String(text.prefix(columns - 2)) + "…" }
        FileHandle.standardError.write(Data(("\r\u{1B}[K" + text).utf8))
    }

    /// Goes to a new line after `renew`.
    static func endRenewing() {
        if isInteractive { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
    }

    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else {
            return 100
        }
        return Int(size.ws_col)
    }
}

/// Prints a value as JSON on stdout.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    Terminal.out(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Columns of text, padded to their widest entries.
func table(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
        rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
        row.enumerated().map { column, text in
            column == row.count - 1
                ? text : text + String(repeating: " ", count: widths[column] - text.count)
        }.joined(separator: "  ")
    }.joined(separator: "\n")
}

/// A number of samples for people: 3.2 M.
func samplesText(_ samples: Double) -> String {
    switch samples {
    case 1e9...: String(format: "%.2f G", samples / 1e9)
    case 1e6...: String(format: "%.2f M", samples / 1e6)
    case 1e3...: String(format: "%.0f k", samples / 1e3)
    default: String(format: "%.0f", samples)
    }
}

/// Seconds for people: 75 s, 12 min 5 s, 3 h 2 min.
func durationText(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded(.up))
    if whole < 100 { return "\(whole) s" }
    if whole < 6_000 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3_600) h \(whole / 60 % 60) min"
}
