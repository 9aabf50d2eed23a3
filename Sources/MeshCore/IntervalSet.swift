// A set of units, kept as sorted ranges that neither overlap nor touch. It is the type of every
// coverage, claim and ledger: in a healthy frame it holds few ranges, however many units.

/// A set of non-negative integers as sorted, disjoint, non-adjacent half-open ranges.
///
/// Set operations take time linear in the number of ranges; lookups are logarithmic.
public struct IntervalSet: Hashable, Sendable, CustomStringConvertible {
    /// The ranges, ascending, with a gap between each two.
    public private(set) var ranges: [SampleRange]
    /// The number of units.
    public private(set) var count: Int

    public init() {
        ranges = []
        count = 0
    }

    public init(_ range: SampleRange) {
        ranges = range.isEmpty ? [] : [range]
        count = range.count
    }

    /// Takes ranges in any order, overlapping or not.
    public init(_ ranges: some Sequence<SampleRange>) {
        self.init()
        let sorted = ranges.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
        for range in sorted { append(range) }
    }

    /// Takes ranges that must already be sorted, non-empty, disjoint and non-adjacent, as bytes
    /// from outside claim to be; nil when they are not.
    public init?(canonical ranges: [SampleRange]) {
        for (index, range) in ranges.enumerated() {
            guard !range.isEmpty else { return nil }
            guard index == 0 || ranges[index - 1].upperBound < range.lowerBound else { return nil }
        }
        self.ranges = ranges
        count = ranges.reduce(0) { $0 + $1.count }
    }

    public var isEmpty: Bool { ranges.isEmpty }
    public var first: Int? { ranges.first?.lowerBound }
    /// The largest unit plus one; zero when empty.
    public var upperBound: Int { ranges.last?.upperBound ?? 0 }

    public func contains(_ unit: Int) -> Bool {
        let index = firstRange(endingAfter: unit)
        return index < ranges.count && ranges[index].lowerBound <= unit
    }

