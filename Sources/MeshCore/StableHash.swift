// A hash that is the same on every machine and in every run, to name values in messages.

/// Accumulates 64-bit words (each step a round of SplitMix64's finaliser, Steele, Lea and Flood,
/// OOPSLA 2014). It tells honest values apart; it does not withstand forgery.
@frozen
public struct StableHash: Sendable {
    public private(set) var value: UInt64 = 0x9e37_79b9_7f4a_7c15

    public init() {}

    public mutating func combine(_ word: UInt64) {
        var z = (value ^ word) &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        value = z ^ (z >> 31)
    }

    public mutating func combine(_ word: Int) { combine(UInt64(bitPattern: Int64(word))) }
}
