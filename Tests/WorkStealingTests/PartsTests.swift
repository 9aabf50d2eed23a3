// The parts of a frame's machine, each alone.

import MeshCore
import Testing

@testable import WorkStealing

private func participant(_ number: UInt64, boot: UInt64 = 1) -> ParticipantID {
    ParticipantID(node: NodeID(number), boot: boot)
}

private func set(_ ranges: (Int, Int)...) -> IntervalSet {
    IntervalSet(ranges.map { SampleRange($0.0, $0.1) })
}

private func space() throws -> WorkSpace {
    let grid = try #require(TileGrid(width: 100, height: 60, tileSize: 16))
    return try #require(WorkSpace(grid: grid, samplesPerPixel: 21))
}

@Suite struct ClaimDequeTests {
    @Test("Weights agree with the work space on any set of units")
    func weights() throws {
        let space = try space()
        let weights = WorkWeights(space)
        var random = RandomNumbers(seed: 5)
        for _ in 0..<200 {
            var units = IntervalSet()
            for _ in 0..<random.below(4) {
                let lower = random.below(space.count)
                units.insert(SampleRange(lower, lower + 1 + random.below(space.count - lower)))
            }
            #expect(weights.samples(of: units) == space.sampleCount(of: units))
            let limit = random.below(space.sampleCount(of: IntervalSet(space.all)))
            let count = weights.countAtUpperEnd(of: units, samples: limit)
            var rest = units
            let upper = rest.removeLast(count)
            #expect(weights.samples(of: upper) <= limit)
            if count < units.count {
                let more = rest.removeLast(1)
                #expect(weights.samples(of: upper.union(more)) > limit)
            }
        }
    }

    @Test("A thief gets the upper part in proportion to the speeds, by samples")
    func proportion() throws {
        let space = try space()
        var deque = ClaimDeque(weights: WorkWeights(space))
        deque.add(IntervalSet(space.all))
        let all = deque.samples
        let given = deque.give(thiefSpeed: 3, victimSpeed: 1)
        let share = Double(deque.weights.samples(of: given)) / Double(all)
        #expect(share > 0.72 && share <= 0.75)
        #expect(given.upperBound == space.count)
        // Of the first pass too, for the first image.
        let first = given.intersection(IntervalSet(space.units(ofPass: 0)))
        #expect(first.count == space.grid.count * 3 / 4)
        #expect(deque.units.union(given) == IntervalSet(space.all))
        let lowest = deque.takeFirst()
        #expect(lowest == 0)
        deque.checkInvariants()
    }

    @Test("The last unit goes to a faster thief only, and a slow thief gets none too big for it")
    func lastUnit() throws {
        var deque = ClaimDeque(weights: WorkWeights(try space()))
        deque.add(set((4, 5)))
        let toEqual = deque.give(thiefSpeed: 1, victimSpeed: 1)
        #expect(toEqual.isEmpty)
        let toSlower = deque.give(thiefSpeed: 1, victimSpeed: 8)
        #expect(toSlower.isEmpty)
        let toFaster = deque.give(thiefSpeed: 2, victimSpeed: 1)
        #expect(toFaster == set((4, 5)))
        deque.add(set((0, 2)))
        let tooBig = deque.give(thiefSpeed: 1, victimSpeed: 8)
        #expect(tooBig.isEmpty)
        let ofPaused = deque.give(thiefSpeed: 1, victimSpeed: 0)
        #expect(ofPaused == set((0, 2)))
    }
}

@Suite struct GrantBookTests {
    private let owner = participant(1)

