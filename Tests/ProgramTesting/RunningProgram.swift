// A program under test as a process of its own, with what it wrote kept in files: nothing is lost
// when it is killed, and a test can read along while it runs.

import Foundation
import Synchronization

/// How a program ended, and what it wrote.
public struct ProgramResult: Sendable, CustomStringConvertible {
    public var arguments: [String]
    public var ending: ChildProcess.Ending
    /// Standard output.
    public var output: String
    /// Standard error.
    public var errors: String

    public var description: String {
        "\(arguments.joined(separator: " ")): \(ending)\n--- stdout\n\(output.suffix(2_000))\n"
            + "--- stderr\n\(errors.suffix(4_000))"
    }
}

/// Something a test waited for did not happen.
public struct WaitedInVain: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A running process.
public final class RunningProgram: Sendable, CustomStringConvertible {
    /// The process itself, for whoever ends it when the test is over.
    public let child: ChildProcess
    private let keptAlive: (any AnyObject & Sendable)?
    private let arguments: [String]
    private let outputPath: String
    private let errorsPath: String
    private static let counter = Atomic<Int>(0)

    /// Starts a program.
    /// - Parameters:
    ///   - command: an absolute path or a name on the PATH, and its arguments.
    ///   - environment: replaces values of this process's environment.
    ///   - folder: where the files of its output go; it must exist.
    ///   - directory: its working directory; nil for this process's.
    ///   - keptAlive: not released before this object: what the program runs in.
    /// - Throws: when it can't be started.
    public init(
        _ command: [String], environment: [String: String] = [:], folder: String,
        directory: String? = nil, keeping keptAlive: (any AnyObject & Sendable)? = nil
    ) throws {
        self.keptAlive = keptAlive
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        arguments = command
        outputPath = "\(folder)/\(number).stdout"
        errorsPath = "\(folder)/\(number).stderr"
        child = try ChildProcess(
            command, environment: environment, input: "/dev/null", output: outputPath,
            errors: errorsPath, directory: directory)
    }

    /// What it has written to standard output so far.
    public var output: String { Self.text(outputPath) }

    /// What it has written to standard error so far.
    public var errors: String { Self.text(errorsPath) }

    public var isRunning: Bool { child.isRunning }

    /// How it ended; nil while it runs.
    public var ending: ChildProcess.Ending? { child.ending }

    public var processIdentifier: Int32 { child.identifier }

    public var description: String {
        "\(arguments.joined(separator: " "))\n--- stdout\n\(output.suffix(2_000))\n"
            + "--- stderr\n\(errors.suffix(4_000))"
    }

    /// Sends a signal, if it still runs.
    public func signal(_ number: Int32) {
        child.signal(number)
    }

    /// Waits for its end.
    /// - Throws: ``WaitedInVain`` after `limit`; the process is killed then.
    public func result(within limit: Duration = .seconds(60)) async throws -> ProgramResult {
        do {
            try await eventually("the end of \(arguments.joined(separator: " "))", within: limit) {
                !child.isRunning
            }
        } catch {
            signal(SIGKILL)
            throw WaitedInVain("still running after \(limit): \(self)")
        }
        guard let ending = child.ending else { preconditionFailure("it has ended") }
        return ProgramResult(
            arguments: arguments, ending: ending, output: output, errors: errors)
    }

    private static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}

/// Runs a program to its end.
/// - Throws: ``WaitedInVain`` when it takes longer than `limit`.
@discardableResult
public func run(
    _ command: [String], environment: [String: String] = [:], folder: String,
    directory: String? = nil, within limit: Duration = .seconds(60)
) async throws -> ProgramResult {
    try await RunningProgram(
        command, environment: environment, folder: folder, directory: directory
    ).result(within: limit)
}

/// Waits until a condition holds, asking it again and again.
/// - Throws: ``WaitedInVain`` after `limit`, ``Meshd/patience`` times, and what the condition throws.
public func eventually(
    _ what: String, within limit: Duration, every interval: Duration = .milliseconds(20),
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let limit = limit * Meshd.patience
    let end = clock.now + limit
    while try await !condition() {
        guard clock.now < end else { throw WaitedInVain("waited \(limit) for \(what)") }
        try await Task.sleep(for: interval)
    }
}
