// Adaptive frames: which stages a root opens to which tiles, and how what is waived gets into films.

import MeshCore
import Testing

@testable import WorkStealing

@Suite("Stages of adaptive frames")
struct StageTests {
    let identity = ParticipantID(node: NodeID(1), boot: 1)
    let other = ParticipantID(node: NodeID(2), boot: 1)
    var frame: FrameID { FrameID(originator: identity, number: 1) }
    var term: Term { Term(number: 1, root: identity) }

    /// Four tiles, stages of 16, 16, 16 and 2 samples: units 0 to 19, then one of each tile a stage.
    func space() throws -> WorkSpace {
        let grid = try #require(TileGrid(width: 16, height: 16, tileSize: 8))
        return try #require(WorkSpace(grid: grid, samplesPerPixel: 50, isAdaptive: true))
    }

    func units(_ ranges: SampleRange...) -> IntervalSet { IntervalSet(ranges) }

    @Test("A tile is due once, when the film has all its stages so far")
    func due() throws {
        let space = try space()
        #expect(space.stageCount == 4 && space.count == 32)
        var book = StageBook(space, film: IntervalSet())
        #expect(book.closed == units(SampleRange(20, 32)))
        // All of the first stage but one unit of tile 2.
        var film = units(SampleRange(0, 18), SampleRange(19, 20))
        let due = book.due(film)
        #expect(due == [0, 1, 3].map { TileStage(tile: $0, stage: 1) })
        #expect(book.due(film).isEmpty)
        film.insert(18)
        #expect(book.due(film) == [TileStage(tile: 2, stage: 1)])
        let opened = book.settle(due, needed: [1])
        #expect(opened == units(SampleRange(21, 22)))
        #expect(book.closed == units(SampleRange(20, 21), SampleRange(22, 32)))
        // The same answers again say nothing new.
        #expect(book.settle(due, needed: [0, 1, 3]).isEmpty)
        #expect(book.due(film).isEmpty)
        film.insert(21)
        #expect(book.due(film) == [TileStage(tile: 1, stage: 2)])
        book.checkInvariants()
    }

    @Test(
        "What nobody needs of a stage is waived when all tiles are decided, later stages at the end"
    )
    func waived() throws {
        var book = StageBook(try space(), film: IntervalSet())
        var film = units(SampleRange(0, 20))
        let first = book.due(film)
        _ = book.settle(first.filter { $0.tile < 3 }, needed: [1])
        #expect(book.pending.isEmpty)
        _ = book.settle(first.filter { $0.tile == 3 }, needed: [])
        #expect(book.pending == units(SampleRange(20, 21), SampleRange(22, 24)))
        #expect(book.takePending(besides: IntervalSet()).count == 3)
        #expect(book.closed == units(SampleRange(24, 32)))
        film.formUnion(units(SampleRange(20, 24)))
        let second = book.due(film)
        #expect(second == [TileStage(tile: 1, stage: 2)])
        _ = book.settle(second, needed: [])
        #expect(book.pending == units(SampleRange(24, 32)))
        // Of what is known already nothing is waived again.
        #expect(book.takePending(besides: units(SampleRange(24, 26))) == units(SampleRange(26, 32)))
        book.restore(units(SampleRange(26, 32)))
        #expect(book.pending == book.closed)
        book.checkInvariants()
    }

    @Test("A stage of which a film has something was open once, and is not decided again")
    func openedBefore() throws {
        // Tile 1 lacks a unit of the first stage; its second was rendered under another root.
        let film = units(SampleRange(0, 17), SampleRange(18, 20), SampleRange(21, 22))
        var book = StageBook(try space(), film: film)
        #expect(!book.closed.contains(21) && !book.closed.contains(17))
        #expect(book.due(film).map(\.tile) == [0, 2, 3])
        var whole = film
        whole.insert(17)
        #expect(book.due(whole) == [TileStage(tile: 1, stage: 2)])
        // And one that comes with a sum later on.
        whole.insert(22)
        var late = StageBook(try space(), film: IntervalSet())
        #expect(late.due(whole).contains(TileStage(tile: 2, stage: 2)))
        #expect(!late.closed.contains(22))
    }

