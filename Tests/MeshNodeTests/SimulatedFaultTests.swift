// What the simulated mesh is made of: clocks, links, costs, disks, and faults that do what they say.

import MeshCore
import MeshNode
import Testing

@testable import MeshSimulator

@Suite("Simulated trouble")
struct SimulatedFaultTests {
    // MARK: Parts

    @Test("A clock that drifts, jumps and stands still never runs backwards")
    func clock() {
        for drift in [0, 2e-4, -2e-4, 0.05, -0.05] {
            var random = RandomNumbers(seed: 4)
            var clock = SimulatedClock(showing: .zero + .seconds(77), at: .zero, drift: drift)
            var now = Instant.zero
            var last = clock.reading(at: now)
            for step in 0..<2_000 {
                now += random.duration(below: .milliseconds(20))
                if step % 500 == 100 { clock.jump(by: .seconds(3), at: now) }
                if step % 500 == 200 { clock.stop(at: now) }
                if step % 500 == 210 { clock.resume(at: now) }
                let reading = clock.reading(at: now)
                #expect(reading >= last)
                last = reading
                guard step % 500 < 200 || step % 500 >= 210 else { continue }
                // A timer rings when the clock shows its time, not before and not much later.
                let wanted = reading + random.duration(below: .seconds(5))
                let ring = clock.time(of: wanted, from: now)
                #expect(clock.reading(at: ring) >= wanted)
                #expect(clock.reading(at: ring) - wanted < .nanoseconds(4))
            }
            let shown = (last - .zero).seconds - 77 - 4 * 3
            let lived = (now - .zero).seconds
            #expect(abs(shown - lived * (1 + drift)) < 1)
        }
    }

    @Test("Costs are read as they are documented, and nothing else is")
    func readCosts() {
        #expect(CostDistribution("lognormal:1") == .lognormal(sigma: 1))
        #expect(CostDistribution("pareto:1.5") == .pareto(alpha: 1.5))
        #expect(CostDistribution("field:1") == .field(sigma: 1, length: 0.25))
        #expect(CostDistribution("field:1:0.1") == .field(sigma: 1, length: 0.1))
        for text in ["", "field", "pareto:0", "lognormal:9", "field:1:0", "field:1:1:1", "x:1"] {
            #expect(CostDistribution(text) == nil, "\(text)")
        }
    }

    /// The costs of a frame's tiles in rows.
    private func costs(_ distribution: CostDistribution, seed: UInt64) throws -> [[Double]] {
        let job = JobDescription(width: 1_024, height: 1_024, tileSize: 16, samplesPerPixel: 1)
        let space = try #require(job.workSpace)
        let tallies = UnitTallies(workSpace: space, seed: seed, costs: distribution)
        var rows = Array(repeating: Array(repeating: 0.0, count: 64), count: 64)
        for tile in 0..<space.grid.count {
            let place = space.grid.rectangle(ofTile: tile)
            rows[place.y / 16][place.x / 16] = tallies.tileCosts[tile]
        }
        return rows
    }

    @Test("Costs have mean one, a heavy tail when asked for, and neighbours alike in a field")
    func costs() throws {
        func correlation(_ rows: [[Double]]) -> Double {
            let pairs = rows.flatMap { zip($0, $0.dropFirst()).map { ($0, $1) } }
            let mean = pairs.reduce(0) { $0 + $1.0 } / Double(pairs.count)
            let both = pairs.reduce(0) { $0 + ($1.0 - mean) * ($1.1 - mean) }
            let own = pairs.reduce(0) { $0 + ($1.0 - mean) * ($1.0 - mean) }
            return both / own
        }
        let field = try costs(.field(sigma: 0.5, length: 0.25), seed: 3)
        let alone = try costs(.lognormal(sigma: 0.5), seed: 3)
        let heavy = try costs(.pareto(alpha: 1.2), seed: 3)
        for rows in [field, alone, heavy] {
            #expect(abs(rows.joined().reduce(0, +) / 4_096 - 1) < 1e-9)
        }
        #expect(correlation(field) > 0.95)
        #expect(abs(correlation(alone)) < 0.1)
        // A Pareto distribution of exponent 1.2 has its median at 2^(1/1.2) of its least value.
        let sorted = heavy.joined().sorted()
        #expect(abs(sorted[2_048] / sorted[0] - 1.782) < 0.1)
        #expect(try #require(sorted.last) > 50)
        #expect(try #require(alone.joined().max()) < 10)
    }

