// Admission by a reference unit, at single machines.

import MeshCore
import Testing

@testable import WorkStealing

@Suite struct ReferenceTests {
    let originator = ParticipantID(node: NodeID(1), boot: 1)
    let members = (2...5).map { ParticipantID(node: NodeID($0), boot: 1) }
    var frame: FrameID { FrameID(originator: originator, number: 1) }
    var term: Term { Term(number: 1, root: originator) }
    let right = UnitDigest(hash: 1, sums: SIMD3(100, 100, 100), arithmeticClass: 1)
    let wrong = UnitDigest(hash: 3, sums: SIMD3(50, 100, 100), arithmeticClass: 1)

    var space: WorkSpace {
        get throws {
            let grid = try #require(TileGrid(width: 64, height: 64, tileSize: 8))
            return try #require(WorkSpace(grid: grid, samplesPerPixel: 2))
        }
    }

    /// A root that has rendered its reference unit, or not, and has started a round.
    func root(
        _ digest: UnitDigest?, _ change: (inout FrameConfiguration) -> Void = { _ in }
    ) throws -> FrameParticipant {
        var configuration = FrameConfiguration()
        change(&configuration)
        var machine = FrameParticipant(
            originating: frame, workSpace: try space, identity: originator,
            configuration: configuration, seed: 1, at: .zero)
        machine.setSpeed(samplesPerSecond: 100)
        if let digest {
            let unit = try #require(take(&machine, at: .zero))
            #expect(unit == machine.referenceUnit)
            #expect(finish(&machine, unit, digest, at: .zero) == .addToOpen)
        }
        machine.tick(at: .zero + .seconds(1))
        #expect(machine.round != nil)
        for directive in drain(&machine) {
            guard case .gather(let round, _, _) = directive else { continue }
            machine.gathered(
                round: round, coverage: machine.uncommitted, at: .zero + .seconds(1))
        }
        _ = drain(&machine)
        return machine
    }

    func take(_ machine: inout FrameParticipant, at now: Instant) -> Int? {
        machine.takeUnit(at: now)
    }

    func finish(
        _ machine: inout FrameParticipant, _ unit: Int, _ digest: UnitDigest, at now: Instant
    ) -> UnitDisposition {
        machine.rendered(unit, digest: digest, at: now)
    }

    /// A node that joins.
    func newcomer(_ index: Int = 0) throws -> FrameParticipant {
        FrameParticipant(
            joining: frame, workSpace: try space, identity: members[index], term: term,
            configuration: FrameConfiguration(), seed: 2, at: .zero)
    }

    func drain(_ machine: inout FrameParticipant) -> [FrameDirective] {
        var all: [FrameDirective] = []
        while let directive = machine.nextDirective() { all.append(directive) }
        machine.checkInvariants()
        return all
    }

    func events(_ directives: [FrameDirective]) -> [FrameEvent] {
        directives.compactMap { if case .event(let event) = $0 { event } else { nil } }
    }

    func starts(_ directives: [FrameDirective], to receiver: ParticipantID) -> [RoundStart] {
        directives.compactMap {
            if case .send(.start(let start), receiver) = $0 { start } else { nil }
        }
    }

    func requests(_ directives: [FrameDirective]) -> [AdmissionRequest] {
        directives.compactMap {
            if case .send(.admissionRequest(let request), _) = $0 { request } else { nil }
        }
    }

    /// A member asks, and what the root has to say.
    func ask(
        _ machine: inout FrameParticipant, _ member: ParticipantID, _ digest: UnitDigest?,
        at now: Instant
    ) -> [FrameDirective] {
        let request = AdmissionRequest(term: term, samplesPerSecond: 100, reference: digest)
        machine.receive(.admissionRequest(request), from: member, at: now)
        return drain(&machine)
    }

    func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

