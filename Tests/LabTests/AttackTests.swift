// Strangers at a mesh's network: who listens, who has no key or a wrong one, and who is in between
// and changes what he likes.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Strangers", .serialized,
    .enabled(if: Lab.absence == nil, Comment(rawValue: Lab.absence ?? "")),
    .timeLimit(.minutes(5 * Meshd.patience)))
struct AttackTests {
    private static let names = ["wintergarten-rosalinde", "dachboden-theophil"]
    /// How long the wire is listened to, at the least.
    private static let captureTime = Duration.seconds(
        ProcessInfo.processInfo.environment["MESHD_CAPTURE_SECONDS"].flatMap { Int($0) } ?? 4)

    private static func named(_ name: String, peer: LabHost? = nil) -> [String] {
        ["--name", name] + (peer.map { ["--peer", "\($0.address):\(LabHost.meshPort)"] } ?? [])
    }

    /// The names of the members that a host lists as alive.
    private static func alive(_ host: LabHost) async throws -> [String] {
        try await host.nodes().filter { $0.status == "alive" }.map(\.name).sorted()
    }

    private static func meet(_ hosts: [LabHost], as names: [String]) async throws {
        for host in hosts {
            try await eventually(
                "the mesh on \(host.name)", within: .seconds(60), every: .milliseconds(200)
            ) { try await alive(host) == names.sorted() }
        }
    }

    // MARK: - Who listens and knocks

    @Test("Who has no key, another mesh's or a revoked one joins, fetches and learns nothing")
    func strangers() async throws {
        let key = TestKey()
        let plans = [
            HostPlan(key: key), HostPlan(hasAvahi: false, key: key),
            HostPlan(key: nil), HostPlan(key: TestKey()), HostPlan(hasAvahi: false, key: key),
        ]
        try await Lab.with(plans) { lab in
            let members = Array(lab.hosts.prefix(2))
            let strangers = Array(lab.hosts.dropFirst(2))
            var secrets = Secrets()
            for name in Self.names { secrets.add("a node's name", name) }
            secrets.add("a scene's name", "room.glb")
            secrets.add("a scene's bytes", fileOf: SceneFixture.room())
            let path = "\(members[0].folder)/capture"
            let listener = try await lab.startAtTheWire(["capture", path])
            let clock = ContinuousClock()
            let end = clock.now + Self.captureTime

            _ = try await members[0].startDaemon(Self.named(Self.names[0]))
            _ = try await members[1].startDaemon(Self.named(Self.names[1], peer: members[0]))
            try await Self.meet(members, as: Self.names)
            secrets.addKey(of: members[0])
            try await Self.changeKey(of: members)
            secrets.addKey(of: members[0])

            for stranger in strangers {
                _ = try await stranger.startDaemon(
                    Self.named("stranger-" + stranger.name, peer: members[0]))
            }
            let rendering = try LabFrame.soak[0].start(on: members[0])
            try await members[0].filmHolds(percent: 10, of: rendering)
            let frame = try #require(try await members[0].status().frames.first?.id)
            for stranger in strangers { try await Self.expectNothing(stranger, of: frame) }
            let statistics = try await LabFrame.soak[0].statistics(of: rendering, on: members[0])
            #expect(statistics.nodes.filter { $0.units > 0 }.count == 2)
            while clock.now < end {
                try await LabFrame.short.render(from: members[1])
            }

            try await Self.meet(members, as: Self.names)
            for stranger in strangers {
                try await Self.expectNothing(stranger, of: frame)
                #expect(secrets.found(in: Data(stranger.programReport.utf8)) == [])
                // The revoked key is in the file of who has it.
                let found = try secrets.found(inFolder: stranger.folder + "/state")
                #expect(found.isSubset(of: [Secrets.keyName]))
            }
            let report = try await WireReport(ending: listener)
            let capture = try #require(FileManager.default.contents(atPath: path))
            #expect(report.counts["dropped"] == 0)
            // A film went from one to the other.
            #expect(capture.count > 1 << 20 && report.counts["frames", default: 0] > 100)
            #expect(secrets.found(in: capture) == [], "of \(capture.count) bytes on the wire")
            try await Self.expectFound(secrets, on: lab)
        }
    }

    /// Both go over to another key, and the first is revoked.
    private static func changeKey(of members: [LabHost]) async throws {
        let rotated = try await members[0].meshd(["key", "rotate"])
        try #require(rotated.ending == .exit(0), "\(rotated)")
        try await eventually("the new key", within: .seconds(30), every: .milliseconds(200)) {
            try await members[1].meshd(["key", "show"]).output == rotated.output
        }
        try await eventually("the revocation", within: .seconds(30), every: .milliseconds(200)) {
            try await members[1].meshd(["key", "revoke-old"]).ending == .exit(0)
        }
        for member in members {
            try await eventually("it to be known", within: .seconds(30), every: .milliseconds(200))
            {
                try String(contentsOfFile: member.keyFile, encoding: .utf8).contains("revoked ")
            }
        }
    }

