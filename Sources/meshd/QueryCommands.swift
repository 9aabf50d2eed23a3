// `meshd nodes`, `meshd devices`, `meshd status`: what the daemon of this machine knows.

import ArgumentParser
import Foundation
import MeshRuntime

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "List the nodes of the mesh.")
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        let nodes = try await stateOptions.ask { try await $0.nodes() }
        if json { return Terminal.out(try jsonText(nodes)) }
        var rows = [["NODE", "ADDRESS", "STATUS", "SPEED", "DEVICES", "VERSION"]]
        for node in nodes {
            rows.append([
                node.name + (node.isThisNode ? " *" : ""), node.address, node.status,
                node.samplesPerSecond > 0 ? samplesText(node.samplesPerSecond) + "/s" : "-",
                node.devices, node.version,
            ])
        }
        Terminal.out(table(rows))
        for node in nodes {
            for refusal in node.refusals ?? [] { Terminal.out("\(node.name) \(refusal)") }
        }
    }
}

struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "List what renders on this machine.")
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        // Without a daemon this machine's devices are what one would use.
        let devices: [DeviceInfo]
        do {
            let client = try await ControlClient.connect(state: stateOptions.state)
            devices = try await client.devices()
            await client.close()
        } catch ControlError.noDaemon {
            devices = [.processor(threads: ProcessInfo.processInfo.activeProcessorCount)]
        } catch {
            throw failure(.noMesh, "\(error)")
        }
        if json { return Terminal.out(try jsonText(devices)) }
        Terminal.out(
            table(
                [["KIND", "THREADS", "NAME"]]
                    + devices.map { [$0.kind, "\($0.threads)", $0.name] }))
    }
}

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what the daemon of this machine does.")
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var stateOptions: StateOptions

    func run() async throws {
        let status = try await stateOptions.ask { try await $0.status() }
        if json { return Terminal.out(try jsonText(status)) }
        Terminal.out(
            """
            node       \(status.name) (\(status.id)), meshd \(status.version)
            address    \(status.address)
            mDNS       \(status.discovery)
            mesh       \(status.nodesAlive) nodes alive
            """)
        for frame in status.frames {
            let size = frame.width.map { "\($0)x\(frame.height ?? 0)" } ?? "unknown size"
            Terminal.out(
                "frame      \(frame.id), \(size), \(Int(frame.committed * 100)) % here, \(frame.stage), "
                    + "\(frame.participants) participants" + (frame.isRoot ? ", root here" : ""))
            for refusal in frame.refusals ?? [] { Terminal.out("           \(refusal)") }
        }
        if status.garbageReceived > 0 {
            Terminal.out("garbage    \(status.garbageReceived) datagrams or connections dropped")
        }
    }
}
