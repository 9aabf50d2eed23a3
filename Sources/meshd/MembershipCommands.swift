// `meshd init`, `join`, `key`, `leave`: which mesh this machine is in.

import ArgumentParser
import Foundation
import MeshRuntime
import MeshSecurity

/// What is said when a machine that was in no mesh has made one.
let privateMeshLine =
    "this machine was in no mesh and has made its own; to let others in: 'meshd join' on them, "
    + "with the code that 'meshd key show' prints here"

/// Prints a join code; for people, also as a picture for a telephone.
private func show(_ code: JoinCode) {
    Terminal.out(code.text)
    if Terminal.isInteractive { QRCode(code.text)?.lines.forEach(Terminal.note) }
}

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
        show(JoinCode(key: keyring.current))
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
        let keyring = KeyringFile.newMesh(key: key)
        if let present, present.key(key.id) == key {
            Terminal.note("this machine is in that mesh already; this is a former code of it")
            return
        }
        if let present, present.revoked.contains(key.id) {
            throw failure(
                .badUsage,
                "this code was revoked: 'meshd key show' on another machine of the "
                    + "mesh prints the new one")
        }
        if present != nil { Terminal.note("left the mesh that this machine was in") }
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
        subcommands: [Show.self, Rotate.self, RevokeOld.self])

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
            show(JoinCode(key: keyring.current))
        }
    }
}

extension KeyCommand {
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Give the mesh another key; prints its join code.",
            discussion: """
                Nodes that are up learn the key of each other. The old code lets machines in until \
                'meshd key revoke-old'. Who has the old code and is in the mesh meanwhile learns \
                the new key too.
                """)
        @OptionGroup var stateOptions: StateOptions

        func run() async throws {
            try await stateOptions.change(
                { try await $0.rotateKey() }, withoutDaemon: { $0.rotate(to: MeshKey()) })
            guard let keyring = try stateOptions.keyring() else { throw Outcome.failed.exitCode }
            show(JoinCode(key: keyring.current))
        }
    }

    struct RevokeOld: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke-old", abstract: "Accept only the mesh's present key.",
            discussion: """
                Every node that is up does so at once. A machine that was off since before the \
                last rotation must join anew.
                """)
        @Flag(help: "Even if nodes that are up may not have the present key yet.")
        var force = false
        @OptionGroup var stateOptions: StateOptions

        func run() async throws {
            try await stateOptions.change(
                { try await $0.revokeOldKeys(force: force) },
                withoutDaemon: { $0.revokeFormer() })
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

    /// Changes the keys of the mesh that this machine is in, by its daemon if one runs.
    fileprivate func change(
        _ byDaemon: (ControlClient) async throws -> String,
        withoutDaemon: (inout Keyring) -> Void
    ) async throws {
        guard var keyring = try keyring() else {
            throw failure(
                .noMesh,
                "this machine is in no mesh: 'meshd init' makes one, 'meshd join' lets it "
                    + "into another")
        }
        do {
            let client = try await ControlClient.connect(state: state)
            Terminal.note(try await byDaemon(client))
            await client.close()
        } catch ControlError.noDaemon {
            withoutDaemon(&keyring)
            do {
                try KeyringFile.save(keyring, state: state)
            } catch {
                throw failure(.failed, "\(error)")
            }
            Terminal.note("other machines learn of it when 'meshd up' runs here")
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