    @Test("A logarithm and its inverse need no library", arguments: [1e-12, 0.1, 1, 2.5, 8_192])
    func logarithm(x: Double) {
        #expect(abs(Chance.exponential(Chance.logarithm(x)) / x - 1) < 1e-9)
    }

    @Test("A message waits for a stream's turn and no longer, and a stream for another")
    func link() {
        var link = SimulatedLink(bytesPerSecond: 1e6)
        let now = Instant.zero + .seconds(1)
        let free = link.bookMessage(bytes: 1_000, at: now)
        #expect(free == now + .milliseconds(1))
        let stream = link.book(bytes: 1_000_000, from: now)
        #expect(stream.from == now && stream.to == now + .seconds(1))
        // Twice its time, and a packet of 1,514 bytes; the first message has just passed.
        let passed = link.bookMessage(bytes: 1_000, at: now + .milliseconds(1))
        #expect(passed == now + .microseconds(1_000 + 2_000 + 1_514))
        // The stream ends a millisecond later for it.
        let second = link.book(bytes: 500_000, from: now)
        #expect(second.from == now + .milliseconds(1_001))
        // Its last byte passes when it is there, and no earlier.
        let slow = link.book(bytes: 1_000, from: now, notBefore: now + .seconds(10))
        #expect(slow.from == second.to && slow.to == now + .seconds(10))
    }

    @Test("A stream whose sender stands still stops, and goes on with it")
    func standstill() throws {
        var run = SimulationConfiguration(seed: 1, nodes: [[1], [1]])
        run.bandwidth = [1e6, 1e9]
        run.network.jitter = .zero
        var simulation = Simulation(run)
        simulation.start(0)
        simulation.start(1)
        let owner = try #require(simulation.nodes[0].process).identity
        let flow = FilmFlow(
            number: 1, from: 0, to: 1, boot: simulation.nodes[0].boot,
            content: .request(FrameID(originator: owner, number: 1), fetch: 1), bytes: 2_000_000,
            pieces: 8)
        simulation.flows[1] = flow
        simulation.nodes[0].outgoing = [flow]
        simulation.makeReady(flow, 8)
        // It stands still when half has left, and goes on five seconds later.
        simulation.queue.add(
            .fault(.freeze(node: 0, .seconds(5))), at: simulation.now + .milliseconds(1_100))
        while !flow.isWhole, let (time, event) = simulation.queue.removeFirst() {
            simulation.now = time
            simulation.process(event)
        }
        // The piece on the link arrives; the next leaves at 6.1 s.
        #expect(abs((simulation.now - .zero).seconds - 6.85) < 0.3)
    }

    // MARK: Whole meshes

    /// A frame of about 8 s at node 0 of six.
    private func mesh(
        _ faults: [ScheduledFault] = [], change: (inout SimulationConfiguration) -> Void = { _ in }
    ) -> SimulationConfiguration {
        var scenario = SimulationScenario()
        scenario.speeds = .list([1, 2, 1, 2, 1, 1])
        scenario.originator = 0
        scenario.faults = faults
        scenario.frame = JobDescription(width: 512, height: 512, samplesPerPixel: 32)
        var run = scenario.configuration(seed: 11)
        change(&run)
        return run
    }

    private func report(_ run: SimulationConfiguration) -> SimulationReport {
        var simulation = Simulation(run)
        let report = simulation.run()
        #expect(report.isGood, "\(report.violations)")
        return report
    }

    static let troubles: [ScheduledFault.Fault] = [
        .suspend(node: 1, .seconds(4)), .jump(node: 1, by: .seconds(20)),
        .jump(node: 0, by: .seconds(20)), .clog(node: 0, peer: nil, .seconds(1)),
        .clog(node: 0, peer: 3, .seconds(4)), .mute(node: 0, .seconds(3)),
        .mute(node: 2, nil), .stick(node: 3, device: 0, .seconds(100)),
        .pause(node: 0, .seconds(10)), .crash(node: 3, after: .seconds(1), keepsDisk: false),
        .freeze(node: 0, .seconds(8)), .leave(node: 1),
    ]

    @Test("A frame is delivered, whatever befalls one node", arguments: troubles)
    func delivered(trouble: ScheduledFault.Fault) {
        let report = report(mesh([ScheduledFault(time: .seconds(5), fault: trouble)]))
        #expect(report.frames.map(\.end) == [.delivered], "\(trouble)")
    }

