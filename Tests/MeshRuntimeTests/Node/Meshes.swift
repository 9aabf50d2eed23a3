// Whole nodes in this process, and a small scene for them.

import Foundation
import Gossip
import Logging
import MeshCore
import MeshNode
import MeshSecurity
import ProgramTesting
import Testing
import Tracer
import WorkStealing

@testable import MeshRuntime

/// A scene on disk and its frame.
struct SmallFrame {
    let folder: TemporaryFolder
    let job: FrameJob
    let files: SubmittedFiles

    init(
        size: Int = 64, samples: Int = 32, verifiedShare: Double? = nil,
        noiseTarget: Float? = nil
    ) throws {
        folder = try TemporaryFolder()
        let path = folder.path + "/room.glb"
        try SceneFixture.room().write(to: URL(fileURLWithPath: path))
        let settings = FrameSettings(
            width: size, height: size, samplesPerPixel: samples, maxDepth: 4, seed: 1,
            cameraName: nil, noiseTarget: noiseTarget)
        files = try SubmittedFiles(scene: path, environment: nil)
        var job = try ScenePreparation.describe(
            files, settings: settings
        ) { (_, _) throws(SceneError) in }
        job.verifiedShare = verifiedShare
        self.job = job
    }

    /// The bytes of the file with this hash.
    func bytes(_ digest: Digest) -> [UInt8]? {
        job.files.first { $0.digest == "\(digest)" }.flatMap { try? files.contents(of: $0.name) }
    }

    func prepared() throws -> PreparedJob {
        try ScenePreparation.prepare(job, from: files, buildThreads: 1)
    }

    /// The film hash that every mesh must come to.
    func localHash() async throws -> String {
        let render = await LocalRender(
            try prepared(), threads: 2, niceness: 0, requested: EventLoop.now)
        let end = try #require(await Updates.end(render.updates))
        #expect(end.statistics.complete && end.film.isComplete)
        return end.statistics.filmHash
    }
}

/// Reads a frame's updates.
enum Updates {
    /// The film and the figures at the end; nil when the frame failed or the updates ended.
    static func end(
        _ updates: AsyncStream<RenderUpdate>
    ) async -> (film: Film, statistics: RenderStatistics)? {
        for await update in updates {
            switch update {
            case .finished(let film, let statistics): return (film, statistics)
            case .failed(let reason):
                Issue.record("the frame failed: \(reason)")
                return nil
            case .accepted, .notice, .progress, .picture: break
            }
        }
        return nil
    }
}

/// The mesh that the tests' nodes are in.
enum TestMesh {
    static let keyring = Keyring(key: MeshKey(), created: "now")
    /// That of a member that tests play.
    static let key = NodeKey()
    static let participant = ParticipantID(node: key.node, boot: 1)
    static let security = StreamSecurity.sealed(keyring, as: key)
}

/// A node in this process, with a state folder of its own.
@EventLoop
final class TestNode {
    let folder: TemporaryFolder
    let runtime: NodeRuntime

    init(
        _ name: String, peers: [NodeAddress] = [], keyring: Keyring = TestMesh.keyring,
        limits: NodeLimits = NodeLimits(), preamble: StreamPreamble = MeshProtocol.meshPreamble,
        fault: (@Sendable (inout FilmTile) -> Void)? = nil
    ) throws {
        folder = try TemporaryFolder()
        var logger = Logger(label: name)
        logger.logLevel = .critical
        var configuration = NodeConfiguration(
            name: name, listen: NodeAddress(127, 0, 0, 1, port: 0), threads: 1, peers: peers,
            usesDiscovery: false, niceness: 0, limits: limits)
        configuration.deviceFault = fault
        configuration.preamble = preamble
        runtime = try NodeRuntime(
            configuration: configuration,
            state: try StateFolder(path: folder.path + "/state"), keyring: keyring, logger: logger)
    }

    /// Puts a frame's files into the node's store.
    func store(_ frame: SmallFrame) throws {
        for file in frame.job.files {
            let digest = try #require(Digest(hexadecimal: file.digest))
            try runtime.store.insert(try #require(frame.bytes(digest)), as: digest)
        }
    }

    var aliveCount: Int { runtime.node.members.count { $0.status == .alive } }

    /// Whether each frame's film is what the machine thinks it is.
    var filmsAgree: Bool {
        runtime.frames.allSatisfy { frame, driver in
            runtime.node.participant(of: frame).map { $0.filmCoverage == driver.film.coverage }
                ?? true
        }
    }
}
