// What a root makes of members that answer late, fail, accuse others, or lack a sum.

import MeshCore
import Testing

@testable import WorkStealing

@Suite struct RootRulesTests {
    let originator = ParticipantID(node: NodeID(1), boot: 1)
    let members = (2...5).map { ParticipantID(node: NodeID($0), boot: 1) }
    var frame: FrameID { FrameID(originator: originator, number: 1) }
    var term: Term { Term(number: 1, root: originator) }

    func units(_ lower: Int, _ upper: Int) -> IntervalSet {
        IntervalSet(SampleRange(lower, upper))
    }

    /// A root of four others that renders nothing itself, before its first round: 16 tiles.
    func root(
        _ change: (inout FrameConfiguration) -> Void = { _ in }
    ) throws -> FrameParticipant {
        var configuration = FrameConfiguration()
        configuration.sharesWithNewcomers = false
        change(&configuration)
        let grid = try #require(TileGrid(width: 32, height: 32, tileSize: 8))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: 2))
        var machine = FrameParticipant(
            originating: frame, workSpace: space, identity: originator,
            configuration: configuration, seed: 1, at: .zero)
        for member in members {
            let request = AdmissionRequest(term: term, samplesPerSecond: 1)
            machine.receive(.admissionRequest(request), from: member, at: .zero)
        }
        _ = drain(&machine)
        return machine
    }

    func drain(_ machine: inout FrameParticipant) -> [FrameDirective] {
        var all: [FrameDirective] = []
        while let directive = machine.nextDirective() { all.append(directive) }
        machine.checkInvariants()
        return all
    }

    /// Lets time pass until a round begins, and returns its starts.
    func begin(_ machine: inout FrameParticipant, now: inout Instant) -> [ParticipantID: RoundStart]
    {
        let before = machine.statistics.roundsStarted
        while machine.statistics.roundsStarted == before, now < .zero + .seconds(60) {
            now = max(now, machine.nextDeadline)
            machine.tick(at: now)
        }
        var starts: [ParticipantID: RoundStart] = [:]
        for directive in drain(&machine) {
            if case .send(.start(let start), let to) = directive { starts[to] = start }
        }
        return starts
    }

    func report(
        to start: RoundStart, seal: IntervalSet = IntervalSet(),
        claims: IntervalSet = IntervalSet(), wantsFilm: Bool = true
    ) -> FrameMessage {
        let seals =
            seal.isEmpty ? [] : [RoundReport.Seal(number: SealNumber(1), coverage: seal)]
        var report = RoundReport(
            round: start.round, seals: seals, claims: claims, filmUnits: 0, samplesPerSecond: 1,
            wantsFilm: wantsFilm)
        report.participantsHash = start.participants.hash
        report.ledgerHash = start.ledger.hash
        return .report(report)
    }

    /// Begins rounds until one has a data phase in which these contribute: the plans that it sends.
    /// Each has one sealed tile.
    func plans(_ machine: inout FrameParticipant, now: inout Instant) -> [ParticipantID: RoundPlan]
    {
        for _ in 0..<100 {
            let starts = begin(&machine, now: &now)
            for (index, member) in members.enumerated() {
                guard let start = starts[member] else { continue }
                machine.receive(
                    report(to: start, seal: units(index, index + 1)), from: member, at: now)
            }
            var plans: [ParticipantID: RoundPlan] = [:]
            for directive in drain(&machine) {
                if case .send(.plan(let plan), let to) = directive { plans[to] = plan }
            }
            if !plans.isEmpty { return plans }
        }
        return [:]
    }

    @Test("The last word of a member stands, also when it comes too late for its round")
    func lateReports() throws {
        var machine = try root()
        var now = Instant.zero
        var last: [ParticipantID: RoundStart] = [:]
        let late = members[3]
        for (member, start) in begin(&machine, now: &now) {
            machine.receive(report(to: start), from: member, at: now)
        }
        let request = StealRequest(term: term, number: 1, samplesPerSecond: 1_000)
        machine.receive(.stealRequest(request), from: late, at: now)
        var stolen = IntervalSet()
        for directive in drain(&machine) {
            guard case .send(.stealGrant(let grant), late) = directive else { continue }
            machine.receive(.grantAccepted(grant.grant), from: late, at: now)
            stolen = grant.units
        }
        #expect(!stolen.isEmpty)
        for _ in 0..<12 {
            let starts = begin(&machine, now: &now)
            // It answers each start after the next one has begun.
            if let start = last[late] {
                machine.receive(report(to: start, claims: stolen), from: late, at: now)
            }
            for member in members.dropLast() {
                guard let start = starts[member] else { continue }
                machine.receive(report(to: start), from: member, at: now)
            }
            last = starts
            _ = drain(&machine)
        }
        #expect(machine.statistics.unitsLost == 0)
        #expect(machine.participants.contains(late))
    }

