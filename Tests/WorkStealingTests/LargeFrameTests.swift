// Frames with more participants than a start names.

import MeshCore
import Testing

@testable import WorkStealing

@Suite struct LargeFrameTests {
    let originator = ParticipantID(node: NodeID(1), boot: 1)
    let me = ParticipantID(node: NodeID(1_000), boot: 1)
    var frame: FrameID { FrameID(originator: originator, number: 1) }
    var term: Term { Term(number: 1, root: originator) }
    var configuration: FrameConfiguration {
        var configuration = FrameConfiguration()
        configuration.listedMax = 8
        configuration.successorsListed = 3
        configuration.acquaintancesSent = 5
        configuration.acquaintancesMax = 6
        return configuration
    }

    func space() throws -> WorkSpace {
        let grid = try #require(TileGrid(width: 32, height: 32, tileSize: 8))
        return try #require(WorkSpace(grid: grid, samplesPerPixel: 2))
    }

    func participant(_ number: Int) -> ParticipantID {
        ParticipantID(node: NodeID(UInt64(number)), boot: 1)
    }

    func sent(_ machine: inout FrameParticipant) -> [(FrameMessage, ParticipantID)] {
        var sent: [(FrameMessage, ParticipantID)] = []
        while let directive = machine.nextDirective() {
            if case .send(let message, let to) = directive { sent.append((message, to)) }
        }
        machine.checkInvariants()
        return sent
    }

    func start(
        _ number: UInt64, acquaintances: [ParticipantID] = [], unnamed: Int = 100,
        includesReceiver: Bool = true
    ) -> FrameMessage {
        var start = RoundStart(
            round: RoundID(term: term, number: number),
            participants: [originator, participant(2), participant(3)], ledger: IntervalSet())
        start.unnamedCount = unnamed
        start.acquaintances = acquaintances
        start.includesReceiver = includesReceiver
        return .start(start)
    }

    func joiner() throws -> FrameParticipant {
        var machine = FrameParticipant(
            joining: frame, workSpace: try space(), identity: me, term: term,
            configuration: configuration, seed: 2, at: .zero)
        machine.setSpeed(samplesPerSecond: 100)
        return machine
    }

    /// When a machine next asks for admission, within 20 s.
    func nextAdmissionRequest(
        of machine: inout FrameParticipant, to root: ParticipantID
    ) -> Instant? {
        while machine.nextDeadline < .zero + .seconds(20) {
            let now = machine.nextDeadline
            machine.tick(at: now)
            for (message, to) in sent(&machine) where to == root {
                if case .admissionRequest = message { return now }
            }
        }
        return nil
    }

    func rootOfSixty() throws -> FrameParticipant {
        var root = FrameParticipant(
            originating: frame, workSpace: try space(), identity: originator,
            configuration: configuration, seed: 1, at: .zero)
        root.setSpeed(samplesPerSecond: 100)
        for number in 2...60 {
            let request = AdmissionRequest(term: term, samplesPerSecond: 100)
            root.receive(.admissionRequest(request), from: participant(number), at: .zero)
        }
        return root
    }

    @Test("A start of a large frame names its first successors, and its size stays the same")
    func rootNamesSome() throws {
        var root = try rootOfSixty()
        _ = sent(&root)
        root.tick(at: root.nextDeadline)
        let starts = sent(&root).compactMap { message, receiver -> (RoundStart, ParticipantID)? in
            guard case .start(let start) = message else { return nil }
            return (start, receiver)
        }
        #expect(Set(starts.map(\.1)).count == 59 && root.participantCount == 60)
        var heardOf: Set<ParticipantID> = []
        for (start, _) in starts {
            #expect(start.participants.added == [1, 2, 3, 4].map(participant))
            #expect(start.unnamedCount == 56 && start.includesReceiver)
            #expect(start.acquaintances.count <= configuration.acquaintancesSentLater)
            heardOf.formUnion(start.acquaintances)
        }
        // Named and unnamed alike: work that those hold must be found, too.
        #expect(heardOf.contains { $0.node.rawValue <= 4 })
        #expect(heardOf.count > 30)
        // Who does not take part is told so.
        let report = RoundReport(
            round: starts[0].0.round, seals: [], claims: IntervalSet(), filmUnits: 0,
            samplesPerSecond: 1)
        root.receive(.report(report), from: participant(99), at: .zero + .seconds(1))
        let answers = sent(&root).filter { $0.1 == participant(99) }
        #expect(answers.count == 1)
        guard case .start(let answer)? = answers.first?.0 else {
            Issue.record("no start")
            return
        }
        #expect(!answer.includesReceiver && answer.unnamedCount == 56)
    }

