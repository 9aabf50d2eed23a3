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
        let keyring = KeyringFile.newMesh()
        try stateOptions.exclusively {
            if !force, try stateOptions.keyring() != nil {
                throw failure(
                    .failed,
                    "this machine is in a mesh already: 'meshd key show' prints its code, --force "
                        + "makes another one")
            }
            try KeyringFile.save(keyring, state: stateOptions.state)
        }
        await stateOptions.tellDaemon()
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
        guard try stateOptions.exclusively({ try takeOver(key) }) else { return }
        await stateOptions.tellDaemon()
        Terminal.note("this machine is in the mesh of key \(key.id)")
    }

    /// Keeps the key.
    /// - Returns: false when this machine was in that mesh before.
    private func takeOver(_ key: MeshKey) throws -> Bool {
        if let present = try stateOptions.keyring() {
            if let known = present.key(key.id), known == key {
                let former = known == present.current ? "" : "; this is a former code of it"
                Terminal.note("this machine is in that mesh already\(former)")
                return false
            }
            if present.revoked.contains(key.id) {
                throw failure(
                    .badUsage,
                    "this code was revoked: 'meshd key show' on another machine of the "
                        + "mesh prints the new one")
            }
            Terminal.note("left the mesh that this machine was in")
        }
        try KeyringFile.save(KeyringFile.newMesh(key: key), state: stateOptions.state)
        return true
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
                { try await $0.rotateKey() }, withoutDaemon: { try $0.rotate(to: MeshKey()) })
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
        @Flag(
            help: """
                Even if nodes that are up may not have the present key yet, or if no daemon runs \
                here that knows of any.
                """)
        var force = false
        @OptionGroup var stateOptions: StateOptions

        func run() async throws {
            try await stateOptions.change(
                { try await $0.revokeOldKeys(force: force) },
                withoutDaemon: { try revokeFormer(of: &$0) })
        }

        private func revokeFormer(of keyring: inout Keyring) throws {
            guard !keyring.former.isEmpty else {
                throw failure(.failed, "there is no old key: 'meshd key rotate' first")
            }
            guard force else {
                throw failure(
                    .failed,
                    "no daemon runs here, so that nobody knows who has the new key already: "
                        + "'meshd up', then this again; or --force: who has not must join anew")
            }
            keyring.revokeFormer()
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
        let wasMember = try stateOptions.exclusively {
            try KeyringFile.remove(state: stateOptions.state)
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

    /// Does what no other command does to the keys meanwhile.
    fileprivate func exclusively<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try KeyringFile.exclusively(state: state, body)
        } catch let error as StateError {
            throw failure(.failed, "\(error)")
        } catch let error as KeyringError {
            throw failure(.failed, "\(error)")
        }
    }

    /// The keys of the mesh that this machine must be in.
    private func presentKeyring() throws -> Keyring {
        guard let keyring = try keyring() else {
            throw failure(
                .noMesh,
                "this machine is in no mesh: 'meshd init' makes one, 'meshd join' lets it "
                    + "into another")
        }
        return keyring
    }

    /// Changes the keys of the mesh that this machine is in, by its daemon if one runs.
    fileprivate func change(
        _ byDaemon: (ControlClient) async throws -> String,
        withoutDaemon: (inout Keyring) throws -> Void
    ) async throws {
        _ = try presentKeyring()
        do {
            let client = try await ControlClient.connect(state: state)
            Terminal.note(try await byDaemon(client))
            await client.close()
            return
        } catch ControlError.noDaemon {
            // Then nobody else changes them.
        } catch {
            throw failure(.failed, "\(error)")
        }
        try exclusively {
            var keyring = try presentKeyring()
            try withoutDaemon(&keyring)
            try KeyringFile.save(keyring, state: state)
        }
        Terminal.note("other machines learn of it when 'meshd up' runs here")
        // It may have been started meanwhile.
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
