// Inverting cumulative distributions in nearly constant time: a guide says between which entries
// the answer lies, so that the search takes a step or two instead of the logarithm of the size
// (Chen and Asau, On Generating Random Variates from an Empirical Distribution, 1974). The answer
// is the same as that of a search through the whole table.

/// Tables are `count + 1` numbers rising from 0 to 1; guides have `cells(for: count) + 1` indices.
enum GuidedInversion {
    /// The number of equal parts of 0 … 1 a guide has: a power of two, so that a number's part is
    /// exact, and half the table's size or more.
    static func cells(for count: Int) -> Int {
        var cells = 1
        while 2 * cells < count { cells *= 2 }
        return cells
    }

    /// For each part's lower end the largest index whose entry does not exceed it.
    static func fill(
        _ guide: UnsafeMutablePointer<Int32>, table: UnsafePointer<Float>, count: Int
    ) {
        let cells = cells(for: count)
        var index = 0
        for cell in 0...cells {
            let end = Float(cell) / Float(cells)
            while index + 1 < count && table[index + 1] <= end { index += 1 }
            guide[cell] = Int32(index)
        }
    }

    /// The interval that holds `u`, where in it, and its share.
    /// - Parameters:
    ///   - base: where each lane's table begins, and `guideBase` its guide.
    ///   - cells: of each guide.
    ///   - number: in `0 ..< 1`; anything else is moved there.
    @inline(__always)
    static func invert(
        _ table: UnsafePointer<Float>, base: Int32x8, guide: UnsafePointer<Int32>,
        guideBase: Int32x8, cells: Int32, _ number: Float8
    ) -> (index: Int32x8, fraction: Float8, share: Float8) {
        let u = clamp(
            number, Float8(repeating: 0), Float8(repeating: 0x1.fffffep-1))
        let cell = guideBase &+ Int32x8(truncating: u * Float(cells))
        var low = gather(guide, cell)
        var high = gather(guide + 1, cell)
        // The largest index with table[index] ≤ u, by halving; lanes that are done stay.
        while !(low .< high).isEmpty {
            let middle = (low &+ high &+ 1) &>> 1
            let isReached = gather(table, base &+ middle) .<= u
            high = select(isReached, high, maximum(middle &- 1, low))
            low = select(isReached, middle, low)
        }
        let start = gather(table, base &+ low)
        let share = gather(table + 1, base &+ low) - start
        let divisor = select(share .> 0, share, Float8(repeating: 1))
        let fraction = clamp(
            (u - start) / divisor, Float8(repeating: 0), Float8(repeating: 0x1.fffffep-1))
        return (low, fraction, share)
    }
}
