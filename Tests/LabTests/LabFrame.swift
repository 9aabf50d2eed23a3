// The frames that the lab renders, and what one machine alone makes of them.

import Foundation
import ProgramTesting
import Testing

/// A frame of the test room.
struct LabFrame: Hashable, Sendable {
    var size: String
    var samplesPerPixel: Int
    var seed: Int
    /// Of an adaptive frame; `samplesPerPixel` is the most then.
    var noiseTarget: Double?

    /// Six to ten seconds on the two processors of the smallest machine that runs the tests.
    static let long = LabFrame(size: "640x480", samplesPerPixel: 32, seed: 3)
    /// About a second there.
    static let short = LabFrame(size: "320x240", samplesPerPixel: 24, seed: 11)
    /// Like ``short``, of other samples.
    static let other = LabFrame(size: "320x240", samplesPerPixel: 24, seed: 12)
    /// About two seconds there: the first frame of a soak, and the one asked for beside it.
    static let soak = [21, 22].map { LabFrame(size: "320x240", samplesPerPixel: 48, seed: $0) }

    /// An adaptive one that takes as long, and of which nearly half is waived.
    static let adaptive = LabFrame(
        size: "320x240", samplesPerPixel: 96, seed: 23, noiseTarget: 0.15)

    /// The arguments of a rendering into `folder`.
    func arguments(in folder: String, label: String) -> [String] {
        let noise = noiseTarget.map { ["--noise-target", "\($0)"] } ?? []
        return ["render"] + noise + [
            Self.scenePath, "--size", size, "--spp", "\(samplesPerPixel)", "--seed",
            "\(seed)", "-o", "\(folder)/\(label).exr", "--stats", "\(folder)/\(label).json",
        ]
    }

    /// The film's hash when one process renders it alone.
    func localHash() async throws -> String { try await alone().filmHash }

    /// The figures of one process that renders it alone.
    func alone() async throws -> Statistics { try await Self.references.statistics(of: self) }

    /// The frame's begin on a host; with ``statistics(of:on:label:within:)`` its end.
    func start(on host: LabHost, label: String = "frame") throws -> RunningProgram {
        try host.spawnMeshd(arguments(in: host.folder, label: label))
    }

    /// Renders the frame from a host and checks that it is the film that one machine makes.
    @discardableResult
    func render(from host: LabHost, label: String = "frame") async throws -> Statistics {
        let program = try start(on: host, label: label)
        return try await statistics(of: program, on: host, label: label)
    }

    /// Waits for a rendering and checks that it is complete, and the film that one machine makes.
    @discardableResult
    func statistics(
        of program: RunningProgram, on host: LabHost, label: String = "frame",
        within limit: Duration = .seconds(120)
    ) async throws -> Statistics {
        let result = try await program.result(within: limit)
        guard result.ending == .exit(0) else {
            throw WaitedInVain("the rendering failed: \(result)")
        }
        let statistics = try Statistics(contentsOf: "\(host.folder)/\(label).json")
        let alone = try await localHash()
        #expect(statistics.complete)
        try #require(
            statistics.filmHash == alone,
            "the mesh's film must be the one that a single machine makes, bit for bit")
        #expect(FileManager.default.fileExists(atPath: "\(host.folder)/\(label).exr"))
        return statistics
    }

    private static let folder: String = {
        let folder = "/tmp/meshd-lab-reference-\(ProcessInfo.processInfo.processIdentifier)"
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(atPath: LabFrame.folder) }
        return folder
    }()

    private static let scenePath: String = {
        let path = folder + "/room.glb"
        _ = FileManager.default.createFile(atPath: path, contents: SceneFixture.room())
        return path
    }()

    private static let references = References()

    /// Films of one machine, each rendered once.
    private actor References {
        private var known: [LabFrame: Statistics] = [:]

        func statistics(of frame: LabFrame) async throws -> Statistics {
            if let known = known[frame] { return known }
            let label = "\(frame.seed)-\(frame.size)-\(frame.samplesPerPixel)"
            let result = try await run(
                [Meshd.path] + frame.arguments(in: folder, label: label) + ["--local"],
                environment: ["MESHD_STATE": folder + "/state"], folder: folder,
                within: .seconds(180))
            guard result.ending == .exit(0) else {
                throw WaitedInVain("the local rendering failed: \(result)")
            }
            let statistics = try Statistics(contentsOf: "\(folder)/\(label).json")
            #expect(statistics.complete)
            known[frame] = statistics
            return statistics
        }
    }
}

extension LabHost {
    /// Waits until the film on this host, which originated the frame, holds so much of it.
    func filmHolds(percent wanted: Double, of rendering: RunningProgram) async throws {
        try await eventually(
            "\(wanted) percent", within: .seconds(120), every: .milliseconds(100)
        ) {
            guard rendering.isRunning else {
                throw WaitedInVain("ended before \(wanted) percent were seen: \(rendering)")
            }
            return try await status().frames.contains { $0.committed * 100 >= wanted }
        }
    }
}