    @Test("A grant is claimed until it is answered, repeated in between, and taken back at last")
    func life() {
        let configuration = FrameConfiguration()
        var book = GrantBook(owner: owner, configuration: configuration)
        let start = Instant.zero
        let id = book.lend(set((3, 9)), to: participant(2), request: 7, at: start)
        #expect(book.units == set((3, 9)))
        let again = book.openGrant(to: participant(2), request: 8)
        #expect(again?.id == id && again?.request == 8)
        let foreign = book.openGrant(to: participant(3), request: 8)
        #expect(foreign == nil)
        let later = start + configuration.grantRepeat
        #expect(book.nextDeadline == later)
        let result1 = book.repetitions(at: later)
        #expect(result1.map(\.id) == [id])
        let result2 = book.repetitions(at: later)
        #expect(result2.isEmpty)
        let result3 = book.settle(id, from: participant(3))
        #expect(result3 == nil)
        let result4 = book.takeBack(at: later, isGone: { _ in false })
        #expect(result4.isEmpty)
        #expect(
            book.takeBack(at: start + configuration.grantTimeout, isGone: { _ in false })
                .map(\.units) == [set((3, 9))])
        let result5 = book.settle(id, from: participant(2))
        #expect(result5 == nil)
    }

    @Test("Grants of a thief that is gone are taken back, committed units need none")
    func gone() {
        var book = GrantBook(owner: owner, configuration: FrameConfiguration())
        _ = book.lend(set((0, 4)), to: participant(2), request: 1, at: .zero)
        _ = book.lend(set((4, 8)), to: participant(3), request: 1, at: .zero)
        book.subtract(set((2, 6)))
        #expect(book.units == set((0, 2), (6, 8)))
        let back = book.takeBack(at: .zero) { $0 == participant(3) }
        #expect(back.map(\.units) == [set((6, 8))])
    }

    @Test("A repeated grant is answered alike, and answers are forgotten oldest first")
    func answers() {
        var configuration = FrameConfiguration()
        configuration.answeredGrantsMax = 3
        var book = GrantBook(owner: owner, configuration: configuration)
        for number in 1...5 as ClosedRange<UInt64> {
            let id = GrantID(victim: participant(2), number: number)
            #expect(book.answer(to: id) == nil)
            book.remember(id, accepted: number % 2 == 0)
            #expect(book.answer(to: id) == (number % 2 == 0))
            book.checkInvariants()
        }
        #expect(book.answer(to: GrantID(victim: participant(2), number: 2)) == nil)
        #expect(book.answer(to: GrantID(victim: participant(2), number: 3)) == false)
        // Another boot is another victim.
        #expect(book.answer(to: GrantID(victim: participant(2, boot: 2), number: 3)) == nil)
    }
}

