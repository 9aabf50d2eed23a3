// `meshd init`, `join`, `key`, `leave`: which mesh this machine is in.

import ArgumentParser
import Foundation
import MeshRuntime
import MeshSecurity

/// What is said when a machine that was in no mesh has made one.
let privateMeshLine =
    "this machine was in no mesh and has made its own; to let others in: 'meshd join' on them, "
    + "with the code that 'meshd key show' prints here"

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a mesh on this machine, and print its join code.",
        discussion: """
            Who has the code can join, read the scenes that are rendered and submit frames. It \
            is printed on stdout, everything else on stderr.
            """)
    @Flag(help: "Leave the mesh that this machine is in, whose code may be lost with that.")
    var force = false
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        if !force, try stateOptions.keyring() != nil {
            throw failure(
                .failed,
                "this machine is in a mesh already: 'meshd key show' prints its code, --force "
                    + "makes another one")
        }
        let keyring = KeyringFile.newMesh()
        try await stateOptions.adopt(keyring)
        Terminal.out(JoinCode(key: keyring.current).text)
        Terminal.note("to let others in: 'meshd join' on them, with this code")
    }
}

struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Let this machine into a mesh, by its join code.",
        discussion: """
            Without CODE, or with '-', the code is read from standard input, so that it is on no \
            list of processes. Small letters, spaces instead of dashes, and O for 0 do no harm.
            """)
    @Argument(help: "The code that 'meshd init' or 'meshd key show' printed elsewhere.")
    var code: String?
    @Option(help: ArgumentHelp("Read the code from a file.", valueName: "path")) var file: String?
    @OptionGroup var stateOptions: StateOptions

    func validate() throws {
        if code != nil, file != nil {
            throw ValidationError("name the code or a --file, not both")
        }
    }

    func run() async throws {
        let key: MeshKey
        do {
            key = try JoinCode(try readCode()).key
        } catch let error as JoinCodeError {
            throw failure(.badUsage, "\(error)")
        }
        let present = try stateOptions.keyring()
        if let present, present.current == key {
            Terminal.note("this machine is in that mesh already")
            return
        }
        var keyring = KeyringFile.newMesh(key: key)
        if let present, present.key(key.id) == key || present.revoked.contains(key.id) {
            Terminal.note("this is a former code of the mesh that this machine is in")
            keyring = present
            keyring.rotate(to: key)
        } else if present != nil {
            Terminal.note("left the mesh that this machine was in")
        }
        try await stateOptions.adopt(keyring)
        Terminal.note("this machine is in the mesh of key \(key.id)")
    }

    private func readCode() throws -> String {
        if let code, code != "-" { return code }
        let data: Data?
        if let file {
            data = FileManager.default.contents(atPath: file)
            guard data != nil else {
                throw failure(.badUsage, "cannot read the code from '\(file)'")
            }
        } else {
            if isatty(STDIN_FILENO) != 0 { Terminal.note("type the join code:") }
            data = readLine().map { Data($0.utf8) }
        }
        return String(decoding: (data ?? Data()).prefix(4_096), as: UTF8.self)
    }
}

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "The key of the mesh that this machine is in.",
        subcommands: [Show.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Print the join code.")
        @OptionGroup var stateOptions: StateOptions

        func run() async throws {
            guard let keyring = try stateOptions.keyring() else {
                throw failure(
                    .noMesh,
                    "this machine is in no mesh: 'meshd init' makes one, 'meshd join' "
                        + "lets it into another")
            }
            Terminal.out(JoinCode(key: keyring.current).text)
        }
    }
}

struct LeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave",
        abstract: "Forget the mesh that this machine is in.",
        discussion: """
            The machine needs the join code to come back. The mesh's key is not changed by this: \
            who has kept a copy of it is still a member.
            """)
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        let wasMember: Bool
        do {
            wasMember = try KeyringFile.remove(state: stateOptions.state)
        } catch {
            throw failure(.failed, "\(error)")
        }
        guard wasMember else { throw failure(.noMesh, "this machine is in no mesh") }
        Terminal.note("this machine is in no mesh any more")
        await stateOptions.tellDaemon()
    }
}

extension StateOptions {
    /// The keys of this machine's mesh; nil when it is in none.
    func keyring() throws -> Keyring? {
        do {
            return try KeyringFile.load(state: state)
        } catch {
            throw failure(.failed, "\(error)")
        }
    }

    /// Has this machine be in another mesh, and its daemon, if one runs.
    fileprivate func adopt(_ keyring: Keyring) async throws {
        do {
            try KeyringFile.save(keyring, state: state)
        } catch {
            throw failure(.failed, "\(error)")
        }
        await tellDaemon()
    }

    fileprivate func tellDaemon() async {
        do {
            let client = try await ControlClient.connect(state: state)
            Terminal.note(try await client.rejoin())
            await client.close()
        } catch ControlError.noDaemon {
            // It reads the keys when it starts.
        } catch {
            Terminal.error("the daemon must be started anew by hand: \(error)")
        }
    }
}
