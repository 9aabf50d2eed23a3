// The mesh as its users have it: daemons on several hosts, real sockets, real Avahi, real kills.
// Every frame must be the film that one machine makes alone, bit for bit.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "The lab", .serialized,
    .enabled(if: Lab.absence == nil, Comment(rawValue: Lab.absence ?? "")),
    .timeLimit(.minutes(5 * Meshd.patience)))
struct LabTests {
    private static let unequal = [100, 50, 25, 25].map { HostPlan(processorPercent: $0) }

    @Test(
        "Four unequal hosts find each other and render the film of one, whichever of them asks",
        .enabled(
            if: ProcessorShares.absence == nil, Comment(rawValue: ProcessorShares.absence ?? "")))
    func unequalHosts() async throws {
        try await Lab.with(Self.unequal) { lab in
            for host in lab.hosts.prefix(3) { _ = try await host.startDaemon() }
            for host in lab.hosts.prefix(3) {
                try await host.sees(Array(lab.hosts.prefix(3)))
            }
            // The fourth has no daemon: it becomes a node for the time of the frame.
            let visitor = try await LabFrame.long.render(from: lab.hosts[3])
            try Self.expectAllTookPart(visitor, count: 4)
            try await lab.hosts[0].sees(Array(lab.hosts.prefix(3)))

            let resident = try await LabFrame.long.render(from: lab.hosts[1])
            try Self.expectAllTookPart(resident, count: 3)
        }
    }

    @Test(
        "A node killed in the middle and one that joins later change nothing in the film",
        .enabled(
            if: ProcessorShares.absence == nil, Comment(rawValue: ProcessorShares.absence ?? "")))
    func churn() async throws {
        try await Lab.with(Self.unequal) { lab in
            let doomed = try await lab.hosts[1].startDaemon()
            for host in [lab.hosts[0], lab.hosts[2]] { _ = try await host.startDaemon() }
            try await lab.hosts[0].sees(Array(lab.hosts.prefix(3)))

            let rendering = try LabFrame.long.start(on: lab.hosts[0])
            try await lab.hosts[0].filmHolds(percent: 30, of: rendering)
            doomed.signal(SIGKILL)
            try await lab.hosts[0].filmHolds(percent: 50, of: rendering)
            _ = try lab.hosts[3].spawnMeshd(["up", "--name", lab.hosts[3].name])
            let statistics = try await LabFrame.long.statistics(of: rendering, on: lab.hosts[0])
            let names = statistics.nodes.filter { $0.units > 0 }.map(\.name)
            #expect(names.contains(lab.hosts[2].name))
            #expect(names.contains(lab.hosts[3].name), "who joins late must get work: \(names)")
        }
    }

    @Test(
        "A node that is cut off until it is given up, and comes back, changes nothing in the film",
        .enabled(
            if: ProcessorShares.absence == nil, Comment(rawValue: ProcessorShares.absence ?? "")))
    func partition() async throws {
        // A third of the speed, so that the frame outlasts the suspicion.
        let plans = [30, 30, 30].map { HostPlan(processorPercent: $0) }
        try await Lab.with(plans) { lab in
            for host in lab.hosts { _ = try await host.startDaemon() }
            try await lab.hosts[0].sees(lab.hosts)
            let lost = lab.hosts[2]

            let rendering = try LabFrame.long.start(on: lab.hosts[0])
            try await lab.hosts[0].filmHolds(percent: 15, of: rendering)
            try await lost.cut()
            try await lab.hosts[0].sees(Array(lab.hosts.prefix(2)))
            try await eventually("the node given up", within: .seconds(30)) {
                try await !lab.hosts[0].nodes().contains {
                    $0.name == lost.name && ["alive", "suspect"].contains($0.status)
                }
            }
            try #require(rendering.isRunning, "the frame must outlast the partition")
            try await lost.heal()
            try await LabFrame.long.statistics(of: rendering, on: lab.hosts[0])
            try await lab.hosts[0].sees(lab.hosts)
            try await lost.sees(lab.hosts)
        }
    }

