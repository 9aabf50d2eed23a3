// The command `meshd`: its subcommands, and how it ends.

import ArgumentParser
import Foundation
import MeshRuntime
import Tracer

@main
struct Meshd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meshd",
        abstract: "Render one frame on all the machines of the network.",
        discussion: """
            `meshd init` on one machine makes a mesh and prints its join code; `meshd join` lets \
            the others in. Start `meshd up` on every machine. Then, on any of them:

                meshd render scene.glb -o picture.exr -o picture.png

            \(Outcome.help)
            """,
        version: "meshd \(MeshProtocol.programVersion)",
        subcommands: [
            InitCommand.self, JoinCommand.self, KeyCommand.self, LeaveCommand.self,
            UpCommand.self, RenderCommand.self, NodesCommand.self, DevicesCommand.self,
            StatusCommand.self, FramesCommand.self, FetchCommand.self, BenchCommand.self,
            SimCommand.self,
        ])

    static func main() async {
        Terminal.occupyClosedStreams()
        guard Processor.isSupported else {
            Terminal.error("this processor has no AVX2, which meshd needs")
            Foundation.exit(Outcome.failed.rawValue)
        }
        // Who stops reading our sockets or our log is told apart by the error of the write.
        signal(SIGPIPE, SIG_IGN)
        await main(nil)
    }
}

/// How the program ends; the values are in the help.
enum Outcome: Int32 {
    case done = 0
    /// A simulated run broke a promise.
    case brokenPromise = 1
    /// EX_USAGE of sysexits.h, as the argument parser has it.
    case badUsage = 64
    case unreadableScene = 65
    case noMesh = 69
    case failed = 70
    case unwritableOutput = 73
    case interrupted = 130

    var exitCode: ExitCode { ExitCode(rawValue) }

    static let help = """
        Exit codes: 0 done, 1 a simulation broke a promise, 64 bad usage, 65 unreadable scene, \
        69 no mesh, peer or daemon reachable, \
        70 failed, 73 output cannot be written, 130 interrupted (the picture so far is written).
        """
}

/// Ends the program with one clear line.
/// - Returns: what to throw.
func failure(_ outcome: Outcome, _ message: String) -> ExitCode {
    Terminal.error(message)
    return outcome.exitCode
}