    @Test("Who is refused before the first round is told why when that begins")
    func refusedEarly() throws {
        var machine = FrameParticipant(
            originating: frame, workSpace: try space, identity: originator,
            configuration: FrameConfiguration(), seed: 1, at: .zero)
        machine.setSpeed(samplesPerSecond: 100)
        let unit = try #require(take(&machine, at: .zero))
        _ = finish(&machine, unit, right, at: .zero)
        let request = AdmissionRequest(term: term, samplesPerSecond: 1, reference: wrong)
        for _ in 0..<2 { machine.receive(.admissionRequest(request), from: members[0], at: .zero) }
        #expect(machine.round == nil && starts(drain(&machine), to: members[0]).isEmpty)
        machine.tick(at: machine.nextDeadline)
        let told = starts(drain(&machine), to: members[0])
        #expect(told.map(\.differing) == [1])
        #expect(!machine.members.contains(members[0]))
    }

    @Test("The reference unit is one of the first pass, in the middle, the same for everybody")
    func unit() throws {
        let grid = try #require(TileGrid(width: 640, height: 360))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: 16))
        var units: Set<Int> = []
        for number in 1...64 as ClosedRange<UInt64> {
            let frame = FrameID(originator: originator, number: number)
            let unit = ReferenceState(of: frame, in: space).unit
            #expect(unit == ReferenceState(of: frame, in: space).unit)
            let pixels = grid.rectangle(ofTile: space.unit(unit).tile)
            #expect(space.unit(unit).samples == 0..<1)
            #expect((160...480).contains(pixels.x + pixels.width / 2))
            #expect((90...270).contains(pixels.y + pixels.height / 2))
            units.insert(unit)
        }
        #expect(units.count > 8)
        // A frame of one tile has that one.
        let tile = try #require(TileGrid(width: 8, height: 8))
        let small = try #require(WorkSpace(grid: tile, samplesPerPixel: 1))
        #expect(ReferenceState(of: frame, in: small).unit == 0)
    }

    @Test("A newcomer renders the reference unit first, and asks with its digest")
    func newcomerAsks() throws {
        var machine = try newcomer()
        machine.setSpeed(samplesPerSecond: 100)
        _ = drain(&machine)
        #expect(machine.nextDeadline == at(2))
        let unit = try #require(take(&machine, at: at(1)))
        #expect(unit == machine.referenceUnit)
        // Its other devices have nothing to do.
        #expect(take(&machine, at: at(1)) == nil)
        #expect(finish(&machine, unit, right, at: at(1)) == .discard)
        #expect(machine.uncommitted.isEmpty)
        #expect(machine.nextDeadline == at(2))
        machine.tick(at: at(2))
        #expect(requests(drain(&machine)).map(\.reference) == [right])
        #expect(take(&machine, at: at(4)) == nil)
    }

    @Test("Who is slow asks without, renders nothing else before, and reports what it got")
    func slow() throws {
        var machine = try newcomer()
        let unit = try #require(take(&machine, at: .zero))
        machine.tick(at: at(2))
        #expect(requests(drain(&machine)).map(\.reference) == [nil])
        let grant = GrantID(victim: originator, number: 1)
        let units = IntervalSet(SampleRange(0, 4))
        var start = RoundStart(
            round: RoundID(term: term, number: 1), participants: [originator, members[0]],
            ledger: IntervalSet())
        machine.receive(.start(start), from: originator, at: at(25))
        let granted = StealGrant(term: term, grant: grant, request: 0, units: units)
        machine.receive(.stealGrant(granted), from: originator, at: at(26))
        #expect(machine.isListed && machine.hasWork)
        #expect(take(&machine, at: at(27)) == nil)
        // A device that pauses gives it back, and another takes it.
        machine.returnUnit(unit, at: at(28))
        #expect(take(&machine, at: at(29)) == unit)
        // It is stuck there: another device gets it as well.
        #expect(machine.nextDeadline <= at(2_029))
        machine.tick(at: at(2_029))
        #expect(take(&machine, at: at(2_029)) == unit)
        _ = drain(&machine)
        #expect(finish(&machine, unit, right, at: at(2_030)) == .discard)
        let told = drain(&machine)
        #expect(told.contains(.workAvailable) && requests(told).map(\.reference) == [right])
        #expect(take(&machine, at: at(2_031)) == 0)
        for number in [2, 3] as [UInt64] {
            start.round = RoundID(term: term, number: number)
            start.knowsReference = number == 3
            machine.receive(.start(start), from: originator, at: at(2_040))
            let reports = drain(&machine).compactMap { directive -> RoundReport? in
                if case .send(.report(let report), _) = directive { report } else { nil }
            }
            #expect(reports.map(\.reference) == [number == 2 ? right : nil])
        }
    }

