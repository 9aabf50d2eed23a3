// Who is right by the reference unit.

import MeshCore
import Testing

@testable import WorkStealing

@Suite struct ReferenceBookTests {
    let root = ParticipantID(node: NodeID(1), boot: 1)
    let others = (2...9).map { ParticipantID(node: NodeID($0), boot: 1) }
    let right = UnitDigest(hash: 1, sums: SIMD3(100, 100, 100), arithmeticClass: 1)
    let near = UnitDigest(hash: 2, sums: SIMD3(101, 100, 100), arithmeticClass: 2)
    let wrong = UnitDigest(hash: 3, sums: SIMD3(50, 100, 100), arithmeticClass: 1)

    func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

    /// A book of a root that got the right thing.
    func book() -> ReferenceBook {
        var book = ReferenceBook()
        let isNew = book.note(right, of: root, isOwn: true, limit: 8, at: .zero)
        #expect(isNew)
        #expect(book.pending.isEmpty)
        return book
    }

    /// Somebody tells what it got, at a moment.
    func tell(
        _ book: inout ReferenceBook, _ who: ParticipantID, _ digest: UnitDigest,
        _ milliseconds: Int64
    ) -> ReferenceBook.Verdict? {
        _ = book.note(digest, of: who, limit: 8, at: at(milliseconds))
        let verdict = book.judge(who, root: root)
        if verdict == .right(against: []) { book.trust(who) }
        book.checkInvariants()
        return verdict
    }

    @Test("Of two that differ nobody is found wrong; of three the odd one is")
    func three() {
        var book = book()
        #expect(tell(&book, others[0], wrong, 1) == .undecided)
        #expect(book.isPending(others[0]) && book.differing(from: others[0]) == 1)
        #expect(tell(&book, others[1], right, 2) == .right(against: []))
        #expect(book.judge(others[0], root: root) == .wrong)
        #expect(book.differing(from: others[0]) == 2)
        book.convict(others[0])
        #expect(book.pending.isEmpty && book.differing(from: others[0]) == 2)
        #expect(!book.knows(others[0]) && book.differing(from: others[1]) == 0)
    }

    @Test("Two that agree outvote the root, and a trusted one, once both are heard of together")
    func outvotedRoot() {
        var book = book()
        #expect(tell(&book, others[0], wrong, 1) == .undecided)
        #expect(tell(&book, others[1], wrong, 2) == .undecided)
        #expect(tell(&book, others[0], wrong, 3) == .right(against: [root]))
        // With a voice more for the root, it is two against two.
        #expect(tell(&book, others[2], right, 4) == .right(against: []))
        #expect(book.judge(others[0], root: root) == .undecided)
        // The next one may be the same machine again, until both are heard of.
        #expect(tell(&book, others[3], right, 5) == .right(against: []))
        #expect(book.judge(others[0], root: root) == .undecided)
        book.heard(others[2], at: at(6))
        #expect(book.judge(others[0], root: root) == .wrong)
    }

    @Test("A machine that comes back as another node has one voice")
    func restarted() {
        var book = book()
        for (index, other) in others.prefix(7).enumerated() {
            #expect(tell(&book, other, wrong, Int64(index)) == .undecided)
        }
        #expect(book.judge(others[0], root: root) == .undecided)
    }

    @Test("Another class is within the tolerance; near to both of two that differ decides nothing")
    func classes() {
        var book = book()
        #expect(tell(&book, others[0], near, 1) == .right(against: []))
        var alike = near
        alike.hash = 77
        // Of the class of the second, it differs from that one alone.
        #expect(tell(&book, others[1], alike, 2) == .undecided)
        #expect(book.differing(from: others[1]) == 1)
        #expect(tell(&book, others[2], near, 3) == .right(against: []))
        book.heard(others[0], at: at(4))
        #expect(book.judge(others[1], root: root) == .wrong)
    }

    @Test("A root that renders late believes itself, and who differs is judged anew")
    func late() {
        var book = ReferenceBook()
        #expect(tell(&book, others[0], wrong, 1) == .right(against: []))
        #expect(tell(&book, others[1], wrong, 2) == .right(against: []))
        #expect(tell(&book, others[2], right, 3) == .undecided)
        _ = book.note(right, of: root, isOwn: true, limit: 8, at: at(4))
        book.checkInvariants()
        #expect(Set(book.pending) == Set(others.prefix(3)))
        // One of those who agree with each other is heard of since the other came: two against two.
        book.heard(others[0], at: at(5))
        #expect(book.judge(others[0], root: root) == .undecided)
        #expect(book.judge(others[2], root: root) == .right(against: []))
    }

    @Test("What is no digest agrees with nothing, and those who wait are bounded")
    func hostile() {
        var book = book()
        var random = RandomNumbers(seed: 3)
        let garbage: [Float] = [.nan, -1, .infinity, -.infinity]
        for number in 10..<400 {
            let who = ParticipantID(node: NodeID(UInt64(number)), boot: 1)
            let sums = SIMD3(garbage[number % 4], 100, 100)
            let digest = UnitDigest(hash: random.next(), sums: sums, arithmeticClass: 1)
            let verdict = tell(&book, who, digest, Int64(number))
            #expect(verdict == .undecided)
            // Telling something else again and again changes nothing.
            _ = tell(&book, who, wrong, Int64(number))
        }
        #expect(book.pending.count <= 8 && book.count <= 9)
        #expect(tell(&book, others[0], right, 1_000) == .right(against: []))
    }
}
