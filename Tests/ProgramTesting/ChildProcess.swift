// A child process by posix_spawn and waitpid. Foundation's Process learns of a child's end by a
// socket that the child's own children inherit, and misses it when one of them lives on.

import Foundation
import Synchronization

/// A process that this one has started.
public final class ChildProcess: Sendable {
    /// By its own will, or by a signal: a crash, or a kill of the test.
    public enum Ending: Sendable, Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    /// Its process id, and that of its group.
    public let identifier: Int32
    private let reaped = Mutex<Ending?>(nil)

    /// Keeps what this process was started with, a lock's file for instance, from its children:
    /// one that outlives a killed test run would hold it for ever.
    private static let keepsDescriptors: Void = {
        for descriptor in Int32(3)..<64 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }()

    /// Starts a process in a group of its own, with default signals.
    /// - Parameters:
    ///   - command: an absolute path or a name on the PATH, and its arguments.
    ///   - environment: replaces values of this process's environment.
    ///   - input: the path of a file.
    ///   - inputDescriptor: an open file to use instead.
    ///   - output: the path of a file, made anew; nil for this process's standard output.
    ///   - errors: the path of a file, made anew; nil for this process's standard error.
    ///   - directory: its working directory; nil for this process's.
    /// - Throws: ``WaitedInVain`` when it can't be started.
    public init(
        _ command: [String], environment: [String: String] = [:], input: String,
        inputDescriptor: Int32? = nil, output: String?, errors: String?, directory: String? = nil
    ) throws {
        _ = Self.keepsDescriptors
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let inputDescriptor {
            posix_spawn_file_actions_adddup2(&actions, inputDescriptor, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
        }
        for (descriptor, path) in [(STDOUT_FILENO, output), (STDERR_FILENO, errors)] {
            guard let path else { continue }
            posix_spawn_file_actions_addopen(
                &actions, descriptor, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        // glibc's way of changing the folder is hidden from Swift.
        let command = directory.map { ["env", "-C", $0] + command } ?? command
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
            .map { "\($0)=\($1)" }
        var identifier: pid_t = 0
        let code = Self.withStrings(command) { arguments in
            Self.withStrings(variables) { variables in
                posix_spawnp(
                    &identifier, command[0], &actions, &attributes, arguments, variables)
            }
        }
        guard code == 0 else {
            throw WaitedInVain("cannot start \(command): \(String(cString: strerror(code)))")
        }
        self.identifier = identifier
    }

    /// How it ended; nil while it runs.
    public var ending: Ending? {
        reaped.withLock { reaped in
            if let reaped { return reaped }
            var status: Int32 = 0
            guard waitpid(identifier, &status, WNOHANG) == identifier else { return nil }
            let number = status & 0x7F
            let ending: Ending = number == 0 ? .exit(status >> 8 & 0xFF) : .signal(number)
            reaped = ending
            return ending
        }
    }

    public var isRunning: Bool { ending == nil }

    /// Sends a signal, if it still runs.
    public func signal(_ number: Int32) {
        // A process that has not been waited for keeps its id, so this hits no other.
        guard isRunning else { return }
        kill(identifier, number)
    }

    private static func withStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}