@Suite struct RoundPartsTests {
    @Test("A plan is disjoint, takes the larger first, and leaves out who failed")
    func plan() {
        func offer(_ owner: UInt64, _ seal: UInt64, _ units: IntervalSet) -> RoundPlanner.Offer {
            RoundPlanner.Offer(
                owner: participant(owner), seal: SealNumber(seal), coverage: units)
        }
        let offers = [
            offer(1, 1, set((0, 2))), offer(2, 1, set((1, 5))), offer(2, 2, set((8, 9))),
            offer(3, 1, set((6, 7))), offer(4, 1, set((10, 12))),
        ]
        let parts = RoundPlanner.plan(
            offers: offers, ledger: set((6, 7)), excluded: [participant(4)])
        #expect(
            parts == [
                RoundPlanner.Part(
                    owner: participant(2), seals: [SealNumber(1), SealNumber(2)], unitCount: 5)
            ])
        let without = RoundPlanner.plan(
            offers: offers, ledger: IntervalSet(), excluded: [participant(2)])
        #expect(without.map(\.owner) == [participant(1), participant(4), participant(3)])
    }

    @Test("A plan of many is the one that comparing each with all before it gives")
    func planOfMany() {
        var random = RandomNumbers(seed: 3)
        for round in 0..<200 {
            // Every other time somebody overlaps, perhaps only with the ledger.
            var offers: [RoundPlanner.Offer] = []
            var lower = 10
            for number in 1...8 as ClosedRange<UInt64> {
                let upper = lower + 1 + random.below(5)
                offers.append(
                    RoundPlanner.Offer(
                        owner: participant(1 + number % 4), seal: SealNumber(number),
                        coverage: set((lower, upper))))
                lower = upper - (round % 2 == 0 ? 0 : random.below(3))
            }
            let ledger = set((0, 10 + (round % 4 == 3 ? 2 : 0)))
            random.shuffle(&offers)
            var (used, chosen) = (ledger, Set<SealNumber>())
            let ordered = offers.sorted {
                let (a, b) = ($0.coverage.count, $1.coverage.count)
                return a != b ? a > b : ($0.owner, $0.seal) < ($1.owner, $1.seal)
            }
            for offer in ordered where used.isDisjoint(with: offer.coverage) {
                used.formUnion(offer.coverage)
                chosen.insert(offer.seal)
            }
            let parts = RoundPlanner.plan(offers: offers, ledger: ledger, excluded: [])
            #expect(Set(parts.flatMap(\.seals)) == chosen)
            #expect(parts.reduce(ledger.count) { $0 + $1.unitCount } == used.count)
        }
    }

    @Test("A unit is lost when more than three rounds in a row do not mention it")
    func loss() {
        var watch = LossWatch()
        for _ in 0..<3 {
            let none = watch.observe(unmentioned: set((4, 8)))
            #expect(none.isEmpty)
        }
        #expect(watch.hasSuspects)
        let result6 = watch.observe(unmentioned: set((5, 6)))
        #expect(result6 == set((5, 6)))
        for _ in 0..<3 {
            let none = watch.observe(unmentioned: set((6, 8)))
            #expect(none.isEmpty)
        }
        let result7 = watch.observe(unmentioned: set((6, 8)))
        #expect(result7 == set((6, 8)))
        let result8 = watch.observe(unmentioned: IntervalSet())
        #expect(result8.isEmpty)
        #expect(!watch.hasSuspects)
    }

    @Test("Rounds come soon at first, then seldom, and often again towards the end")
    func schedule() {
        let configuration = FrameConfiguration()
        func hurried(_ cost: Double, participants: Int = 10) -> Duration {
            RoundSchedule.hurried(
                lastCost: Duration(seconds: cost), participants: participants,
                configuration: configuration)
        }
        func interval(
            _ elapsed: Double, _ cost: Double, _ rest: Double?, participants: Int = 10
        ) -> Double {
            RoundSchedule.interval(
                elapsed: Duration(seconds: elapsed), lastCost: Duration(seconds: cost),
                rest: rest.map { Duration(seconds: $0) },
                hurried: hurried(cost, participants: participants), isAlone: participants == 1,
                configuration: configuration
            ).seconds
        }
        // Somebody waits: as often as it pays.
        #expect(hurried(0) == .milliseconds(21) && hurried(0.2) == .milliseconds(400))
        #expect(abs(interval(100, 0, 0.01) - 0.021) < 1e-9)
        #expect(abs(interval(100, 0, 0.01, participants: 1_000) - 0.12) < 1e-9)
        #expect(interval(0, 0, nil) == 0.1)
        #expect(abs(interval(5, 0, 100) - 1.5) < 1e-9)
        #expect(interval(1_000, 0, 1_000) == 2)
        #expect(abs(interval(1_000, 1, 1_000) - 4) < 1e-9)
        #expect(interval(1_000, 0, 1_000, participants: 1) == 8)
        #expect(abs(interval(1_000, 1, 1_000, participants: 1) - 20) < 1e-9)
        #expect(abs(interval(100, 0, 5) - 2) < 1e-9)
    }

    @Test("A ledger takes nothing older, and commits nothing twice")
    func ledger() {
        let term = Term(number: 1, root: participant(1))
        func stamp(_ number: UInt64, _ after: Bool) -> CommitLedger.Stamp {
            CommitLedger.Stamp(round: RoundID(term: term, number: number), isAfterCommit: after)
        }
        var ledger = CommitLedger(unitCount: 10)
        let result9 = ledger.adopt(set((0, 4)), at: stamp(2, false))
        #expect(result9)
        let result10 = ledger.adopt(set((0, 1)), at: stamp(1, true))
        #expect(!result10)
        let result11 = ledger.adopt(set((0, 6)), at: stamp(2, true))
        #expect(result11)
        let result12 = ledger.adopt(set((0, 4)), at: stamp(2, false))
        #expect(!result12)
        let result13 = ledger.commit(set((5, 7)), round: RoundID(term: term, number: 3))
        #expect(!result13)
        #expect(ledger.coverage == set((0, 6)))
        let result14 = ledger.commit(set((6, 10)), round: RoundID(term: term, number: 3))
        #expect(result14)
        #expect(ledger.isComplete && ledger.missing.isEmpty)
    }

    @Test("Successors wait one after the other, and less when the root is known to be dead")
    func succession() {
        let all = (1...5).map { participant($0) }
        func rank(_ number: UInt64, unnamed: Int = 0, dead: [ParticipantID]) -> Int {
            Succession.rank(
                of: participant(number), participants: all, unnamedCount: unnamed,
                root: participant(1), isDead: { dead.contains($0) })
        }
        #expect(rank(2, dead: []) == 0 && rank(5, dead: []) == 3)
        #expect(rank(5, dead: [participant(2), participant(3)]) == 1)
        // Those of a large frame whom the list does not name come after it, one after the other.
        #expect(rank(109, unnamed: 100, dead: []) == 4 + 9)
        #expect(rank(109, unnamed: 100, dead: all) == 9)
        func patience(_ rank: Int, _ dead: Bool) -> Duration {
            Succession.patience(
                rank: rank, participants: 5, rootIsDead: dead,
                configuration: FrameConfiguration())
        }
        #expect(patience(0, true) < patience(1, true))
        #expect(patience(1, true) < patience(1, false))
        #expect(patience(0, false) > FrameConfiguration().heartbeatInterval * 2)
        #expect(Succession.mustKeepFilm(participant(3), participants: all))
        #expect(!Succession.mustKeepFilm(participant(4), participants: all))
    }
}

