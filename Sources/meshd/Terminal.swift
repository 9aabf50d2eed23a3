// The rules of output: results on stdout, everything else on stderr; a line that renews itself
// only on a terminal. A log that can't be written, on a full disk or to a reader that has gone,
// must not end a frame; a result that can't be written is an error.

import Foundation
import Glibc

/// Where lines go.
enum Terminal {
    /// Whether stderr is a terminal that understands control sequences.
    static let isInteractive =
        isatty(STDERR_FILENO) != 0 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// Takes the place of standard streams that are closed, so that no file or socket of this
    /// program gets their numbers, and with them what is meant for people.
    static func occupyClosedStreams() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO]
        where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is this one. A write to it fails, and is told.
            _ = open("/dev/null", O_RDONLY)
        }
    }

    /// A result. Ends the program when it can't be written.
    static func out(_ line: String) {
        let code = write(line + "\n", to: STDOUT_FILENO)
        guard code != 0 else { return }
        // A reader that has gone, as `head` has, knows enough.
        if code != EPIPE {
            error("cannot write to standard output: \(String(cString: strerror(code)))")
        }
        Foundation.exit(Outcome.unwritableOutput.rawValue)
    }

    /// Something to know.
    static func note(_ line: String) {
        let clear = isInteractive ? "\r\u{1B}[K" : ""
        write(clear + line + "\n", to: STDERR_FILENO)
    }

    static func error(_ message: String) { note("meshd: \(message)") }

    /// Replaces the line that the last call wrote.
    static func renew(_ line: String) {
        var text = line
        if text.count >= columns { text = String(text.prefix(columns - 2)) + "…" }
        write("\r\u{1B}[K" + text, to: STDERR_FILENO)
    }

    /// Goes to a new line after `renew`.
    static func endRenewing() {
        if isInteractive { write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    /// Writes all of a text.
    /// - Returns: 0, or the system's error number. FileHandle would end the program instead.
    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let written = bytes[done...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if written >= 0 {
                done += written
            } else if errno == EAGAIN {
                // Whoever shares the descriptor has made it non-blocking.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, 1_000)
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }

    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else {
            return 100
        }
        return Int(size.ws_col)
    }
}

/// A value as JSON for people and programs.
func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
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

/// A share, 0 … 1, for people: 12.3 %.
func percentText(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

/// Seconds for people: 75 s, 12 min 5 s, 3 h 2 min.
func durationText(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded(.up))
    if whole < 100 { return "\(whole) s" }
    if whole < 6_000 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3_600) h \(whole / 60 % 60) min"
}
