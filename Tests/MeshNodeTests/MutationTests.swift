// The checkers, checked: with a rule of the protocol taken away, some seed breaks a promise.

import Gossip
import MeshCore
import MeshNode
import Testing
import WorkStealing

@testable import MeshSimulator

@Suite("Planted bugs")
struct MutationTests {
    /// A planted bug and the violations that give it away.
    struct Plant: Sendable, CustomTestStringConvertible {
        let mutation: ProtocolMutation
        let kinds: Set<Violation.Kind>
        var testDescription: String { mutation.rawValue }

        init(_ mutation: ProtocolMutation, _ kinds: Violation.Kind...) {
            self.mutation = mutation
            self.kinds = Set(kinds)
        }
    }

    static let plants = [
        Plant(.disjointnessUnchecked, .untrueFilm, .disagreement),
        Plant(.sumAddedToAnyBase, .overlappingMerge),
        Plant(.plannedCoverageCommitted, .disagreement),
        Plant(.parentAddsIntoSeal, .disagreement),
        Plant(.coverageFromMessage, .disagreement),
        Plant(.twoResultsKept, .twoResults),
        Plant(.termWithoutRoot, .doubleCommit),
        Plant(.ledgerTakenForFilm, .disagreement),
        Plant(.onlyOneSuccessor, .unfinished),
        Plant(.stuckUnitsNotDoubled, .unfinished),
        Plant(.lossesNotCounted, .unheldUnits),
        Plant(.partialsNotToldApart, .disagreement),
        Plant(.muteWaitedFor, .unfinished),
        Plant(.stagesJudgedEarly, .untimelyVerdict),
        Plant(.waivedUnitsForgotten, .unfinished),
        Plant(.referencesNotCompared, .wrongResults),
    ]

    /// A run in which the rule matters.
    static func configuration(
        of mutation: ProtocolMutation, seed: UInt64
    ) -> SimulationConfiguration {
        var run = SimulationConfiguration.random(seed: seed, nodeCounts: 6...10, faults: .wild)
        switch mutation {
        case .stuckUnitsNotDoubled:
            // One of the originator's devices never finishes anything.
            run.nodes[run.submissions[0].node] = [30_000, 0.001]
            run.submissions = Array(run.submissions.prefix(1))
            run.faults = []
        case .muteWaitedFor:
            // Its messages pass a firewall, its streams never do.
            run.submissions = Array(run.submissions.prefix(1))
            let mute = (run.submissions[0].node + 1) % run.nodes.count
            run.faults = [ScheduledFault(time: .zero, fault: .mute(node: mute, nil))]
        case .stagesJudgedEarly, .waivedUnitsForgotten:
            run.submissions[0].job.isAdaptive = true
            run.submissions[0].job.samplesPerPixel = 64
        case .ledgerTakenForFilm:
            run.node.frame.keepsFilm = false
        default: break
        }
        run.patience = .seconds(70)
        return run
    }

    @Test("A planted bug is caught within 200 seeds", arguments: plants)
    func caught(plant: Plant) throws {
        let seed = (1...200 as ClosedRange<UInt64>).first { seed in
            var run = Self.configuration(of: plant.mutation, seed: seed)
            run.node.frame.mutation = plant.mutation
            var simulation = Simulation(run)
            return simulation.run().violations.first.map { plant.kinds.contains($0.kind) } ?? false
        }
        let caughtAt = try #require(seed, "\(plant.mutation) is never caught")
        // The same run with the rule does not break that promise.
        var simulation = Simulation(Self.configuration(of: plant.mutation, seed: caughtAt))
        let violations = simulation.run().violations
        let isRight = violations.allSatisfy { !plant.kinds.contains($0.kind) }
        #expect(isRight, "\(plant.mutation), seed \(caughtAt): \(violations)")
    }

    @Test("Views that never come true again after a partition are caught")
    func unconverged() {
        func run(contactInterval: Duration?) -> SimulationReport {
            var run = SimulationConfiguration.random(seed: 3, nodeCounts: 6...6, faults: .none)
            let cut = ScheduledFault.Fault.partition(
                group: [0, 1, 2], oneWay: false, .seconds(30))
            run.faults = [ScheduledFault(time: .seconds(30), fault: cut)]
            run.node.gossip.contactInterval = contactInterval ?? run.node.gossip.contactInterval
            var simulation = Simulation(run)
            return simulation.run()
        }
        #expect(run(contactInterval: nil).isGood)
        let broken = run(contactInterval: .seconds(100_000)).violations.map(\.kind)
        #expect(broken == [.unconverged])
    }

    @Test("A machine beyond its bounds and a complete film unlike the first are caught")
    func bounds() throws {
        var simulation = Simulation(.random(seed: 1, nodeCounts: 6...6, faults: .none))
        let report = simulation.run()
        #expect(report.isGood)
        let process = try #require(simulation.nodes[0].process)
        let frame = try #require(simulation.jobs[0].frame)
        let round = RoundID(term: Term(number: 1, root: process.identity), number: 1)
        let keeper = FilmKeeper()
        let content = FilmTransfer.contribution(
            frame, round, .whole, sender: process.identity, SimulatedFilm())
        let flow = FilmFlow(
            number: 0, from: 0, to: 0, boot: 1, content: content, bytes: 1, pieces: 1)
        for _ in 0..<FilmKeeper.earlyMax { keeper.early.append(flow) }
        process.drivers[frame] = keeper
        simulation.checkBounds(of: 0)
        #expect(simulation.report.violations.isEmpty)
        keeper.early.append(flow)
        simulation.checkBounds(of: 0)
        #expect(simulation.report.violations.map(\.kind) == [.unbounded])

        var film = try #require(simulation.jobs[0].complete)
        simulation.compare(film, ofJob: 0, at: 1)
        #expect(simulation.report.violations.count == 1)
        _ = film.add(
            SimulatedFilm(unit: 0, simulation.jobs[0].tallies), isChecked: false)
        simulation.compare(film, ofJob: 0, at: 1)
        #expect(simulation.report.violations.last?.kind == .unequalFilms)
        #expect(!Occupancy("claims", 2, max: 1).isWithinBounds)
    }
}
