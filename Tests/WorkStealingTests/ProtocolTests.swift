// Single promises of a frame's machine, message by message: each of these was a hole once, in
// some design.

import MeshCore
import Testing

@testable import WorkStealing

@Suite struct ProtocolTests {
    let originator = ParticipantID(node: NodeID(1), boot: 1)
    let other = ParticipantID(node: NodeID(2), boot: 1)
    let third = ParticipantID(node: NodeID(3), boot: 1)
    var frame: FrameID { FrameID(originator: originator, number: 1) }
    var term: Term { Term(number: 1, root: originator) }

    func space() throws -> WorkSpace {
        let grid = try #require(TileGrid(width: 32, height: 32, tileSize: 8))
        return try #require(WorkSpace(grid: grid, samplesPerPixel: 2))
    }

    func root(
        configuration: FrameConfiguration = FrameConfiguration()
    ) throws -> FrameParticipant {
        var machine = FrameParticipant(
            originating: frame, workSpace: try space(), identity: originator,
            configuration: configuration, seed: 1, at: .zero)
        machine.skipReference()
        machine.setSpeed(samplesPerSecond: 100)
        return machine
    }

    func joiner() throws -> FrameParticipant {
        var machine = FrameParticipant(
            joining: frame, workSpace: try space(), identity: other, term: term,
            configuration: FrameConfiguration(), seed: 2, at: .zero)
        machine.skipReference()
        machine.setSpeed(samplesPerSecond: 100)
        return machine
    }

    func drain(_ machine: inout FrameParticipant) -> [FrameDirective] {
        var all: [FrameDirective] = []
        while let directive = machine.nextDirective() { all.append(directive) }
        machine.checkInvariants()
        return all
    }

    func start(
        _ number: UInt64, ledger: IntervalSet = IntervalSet(), listed: Bool = true,
        term: Term? = nil
    ) -> FrameMessage {
        let term = term ?? self.term
        return .start(
            RoundStart(
                round: RoundID(term: term, number: number),
                participants: [term.root] + (listed ? [other, third] : [third]), ledger: ledger))
    }

    func units(_ lower: Int, _ upper: Int) -> IntervalSet {
        IntervalSet(SampleRange(lower, upper))
    }

    /// A joiner that has claimed and rendered units 0 to 3 and begun 4, after round 1.
    func busyJoiner() throws -> FrameParticipant {
        var machine = try joiner()
        machine.receive(start(1), from: originator, at: .zero)
        machine.receive(
            .stealGrant(
                StealGrant(
                    term: term, grant: GrantID(victim: originator, number: 1), request: 0,
                    units: units(0, 8))), from: originator, at: .zero)
        for unit in 0..<4 {
            let taken = machine.takeUnit(at: .zero)
            let disposition = machine.rendered(unit, at: .zero)
            #expect(taken == unit && disposition == .addToOpen)
        }
        let begun = machine.takeUnit(at: .zero)
        #expect(begun == 4)
        _ = drain(&machine)
        return machine
    }

