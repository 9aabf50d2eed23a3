// What a reduction costs on the simulated network, along several trees and through one link.

import MeshCore
import Testing

@testable import MeshSimulator

@Suite("A reduction in virtual time")
struct ReductionTests {
    private func run(
        _ shape: ReductionExperiment.Shape, nodes: Int, seed: UInt64 = 1
    ) -> ReductionExperiment.Figures {
        var experiment = ReductionExperiment(shape, nodes: nodes, latency: .microseconds(100))
        experiment.seed = seed
        return experiment.run()
    }

    @Test(
        "No link carries more than two films each way, and the root's one, at any number of nodes",
        arguments: [2, 3, 4, 5, 8, 9, 10, 24])
    func traffic(nodes: Int) {
        for seed in 1...3 as ClosedRange<UInt64> {
            let figures = run(.trees, nodes: nodes, seed: seed)
            #expect(figures.isRight)
            #expect(figures.rootFilmsIn < 1.01 && figures.rootFilmsOut < 1.01, "\(figures)")
            #expect(figures.worstFilmsIn < 2.01 && figures.worstFilmsOut < 2.01, "\(figures)")
        }
    }

    @Test("The sum goes down while it comes up: the time is near that of the busiest link")
    func time() {
        let figures = run(.trees, nodes: 16)
        #expect(figures.seconds < figures.boundSeconds * 1.3, "\(figures)")
    }

    @Test("A central merge moves all films through the root's link")
    func central() {
        let figures = run(.central, nodes: 9)
        #expect(figures.isRight)
        #expect(abs(figures.rootFilmsIn - 8) < 0.01 && abs(figures.rootFilmsOut - 8) < 0.01)
        #expect(figures.worstFilmsIn < 1.01)
        #expect(figures.seconds > figures.boundSeconds * 4)
    }
}
