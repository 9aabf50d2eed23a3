// Options that several commands share, and the texts they are read from.

import ArgumentParser
import Foundation
import Logging
import MeshCore
import MeshRuntime

/// Which daemon or node is meant.
struct StateOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The folder with the node's identity, files and control socket.", valueName: "dir"))
    var state: String = StateFolder.defaultPath

    /// Asks the daemon one thing.
    /// - Throws: an exit code, after saying why there is no answer.
    func ask<Answer: Sendable>(
        _ question: (ControlClient) async throws -> Answer
    ) async throws -> Answer {
        let client = try await connect()
        do {
            let answer = try await question(client)
            await client.close()
            return answer
        } catch {
            throw failure(.noMesh, "\(error)")
        }
    }

    /// Opens a conversation with the daemon.
    /// - Throws: an exit code, after saying why.
    func connect() async throws -> ControlClient {
        do {
            return try await ControlClient.connect(state: state)
        } catch {
            throw failure(.noMesh, "\(error)")
        }
    }
}

/// The size of a picture: `1280x720`.
struct PictureSize: ExpressibleByArgument {
    var width: Int
    var height: Int

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    init?(argument: String) {
        let parts = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false)
        guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]) else {
            return nil
        }
        self.init(width: width, height: height)
    }

    var defaultValueDescription: String { "\(width)x\(height)" }
}

/// A part of something: `1%`, `0.5%` or `1`, all in percent.
struct Percentage: ExpressibleByArgument {
    /// 0 to 1.
    let share: Double

    init?(argument: String) {
        let text = argument.hasSuffix("%") ? argument.dropLast() : argument[...]
        guard let percent = Double(text), percent > 0, percent <= 100 else { return nil }
        share = percent / 100
    }
}

/// A log that goes to stderr; quiet unless something is wrong or `MESHD_LOG` names a level.
func makeLogger(_ label: String, level: Logger.Level = .warning) -> Logger {
    var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = level
    if let name = ProcessInfo.processInfo.environment["MESHD_LOG"], !name.isEmpty {
        if let named = Logger.Level(rawValue: name) {
            logger.logLevel = named
        } else {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            Terminal.error("MESHD_LOG is '\(name)', which is none of \(names)")
        }
    }
    return logger
}

/// Resolves `HOST:PORT` arguments, host names too.
/// - Throws: an exit code, after saying which one can't be read or found.
func resolve(_ texts: [String]) async throws -> [NodeAddress] {
    var addresses: [NodeAddress] = []
    for text in texts {
        // Without a port, the one that `meshd up` listens on unless told otherwise.
        let peer = text.contains(":") ? text : "\(text):\(MeshProtocol.defaultPort)"
        let found = await withCheckedContinuation { continuation in
            EventLoop.submit {
                HostResolver.resolve(peer) { continuation.resume(returning: $0) }
            }
        }
        switch found {
        case .success(let known): addresses += known
        case .failure(let error):
            // A name may be known later, when the network is up; what is no name never is.
            throw failure(error.isInvalidArgument ? .badUsage : .noMesh, "\(error)")
        }
    }
    return addresses
}