    /// Whether every unit of a range is in this set. Logarithmic.
    public func contains(_ range: SampleRange) -> Bool {
        guard !range.isEmpty else { return true }
        let index = firstRange(endingAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound <= range.lowerBound
            && ranges[index].upperBound >= range.upperBound
    }

    /// Whether some unit of a range is in this set. Logarithmic.
    public func intersects(_ range: SampleRange) -> Bool {
        guard !range.isEmpty else { return false }
        let index = firstRange(endingAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound < range.upperBound
    }

    /// Whether every unit of `other` is in this set.
    public func isSuperset(of other: IntervalSet) -> Bool { other.subtracting(self).isEmpty }

    public func isDisjoint(with other: IntervalSet) -> Bool {
        var a = 0
        var b = 0
        while a < ranges.count, b < other.ranges.count {
            if ranges[a].upperBound <= other.ranges[b].lowerBound {
                a += 1
            } else if other.ranges[b].upperBound <= ranges[a].lowerBound {
                b += 1
            } else {
                return false
            }
        }
        return true
    }

    public func union(_ other: IntervalSet) -> IntervalSet {
        if isEmpty { return other }
        if other.isEmpty { return self }
        var result = IntervalSet()
        result.ranges.reserveCapacity(ranges.count + other.ranges.count)
        var a = 0
        var b = 0
        while a < ranges.count || b < other.ranges.count {
            let takeA =
                b == other.ranges.count
                || (a < ranges.count && ranges[a].lowerBound <= other.ranges[b].lowerBound)
            result.append(takeA ? ranges[a] : other.ranges[b])
            if takeA { a += 1 } else { b += 1 }
        }
        return result
    }

    public func intersection(_ other: IntervalSet) -> IntervalSet {
        var result = IntervalSet()
        var a = 0
        var b = 0
        while a < ranges.count, b < other.ranges.count {
            let lower = max(ranges[a].lowerBound, other.ranges[b].lowerBound)
            let upper = min(ranges[a].upperBound, other.ranges[b].upperBound)
            if lower < upper { result.append(SampleRange(lower, upper)) }
            if ranges[a].upperBound < other.ranges[b].upperBound { a += 1 } else { b += 1 }
        }
        return result
    }

    /// The units of one range that are in the set.
    /// - Complexity: logarithmic, and linear in the ranges of the result.
    public func intersection(_ range: SampleRange) -> IntervalSet {
        var result = IntervalSet()
        var index = firstRange(endingAfter: range.lowerBound)
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            let lower = max(ranges[index].lowerBound, range.lowerBound)
            let upper = min(ranges[index].upperBound, range.upperBound)
            if lower < upper { result.append(SampleRange(lower, upper)) }
            index += 1
        }
        return result
    }

    public func subtracting(_ other: IntervalSet) -> IntervalSet {
        if isEmpty || other.isEmpty { return self }
        var result = IntervalSet()
        var b = 0
        for range in ranges {
            var lower = range.lowerBound
            while b < other.ranges.count, other.ranges[b].upperBound <= lower { b += 1 }
            var cut = b
            while cut < other.ranges.count, other.ranges[cut].lowerBound < range.upperBound {
                let hole = other.ranges[cut]
                if lower < hole.lowerBound {
                    result.append(SampleRange(lower, hole.lowerBound))
                }
                lower = max(lower, hole.upperBound)
                cut += 1
            }
            if lower < range.upperBound {
                result.append(SampleRange(lower, range.upperBound))
            }
        }
        return result
    }

    public mutating func formUnion(_ other: IntervalSet) { self = union(other) }
    public mutating func subtract(_ other: IntervalSet) { self = subtracting(other) }

    /// Adds one range; constant time at the upper end, linear elsewhere.
    public mutating func insert(_ range: SampleRange) {
        guard !range.isEmpty else { return }
        if let last = ranges.last, range.lowerBound < last.lowerBound {
            // Merge with every range that overlaps or touches.
            let from = firstRange(endingAfter: range.lowerBound - 1)
            var to = from
            var lower = range.lowerBound
            var upper = range.upperBound
            while to < ranges.count, ranges[to].lowerBound <= upper {
                lower = min(lower, ranges[to].lowerBound)
                upper = max(upper, ranges[to].upperBound)
                count -= ranges[to].count
                to += 1
            }
            count += upper - lower
            ranges.replaceSubrange(from..<to, with: [SampleRange(lower, upper)])
        } else {
            append(range)
        }
    }

    public mutating func insert(_ unit: Int) { insert(SampleRange(unit, unit + 1)) }
    public mutating func remove(_ range: SampleRange) { subtract(IntervalSet(range)) }
    public mutating func remove(_ unit: Int) { subtract(IntervalSet(SampleRange(unit, unit + 1))) }

    /// Removes and returns the `count` smallest units, or all when there are fewer.
    public mutating func removeFirst(_ count: Int) -> IntervalSet {
        split(at: count, keepingLower: false)
    }

    /// Removes and returns the `count` largest units, or all when there are fewer.
    public mutating func removeLast(_ count: Int) -> IntervalSet {
        split(at: self.count - min(count, self.count), keepingLower: true)
    }

    /// The units below the `position`-th stay or go; the others are returned or stay.
    private mutating func split(at position: Int, keepingLower: Bool) -> IntervalSet {
        var lower = IntervalSet()
        var upper = IntervalSet()
        var left = position
        for range in ranges {
            let cut = range.lowerBound + min(max(left, 0), range.count)
            if cut > range.lowerBound { lower.append(SampleRange(range.lowerBound, cut)) }
            if cut < range.upperBound { upper.append(SampleRange(cut, range.upperBound)) }
            left -= range.count
        }
        self = keepingLower ? lower : upper
        return keepingLower ? upper : lower
    }

    /// The index of the first range whose upper bound lies above `unit`.
    private func firstRange(endingAfter unit: Int) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound > unit { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Adds a range that starts at or after the last one's start.
    private mutating func append(_ range: SampleRange) {
        guard let last = ranges.last, range.lowerBound <= last.upperBound else {
            ranges.append(range)
            count += range.count
            return
        }
        precondition(range.lowerBound >= last.lowerBound)
        guard range.upperBound > last.upperBound else { return }
        ranges[ranges.count - 1] = SampleRange(last.lowerBound, range.upperBound)
        count += range.upperBound - last.upperBound
    }

    public var description: String {
        "{" + ranges.map(\.description).joined(separator: " ") + "}"
    }
}
