// Holes that a review found: numbers that trap, lists that lie, and moments in which nobody spoke
// to the one who waited.

import MeshCore
import Testing

@testable import WorkStealing

extension ProtocolTests {
    /// A root with two members that have answered its first round.
    private func rootWithMembers(
        at now: inout Instant, sharing: Bool = false, speed: Double = 100
    ) throws -> FrameParticipant {
        var configuration = FrameConfiguration()
        configuration.sharesWithNewcomers = sharing
        var machine = try root(configuration: configuration)
        for member in [other, third] {
            machine.receive(
                .admissionRequest(AdmissionRequest(term: term, samplesPerSecond: speed)),
                from: member, at: now)
        }
        now = machine.nextDeadline
        machine.tick(at: now)
        if !sharing { _ = drain(&machine) }
        return machine
    }

    private func report(
        _ machine: FrameParticipant, claims: IntervalSet = IntervalSet(), filmUnits: Int = 0
    ) throws -> FrameMessage {
        .report(
            RoundReport(
                round: try #require(machine.round), seals: [], claims: claims,
                filmUnits: filmUnits, samplesPerSecond: 100))
    }

    /// Lets time pass until a timer of the machine has made what is looked for.
    private func directives(
        of machine: inout FrameParticipant, until limit: Instant, now: inout Instant
    ) -> [FrameDirective] {
        var all = drain(&machine)
        while machine.nextDeadline <= limit {
            now = max(now, machine.nextDeadline)
            machine.tick(at: now)
            all += drain(&machine)
        }
        return all
    }

    private func starts(_ directives: [FrameDirective], to receiver: ParticipantID) -> Int {
        directives.count { directive in
            if case .send(.start, to: receiver) = directive { true } else { false }
        }
    }

    @Test("Terms that cannot be, or are this node's own, are not joined")
    func absurdTerms() throws {
        for absurd in [Term(number: .max, root: third), Term(number: 7, root: other)] {
            var machine = FrameParticipant(
                joining: frame, workSpace: try space(), identity: other, term: absurd,
                configuration: FrameConfiguration(), seed: 2, at: .zero)
            #expect(machine.term == term)
            machine.participantChanged(originator, isAlive: false, at: .zero)
            machine.participantChanged(third, isAlive: false, at: .zero)
            var now = Instant.zero
            _ = directives(of: &machine, until: .zero + .seconds(40), now: &now)
            #expect(machine.isRoot && machine.term.number == 2)
        }
    }

    @Test("A plan in which somebody or a partial film is twice is ignored")
    func doubledPlan() throws {
        let round = RoundID(term: term, number: 2)
        let seal = SealNumber(1)
        func plan(
            _ seals: [SealNumber], _ parent: ParticipantID, _ children: [ParticipantID]
        ) -> RoundPlan {
            RoundPlan(
                round: round, seals: seals,
                places: [TreePlace(parent: parent, children: children)])
        }
        for bad in [
            plan([seal, seal], originator, []), plan([seal], originator, [third, third]),
            plan([seal], third, [third]), plan([seal], originator, [other]),
        ] {
            var machine = try busyJoiner()
            machine.receive(start(2), from: originator, at: .zero)
            _ = drain(&machine)
            machine.receive(.plan(bad), from: originator, at: .zero)
            #expect(drain(&machine).isEmpty && machine.statistics.messagesIgnored == 1)
        }
    }

    @Test("A list that names somebody twice is not inherited")
    func doubledList() throws {
        var machine = try joiner()
        machine.receive(
            .start(
                RoundStart(
                    round: RoundID(term: term, number: 1),
                    participants: [originator, other, third, third, other, originator],
                    ledger: IntervalSet())), from: originator, at: .zero)
        machine.participantChanged(originator, isAlive: false, at: .zero)
        var now = Instant.zero
        _ = directives(of: &machine, until: .zero + .milliseconds(200), now: &now)
        #expect(machine.isRoot)
        #expect(machine.participants == [other, third])
    }

