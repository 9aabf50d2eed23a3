// Nodes whose reference unit is wrong, in virtual time and in frames that nobody verifies.

import MeshCore
import MeshNode
import MeshSimulator
import Testing

@testable import WorkStealing

@Suite struct AdmissionTests {
    func run(
        corrupt: [Int], otherClass: [Int] = [], nodes: Int = 5,
        change: (inout SimulationConfiguration) -> Void = { _ in }
    ) -> SimulationReport {
        var scenario = SimulationScenario()
        scenario.nodes = nodes
        // A unit of one sample takes a node some milliseconds.
        scenario.frame = JobDescription(width: 512, height: 384, samplesPerPixel: 64)
        scenario.originator = 0
        var configuration = scenario.configuration(seed: 3)
        configuration.corrupt = corrupt
        configuration.otherClass = otherClass
        change(&configuration)
        var simulation = Simulation(configuration)
        return simulation.run()
    }

    @Test("A node that is wrong is kept out before it has anything to render", arguments: [2, 5])
    func wrongNode(nodes: Int) {
        let report = run(corrupt: [1], nodes: nodes)
        #expect(report.violations.isEmpty && report.isCompleted)
        #expect(report.keptOut == [1])
        // The reference unit, which goes into no film.
        #expect(report.perNode[1].units == 1)
    }

    @Test(
        "An originator that is wrong is found out by two others, and renders no more",
        arguments: [false, true])
    func wrongOriginator(isAdaptive: Bool) {
        // Of an adaptive frame it goes on to waive what needs no rendering.
        func adapt(_ configuration: inout SimulationConfiguration) {
            configuration.submissions[0].job.isAdaptive = isAdaptive
        }
        let right = run(corrupt: [], change: adapt)
        let report = run(corrupt: [0], change: adapt)
        #expect(report.violations.isEmpty && report.isCompleted)
        #expect(right.quarantined.isEmpty && right.keptOut.isEmpty)
        #expect(report.quarantined == [0])
        #expect(report.perNode[0].units * 2 < right.perNode[0].units)
    }

    @Test("Nodes of two arithmetic classes take part, and a wrong one of either is kept out")
    func classes() {
        for corrupt in [[], [1], [2]] {
            let report = run(corrupt: corrupt, otherClass: [1, 4])
            #expect(report.violations.isEmpty && report.isCompleted)
            #expect(report.keptOut == corrupt && report.quarantined.isEmpty)
        }
    }

    @Test("A successor keeps out whom its predecessor did, and finds out by itself")
    func succession() {
        let report = run(corrupt: [3], nodes: 6) { configuration in
            configuration.faults = [
                ScheduledFault(
                    time: .seconds(4), fault: .crash(node: 0, after: nil))
            ]
        }
        #expect(report.violations.isEmpty)
        #expect(report.keptOut == [3] && report.perNode[3].units == 1)
        #expect(report.frames.map(\.end) == [.kept])
    }

    @Test("Each newcomer renders one unit more, and a slow one does not hold the first image back")
    func cost() throws {
        let report = run(corrupt: [], nodes: 8)
        #expect(report.violations.isEmpty)
        let none = run(corrupt: [], nodes: 1)
        #expect(none.violations.isEmpty && none.rendersPerUnit == 1)
        let first = try #require(report.frames.first?.firstImageSeconds)
        let slow = run(corrupt: [], nodes: 8) { $0.nodes[5] = [1_000] }
        let late = try #require(slow.frames.first?.firstImageSeconds)
        #expect(slow.violations.isEmpty && late < first * 2)
    }

    @Test("Wild schedules have such nodes, in frames that nobody verifies")
    func wild() {
        var found = 0
        for seed in stride(from: UInt64(3), to: 100, by: 8) {
            let configuration = SimulationConfiguration.random(seed: seed, faults: .wild)
            #expect(configuration.corrupt.count == 1)
            #expect(configuration.submissions.allSatisfy { $0.job.verifiedShare == 0 })
            var simulation = Simulation(configuration)
            let report = simulation.run()
            #expect(report.isGood, "meshd sim --seed \(seed) --faults wild: \(report.violations)")
            if !report.keptOut.isEmpty || !report.quarantined.isEmpty { found += 1 }
        }
        #expect(found >= 8)
    }
}
