// Units that are rendered twice and compared.

import MeshCore
import Testing

@testable import WorkStealing

@Suite struct UnitDigestTests {
    func digest(_ hash: UInt64, _ sum: Float, ofClass arithmeticClass: UInt64) -> UnitDigest {
        UnitDigest(
            hash: hash, sums: SIMD3(sum, 10, 0), arithmeticClass: arithmeticClass)
    }

    @Test("Within a class results are equal to the bit, across classes within the tolerance")
    func agreement() {
        let one = digest(1, 100, ofClass: 1)
        #expect(one.agrees(with: digest(1, 100, ofClass: 1)))
        #expect(!one.agrees(with: digest(2, 100, ofClass: 1)))
        #expect(one.agrees(with: digest(2, 104, ofClass: 2)))
        #expect(digest(2, 104, ofClass: 2).agrees(with: one))
        #expect(!one.agrees(with: digest(2, 106, ofClass: 2)))
        #expect(!one.agrees(with: digest(2, -100, ofClass: 2)))
        #expect(!one.agrees(with: digest(2, .nan, ofClass: 2)))
        #expect(!UnitDigest.none.agrees(with: digest(0, 1, ofClass: 0)))
        #expect(!UnitDigest.none.agrees(with: .none))
        #expect(!UnitDigest.none.agrees(with: one))
    }
}

@Suite struct CheckBookTests {
    let owner = ParticipantID(node: NodeID(2), boot: 1)
    let second = ParticipantID(node: NodeID(3), boot: 1)
    let third = ParticipantID(node: NodeID(4), boot: 1)

    func digest(_ hash: UInt64) -> UnitDigest {
        UnitDigest(hash: hash, sums: .zero, arithmeticClass: 1)
    }

    func seal(_ number: UInt64, _ units: Range<Int>, wrong: Bool = false) -> RoundReport.Seal {
        RoundReport.Seal(
            number: SealNumber(number),
            coverage: IntervalSet(SampleRange(units.lowerBound, units.upperBound)),
            digests: units.map { digest(UInt64($0 + 1) + (wrong ? 1_000 : 0)) })
    }

    /// A book with all units of one seal drawn.
    func book(share: Double = 1, wrong: Bool = false) -> CheckBook {
        var book = CheckBook()
        var random = RandomNumbers(seed: 1)
        book.draw(
            [seal(1, 4..<8, wrong: wrong)], of: owner, share: share, limit: 100,
            random: &random, at: .zero)
        return book
    }

    @Test("A seal is cleared when all its chosen units agree, and not before it was drawn")
    func clears() {
        var book = book()
        #expect(book.pending.count == 4)
        for unit in 4..<8 {
            #expect(!book.isCleared(SealNumber(1), of: owner))
            let index = book.pending.firstIndex { $0.unit == unit } ?? 0
            book.ask(second, at: index, until: .zero + .seconds(1))
            // Whoever was not asked settles nothing.
            let stranger = book.settle(unit, digest: digest(7), from: third, at: .zero)
            #expect(stranger == CheckBook.Verdict())
            let verdict = book.settle(
                unit, digest: digest(UInt64(unit + 1)), from: second, at: .zero)
            #expect(verdict == CheckBook.Verdict(settled: 1))
        }
        #expect(book.isCleared(SealNumber(1), of: owner))
        #expect(!book.isCleared(SealNumber(2), of: owner))
        #expect(!book.isCleared(SealNumber(1), of: third))
        #expect(self.book(share: 0).isCleared(SealNumber(1), of: owner))
    }

    @Test(
        "About the share of the units is drawn, each seal once, and no more than there is room for")
    func draws() {
        var book = CheckBook()
        var random = RandomNumbers(seed: 5)
        let seals = (0..<20).map { seal(UInt64($0 + 1), $0 * 100..<($0 + 1) * 100) }
        for _ in 0..<3 {
            book.draw(seals, of: owner, share: 0.1, limit: 5_000, random: &random, at: .zero)
        }
        #expect((140...260).contains(book.pending.count))
        var full = CheckBook()
        full.draw(seals, of: owner, share: 1, limit: 250, random: &random, at: .zero)
        #expect(full.pending.count == 200)
        #expect(!full.isCleared(SealNumber(3), of: owner))
        full.retain([owner: Set(seals.dropFirst().map(\.number))])
        full.draw(
            Array(seals.dropFirst()), of: owner, share: 1, limit: 250, random: &random, at: .zero)
        #expect(full.pending.count == 200)
        // What was away and comes back is drawn again.
        full.retain([:])
        #expect(full.pending.isEmpty)
        full.draw([seals[1]], of: owner, share: 1, limit: 250, random: &random, at: .zero)
        #expect(full.pending.count == 100 && !full.isCleared(SealNumber(2), of: owner))
    }