    @Test("Clocks that run 5 % too fast or too slow are not noticed")
    func drift() {
        let right = report(mesh())
        let wrong = report(mesh { $0.clockDrift = [0.05, -0.05, 0.05, -0.05, 0, -0.05] })
        #expect(wrong.falseDeaths == 0)
        let ratio = (wrong.makespanOverIdeal ?? 9) / (right.makespanOverIdeal ?? 1)
        #expect(ratio < 1.02)
    }

    @Test("A device whose machine's owner is there renders nothing, and nothing waits for it")
    func paused() {
        let pause = ScheduledFault(
            time: .seconds(3), fault: .pause(node: 1, .seconds(200)))
        let free = report(mesh())
        let shared = report(mesh([pause]))
        #expect(shared.frames.map(\.end) == [.delivered])
        // A second of about eight, at most.
        #expect(shared.perNode[1].units < free.perNode[1].units / 2)
        #expect(shared.perNode[1].units > 0)
        #expect((shared.makespanOverIdeal ?? 9) < 1.1)
    }

    @Test("A frame that is cancelled in mid-round ends at all nodes", arguments: [0, 3])
    func cancelled(node: Int) {
        let cancel = ScheduledFault(
            time: .milliseconds(5_100), fault: .cancel(frame: 0, node: node))
        let report = report(mesh([cancel]))
        #expect(report.frames.map(\.end) == [.cancelled])
    }

    @Test("A machine that comes back with its disk fetches no scene; without it, all of it")
    func disks() {
        func received(keepsDisk: Bool?) -> Int {
            var faults: [ScheduledFault] = []
            if let keepsDisk {
                let crash = ScheduledFault.Fault.crash(
                    node: 1, after: .seconds(1), keepsDisk: keepsDisk)
                faults = [ScheduledFault(time: .seconds(5), fault: crash)]
            }
            let report = report(mesh(faults) { $0.sceneBytes = 3_000_000 })
            return report.perNode[1].received[.scene].bytes / 3_000_000
        }
        #expect(received(keepsDisk: nil) == 1)
        #expect(received(keepsDisk: true) == 1)
        #expect(received(keepsDisk: false) == 2)
    }

    @Test("A stream takes as long as the narrowest of both links, and big ones queue")
    func bandwidth() {
        func firstImage(_ change: (inout SimulationConfiguration) -> Void) -> Double {
            report(mesh(change: change)).firstImageSeconds ?? 99
        }
        let wide = firstImage { _ in }
        // A contribution of a megabyte takes half a second on such a link.
        let narrow = firstImage { $0.bandwidth = [2e6, 2e6, 2e6, 2e6, 2e6, 2e6] }
        #expect(narrow > wide + 0.5)
        let throughOneWay = firstImage { run in
            run.links = (1..<6).map { LinkModel(from: $0, to: 0, bytesPerSecond: 2e6) }
        }
        #expect(throughOneWay > wide + 0.1)
    }

    @Test("Ledger-only nodes get fewer pixels, and the frame is whole all the same")
    func ledgerOnly() {
        let all = report(mesh())
        // The originator keeps its film, and so do the first two successors.
        let few = report(mesh { $0.ledgerOnly = [0, 1, 2, 3, 4, 5] })
        #expect(few.frames.map(\.end) == [.delivered])
        #expect(Double(few.traffic[.reduce].bytes) < 0.8 * Double(all.traffic[.reduce].bytes))
    }

    @Test("Two roots of equal number, each of a half that is cut off, do not spoil the film")
    func twoRoots() {
        let run = mesh([
            ScheduledFault(time: .seconds(4), fault: .freeze(node: 0, .seconds(12))),
            ScheduledFault(
                time: .seconds(4),
                fault: .partition(group: [1, 2], oneWay: false, .seconds(10))),
        ])
        var simulation = Simulation(run)
        let terms = TermLog()
        simulation.log = { terms.note($0) }
        let report = simulation.run()
        #expect(report.isGood, "\(report.violations)")
        #expect(terms.count > 1, "only one of the halves found a root")
    }
}

/// Counts the roots that became one with term number 2.
private final class TermLog: @unchecked Sendable {
    // Only the thread of the simulation writes, and the test reads when that is over.
    private(set) var count = 0
    func note(_ line: String) {
        if line.contains("becameRoot(2@") { count += 1 }
    }
}
