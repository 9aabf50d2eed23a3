// Choosing one of many in constant time (Vose, A Linear Algorithm for Generating Random Numbers
// with a Given Distribution, 1991), in integers, so that the probability that is divided by is
// exactly the one with which an entry is chosen.

/// Eight choices of an ``AliasTable``.
struct AliasChoice8: Sendable {
    var index: Int32x8
    /// Of the index chosen.
    var probability: Float8
    /// What is left of the number that chose: again in `0 ..< 1`.
    var rest: Float8
}

/// Owns the table: 12 bytes an entry.
final class AliasTable: @unchecked Sendable {
    // Unchecked because of the pointers: their memory is written by `init` only.

    let count: Int
    /// Of each entry: the threshold below which it keeps its cell, and who has the rest.
    private let cells: UnsafeMutablePointer<Int32>
    private let probabilities: UnsafeMutablePointer<Float>

    /// Entries are chosen in proportion to their weights; all alike if every weight is zero.
    /// The same weights give the same table.
    /// - Precondition: at least one and at most 2²⁹ weights, finite and not negative.
    init(weights: [Double]) {
        precondition(!weights.isEmpty && weights.count <= 1 << 29)
        let count = weights.count
        let total = weights.reduce(0, +)
        precondition(total.isFinite && weights.allSatisfy { $0 >= 0 })
        self.count = count
        cells = .allocate(capacity: 2 * count)
        probabilities = .allocate(capacity: count)
        var share = weights.map { total > 0 ? $0 / total * Double(count) : 1 }
        var small: [Int] = []
        var large: [Int] = []
        for index in 0..<count {
            if share[index] < 1 { small.append(index) } else { large.append(index) }
        }
        var exact = [Double](repeating: 0, count: count)
        func place(_ index: Int, threshold: UInt32, alias: Int) {
            cells[2 * index] = Int32(bitPattern: threshold)
            cells[2 * index + 1] = Int32(alias)
            let kept = Double(threshold) * 0x1p-32
            exact[index] += kept
            exact[alias] += 1 - kept
        }
        while let lower = small.last, let upper = large.last {
            small.removeLast()
            place(lower, threshold: UInt32(share[lower] * 0x1p32), alias: upper)
            share[upper] -= 1 - share[lower]
            if share[upper] < 1 {
                large.removeLast()
                small.append(upper)
            }
        }
        // What rounding leaves over keeps its whole cell, unless it must never be chosen.
        let heaviest = weights.indices.max { weights[$0] < weights[$1] } ?? 0
        for index in small + large {
            let isNever = total > 0 && weights[index] == 0
            place(index, threshold: isNever ? 0 : .max, alias: isNever ? heaviest : index)
        }
        for index in 0..<count { probabilities[index] = Float(exact[index] / Double(count)) }
    }

    deinit {
        cells.deallocate()
        probabilities.deallocate()
    }

    /// The probability of one entry.
    func probability(_ index: Int) -> Float {
        precondition(index >= 0 && index < count)
        return probabilities[index]
    }

    /// What the shading stage holds: valid while the table lives.
    var view: AliasView {
        AliasView(cells: cells, probabilities: probabilities, count: UInt32(count))
    }
}

/// Pointers into an ``AliasTable``.
struct AliasView: @unchecked Sendable {
    // Unchecked because of the pointers: all they reach is only read; see AliasTable.
    fileprivate let cells: UnsafePointer<Int32>
    fileprivate let probabilities: UnsafePointer<Float>
    fileprivate let count: UInt32

    /// The probabilities of entries.
    @inline(__always)
    func probability(_ index: Int32x8) -> Float8 { gather(probabilities, index) }

    /// Chooses by uniform 32-bit numbers.
    @inline(__always)
    func choose(_ bits: UInt32x8) -> AliasChoice8 {
        let counts = UInt32x8(repeating: count)
        let cell = multiplyHigh(bits, counts).signed
        let within = bits &* counts
        let threshold = gather(cells, cell &<< 1).unsigned
        let alias = gather(cells + 1, cell &<< 1)
        // Unsigned comparison: with the sign bits turned, the order is the signed one.
        let sign = UInt32x8(repeating: 0x8000_0000)
        let isKept = (within ^ sign).signed .< (threshold ^ sign).signed
        let index = select(isKept, cell, alias)
        let part = Float8(unitFrom: threshold)
        let rest = select(
            isKept, Float8(unitFrom: within) / part,
            Float8(unitFrom: within &- threshold) / (1 - part))
        return AliasChoice8(
            index: index, probability: probability(index),
            rest: clamp(rest, Float8(repeating: 0), Float8(repeating: 0x1.fffffep-1)))
    }
}