    @Test("A newcomer that differs is not admitted, and both sides hear of it once")
    func wrongNewcomer() throws {
        var machine = try root(right)
        let first = ask(&machine, members[0], wrong, at: at(1_100))
        #expect(events(first) == [.keptOut(members[0], differing: 1)])
        let start = try #require(starts(first, to: members[0]).first)
        #expect(start.differing == 1 && start.participants.applied(to: []) == [originator])
        #expect(events(ask(&machine, members[0], wrong, at: at(1_600))).isEmpty)
        #expect(machine.members == [originator])
        // Without another digest it is kept out as well.
        #expect(events(ask(&machine, members[0], nil, at: at(2_100))).isEmpty)
        #expect(machine.members == [originator])

        var other = try newcomer()
        let unit = try #require(take(&other, at: .zero))
        _ = other.rendered(unit, digest: wrong, at: .zero)
        _ = drain(&other)
        other.receive(.start(start), from: originator, at: at(1_101))
        #expect(events(drain(&other)) == [.keptOut(members[0], differing: 1)])
        #expect(other.isKeptOut && !other.isListed)
        other.receive(.start(start), from: originator, at: at(1_201))
        #expect(events(drain(&other)).isEmpty)
    }

    @Test(
        "Who is kept out asks less and less often, never leads, and comes back when nothing differs"
    )
    func keptOut() throws {
        var machine = try newcomer()
        let unit = try #require(take(&machine, at: .zero))
        _ = machine.rendered(unit, digest: wrong, at: .zero)
        var start = RoundStart(
            round: RoundID(term: term, number: 1), participants: [originator],
            ledger: IntervalSet())
        start.differing = 1
        machine.receive(.start(start), from: originator, at: at(1))
        var now = Instant.zero
        var times: [Double] = []
        machine.participantChanged(originator, isAlive: false, at: at(2))
        while now < .zero + .seconds(120) {
            now = max(now, machine.nextDeadline)
            machine.tick(at: now)
            if !requests(drain(&machine)).isEmpty { times.append((now - .zero).seconds) }
        }
        #expect(!machine.isRoot)
        #expect((10...25).contains(times.count))
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.prefix(2).max() ?? 9 < 4 && gaps.suffix(4).min() ?? 0 >= 8)
        // It asks at once when it is called, and an answer is no call.
        let last = try #require(times.last)
        machine.receive(.start(start), from: originator, at: .zero + .seconds(last + 0.1))
        #expect(machine.nextDeadline > now)
        now = max(now, .zero + .seconds(last + 1))
        machine.receive(.start(start), from: originator, at: now)
        machine.tick(at: now)
        #expect(requests(drain(&machine)).count == 1)
        start.differing = 0
        machine.receive(.start(start), from: originator, at: now)
        #expect(!machine.isKeptOut && machine.nextDeadline <= now)
    }

    @Test("A third that agrees with the root settles it: the newcomer is wrong for good")
    func settled() throws {
        var machine = try root(right)
        _ = ask(&machine, members[0], wrong, at: at(1_100))
        let third = ask(&machine, members[1], right, at: at(1_200))
        #expect(machine.members == [originator, members[1]])
        #expect(machine.quarantined == [members[0]])
        // It was told before.
        #expect(!events(third).contains { if case .keptOut = $0 { true } else { false } })
        let again = ParticipantID(node: members[0].node, boot: 2)
        let answer = ask(&machine, again, right, at: at(1_300))
        #expect(starts(answer, to: again).first?.quarantined == [members[0]])
        #expect(!machine.members.contains(again))
    }

    @Test("Two that agree with each other and not with the root find it wrong; it goes on to lead")
    func wrongRoot() throws {
        var machine = try root(wrong)
        _ = ask(&machine, members[0], right, at: at(1_100))
        let second = ask(&machine, members[1], right, at: at(1_200))
        #expect(events(second) == [.keptOut(members[1], differing: 1)])
        #expect(!machine.isQuarantined)
        // The first is called to say it again, whenever it would have asked.
        #expect(starts(second, to: members[0]).map(\.differing) == [1])
        let third = ask(&machine, members[0], right, at: at(1_300))
        #expect(
            events(third).contains(.quarantined(originator, unit: machine.referenceUnit)))
        #expect(machine.isQuarantined && machine.isRoot && take(&machine, at: at(1_301)) == nil)
        #expect(machine.members == [originator, members[0]])
        #expect(machine.uncommitted.isEmpty)
        // The other is told to ask again, and is let in.
        let told = try #require(starts(third, to: members[1]).last)
        #expect(told.differing == 0)
        _ = ask(&machine, members[1], right, at: at(1_302))
        #expect(machine.members == [originator, members[0], members[1]])
    }

    @Test("A member whose report differs puts nothing into a sum, and is dismissed")
    func listed() throws {
        var machine = try root(right) { $0.sharesWithNewcomers = false }
        _ = ask(&machine, members[0], nil, at: at(1_100))
        _ = ask(&machine, members[1], nil, at: at(1_100))
        #expect(machine.members == [originator, members[0], members[1]])
        // Who tells what it got needs no start for that.
        #expect(starts(ask(&machine, members[1], right, at: at(1_101)), to: members[1]).isEmpty)
        machine.participantChanged(members[1], isAlive: false, at: at(1_102))
        _ = drain(&machine)
        var now = at(1_100)
        var told: RoundStart?
        while now < at(6_000), told == nil {
            now = max(now, machine.nextDeadline)
            machine.tick(at: now)
            let directives = drain(&machine)
            guard let start = starts(directives, to: members[0]).last else { continue }
            if start.differing > 0 { told = start }
            guard start.participants.applied(to: [originator, members[0]])?.count == 2 else {
                continue
            }
            var report = RoundReport(
                round: start.round,
                seals: [.init(number: SealNumber(1), coverage: IntervalSet(SampleRange(60, 64)))],
                claims: IntervalSet(), filmUnits: 0, samplesPerSecond: 100)
            (report.participantsHash, report.ledgerHash) =
                (start.participants.hash, start.ledger.hash)
            if !start.knowsReference { report.reference = wrong }
            machine.receive(.report(report), from: members[0], at: now)
            #expect(drain(&machine).allSatisfy { if case .gather = $0 { false } else { true } })
        }
        #expect(told != nil && machine.members == [originator])
        #expect(!machine.ledger.contains(60))
    }

    @Test("With nobody to compare with, or nothing to compare, a newcomer is admitted")
    func nobody() throws {
        var paused = try root(nil)
        _ = ask(&paused, members[0], wrong, at: at(1_100))
        #expect(paused.members == [originator, members[0]])
        _ = ask(&paused, members[1], right, at: at(1_200))
        #expect(paused.members == [originator, members[0]])
        // The root's own decides, since two agree then.
        let unit = try #require(take(&paused, at: at(1_300)))
        _ = paused.rendered(unit, digest: right, at: at(1_400))
        _ = ask(&paused, members[1], right, at: at(1_500))
        #expect(paused.quarantined == [members[0]] && paused.members.contains(members[1]))
        // An earlier version tells nothing.
        var machine = try root(right)
        _ = ask(&machine, members[0], nil, at: at(1_100))
        #expect(machine.members == [originator, members[0]])
    }
}
