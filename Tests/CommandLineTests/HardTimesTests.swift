// What a farm does to a program: logs that can't be written, terminals that close, impatience.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Hard times", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(2 * Meshd.patience)))
struct HardTimesTests {
    private static let small = ["render", "room.glb", "--size", "16x16", "--spp", "1", "--local"]
    private static let endless = [
        "render", "room.glb", "--size", "320x240", "--spp", "65536", "--local", "-o",
        "picture.png",
    ]

    /// Runs the program with its streams as a shell sets them.
    private static func meshd(
        _ arguments: [String], redirected: String, in place: Workplace
    ) async throws -> ProgramResult {
        try await run(
            ["/bin/sh", "-c", "\"$0\" \"$@\" \(redirected)", Meshd.path] + arguments,
            environment: ["MESHD_STATE": place.path("state"), "HOME": place.folder],
            folder: place.path("output"), directory: place.folder)
    }

    @Test(
        "A log that cannot be written does not cost the picture",
        arguments: ["2>&-", "2>/dev/full", "<&- >&- 2>&-", "2>&1 | true"])
    func log(_ redirected: String) async throws {
        let place = try Workplace()
        let result = try await Self.meshd(
            Self.small + ["-o", "picture.png"], redirected: redirected, in: place)
        #expect(result.ending == .exit(0), "\(result)")
        #expect(try PNG.isWhole(#require(place.contents(of: "picture.png"))))
    }

    @Test("A result that cannot be written is an error", arguments: [">&-", ">/dev/full"])
    func result(_ redirected: String) async throws {
        let place = try Workplace()
        let result = try await Self.meshd(["devices"], redirected: redirected, in: place)
        #expect(result.ending == .exit(73), "\(result)")
        #expect(result.errors.contains("standard output"), "\(result)")
    }

    @Test("A terminal that closes is an interruption, but not under nohup")
    func hangUp() async throws {
        let place = try Workplace()
        let rendering = try place.start(Self.endless)
        try await eventually("a picture", within: .seconds(60)) { place.exists("picture.png") }
        rendering.signal(SIGHUP)
        let result = try await rendering.result(within: .seconds(20))
        #expect(result.ending == .exit(130), "\(result)")
        #expect(result.errors.contains("% complete"), "\(result)")

        try FileManager.default.removeItem(atPath: place.path("picture.png"))
        let kept = try RunningProgram(
            ["nohup", Meshd.path] + Self.endless, folder: place.path("output"),
            directory: place.folder)
        try await eventually("a picture", within: .seconds(60)) { place.exists("picture.png") }
        kept.signal(SIGHUP)
        let picture = place.contents(of: "picture.png")
        try await eventually("another picture", within: .seconds(60)) {
            try #require(kept.isRunning, "\(kept)")
            return place.contents(of: "picture.png") != picture
        }
        kept.signal(SIGINT)
        #expect(try await kept.result(within: .seconds(20)).ending == .exit(130))
    }

    @Test("A daemon that is frozen is told from one that is absent, and a second Ctrl-C ends all")
    func frozenDaemon() async throws {
        let place = try Workplace()
        let daemon = try place.start(["up", "--listen", "127.0.0.1:0", "--no-mdns"])
        try await eventually("the daemon", within: .seconds(20)) {
            try #require(daemon.isRunning, "\(daemon)")
            return try await place.meshd(["status"]).ending == .exit(0)
        }
        let rendering = try place.start(Self.endless.filter { $0 != "--local" })
        try await eventually("a picture", within: .seconds(60)) { place.exists("picture.png") }
        daemon.signal(SIGSTOP)
        let status = try await place.meshd(["status"])
        #expect(status.ending == .exit(69), "\(status)")
        #expect(status.errors.contains("does not answer"), "\(status)")
        rendering.signal(SIGINT)
        try await Task.sleep(for: .milliseconds(300))
        rendering.signal(SIGINT)
        let result = try await rendering.result(within: .seconds(20))
        #expect(result.ending == .exit(130), "\(result)")
        #expect(result.errors.contains("again"), "\(result)")
        daemon.signal(SIGKILL)
        daemon.signal(SIGCONT)
        _ = try await daemon.result()
    }

    @Test("A log gets lines whose percentage never falls, and each picture's")
    func progress() async throws {
        let place = try Workplace()
        let rendering = try place.start(Self.endless)
        try await eventually("two lines", within: .seconds(30)) {
            try #require(rendering.isRunning, "\(rendering)")
            return rendering.errors.matches(of: /% .*after/).count >= 2
                && rendering.errors.contains("wrote picture.png at")
        }
        rendering.signal(SIGINT)
        let result = try await rendering.result(within: .seconds(20))
        let first = result.errors.split(separator: "\n").first.map(String.init)
        #expect(first == "room.glb, 320x240, 65536 samples per pixel")
        let shares = result.errors.matches(of: /(?m)^ *([0-9.]+) %/).compactMap { Double($0.1) }
        #expect(shares.count >= 2 && shares == shares.sorted(), "\(result)")
    }
}