    @Test(
        "A tile of which a film has a later stage is not decided before the film has all up to it")
    func laterStage() throws {
        // Tile 1 was rendered by another root's leave up to stage 2; only the last is here so far.
        var film = units(SampleRange(0, 20))
        var book = StageBook(try space(), film: IntervalSet())
        film.insert(25)
        #expect(book.due(film).map(\.tile) == [0, 2, 3])
        #expect(book.closed == units(SampleRange(20, 21), SampleRange(22, 25), SampleRange(26, 32)))
        film.insert(21)
        #expect(book.due(film) == [TileStage(tile: 1, stage: 3)])
        book.checkInvariants()
    }

    @Test("The last tile about which nothing was decided is opened by what the film has of it")
    func decidedByFilm() throws {
        var book = StageBook(try space(), film: IntervalSet())
        var film = units(SampleRange(0, 20))
        film.remove(1)
        _ = book.settle(book.due(film), needed: [])
        #expect(book.pending.isEmpty)
        film.formUnion(units(SampleRange(1, 2), SampleRange(29, 30)))
        #expect(book.due(film).isEmpty)
        #expect(
            book.pending
                == IntervalSet(
                    [20, 22, 23, 24, 26, 27, 28, 30, 31].map { SampleRange($0, $0 + 1) }))
        book.checkInvariants()
    }

    @Test("A root that was found wrong lets all tiles have all stages")
    func quarantinedRoot() throws {
        let space = try space()
        var machine = FrameParticipant(
            originating: frame, workSpace: space, identity: identity,
            configuration: FrameConfiguration(), seed: 1, at: .zero)
        machine.quarantine(identity, event: nil, at: .zero)
        _ = machine.filmFetched(
            coverage: IntervalSet(space.units(ofStage: 0)), from: other, at: .zero)
        var asked: [TileStage] = []
        while let directive = machine.nextDirective() {
            if case .judge(let tiles, _) = directive { asked += tiles }
        }
        #expect(asked.count == 4)
        machine.judged(asked, needed: [], term: term, at: .zero)
        #expect(machine.closedUnits == units(SampleRange(24, 32)))
    }

    /// Lets a root without others render until it wants to know about tiles or is done.
    private func render(
        _ machine: inout FrameParticipant, now: inout Instant, needs: (TileStage) -> Bool
    ) -> [FrameDirective] {
        var all: [FrameDirective] = []
        for _ in 0..<1_000 where !machine.isComplete {
            while let unit = machine.takeUnit(at: now) {
                _ = machine.rendered(unit, at: now)
            }
            now = max(now + .milliseconds(1), machine.nextDeadline)
            machine.tick(at: now)
            while let directive = machine.nextDirective() {
                all.append(directive)
                switch directive {
                case .gather(let round, let seals, _):
                    let coverage = seals.compactMap { machine.coverage(of: $0) }
                        .reduce(IntervalSet()) { $0.union($1) }
                    machine.gathered(round: round, coverage: coverage, at: now)
                case .judge(let tiles, let term):
                    let needed = Set(tiles.filter(needs).map(\.tile))
                    machine.judged(tiles, needed: needed, term: term, at: now)
                default: break
                }
            }
            machine.checkInvariants()
        }
        return all
    }

    @Test("A root alone renders what tiles need, waives the rest, and is done")
    func alone() throws {
        let space = try space()
        var machine = FrameParticipant(
            originating: frame, workSpace: space, identity: identity,
            configuration: FrameConfiguration(), seed: 1, at: .zero)
        machine.setSpeed(samplesPerSecond: 1_000_000)
        var now = Instant.zero
        let directives = render(&machine, now: &now) { $0.tile == 2 && $0.stage < 3 }
        #expect(machine.isComplete)
        #expect(machine.statistics.unitsRendered == 22)
        var waived = IntervalSet()
        for case .sealWaived(_, let units) in directives {
            #expect(waived.isDisjoint(with: units))
            waived.formUnion(units)
        }
        #expect(waived == units(SampleRange(20, 22), SampleRange(23, 26), SampleRange(27, 32)))
        let rounds = machine.statistics.dataRounds
        #expect(rounds <= 8, "\(rounds)")
    }

    @Test("A root that meets a higher term drops what it has waived")
    func steppedDown() throws {
        var machine = FrameParticipant(
            originating: frame, workSpace: try space(), identity: identity,
            configuration: FrameConfiguration(), seed: 1, at: .zero)
        machine.setSpeed(samplesPerSecond: 1_000_000)
        var now = Instant.zero
        var seal: SealNumber?
        for _ in 0..<1_000 where seal == nil {
            while let unit = machine.takeUnit(at: now) { _ = machine.rendered(unit, at: now) }
            now = max(now + .milliseconds(1), machine.nextDeadline)
            machine.tick(at: now)
            while let directive = machine.nextDirective() {
                switch directive {
                case .gather(let round, let seals, _) where seal == nil:
                    let coverage = seals.compactMap { machine.coverage(of: $0) }
                        .reduce(IntervalSet()) { $0.union($1) }
                    machine.gathered(round: round, coverage: coverage, at: now)
                case .judge(let tiles, let term):
                    machine.judged(tiles, needed: [], term: term, at: now)
                case .sealWaived(let number, _): seal = number
                default: break
                }
            }
        }
        let waived = try #require(seal)
        machine.learned(term: Term(number: 2, root: other), at: now)
        var dropped: [SealNumber] = []
        while let directive = machine.nextDirective() {
            if case .drop(let numbers) = directive { dropped += numbers }
        }
        #expect(dropped.contains(waived))
        #expect(machine.uncommitted.isEmpty && machine.closedUnits.isEmpty)
        machine.checkInvariants()
    }

    @Test("Opened units that others hold are not claimed; answers of a former term are ignored")
    func heldByOthers() throws {
        let space = try space()
        var machine = FrameParticipant(
            joining: frame, workSpace: space, identity: other, term: term,
            configuration: FrameConfiguration(), seed: 1, at: .zero)
        let start = RoundStart(
            round: RoundID(term: term, number: 1), participants: [identity, other],
            ledger: IntervalSet())
        machine.receive(.start(start), from: identity, at: .zero)
        let sum = machine.sumArrived(
            round: start.round, coverage: IntervalSet(space.units(ofStage: 0)),
            ledger: IntervalSet(space.units(ofStage: 0)), at: .zero)
        #expect(sum == .add)
        var now = Instant.zero
        while !machine.isRoot {
            now = machine.nextDeadline
            machine.tick(at: now)
        }
        let own = machine.term
        var asked: [TileStage] = []
        while let directive = machine.nextDirective() {
            if case .judge(let tiles, own) = directive { asked = tiles }
        }
        #expect(asked.count == 4)
        machine.judged(asked, needed: [0, 1, 2, 3], term: term, at: now)
        #expect(machine.claims.isEmpty && machine.closedUnits.count == 12)
        while machine.round == nil {
            now = machine.nextDeadline
            machine.tick(at: now)
        }
        let round = try #require(machine.round)
        let report = RoundReport(
            round: round, seals: [], claims: units(SampleRange(21, 22)), filmUnits: 0,
            samplesPerSecond: 1)
        machine.receive(.report(report), from: identity, at: now)
        machine.judged(asked, needed: [0, 1], term: own, at: now)
        #expect(machine.claims == units(SampleRange(20, 21)))
        #expect(machine.closedUnits == units(SampleRange(22, 32)))
    }
}