    @Test("Of two that differ a third decides who is wrong")
    func arbitration() {
        for isOwnerWrong in [false, true] {
            var book = book(wrong: isOwnerWrong)
            let index = book.pending.firstIndex { $0.unit == 5 } ?? 0
            book.ask(second, at: index, until: .zero + .seconds(9))
            let right = digest(6)
            let objection = book.settle(
                5, digest: isOwnerWrong ? right : digest(99), from: second, at: .zero)
            #expect(objection == CheckBook.Verdict())
            // A third is asked at once.
            #expect(book.nextDeadline == Instant.zero)
            book.ask(third, at: index, until: .zero + .seconds(9))
            // The same answer again is not another's.
            let again = book.settle(
                5, digest: isOwnerWrong ? right : digest(99), from: second, at: .zero)
            #expect(again == CheckBook.Verdict())
            let verdict = book.settle(5, digest: right, from: third, at: .zero)
            #expect(verdict.wrong == [isOwnerWrong ? owner : second])
            #expect(book.pending.count == 3)
        }
    }

    @Test("A third of another class that comes near to both decides nothing")
    func nearToBoth() {
        var book = book(wrong: true)
        let fourth = ParticipantID(node: NodeID(5), boot: 1)
        for participant in [second, third, fourth] {
            book.ask(participant, at: 0, until: .zero + .seconds(9))
        }
        let unit = book.pending[0].unit
        let right = digest(UInt64(unit + 1))
        _ = book.settle(unit, digest: right, from: second, at: .zero)
        let near = UnitDigest(hash: 77, sums: .zero, arithmeticClass: 2)
        let undecided = book.settle(unit, digest: near, from: third, at: .zero)
        #expect(undecided == CheckBook.Verdict() && book.pending.count == 4)
        let verdict = book.settle(unit, digest: right, from: fourth, at: .zero)
        #expect(verdict.wrong == [owner])
    }

    @Test("Who is found wrong takes its objections along")
    func forgets() {
        var book = book()
        for index in 0..<2 { book.ask(second, at: index, until: .zero + .seconds(9)) }
        _ = book.settle(4, digest: digest(99), from: second, at: .zero)
        book.forget(second, at: .zero + .seconds(1))
        #expect(book.pending.count == 4 && book.pending.allSatisfy { $0.objection == nil })
        // It is asked no more, so another is.
        #expect(book.pending.allSatisfy { $0.deadline <= .zero + .seconds(1) })
        book.forget(owner, at: .zero)
        #expect(book.pending.isEmpty)
    }
}

@Suite struct KeptDigestTests {
    @Test("A seal's digests are those of the results that are kept, not of second ones")
    func second() throws {
        let me = ParticipantID(node: NodeID(1), boot: 1)
        var configuration = FrameConfiguration()
        configuration.verifiedShare = 1
        let grid = try #require(TileGrid(width: 16, height: 8, tileSize: 8))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: 1))
        var machine = FrameParticipant(
            originating: FrameID(originator: me, number: 1), workSpace: space, identity: me,
            configuration: configuration, seed: 1, at: .zero)
        machine.skipReference()
        machine.setSpeed(samplesPerSecond: 100)
        func digest(_ hash: UInt64) -> UnitDigest {
            UnitDigest(hash: hash, sums: .one, arithmeticClass: 1)
        }
        let taken = (machine.takeUnit(at: .zero), machine.takeUnit(at: .zero))
        let first = try #require(taken.0)
        _ = machine.rendered(try #require(taken.1), digest: digest(5), at: .zero)
        // Another device of this node is given the unit that takes so long.
        var doubled: Int?
        var now = Instant.zero
        while doubled == nil, now < .zero + .seconds(20) {
            now = now + .milliseconds(500)
            machine.tick(at: now)
            doubled = machine.takeUnit(at: now)
        }
        #expect(doubled == first)
        let kept = machine.rendered(first, digest: digest(6), at: now)
        #expect(kept == .addToOpen)
        let late = machine.rendered(first, digest: digest(7), at: now)
        #expect(late == .discard)
        #expect(machine.digests[first] == digest(6))
    }
}