    @Test("A joiner asks for admission, is listed by a start, seals and reports")
    func joins() throws {
        var machine = try joiner()
        machine.tick(at: .zero + machine.configuration.referencePatience)
        let asked = drain(&machine)
        #expect(
            asked.contains(
                .send(
                    .admissionRequest(AdmissionRequest(term: term, samplesPerSecond: 100)),
                    to: originator)))
        var busy = try busyJoiner()
        busy.receive(start(2), from: originator, at: .zero)
        let answer = drain(&busy)
        #expect(answer.contains(.seal(SealNumber(1))))
        let report = answer.compactMap { directive -> RoundReport? in
            guard case .send(.report(let report), _) = directive else { return nil }
            return report
        }
        #expect(report.first?.seals.map(\.coverage) == [units(0, 4)])
        #expect(report.first?.claims == units(4, 8))
    }

    @Test("A root adds the delivered coverage to its ledger, never the planned one")
    func deliveredCoverage() throws {
        var machine = try root()
        for unit in 0..<4 {
            _ = machine.takeUnit(at: .zero)
            _ = machine.rendered(unit, at: .zero)
        }
        let now = machine.nextDeadline
        machine.tick(at: now)
        let directives = drain(&machine)
        let round = try #require(machine.round)
        #expect(
            directives.contains(
                .gather(
                    round: round, seals: [SealNumber(1)],
                    stripes: [GatherPlace(children: [], receivers: [])])))
        machine.gathered(round: round, coverage: units(0, 3), at: now)
        #expect(drain(&machine).contains(.commit(round: round)))
        #expect(machine.ledger == units(0, 3) && machine.filmCoverage == units(0, 3))
        // The seal overlaps the ledger and goes; the unit that was not delivered is claimed again.
        #expect(machine.claims.contains(3))
        // The same round again, or another that is not in progress: nothing happens.
        machine.gathered(round: round, coverage: units(5, 6), at: now)
        #expect(machine.ledger == units(0, 3) && drain(&machine).isEmpty)
    }

    @Test("A sum is added only to a film it is disjoint from; a larger film is fetched otherwise")
    func overlappingSum() throws {
        var machine = try busyJoiner()
        let round = RoundID(term: term, number: 1)
        let first = machine.sumArrived(
            round: round, coverage: units(10, 12), ledger: units(10, 12), at: .zero)
        #expect(first == .add)
        let again = machine.sumArrived(
            round: round, coverage: units(11, 14), ledger: units(8, 14), at: .zero)
        #expect(again == .discard && machine.filmCoverage == units(10, 12))
        _ = drain(&machine)
        machine.tick(at: .zero + machine.configuration.fetchDelay)
        #expect(drain(&machine).contains(.fetchFilm(from: [originator])))
        let smaller = machine.filmFetched(coverage: units(0, 1), from: originator, at: .zero)
        #expect(smaller == .discard)
        let larger = machine.filmFetched(coverage: units(8, 14), from: originator, at: .zero)
        #expect(larger == .replace && machine.filmCoverage == units(8, 14))
    }

    @Test("A plan that names a partial film that is gone makes this node the cause of a failure")
    func missingSeal() throws {
        var machine = try busyJoiner()
        machine.receive(start(2), from: originator, at: .zero)
        _ = drain(&machine)
        let round = RoundID(term: term, number: 2)
        let plan = RoundPlan(
            round: round, seals: [SealNumber(9)],
            places: [TreePlace(parent: originator, children: [])])
        machine.receive(.plan(plan), from: originator, at: .zero)
        #expect(
            drain(&machine) == [
                .send(
                    .contributionFailed(RoundFailure(round: round, cause: other)),
                    to: originator)
            ])
    }

    @Test("A contested unit in progress is kept apart; one not begun is left to the helper")
    func contested() throws {
        var machine = try busyJoiner()
        for unit in [4, 6] {
            machine.receive(
                .contested(LateUnits(term: term, units: units(unit, unit + 1))),
                from: originator, at: .zero)
        }
        #expect(!machine.claims.contains(6))
        let disposition = machine.rendered(4, at: .zero)
        #expect(disposition == .sealApart(SealNumber(1)))
    }

    @Test("A dismissed node drops its claims, keeps its partial films, and asks for admission")
    func dismissed() throws {
        var machine = try busyJoiner()
        machine.receive(start(2, listed: false), from: originator, at: .zero)
        #expect(!machine.isListed && machine.uncommitted == units(0, 4))
        #expect(machine.claims == units(4, 5))
        machine.tick(at: .zero)
        let asks = drain(&machine).contains { directive in
            if case .send(.admissionRequest, to: originator) = directive { return true }
            return false
        }
        #expect(asks)
        let disposition = machine.rendered(4, at: .zero)
        #expect(disposition == .sealApart(SealNumber(1)))
    }

    @Test("A root steps down before a higher term, of equal number too, and keeps its film")
    func equalNumbers() throws {
        var machine = try root()
        let rival = Term(number: 1, root: third)
        machine.learned(term: rival, at: .zero)
        #expect(!machine.isRoot && machine.term == rival)
        var loser = try joiner()
        loser.learned(term: rival, at: .zero)
        loser.receive(start(5), from: originator, at: .zero)
        #expect(loser.round == nil && loser.statistics.messagesIgnored == 1)
    }

    @Test("Nonsense from outside is ignored and counted")
    func nonsense() throws {
        var machine = try busyJoiner()
        let far = IntervalSet(SampleRange(0, 1_000_000))
        let messages: [FrameMessage] = [
            start(7, ledger: far),
            .stealGrant(
                StealGrant(
                    term: term, grant: GrantID(victim: originator, number: 9), request: 0,
                    units: far)),
            .lateUnits(LateUnits(term: term, units: far)),
            .stealRequest(StealRequest(term: term, number: 1, samplesPerSecond: .nan)),
            .report(
                RoundReport(
                    round: RoundID(term: term, number: 1), seals: [], claims: far,
                    filmUnits: -1, samplesPerSecond: -.infinity)),
            .plan(
                RoundPlan(
                    round: RoundID(term: term, number: 99), seals: [],
                    places: [TreePlace(parent: other, children: [])])),
        ]
        let before = machine.claims
        for message in messages { machine.receive(message, from: originator, at: .zero) }
        #expect(machine.statistics.messagesIgnored == messages.count)
        #expect(machine.claims == before)
        _ = drain(&machine)
    }
}
