// `meshd up`: the daemon, in the foreground.

import ArgumentParser
import Foundation
import MeshCore
import MeshRuntime
import MeshSecurity

struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Make this machine a node of the mesh, until Ctrl-C.",
        discussion: "Nodes find each other by mDNS; where there is none, name one with --peer.")

    @Option(help: "What people call this node. (default: the host's name)")
    var name: String?

    @Option(help: ArgumentHelp("Where to listen, UDP and TCP.", valueName: "address:port"))
    var listen: String = "0.0.0.0:\(MeshProtocol.defaultPort)"

    @Option(help: "Render threads. (default: one for each processor core)")
    var threads: Int?

    @Option(
        name: .customLong("peer"),
        help: ArgumentHelp(
            "A node to ask for the others; may be repeated.", valueName: "host:port"))
    var peers: [String] = []

    @Flag(name: .customLong("no-mdns"), help: "Neither publish this node nor look for others.")
    var withoutDiscovery = false

    @OptionGroup var limitOptions: LimitOptions
    @OptionGroup var stateOptions: StateOptions

    func validate() throws {
        guard NodeAddress(listen) != nil else {
            throw ValidationError(
                "--listen '\(listen)' is no numeric ADDRESS:PORT, such as 192.168.1.20:4874")
        }
        if let name {
            let isPrintable = name.unicodeScalars.allSatisfy {
                $0.properties.generalCategory != .control
            }
            guard (1...64).contains(name.utf8.count), isPrintable else {
                throw ValidationError("--name has 1 to 64 bytes and no control characters")
            }
        }
        if let threads, !(1...1_024).contains(threads) {
            throw ValidationError("--threads is between 1 and 1024")
        }
    }

    func run() async throws {
        let contacts = try await resolve(peers)
        guard let address = NodeAddress(listen) else { throw Outcome.badUsage.exitCode }
        let interruption = Interruption()
        let state: StateFolder
        do {
            state = try StateFolder(path: stateOptions.state)
        } catch {
            throw failure(.failed, "\(error)")
        }
        let keyring = try openKeyring()
        let configuration = NodeConfiguration(
            name: name ?? ProcessInfo.processInfo.hostName, listen: address,
            threads: threads ?? ProcessInfo.processInfo.activeProcessorCount,
            peers: contacts, usesDiscovery: !withoutDiscovery, niceness: 19,
            limits: limitOptions.limits)
        let runtime: NodeRuntime
        let control: ControlServer
        do {
            runtime = try await NodeRuntime(
                configuration: configuration, state: state, keyring: keyring,
                logger: makeLogger("meshd"))
            control = try await ControlServer(runtime: runtime)
        } catch {
            throw failure(.failed, "cannot start: \(error)")
        }
        await show(runtime)
        await control.restart(by: interruption)
        let cause = await interruption.wait()
        Terminal.note("leaving the mesh")
        await control.close()
        await runtime.stop()
        if cause == .restart {
            throw failure(.failed, "cannot start anew: \(interruption.restart())")
        }
    }

    private func openKeyring() throws -> Keyring {
        do {
            let (keyring, isNew) = try KeyringFile.loadOrMake(state: stateOptions.state)
            if isNew { Terminal.note(privateMeshLine) }
            return keyring
        } catch {
            throw failure(.failed, "\(error)")
        }
    }

    @EventLoop
    private func show(_ runtime: NodeRuntime) {
        Terminal.note(
            "node \(runtime.configuration.name) (\(runtime.identity.node)) "
                + "on \(runtime.address), \(runtime.configuration.threads) threads")
        runtime.onNotice = { Terminal.note($0) }
    }
}

extension ControlServer {
    /// Has the program start anew when the machine goes over to another mesh.
    fileprivate func restart(by interruption: Interruption) {
        onRejoin = { interruption.requestRestart() }
    }
}