    @Test("Newcomers get their part of the work, and of the first pass, with their first start")
    func newcomers() throws {
        var now = Instant.zero
        var machine = try rootWithMembers(at: &now, sharing: true)
        let before = machine.workSpace.count
        var parts: [ParticipantID: IntervalSet] = [:]
        var started: Set<ParticipantID> = []
        for directive in drain(&machine) {
            switch directive {
            case .send(.start, let receiver): started.insert(receiver)
            case .send(.stealGrant(let grant), let receiver):
                #expect(started.contains(receiver), "before it is listed")
                #expect(grant.request == 0)
                parts[receiver] = grant.units
            default: break
            }
        }
        #expect(Set(parts.keys) == [other, third])
        let firstPass = IntervalSet(machine.workSpace.units(ofPass: 0))
        for units in parts.values {
            // All three are equally fast.
            #expect(!units.isDisjoint(with: firstPass))
            let share = Double(units.count) / Double(before)
            #expect(abs(share - 1.0 / 3) < 0.15, "\(share)")
        }
        #expect(!machine.heldUnits.isDisjoint(with: firstPass))
        // Who is not known to render anything is given nothing unasked.
        var idle = try rootWithMembers(at: &now, sharing: true, speed: 0)
        let unasked = drain(&idle)
        let isGiven = unasked.contains { directive in
            if case .send(.stealGrant, _) = directive { true } else { false }
        }
        #expect(!isGiven)
    }

    @Test("The round of the first image begins when the last says that its first pass is rendered")
    func firstImage() throws {
        var now = Instant.zero
        var machine = try rootWithMembers(at: &now, sharing: true)
        let firstPass = machine.workSpace.units(ofPass: 0)
        for directive in drain(&machine) {
            if case .send(.stealGrant(let grant), let thief) = directive {
                machine.receive(.grantAccepted(grant.grant), from: thief, at: now)
            }
        }
        while let unit = machine.heldUnits.first, firstPass.contains(unit) {
            let taken = machine.takeUnit(at: now)
            #expect(taken == unit)
            _ = machine.rendered(unit, at: now)
        }
        // What they say they hold was true before the grants came.
        let round = try #require(machine.round)
        for member in [other, third] {
            machine.receive(
                .report(
                    RoundReport(
                        round: round, seals: [], claims: IntervalSet(), filmUnits: 0,
                        samplesPerSecond: 100)), from: member, at: now)
        }
        _ = drain(&machine)
        machine.receive(.firstPassDone(term), from: other, at: now)
        let later = machine.nextDeadline
        #expect(later > now + .milliseconds(10))
        machine.receive(.firstPassDone(term), from: third, at: now)
        let soon = machine.nextDeadline
        #expect(soon == now + .milliseconds(1))
        machine.tick(at: soon)
        let isStarted = drain(&machine).contains { directive in
            if case .send(.start, _) = directive { true } else { false }
        }
        #expect(isStarted)
    }

    @Test("A node says once that its part of the first pass is rendered")
    func firstPassDone() throws {
        var machine = try joiner()
        machine.receive(start(1), from: originator, at: .zero)
        machine.receive(
            .stealGrant(
                StealGrant(
                    term: term, grant: GrantID(victim: originator, number: 1), request: 0,
                    units: IntervalSet([SampleRange(3, 5), SampleRange(16, 20)]))),
            from: originator, at: .zero)
        var notices = 0
        for unit in [3, 4, 16, 17] {
            let taken = machine.takeUnit(at: .zero)
            #expect(taken == unit)
            _ = machine.rendered(unit, at: .zero)
            let sent = drain(&machine).contains(.send(.firstPassDone(term), to: originator))
            #expect(sent == (unit == 4))
            notices += sent ? 1 : 0
        }
        #expect(notices == 1)
    }