    @Test("Who names one after the other as the cause of failures is left out itself")
    func accusations() throws {
        var machine = try root()
        var now = Instant.zero
        #expect(plans(&machine, now: &now).count == 4)
        for (round, cause) in [members[1], members[2]].enumerated() {
            let failure = RoundFailure(round: try #require(machine.round), cause: cause)
            machine.receive(.contributionFailed(failure), from: members[0], at: now)
            let next = plans(&machine, now: &now)
            #expect(next[cause] == nil && next[members[3]] != nil)
            #expect((next[members[0]] != nil) == (round == 0))
        }
        // Once a sum has arrived, all that is forgotten.
        machine.gathered(
            round: try #require(machine.round), coverage: units(3, 4), at: now)
        #expect(machine.root?.accused.isEmpty == true)
    }

    @Test("A member whose partial films never arrive is mute, until it has none and is let in")
    func mute() throws {
        var machine = try root()
        var now = Instant.zero
        #expect(plans(&machine, now: &now).count == 4)
        var member = try #require(machine.root?[1])
        #expect(member.report?.seals.count == 1)
        member.failures = machine.configuration.failuresMax
        #expect(machine.isMute(member))
        member.report?.seals = []
        #expect(!machine.isMute(member))
        member.excludedBefore = (machine.root?.dataNumber ?? 0) + 1
        #expect(machine.isMute(member))
    }

    @Test("A long ledger is said as what is new since the sum, to those to whom it went")
    func presumedLedger() throws {
        var machine = try root { $0.presumedRangesMin = 1 }
        var now = Instant.zero
        let ledgerOnly = members[3]
        let sum = IntervalSet([SampleRange(0, 1), SampleRange(2, 3)])
        while machine.statistics.dataRounds == 0 {
            let starts = begin(&machine, now: &now)
            for (index, member) in members.enumerated() {
                let start = try #require(starts[member])
                let answer = report(
                    to: start, seal: index == 0 ? sum : IntervalSet(),
                    claims: units(4 + index, 5 + index), wantsFilm: member != ledgerOnly)
                machine.receive(answer, from: member, at: now)
            }
        }
        machine.gathered(round: try #require(machine.round), coverage: sum, at: now)
        #expect(machine.ledger == sum)
        _ = drain(&machine)
        let second = begin(&machine, now: &now)
        for member in members {
            let update = try #require(second[member]).ledger
            #expect(update.hash == LedgerUpdate.hash(of: sum))
            #expect(update.added == (member == ledgerOnly ? sum : IntervalSet()))
        }
        // Who did not get it asks for the whole.
        let round = try #require(machine.round)
        machine.receive(.startUnknown(round), from: members[1], at: now)
        let answers = drain(&machine).compactMap { directive -> RoundStart? in
            guard case .send(.start(let start), members[1]) = directive else { return nil }
            return start
        }
        #expect(answers.map(\.ledger) == [LedgerUpdate(whole: sum)])
    }

    @Test(
        "A large frame's next round waits until the last sum is everywhere, but no heartbeat long")
    func waitsForSum() {
        var configuration = FrameConfiguration()
        configuration.listedMax = 4
        var state = RootState(members: [originator] + members, at: .zero)
        let now = Instant.zero + .milliseconds(300)
        let soon = state.earliestStart(at: now, configuration)
        #expect(soon == now + .milliseconds(1))
        let round = RoundID(term: term, number: 1)
        state.lastSum = (round, 1, .zero + .milliseconds(500))
        #expect(state.earliestStart(at: now, configuration) == Instant.zero + .milliseconds(500))
        state.lastSum = (round, 1, .zero + .seconds(500))
        let heartbeat = configuration.heartbeatInterval
        #expect(state.earliestStart(at: now, configuration) == Instant.zero + heartbeat)
        configuration.listedMax = 5
        #expect(state.earliestStart(at: now, configuration) == soon)
    }
}
