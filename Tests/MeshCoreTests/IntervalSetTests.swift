// The type of every coverage and ledger, against a plain set of integers.

import MeshCore
import Testing

@Suite("IntervalSet")
struct IntervalSetTests {
    static let seeds: [UInt64] = Array(1...20)

    /// Random ranges below 120, some empty, some touching.
    private func randomRanges(_ random: inout RandomNumbers) -> [SampleRange] {
        (0..<random.below(12)).map { _ in
            let lower = random.below(120)
            return SampleRange(lower, lower + random.below(15))
        }
    }

    private func model(_ ranges: [SampleRange]) -> Set<Int> {
        Set(ranges.flatMap { Array($0.lowerBound..<$0.upperBound) })
    }

    private func model(_ set: IntervalSet) -> Set<Int> { model(set.ranges) }

    /// Sorted, non-empty, with gaps: there is one form for each set.
    private func isCanonical(_ set: IntervalSet) -> Bool {
        IntervalSet(canonical: set.ranges) == set
    }

    @Test("Set operations agree with a plain set", arguments: seeds)
    func operations(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        for _ in 0..<300 {
            let rangesA = randomRanges(&random)
            let rangesB = randomRanges(&random)
            let a = IntervalSet(rangesA)
            let b = IntervalSet(rangesB)
            let plainA = model(rangesA)
            let plainB = model(rangesB)
            #expect(model(a) == plainA && isCanonical(a), "seed \(seed)")
            #expect(model(a.union(b)) == plainA.union(plainB), "seed \(seed)")
            #expect(model(a.intersection(b)) == plainA.intersection(plainB), "seed \(seed)")
            #expect(model(a.subtracting(b)) == plainA.subtracting(plainB), "seed \(seed)")
            for set in [a.union(b), a.intersection(b), a.subtracting(b)] {
                #expect(isCanonical(set), "seed \(seed)")
            }
            #expect(a.isDisjoint(with: b) == plainA.isDisjoint(with: plainB), "seed \(seed)")
            #expect(a.isSuperset(of: b) == plainA.isSuperset(of: plainB), "seed \(seed)")
            #expect(a.union(b) == b.union(a) && a.intersection(b) == b.intersection(a))
            #expect(a.count == plainA.count && a.isEmpty == plainA.isEmpty)
            #expect(a.first == plainA.min() && a.upperBound == (plainA.max() ?? -1) + 1)
            for unit in stride(from: 0, to: 140, by: 7) {
                #expect(a.contains(unit) == plainA.contains(unit), "seed \(seed)")
            }
        }
    }

    @Test("A sequence of changes agrees with a plain set", arguments: seeds)
    func changes(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var set = IntervalSet()
        var plain: Set<Int> = []
        for step in 0..<2_000 {
            let lower = random.below(200)
            let range = SampleRange(lower, lower + random.below(9))
            switch random.below(6) {
            case 0, 1:
                set.insert(range)
                plain.formUnion(range.lowerBound..<range.upperBound)
            case 2:
                set.remove(range)
                plain.subtract(range.lowerBound..<range.upperBound)
            case 3:
                set.insert(lower)
                plain.insert(lower)
            case 4:
                set.remove(lower)
                plain.remove(lower)
            default:
                let count = random.below(4)
                let isFirst = random.below(2) == 0
                let taken = isFirst ? set.removeFirst(count) : set.removeLast(count)
                let sorted = plain.sorted()
                let expected = Set(isFirst ? sorted.prefix(count) : sorted.suffix(count))
                #expect(model(taken) == expected && isCanonical(taken), "seed \(seed)")
                plain.subtract(expected)
            }
            #expect(model(set) == plain && isCanonical(set), "seed \(seed), step \(step)")
        }
    }

    @Test("Taking more than there is takes all")
    func takeAll() {
        var set = IntervalSet([SampleRange(3, 5), SampleRange(9, 12)])
        let whole = set
        #expect(set.removeLast(100) == whole && set.isEmpty)
        set = whole
        #expect(set.removeFirst(100) == whole && set.isEmpty)
        set = whole
        #expect(set.removeFirst(0).isEmpty && set.removeLast(0).isEmpty && set == whole)
    }

    @Test("Ranges that touch become one, empty ones vanish")
    func touching() {
        #expect(IntervalSet([SampleRange(0, 3), SampleRange(3, 6)]).ranges == [SampleRange(0, 6)])
        #expect(IntervalSet(SampleRange(4, 4)).isEmpty)
        var set = IntervalSet([SampleRange(0, 2), SampleRange(4, 6), SampleRange(8, 9)])
        set.insert(SampleRange(2, 8))
        #expect(set.ranges == [SampleRange(0, 9)])
    }

    @Test(
        "What is not canonical is refused",
        arguments: [
            [SampleRange(0, 2), SampleRange(2, 4)], [SampleRange(5, 6), SampleRange(0, 1)],
            [SampleRange(3, 3)], [SampleRange(0, 4), SampleRange(2, 6)],
        ])
    func notCanonical(ranges: [SampleRange]) {
        #expect(IntervalSet(canonical: ranges) == nil)
    }

    @Test("Encoded sets come back", arguments: seeds)
    func roundTrip(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        for _ in 0..<100 {
            let set = IntervalSet(randomRanges(&random))
            var writer = ByteWriter()
            set.write(to: &writer)
            var reader = ByteReader(writer.bytes)
            #expect(try IntervalSet(from: &reader) == set, "seed \(seed)")
            #expect(reader.remaining == 0)
            // Every shorter form is an error, not a smaller set.
            for length in 0..<writer.bytes.count {
                var short = ByteReader(Array(writer.bytes[..<length]))
                #expect(throws: MalformedBytes.self) { try IntervalSet(from: &short) }
            }
        }
    }

    @Test("Any bytes are read without a trap, and what is read is canonical", arguments: seeds)
    func garbage(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        for _ in 0..<2_000 {
            let bytes = (0..<random.below(40)).map { _ in
                random.below(3) == 0 ? 0xff : UInt8(random.below(256))
            }
            var reader = ByteReader([UInt8(random.below(5))] + bytes)
            guard let set = try? IntervalSet(from: &reader) else { continue }
            #expect(isCanonical(set) && set.upperBound <= 1 << 48, "seed \(seed)")
        }
    }

    @Test("A huge number of ranges is refused before memory is taken for it")
    func hugeCount() {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(IntervalSet.rangesMax) + 1)
        var reader = ByteReader(writer.bytes)
        #expect(throws: MalformedBytes.invalid("number of ranges")) {
            try IntervalSet(from: &reader)
        }
    }
}