    @Test("Only participants that can render are given work")
    func strangers() throws {
        var now = Instant.zero
        var machine = try rootWithMembers(at: &now)
        func ask(_ thief: ParticipantID, speed: Double) -> [FrameDirective] {
            machine.receive(
                .stealRequest(StealRequest(term: term, number: 1, samplesPerSecond: speed)),
                from: thief, at: now)
            return drain(&machine)
        }
        let stranger = ParticipantID(node: NodeID(9), boot: 1)
        let answer = ask(stranger, speed: 100)
        #expect(
            answer == [.send(.stealRefusal(StealRefusal(term: term, request: 1)), to: stranger)])
        let toIdle = ask(third, speed: 0)
        #expect(toIdle.isEmpty)
        #expect(machine.statistics.grantsGiven == 0)
        _ = ask(third, speed: 100)
        #expect(machine.statistics.grantsGiven == 1)
    }

    @Test("A thief that does not answer gets the same grant again, and no more")
    func unansweredGrant() throws {
        var now = Instant.zero
        var machine = try rootWithMembers(at: &now)
        var grants: [StealGrant] = []
        for number in 1...3 as ClosedRange<UInt64> {
            machine.receive(
                .stealRequest(StealRequest(term: term, number: number, samplesPerSecond: 100)),
                from: third, at: now)
            for case .send(.stealGrant(let grant), to: third) in drain(&machine) {
                grants.append(grant)
            }
        }
        #expect(grants.map(\.request) == [1, 2, 3])
        #expect(Set(grants.map(\.grant)).count == 1 && Set(grants.map(\.units)).count == 1)
    }

    @Test("A root is heard of while it fetches a larger film")
    func adoptingRoot() throws {
        var now = Instant.zero
        var machine = try rootWithMembers(at: &now)
        for member in [other, third] {
            machine.receive(
                try report(machine, filmUnits: member == third ? 9 : 0), from: member, at: now)
        }
        #expect(drain(&machine).contains(.fetchFilm(from: [third])))
        let limit = now + machine.configuration.heartbeatInterval * 3
        #expect(starts(directives(of: &machine, until: limit, now: &now), to: other) == 3)
    }

    @Test("A sum goes only to those who answered its round: a silent node would not pass it on")
    func silentReceiver() throws {
        var now = Instant.zero
        var machine = try rootWithMembers(at: &now)
        // Both are known to want the sums; then one falls silent.
        for member in [other, third] {
            machine.receive(try report(machine), from: member, at: now)
        }
        for _ in 0..<4 {
            _ = machine.takeUnit(at: now)
        }
        for unit in 0..<4 { _ = machine.rendered(unit, at: now) }
        var all = drain(&machine)
        while !all.contains(where: { if case .gather = $0 { true } else { false } }) {
            now = machine.nextDeadline
            machine.tick(at: now)
            machine.receive(try report(machine), from: third, at: now)
            all += drain(&machine)
        }
        let round = try #require(machine.round)
        let receivers = all.compactMap { directive -> [ParticipantID]? in
            if case .gather(_, _, let stripes) = directive { stripes[0].receivers } else { nil }
        }
        #expect(receivers == [[third]])
        machine.gathered(round: round, coverage: units(0, 4), at: now)
        let rest = drain(&machine)
        let commit = try #require(rest.firstIndex(of: .commit(round: round)))
        let release = rest.firstIndex(of: .release(round: round, ledger: units(0, 4)))
        #expect(release.map { $0 > commit } == true)
    }

    @Test("Who asks for admission after the farewells of a complete frame is told so")
    func lateAdmission() throws {
        var now = Instant.zero
        var machine = try root()
        while let unit = machine.takeUnit(at: now) { _ = machine.rendered(unit, at: now) }
        now = machine.nextDeadline
        machine.tick(at: now)
        let round = try #require(machine.round)
        machine.gathered(round: round, coverage: IntervalSet(machine.workSpace.all), at: now)
        machine.receive(
            .admissionRequest(AdmissionRequest(term: term, samplesPerSecond: 100)), from: other,
            at: now)
        // It answers each time that its film is not complete yet, until the root gives up.
        var farewells = 0
        let limit = now + .seconds(60)
        while machine.nextDeadline <= limit {
            now = max(now, machine.nextDeadline)
            machine.tick(at: now)
            guard starts(drain(&machine), to: other) > 0 else { continue }
            farewells += 1
            machine.receive(try report(machine), from: other, at: now)
        }
        #expect(farewells == machine.configuration.farewellsMax + 1)
        for member in [other, third] {
            machine.receive(
                .admissionRequest(AdmissionRequest(term: term, samplesPerSecond: 100)),
                from: member, at: now)
            #expect(starts(drain(&machine), to: member) == 1)
        }
    }

    @Test("A ledger-only node does not lead a complete frame while somebody has its film")
    func contentLedgerOnly() throws {
        var configuration = FrameConfiguration()
        configuration.keepsFilm = false
        var machine = FrameParticipant(
            joining: frame, workSpace: try space(), identity: other, term: term,
            configuration: configuration, seed: 2, at: .zero)
        let fourth = ParticipantID(node: NodeID(4), boot: 1)
        machine.receive(
            .start(
                RoundStart(
                    round: RoundID(term: term, number: 1),
                    participants: [originator, third, fourth, other],
                    ledger: IntervalSet(machine.workSpace.all))), from: originator, at: .zero)
        machine.learnedCompleteFilm(at: third, at: .zero)
        var now = Instant.zero
        machine.participantChanged(originator, isAlive: false, at: now)
        _ = directives(of: &machine, until: .zero + .seconds(60), now: &now)
        #expect(machine.isDone && !machine.isRoot)
        // Nobody has it any more: then it is rendered again.
        machine.participantChanged(third, isAlive: false, at: now)
        _ = directives(of: &machine, until: now + .seconds(10), now: &now)
        #expect(machine.isRoot && machine.ledger.isEmpty)
    }

    @Test("A node that was stopped listens before it takes over")
    func stopped() throws {
        var machine = try joiner()
        machine.receive(start(1), from: originator, at: .zero)
        let stop = Instant.zero + .seconds(1)
        machine.tick(at: stop)
        let thaw = stop + .seconds(30)
        machine.tick(at: thaw)
        #expect(!machine.isRoot)
        // The root is silent indeed.
        var now = thaw
        _ = directives(of: &machine, until: thaw + .seconds(10), now: &now)
        #expect(machine.isRoot)
        _ = drain(&machine)
    }

    @Test("The successors of a dead root come one after the other, from the news on")
    func staggered() throws {
        var machine = FrameParticipant(
            joining: frame, workSpace: try space(), identity: third, term: term,
            configuration: FrameConfiguration(), seed: 2, at: .zero)
        machine.receive(start(1), from: originator, at: .zero)
        let news = Instant.zero + .seconds(3)
        var now = Instant.zero
        _ = directives(of: &machine, until: news, now: &now)
        machine.participantChanged(originator, isAlive: false, at: news)
        now = news
        _ = directives(of: &machine, until: news + .milliseconds(700), now: &now)
        #expect(!machine.isRoot, "the first successor has 700 ms")
        _ = directives(of: &machine, until: news + .milliseconds(900), now: &now)
        #expect(machine.isRoot)
    }

    @Test("A node that is dismissed ends its contribution")
    func dismissedContributor() throws {
        var machine = try busyJoiner()
        machine.receive(start(2), from: originator, at: .zero)
        let round = RoundID(term: term, number: 2)
        let plan = RoundPlan(
            round: round, seals: [SealNumber(1)],
            places: [TreePlace(parent: originator, children: [])])
        machine.receive(.plan(plan), from: originator, at: .zero)
        _ = drain(&machine)
        machine.receive(start(3, listed: false), from: originator, at: .zero)
        #expect(drain(&machine).contains(.abandon(round: round)))
    }
}