    private static func expectNothing(_ stranger: LabHost, of frame: String) async throws {
        #expect(try await alive(stranger) == ["stranger-" + stranger.name])
        #expect(try await stranger.nodes().count == 1)
        let listed = try await stranger.meshd(["frames", "--json"])
        #expect(!listed.output.contains(frame), "\(listed)")
        let picture = "\(stranger.folder)/fetched.exr"
        let fetched = try await stranger.meshd(["fetch", frame, "-o", picture])
        #expect(fetched.ending != .exit(0), "\(fetched)")
        #expect(!FileManager.default.fileExists(atPath: picture))
    }

    /// The same search finds all of it where it goes over the same wire in the clear.
    private static func expectFound(_ secrets: Secrets, on lab: Lab) async throws {
        let (from, to) = (lab.hosts[2], lab.hosts[3])
        let path = "\(from.folder)/control"
        let listener = try await lab.startAtTheWire(["capture", path])
        let scene = "\(from.folder)/room.glb"
        try SceneFixture.room().write(to: URL(fileURLWithPath: scene))
        let words = (Self.names + ["room.glb"]).joined(separator: " ")
        let sent = try await from.spawn([
            "/bin/bash", "-c",
            """
            for file in '\(scene)' '\(lab.hosts[0].keyFile)'; do
                cat "$file" >/dev/udp/\(to.address)/9
            done
            printf '\(words)' >/dev/udp/\(to.address)/9
            """,
        ]).result(within: .seconds(20))
        #expect(sent.ending == .exit(0), "\(sent)")
        _ = try await WireReport(ending: listener)
        let capture = try #require(FileManager.default.contents(atPath: path))
        #expect(secrets.found(in: capture) == secrets.names)
    }

    // MARK: - Who is in between

    @Test(
        "Who is in between and drops, reorders, repeats and changes packets makes no wrong film",
        arguments: [1, 2])
    func between(seed: Int) async throws {
        try await Lab.with([HostPlan(hasAvahi: false), HostPlan(hasAvahi: false)]) { lab in
            let attacker = try await lab.interpose(seed: seed)
            let alone = ["--no-mdns"]
            let daemons = [
                try await lab.hosts[0].startDaemon(alone + Self.named(Self.names[0])),
                try await lab.hosts[1].startDaemon(
                    alone + Self.named(Self.names[1], peer: lab.hosts[0])),
            ]
            try await Self.meet(lab.hosts, as: Self.names)
            // Each checks the film against what one machine makes.
            for host in lab.hosts {
                try await LabFrame.soak[0].render(from: host)
                try await LabFrame.short.render(from: host, label: "short")
            }
            for host in lab.hosts {
                let listed = try await host.nodes()
                #expect(Set(listed.map(\.name)).isSubset(of: Self.names), "\(listed)")
                #expect(Set(listed.map(\.address)).isSubset(of: lab.hosts.map(\.meshAddress)))
            }
            for daemon in daemons { #expect(daemon.isRunning) }
            let counts = try await WireReport(ending: attacker).counts
            // Not nothing was done, or nothing has been shown.
            func sum(_ kind: String) -> Int {
                counts.filter { $0.key.contains(kind) }.values.reduce(0, +)
            }
            #expect(sum("udp ") > 10 && sum("tcp ") > 50 && sum("flipped") > 0, "\(counts)")
        }
    }
}

extension LabHost {
    fileprivate var keyFile: String { folder + "/state/mesh-key" }
    fileprivate var meshAddress: String { "\(address):\(Self.meshPort)" }
}

extension Secrets {
    fileprivate static let keyName = "a key"

    /// The present key of a host, as its file has it and as it is.
    fileprivate mutating func addKey(of host: LabHost) {
        let file = FileManager.default.contents(atPath: host.keyFile) ?? Data()
        let text = String(decoding: file, as: UTF8.self)
        guard let digits = text.firstMatch(of: /key ([0-9a-f]{64})/)?.1 else {
            preconditionFailure("a member has a key")
        }
        add(Self.keyName, String(digits))
        let pairs = stride(from: 0, to: 64, by: 2).compactMap {
            UInt8(digits.dropFirst($0).prefix(2), radix: 16)
        }
        add(Self.keyName, pairs)
    }
}