@Suite struct PartialFilmsTests {
    @Test("A partial film that overlaps the ledger goes down whole, and its rest is claimed again")
    func drop() {
        var partials = PartialFilms()
        for unit in 0..<4 { partials.addToOpen(unit) }
        let first = partials.sealOpen(limit: 8)
        partials.addToOpen(6)
        let apart = partials.sealApart(9, limit: 8)
        #expect(partials.coverage == set((0, 4), (6, 7), (9, 10)))
        partials.checkInvariants()
        let dropped = partials.drop(overlapping: set((3, 5), (9, 10)))
        #expect(dropped.seals == [first, apart].compactMap { $0 })
        #expect(!dropped.open && dropped.reclaimed == set((0, 3)) && dropped.unitsWasted == 3)
        partials.disown()
        let result15 = partials.drop(overlapping: set((6, 7)))
        #expect(result15.open)
        #expect(partials.isEmpty)
    }

    @Test("There is a limit to sealed partial films; the open one then stays open")
    func limit() {
        var partials = PartialFilms()
        partials.addToOpen(1)
        let result16 = partials.sealOpen(limit: 1)
        #expect(result16 != nil)
        partials.addToOpen(2)
        let result17 = partials.sealOpen(limit: 1)
        #expect(result17 == nil)
        let result18 = partials.sealApart(3, limit: 1)
        #expect(result18 == nil)
        #expect(partials.open == set((2, 3)))
    }
}

@Suite struct VictimChoiceTests {
    @Test("Of two candidates the one with more work is asked, each once, then the search is over")
    func choice() {
        let all = (1...3).map { participant($0) }
        var random = RandomNumbers(seed: 1)
        var choice = VictimChoice(owner: participant(1), configuration: FrameConfiguration())
        choice.learn(participant(2), samples: 10)
        choice.learn(participant(3), samples: 20)
        func next() -> ParticipantID? {
            choice.next(among: all, isDead: { _ in false }, random: &random)
        }
        #expect(next() == participant(3))
        #expect(next() == participant(2))
        #expect(next() == nil)
        choice.restart()
        #expect(
            choice.next(among: all, isDead: { $0 == participant(3) }, random: &random)
                == participant(2))
    }

    @Test("Data that takes long gets twice the time after each failure, within bounds")
    func dataPatience() {
        let configuration = FrameConfiguration()
        var root = RootState(members: [participant(1)], at: .zero)
        let patience = (0...7).map { failures in
            root.abandonedInRow = failures
            return root.dataPatience(configuration).seconds / configuration.dataTimeout.seconds
        }
        #expect(patience == [1, 2, 4, 8, 16, 32, 32, 32])
    }

    @Test("Lifelines are the neighbours at powers of two, and are asked last")
    func lifelines() {
        let all = (0..<100).map { participant(UInt64($0)) }
        let lines = VictimChoice.lifelines(of: participant(98), participants: all)
        #expect(lines == [99, 0, 2, 6, 14, 30, 62].map { participant($0) })
        var random = RandomNumbers(seed: 1)
        var choice = VictimChoice(owner: participant(98), configuration: FrameConfiguration())
        var asked: [ParticipantID] = []
        while let victim = choice.next(among: all, isDead: { _ in false }, random: &random) {
            asked.append(victim)
        }
        #expect(Set(asked).count == asked.count && !asked.contains(participant(98)))
        #expect(lines.allSatisfy(asked.contains))
        #expect(asked.count <= lines.count + FrameConfiguration().stealTriesMax)
    }
}
