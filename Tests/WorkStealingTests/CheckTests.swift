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
            #expect(stranger == .open)
            let verdict = book.settle(
                unit, digest: digest(UInt64(unit + 1)), from: second, at: .zero)
            #expect(verdict == .agrees)
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
        full.retain { _, number in number > SealNumber(1) }
        full.draw(seals, of: owner, share: 1, limit: 250, random: &random, at: .zero)
        #expect(full.pending.count == 200)
        #expect(full.isCleared(SealNumber(1), of: owner))
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
            #expect(objection == .open)
            // A third is asked at once.
            #expect(book.nextDeadline == Instant.zero)
            book.ask(third, at: index, until: .zero + .seconds(9))
            if isOwnerWrong {
                // The same answer again is not another's.
                let again = book.settle(5, digest: right, from: second, at: .zero)
                #expect(again == .open)
            }
            let verdict = book.settle(5, digest: right, from: third, at: .zero)
            #expect(verdict == .wrong(isOwnerWrong ? owner : second))
            #expect(book.pending.count == 3)
        }
    }
}
