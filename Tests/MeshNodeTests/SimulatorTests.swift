// The simulator's own parts: what a run is made from, its file, its picture, and how a run that
// breaks a promise is made smaller.

import Foundation
import MeshCore
import MeshNode
import Testing

@testable import MeshSimulator

@Suite("The simulator")
struct SimulatorTests {
    @Test(
        "A run that is written as a file and read again is the same run",
        arguments: [2, 11, 30] as [UInt64])
    func scheduleFile(seed: UInt64) throws {
        let run = SimulationConfiguration.random(seed: seed, faults: .wild)
        let bytes = try JSONEncoder().encode(ScheduleFile(run))
        let file = try JSONDecoder().decode(ScheduleFile.self, from: bytes)
        var read = SimulationConfiguration(seed: try #require(file.seed), nodes: [[1]])
        try file.apply(to: &read)
        #expect(read.faults == run.faults)
        #expect(read.submissions == run.submissions)
        var first = Simulation(run)
        var second = Simulation(read)
        let hashes = [first.run().traceHash, second.run().traceHash]
        #expect(hashes[0] == hashes[1])
    }

    static let malformed: [(String, String)] = [
        (#"{"faults":[{"at":1,"kind":"flood"}]}"#, "flood"),
        (#"{"faults":[{"at":1,"kind":"crash"}]}"#, "node"),
        (#"{"faults":[{"at":1,"kind":"crash","node":8}]}"#, "no node 8"),
        (#"{"faults":[{"at":-1,"kind":"leave","node":0}]}"#, "at"),
        (#"{"faults":[{"at":1,"kind":"freeze","node":0}]}"#, "lasts"),
        (#"{"faults":[{"at":1,"kind":"slow","node":0,"factor":0,"lasts":1}]}"#, "factor"),
        (#"{"faults":[{"at":1,"kind":"loss","rate":2,"lasts":1}]}"#, "rate"),
        (#"{"faults":[{"at":1,"kind":"partition","group":[9],"lasts":1}]}"#, "unknown nodes"),
        (#"{"faults":[{"at":1,"kind":"jump","node":0}]}"#, "by"),
        (#"{"faults":[{"at":1,"kind":"clog","node":0,"peer":7,"lasts":1}]}"#, "no peer 7"),
        (#"{"faults":[{"at":1,"kind":"stick","node":0,"device":1,"lasts":1}]}"#, "no device 1"),
        (#"{"faults":[{"at":1,"kind":"cancel","frame":0}]}"#, "no frame 0"),
        (#"{"faults":[{"at":1,"kind":"loss","node":1,"rate":0.1,"lasts":1}]}"#, "no single node"),
        (#"{"faults":[],"costs":"pareto"}"#, "pareto"),
        (#"{"faults":[],"clockDrift":[-2]}"#, "clockDrift"),
        (#"{"faults":[],"bandwidth":[1]}"#, "bandwidth"),
        (#"{"faults":[],"links":[{"from":0,"to":5,"bytesPerSecond":1e6}]}"#, "unknown nodes"),
        (#"{"faults":[],"ledgerOnly":[4]}"#, "unknown nodes"),
        (#"{"faults":[],"nodes":[]}"#, "nodes"),
        (#"{"faults":[],"network":{"datagramLoss":3}}"#, "rate"),
        (
            #"{"faults":[],"frames":[{"at":1,"node":0,"width":0,"height":1,"tileSize":32,"#
                + #""samplesPerPixel":1}]}"#, "frame"
        ),
    ]

    @Test("A fault file that makes no sense is refused with the reason", arguments: malformed)
    func malformedFile(text: String, reason: String) throws {
        let file = try JSONDecoder().decode(ScheduleFile.self, from: Data(text.utf8))
        var run = SimulationConfiguration(seed: 1, nodes: [[1], [1]])
        let error = #expect(throws: ScheduleFile.Malformed.self) { try file.apply(to: &run) }
        #expect(error?.description.contains(reason) == true, "\(error as Any)")
    }

    @Test("Speeds are read as they are documented, and nothing else is")
    func speeds() {
        #expect(SpeedDistribution("1,2,4.5") == .list([1, 2, 4.5]))
        #expect(SpeedDistribution("equal") == .equal)
        #expect(SpeedDistribution("uniform:0.5..4") == .uniform(0.5...4))
        #expect(SpeedDistribution("lognormal:1") == .lognormal(sigma: 1))
        #expect(SpeedDistribution("powers:5") == .powers(5))
        for text in ["", "1,,2", "0", "-1", "nan", "uniform:4..1", "uniform:1", "powers:0", "fast"]
        {
            #expect(SpeedDistribution(text) == nil, "\(text)")
        }
    }

    @Test("A scenario's speeds give the ideal time asked for")
    func idealTime() {
        var scenario = SimulationScenario()
        scenario.speeds = .list([1, 3])
        scenario.nodes = 4
        scenario.idealSeconds = 5
        scenario.frame = JobDescription(width: 100, height: 100, samplesPerPixel: 8)
        let run = scenario.configuration(seed: 4)
        #expect(run.nodes.count == 4)
        let sum = run.nodes.joined().reduce(0, +)
        #expect(abs(sum * 5 - 80_000) < 1)
        #expect(abs(run.nodes[1][0] / run.nodes[0][0] - 3) < 1e-9)
    }

    @Test("A run that breaks a promise is made as small as the promise allows")
    func minimiser() {
        var run = SimulationConfiguration.random(seed: 5, nodeCounts: 12...12, faults: .wild)
        run.submissions = Array(run.submissions.prefix(1))
        run.submissions[0].node = 7
        run.corrupt = [7]
        run.flaky = [11]
        run.otherClass = [7, 11]
        run.faults += [
            ScheduledFault(time: .seconds(3), fault: .freeze(node: 9, .seconds(1))),
            ScheduledFault(time: .seconds(4), fault: .crash(node: 3, after: nil)),
        ]
        let speeds = run.nodes[3]
        // Broken as long as two certain nodes are there with their trouble, and the originator's.
        func breaks(_ run: SimulationConfiguration) -> Violation.Kind? {
            let isFrozen = run.faults.contains { fault in
                if case .freeze(_, .seconds(1)) = fault.fault { true } else { false }
            }
            let isDead = run.faults.contains { fault in
                if case .crash(let node, nil, _) = fault.fault {
                    run.nodes[node] == speeds
                } else {
                    false
                }
            }
            let isCorrupt = run.corrupt == run.submissions.map(\.node)
            return isFrozen && isDead && isCorrupt ? .untrueFilm : nil
        }
        let smaller = Minimiser.minimise(run, kind: .untrueFilm, trial: breaks)
        #expect(breaks(smaller.configuration) == .untrueFilm)
        #expect(smaller.configuration.faults.count == 2)
        #expect(smaller.configuration.nodes.count == 3)
        #expect(smaller.configuration.flaky.isEmpty && smaller.configuration.otherClass.isEmpty)
        #expect(smaller.runs <= 200)
        let none = Minimiser.minimise(run, kind: .untrueFilm, runsMax: 0, trial: breaks)
        #expect(none.configuration.nodes.count == 12)
    }

    @Test("A violation that is real is found again when a run is made smaller")
    func realMinimiser() {
        var run = SimulationConfiguration.random(seed: 2, nodeCounts: 8...8, faults: .none)
        run.patience = .zero
        run.faults = [
            ScheduledFault(time: .seconds(1), fault: .loss(rate: 0.1, .milliseconds(10))),
            ScheduledFault(
                time: .milliseconds(1_500), fault: .slow(node: 1, factor: 2, .seconds(1))),
        ]
        #expect(Minimiser.firstViolation(run) == .unfinished)
        let smaller = Minimiser.minimise(run, kind: .unfinished, runsMax: 40).configuration
        #expect(smaller.faults.isEmpty)
        #expect(smaller.nodes.count == 1)
        #expect(Minimiser.firstViolation(smaller) == .unfinished)
    }

    @Test("What is unusual and not needed is left out, and frames keep their cancels")
    func plainMinimiser() throws {
        var run = SimulationConfiguration.random(seed: 5, nodeCounts: 4...4, faults: .none)
        run.submissions = Array(repeating: run.submissions[0], count: 3)
        run.clockDrift = [0.01, 0.02]
        run.bandwidth = [1e6, 1e6, 1e6, 1e6]
        run.links = [LinkModel(from: 0, to: 1, bytesPerSecond: 1e5)]
        run.ledgerOnly = [1]
        run.faults = [
            ScheduledFault(time: .seconds(2), fault: .cancel(frame: 0, node: 0)),
            ScheduledFault(time: .seconds(3), fault: .cancel(frame: 2, node: 0)),
            ScheduledFault(time: .seconds(3), fault: .pause(node: 0, .seconds(8))),
        ]
        run.submissions[2].time = .seconds(7)
        // Broken while somebody cancels the frame of the seventh second and a link is narrow.
        func breaks(_ run: SimulationConfiguration) -> Violation.Kind? {
            let cancels = run.faults.contains { fault in
                guard case .cancel(let frame, _) = fault.fault else { return false }
                return run.submissions[frame].time == .seconds(7)
            }
            let pauses = run.faults.contains { fault in
                guard case .pause(_, let time) = fault.fault else { return false }
                return time > .seconds(3)
            }
            return cancels && pauses && !run.bandwidth.isEmpty ? .unfinished : nil
        }
        let smaller = Minimiser.minimise(run, kind: .unfinished, trial: breaks).configuration
        #expect(breaks(smaller) == .unfinished)
        #expect(smaller.submissions.count == 1)
        #expect(smaller.faults.map(\.fault.duration) == [.zero, .seconds(4)])
        #expect(smaller.faults.map(\.fault.name) == ["cancel", "pause"])
        #expect(smaller.clockDrift.isEmpty && smaller.links.isEmpty && smaller.ledgerOnly.isEmpty)
        #expect(smaller.bandwidth.count == smaller.nodes.count)
    }

    @Test("Every unit that was rendered is in the timeline, on the device that rendered it")
    func timeline() throws {
        var run = SimulationConfiguration.random(seed: 9, faults: .none)
        run.recordsTimeline = true
        run.faults = [
            ScheduledFault(time: .seconds(3), fault: .crash(node: 0, after: .seconds(1))),
            ScheduledFault(time: .seconds(4), fault: .pause(node: 2, .milliseconds(1_500))),
        ]
        run.submissions[0].node = 1
        var simulation = Simulation(run)
        let report = simulation.run()
        let recorded = simulation.timeline
        let text = try #require(recorded).chromeTrace()
        struct Trace: Decodable {
            var traceEvents: [Event]
            struct Event: Decodable {
                var ph: String
                var pid: Int
                var tid: Int?
                var name: String
                var ts: Double?
                var dur: Double?
            }
        }
        let events = try JSONDecoder().decode(Trace.self, from: Data(text.utf8)).traceEvents
        let units = events.filter { $0.name == "unit" }
        for (node, figures) in report.perNode.enumerated() {
            #expect(units.count { $0.pid == node } == figures.units, "node \(node)")
        }
        #expect(units.allSatisfy { ($0.dur ?? -1) >= 0 && $0.tid ?? 9 < 2 })
        #expect(events.contains { $0.name == "crash" && $0.pid == 0 && $0.ph == "i" })
        let pause = events.filter { $0.name == "pause" && $0.pid == 2 }
        #expect(pause.compactMap { $0.ph == "i" ? nil : $0.ts } == [4e6, 5.5e6])
        let thefts = events.count { $0.name == "steal" && $0.ph == "f" }
        #expect(thefts == report.perNode.reduce(0) { $0 + $1.steals })
        let rounds = events.filter { $0.name.hasPrefix("round ") }
        #expect(rounds.count == report.roundsCommitted + report.roundsAbandoned)
    }

    @Test("A process that died is noticed by the others, and how soon is told")
    func detection() {
        var run = SimulationConfiguration.random(seed: 6, nodeCounts: 9...9, faults: .none)
        run.submissions[0].node = 0
        run.faults = [ScheduledFault(time: .seconds(4), fault: .crash(node: 5, after: nil))]
        var simulation = Simulation(run)
        let report = simulation.run()
        #expect(report.isGood, "\(report.violations)")
        #expect(report.detections.count == 7 || report.detections.count == 8)
        #expect((report.detectionSeconds ?? 99) < 5)
        #expect(report.falseDeaths == 0)
    }

    @Test("Traffic and time are counted for every node")
    func figures() {
        let run = SimulationConfiguration.random(seed: 12, faults: .none)
        var simulation = Simulation(run)
        let report = simulation.run()
        #expect(report.perNode.count == run.nodes.count)
        for figures in report.perNode {
            #expect(figures.units > 0)
            #expect(figures.busySeconds > 0)
            #expect(figures.sent[.gossip].bytes > 0)
            #expect(figures.received[.reduce].bytes > 0)
        }
        let sent = report.perNode.reduce(0) { $0 + $1.sent.total.bytes }
        #expect(sent == report.traffic.total.bytes)
        // On a perfect network what is sent arrives.
        for kind in TrafficKind.allCases where kind != .gossip {
            let received = report.perNode.reduce(0) { $0 + $1.received[kind].bytes }
            #expect(received == report.traffic[kind].bytes, "\(kind)")
        }
        // The originator has the scene; everybody else fetched it.
        #expect(
            report.traffic[.scene].bytes >= (run.nodes.count - 1) * run.sceneBytes)
    }
}

@Suite("Policies, to compare stealing with")
struct WorkPolicyTests {
    static func run(
        _ policy: WorkPolicy, seed: UInt64 = 7, faults: [ScheduledFault] = []
    ) -> SimulationReport {
        var scenario = SimulationScenario()
        scenario.speeds = .list([1, 1, 2, 4, 8])
        scenario.frame = JobDescription(width: 640, height: 384, samplesPerPixel: 64)
        scenario.originator = 0
        scenario.faults = faults
        var run = scenario.configuration(seed: seed)
        run.policy = policy
        run.patience = .seconds(600)
        var simulation = Simulation(run)
        return simulation.run()
    }

    @Test("Each policy renders every unit of a frame once", arguments: WorkPolicy.allCases)
    func complete(policy: WorkPolicy) {
        let report = Self.run(policy)
        #expect(report.isGood, "\(report.violations)")
        #expect(report.frames.map(\.end) == [.delivered])
        // And the four that join render one unit before, by which they are compared.
        let units = Double(20 * 12 * 8)
        if policy != .stealing { #expect(abs(report.rendersPerUnit - 1 - 4 / units) < 1e-9) }
        #expect(report.perNode.allSatisfy { $0.units > 0 })
    }

    @Test("Each policy makes up for a node that dies", arguments: WorkPolicy.allCases)
    func death(policy: WorkPolicy) {
        let fault = ScheduledFault(time: .seconds(5), fault: .crash(node: 4, after: nil))
        let report = Self.run(policy, faults: [fault])
        #expect(report.isGood, "\(report.violations)")
        #expect(report.frames.map(\.end) == [.delivered])
    }

    @Test("Equal parts for unequal nodes are the worst, and stealing is the best")
    func order() throws {
        var makespans: [WorkPolicy: Double] = [:]
        for policy in WorkPolicy.allCases {
            let makespan: Double = try #require(Self.run(policy).makespanOverIdeal)
            makespans[policy] = makespan
        }
        let best = try #require(makespans[.stealing])
        let worst = try #require(makespans[.staticCount])
        for (policy, makespan) in makespans where policy != .stealing {
            // Half-stealing comes close where nobody dies.
            if policy != .randomHalf { #expect(makespan > best, "\(policy)") }
            #expect(makespan <= worst, "\(policy)")
        }
        // One of five nodes has a sixteenth of the speed and a fifth of the work.
        #expect(worst > 2.5)
    }

    @Test("A split by speed gives each node work in proportion")
    func staticSpeed() {
        let report = Self.run(.staticSpeed)
        let total = report.perNode.reduce(0) { $0 + $1.units }
        for (figures, speed) in zip(report.perNode, [1, 1, 2, 4, 8]) {
            let share = Double(figures.units) / Double(total)
            #expect(abs(share - Double(speed) / 16) < 0.02)
        }
    }
}
