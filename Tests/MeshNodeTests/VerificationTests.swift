// Frames whose units are rendered twice and compared, in virtual time.

import MeshCore
import MeshNode
import MeshSimulator
import Testing

@testable import WorkStealing

@Suite struct VerificationTests {
    func run(
        share: Double, flaky: [Int], otherClass: [Int] = [], nodes: Int = 5
    ) -> SimulationReport {
        var scenario = SimulationScenario()
        scenario.nodes = nodes
        scenario.frame = JobDescription(
            width: 256, height: 192, samplesPerPixel: 16, verifiedShare: share)
        scenario.originator = 0
        var configuration = scenario.configuration(seed: 3)
        configuration.flaky = flaky
        configuration.otherClass = otherClass
        var simulation = Simulation(configuration)
        return simulation.run()
    }

    @Test("All units are rendered twice, and the frame is whole")
    func all() {
        let report = run(share: 1, flaky: [])
        #expect(report.violations.isEmpty && report.isCompleted)
        #expect((1.95...2.1).contains(report.rendersPerUnit))
        #expect(report.quarantined.isEmpty)
        let some = run(share: 0.1, flaky: [])
        #expect(some.violations.isEmpty && (1.03...1.2).contains(some.rendersPerUnit))
    }

    @Test("A node with wrong results is kept out, whether it renders, checks or leads")
    func wrongNode() {
        for flaky in [0, 3] {
            let report = run(share: 1, flaky: [flaky])
            #expect(report.violations.isEmpty && report.isCompleted)
            #expect(report.quarantined == [flaky])
        }
    }

    @Test("Nodes of two arithmetic classes agree, and a wrong one of either is kept out")
    func classes() {
        for flaky in [[], [1], [2]] {
            let report = run(share: 1, flaky: flaky, otherClass: [1, 4])
            #expect(report.violations.isEmpty && report.isCompleted)
            #expect(report.quarantined == flaky)
        }
    }
}