    @Test("Who asked on a host whose daemon is killed is told how to get the film, and it works")
    func killedOriginator() async throws {
        try await Lab.with([HostPlan(), HostPlan(), HostPlan()]) { lab in
            let root = try await lab.hosts[0].startDaemon()
            for host in lab.hosts.dropFirst() { _ = try await host.startDaemon() }
            for host in lab.hosts { try await host.sees(lab.hosts) }
            let frame = LabFrame.soak[0]
            let rendering = try frame.start(on: lab.hosts[0])
            try await eventually(
                "a part of the film elsewhere", within: .seconds(60), every: .milliseconds(50)
            ) {
                guard rendering.isRunning else { throw WaitedInVain("ended early: \(rendering)") }
                return try await lab.hosts[1].status().frames.contains { $0.committed > 0.1 }
            }
            #expect(try await lab.hosts[0].status().frames.contains { $0.isRoot })
            root.signal(SIGKILL)

            let told = try await rendering.result(within: .seconds(20))
            #expect(told.ending == .exit(70), "\(told)")
            #expect(told.errors.contains("meshd: the daemon ended the conversation"), "\(told)")
            let command = try #require(
                told.errors.firstMatch(of: /'meshd (fetch \S+ -o) FILE'/), "\(told)")
            for host in lab.hosts.dropFirst() {
                let fetched = try host.spawnMeshd(
                    command.1.split(separator: " ").map(String.init)
                        + ["\(host.folder)/fetched.exr", "--stats", "\(host.folder)/fetched.json"])
                try await frame.statistics(of: fetched, on: host, label: "fetched")
            }
        }
    }

    @Test("Two frames asked for at once on different hosts both come out right")
    func twoFrames() async throws {
        try await Lab.with([HostPlan(), HostPlan(), HostPlan()]) { lab in
            for host in lab.hosts { _ = try await host.startDaemon() }
            for host in lab.hosts { try await host.sees(lab.hosts) }
            let first = try LabFrame.short.start(on: lab.hosts[0], label: "first")
            let second = try LabFrame.other.start(on: lab.hosts[1], label: "second")
            let one = try await LabFrame.short.statistics(
                of: first, on: lab.hosts[0], label: "first")
            let two = try await LabFrame.other.statistics(
                of: second, on: lab.hosts[1], label: "second")
            #expect(one.filmHash != two.filmHash)
            try await LabFrame.other.render(from: lab.hosts[2], label: "third")
        }
    }

    @Test("Garbage at a node's ports is counted and dropped, and the node renders on")
    func garbage() async throws {
        try await Lab.with([HostPlan(), HostPlan()]) { lab in
            let daemons = [
                try await lab.hosts[0].startDaemon(), try await lab.hosts[1].startDaemon(),
            ]
            try await lab.hosts[0].sees(lab.hosts)
            let silent = try await RawTraffic.pester(lab.hosts[0], from: lab.hosts[1])
            try await eventually("garbage counted", within: .seconds(10)) {
                try await lab.hosts[0].status().garbageReceived >= RawTraffic.countedMin
            }
            let statistics = try await LabFrame.short.render(from: lab.hosts[1])
            #expect(statistics.nodes.contains { $0.name == lab.hosts[0].name })
            try await lab.hosts[0].sees(lab.hosts)
            for daemon in daemons { #expect(daemon.isRunning) }
            for connection in silent { connection.signal(SIGKILL) }
        }
    }

    @Test("Two meshes on one network do not mix, by mDNS or by address, and both say so")
    func twoMeshes() async throws {
        let plans = [HostPlan(), HostPlan(), HostPlan(key: TestKey()), HostPlan(key: nil)]
        try await Lab.with(plans) { lab in
            let members = Array(lab.hosts.prefix(2))
            for host in members { _ = try await host.startDaemon() }
            let named = ["--peer", "\(lab.hosts[0].address):\(LabHost.meshPort)"]
            let stranger = try await lab.hosts[2].startDaemon(named)
            let newcomer = try await lab.hosts[3].startDaemon()
            try await eventually("the refusal", within: .seconds(20)) {
                stranger.errors.contains("does not talk")
            }
            #expect(newcomer.errors.contains("meshd key show"))
            for host in members { try await host.sees(members) }
            try await lab.hosts[2].sees([lab.hosts[2]])
            try await lab.hosts[3].sees([lab.hosts[3]])
            let statistics = try await LabFrame.short.render(from: lab.hosts[0])
            #expect(Set(statistics.nodes.map(\.name)) == Set(members.map(\.name)))
            #expect(try await lab.hosts[2].nodes().count == 1)
        }
    }

    @Test(
        "Hosts without D-Bus and Avahi find each other by the responder in the process",
        .disabled(if: Meshd.isSanitized, "no sanitizer lets the responder be loaded"))
    func bareHosts() async throws {
        try await Lab.with([HostPlan(hasAvahi: false), HostPlan(hasAvahi: false)]) { lab in
            for host in lab.hosts { _ = try await host.startDaemon() }
            for host in lab.hosts { try await host.sees(lab.hosts) }
            let statistics = try await LabFrame.short.render(from: lab.hosts[0])
            try Self.expectAllTookPart(statistics, count: 2)
        }
    }

    @Test("Without mDNS one peer named by address is enough to find the mesh")
    func namedPeer() async throws {
        let plans = [HostPlan(hasAvahi: false), HostPlan(), HostPlan()]
        try await Lab.with(plans) { lab in
            let first = ["--no-mdns"]
            let others = first + ["--peer", "\(lab.hosts[0].address):\(LabHost.meshPort)"]
            for (host, arguments) in zip(lab.hosts, [first, others, others]) {
                _ = try await host.startDaemon(arguments)
            }
            for host in lab.hosts { try await host.sees(lab.hosts) }
            try await LabFrame.short.render(from: lab.hosts[2])
        }
    }

    @Test("A network that loses packets and is slow makes the same film")
    func badNetwork() async throws {
        try await Lab.with([HostPlan(), HostPlan(), HostPlan()]) { lab in
            for host in lab.hosts { _ = try await host.startDaemon() }
            for host in lab.hosts { try await host.sees(lab.hosts) }
            try await lab.hosts[1].lose(percent: 5)
            try await lab.hosts[2].limitRate(megabits: 100)
            try await LabFrame.short.render(from: lab.hosts[0])
            try await LabFrame.short.render(from: lab.hosts[2])
        }
    }

    private static func expectAllTookPart(_ statistics: Statistics, count: Int) throws {
        let shares = statistics.nodes.map { "\($0.name): \($0.units) units" }
        #expect(statistics.nodes.count == count, "\(shares)")
        #expect(statistics.nodes.allSatisfy { $0.units > 0 && $0.samples > 0 }, "\(shares)")
    }
}
