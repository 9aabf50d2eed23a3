// The only source of randomness in the state machines: seeded, so that a run can be replayed.

/// xoshiro256** 1.0 (Blackman and Vigna, Scrambled Linear Pseudorandom Number Generators, 2021),
/// its state filled from the seed by SplitMix64 as its authors recommend.
@frozen
public struct RandomNumbers: RandomNumberGenerator, Sendable {
    @usableFromInline var state: (UInt64, UInt64, UInt64, UInt64)

    @inlinable public init(seed: UInt64) {
        var mix = seed
        func next() -> UInt64 {
            mix &+= 0x9e37_79b9_7f4a_7c15
            var z = mix
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        state = (next(), next(), next(), next())
    }

    @inlinable public mutating func next() -> UInt64 {
        func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }
        let result = rotate(state.1 &* 5, 7) &* 9
        let t = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= t
        state.3 = rotate(state.3, 45)
        return result
    }

    /// A number in `0 ..< bound`, without bias worth mentioning (multiply-shift, Lemire 2019).
    /// - Precondition: `bound > 0`.
    @inlinable public mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0)
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number in `0 ..< 1`.
    @inlinable public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A duration between zero and `bound`, for spreading timers.
    @inlinable public mutating func duration(below bound: Duration) -> Duration {
        .nanoseconds(Int64(unit() * Double(bound.nanoseconds)))
    }

    /// Puts the elements in a random order (Fisher–Yates).
    @inlinable public mutating func shuffle<T>(_ elements: inout [T]) {
        guard elements.count > 1 else { return }
        for index in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(index, below(index + 1))
        }
    }
}