    @Test("A participant that is not named steals from those it heard of, and remembers a few")
    func joinerMeetsOthers() throws {
        var machine = try joiner()
        machine.skipReference()
        machine.receive(
            start(1, acquaintances: (10..<15).map(participant) + [me]), from: originator,
            at: .zero)
        #expect(machine.isListed && machine.participantCount == 103)
        #expect(machine.acquaintances == (10..<15).map(participant))
        machine.receive(
            start(2, acquaintances: (12..<17).map(participant)), from: originator, at: .zero)
        #expect(machine.acquaintances == [11, 12, 13, 14, 15, 16].map(participant))
        _ = sent(&machine)
        var now = Instant.zero
        var asked: Set<ParticipantID> = []
        while now < .zero + .seconds(1) {
            now = max(now + .milliseconds(1), min(machine.nextDeadline, .zero + .seconds(1)))
            machine.tick(at: now)
            for (message, to) in sent(&machine) {
                guard case .stealRequest(let request) = message else { continue }
                asked.insert(to)
                let refusal = StealRefusal(term: term, request: request.number)
                machine.receive(.stealRefusal(refusal), from: to, at: now)
            }
        }
        #expect(asked == Set(machine.acquaintances))
        // Its request names the term, so it gets work from whoever has heard of it or not.
        #expect(machine.isParticipant(participant(77)))
        machine.receive(start(3, includesReceiver: false), from: originator, at: now)
        #expect(!machine.isListed)
    }

    @Test("Starts that cannot be are ignored")
    func badStarts() throws {
        for unnamed in [-1, configuration.participantsMax - 2, Int.max] {
            var machine = try joiner()
            machine.receive(start(1, unnamed: unnamed), from: originator, at: .zero)
            #expect(!machine.isListed && machine.statistics.messagesIgnored == 1)
        }
    }

    @Test("A successor that knows few counts no losses before the others had time to come")
    func successor() throws {
        var machine = try joiner()
        machine.receive(
            start(1, acquaintances: [participant(10)]), from: originator, at: .zero)
        for number in [2, 3] {
            machine.participantChanged(participant(number), isAlive: false, at: .zero)
        }
        machine.participantChanged(originator, isAlive: false, at: .zero)
        var now = Instant.zero
        while !machine.isRoot {
            now = machine.nextDeadline
            machine.tick(at: now)
        }
        let tookOverAt = now
        #expect(machine.participants == [me, participant(10)])
        // The one it knows answers that it holds nothing; the others are on their way.
        var lost = IntervalSet()
        while now < tookOverAt + .seconds(8), lost.isEmpty {
            now = machine.nextDeadline
            machine.tick(at: now)
            while let directive = machine.nextDirective() {
                if case .event(.lost(let units)) = directive { lost.formUnion(units) }
                guard case .send(.start(let start), let to) = directive else { continue }
                if now < tookOverAt + configuration.partialListPatience {
                    // It does not say that these are all, so that the next successor knows, too.
                    #expect(start.unnamedCount == 101 && start.includesReceiver)
                }
                let report = RoundReport(
                    round: start.round, seals: [], claims: IntervalSet(), filmUnits: 0,
                    samplesPerSecond: 1)
                machine.receive(.report(report), from: to, at: now)
            }
        }
        #expect(lost == IntervalSet(try space().all))
        #expect(now - tookOverAt >= configuration.partialListPatience)
    }

    @Test("A frame that becomes large leaves a participant enough to steal from")
    func becomesLarge() throws {
        var machine = try joiner()
        let all = [originator, me] + (2...9).map(participant)
        let small = RoundStart(
            round: RoundID(term: term, number: 1), participants: all, ledger: IntervalSet())
        machine.receive(.start(small), from: originator, at: .zero)
        #expect(machine.acquaintances.isEmpty)
        machine.receive(start(2, acquaintances: [participant(50)]), from: originator, at: .zero)
        #expect(machine.acquaintances.count == configuration.acquaintancesMax)
        #expect(machine.acquaintances.last == participant(50))
        #expect(Set(machine.acquaintances).isSubset(of: all + [participant(50)]))
        #expect(!machine.acquaintances.contains(me))
    }

    @Test("A root of a large frame that steps down asks for admission at once")
    func rootStepsDown() throws {
        var root = try rootOfSixty()
        root.tick(at: root.nextDeadline)
        _ = sent(&root)
        let successor = Term(number: 2, root: participant(2))
        root.learned(term: successor, at: .zero + .seconds(1))
        _ = sent(&root)
        let asked = nextAdmissionRequest(of: &root, to: participant(2))
        #expect(try #require(asked) <= .zero + .seconds(1) + configuration.admissionInterval)
    }

    @Test("Whom a successor does not know asks it for admission as soon as it hears of its term")
    func comesToSuccessor() throws {
        var machine = try joiner()
        machine.receive(start(1), from: originator, at: .zero)
        _ = sent(&machine)
        let successor = Term(number: 2, root: participant(2))
        machine.learned(term: successor, at: .zero + .seconds(1))
        let asked = nextAdmissionRequest(of: &machine, to: participant(2))
        #expect(try #require(asked) <= .zero + .seconds(1) + configuration.admissionInterval)
    }
}

@Suite struct ClaimIndexTests {
    @Test("The owners of a unit are found among overlapping claims, as if each were asked")
    func owners() {
        var random = RandomNumbers(seed: 7)
        for _ in 0..<50 {
            let claims = (0..<20).map { number in
                let lower = random.below(90)
                return (
                    range: SampleRange(lower, lower + 1 + random.below(10)),
                    owner: ParticipantID(node: NodeID(UInt64(number)), boot: 1)
                )
            }
            let index = RootState.ClaimIndex(claims)
            for unit in 0..<105 {
                let expected = claims.filter {
                    $0.range.lowerBound <= unit && unit < $0.range.upperBound
                }
                #expect(Set(index.owners(of: unit)) == Set(expected.map(\.owner)))
            }
        }
        #expect(RootState.ClaimIndex([]).owners(of: 0).isEmpty)
    }
}
