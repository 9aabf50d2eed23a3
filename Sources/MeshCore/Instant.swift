// A point in time as the state machines see it. They have no clock: whoever drives them, the
// runtime or the simulator, passes the present in.

/// Nanoseconds since an origin that is the same for the life of one node; never compared between
/// nodes.
@frozen
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var nanoseconds: Int64
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The origin.
    public static let zero = Instant(nanoseconds: 0)
    /// Later than every instant that occurs.
    public static let distantFuture = Instant(nanoseconds: .max)

    @inlinable public static func < (a: Instant, b: Instant) -> Bool {
        a.nanoseconds < b.nanoseconds
    }
    @inlinable public static func + (a: Instant, b: Duration) -> Instant {
        Instant(nanoseconds: a.nanoseconds &+ b.nanoseconds)
    }
    @inlinable public static func += (a: inout Instant, b: Duration) { a = a + b }
    /// The time from `b` to `a`.
    @inlinable public static func - (a: Instant, b: Instant) -> Duration {
        .nanoseconds(a.nanoseconds &- b.nanoseconds)
    }
    @inlinable public static func - (a: Instant, b: Duration) -> Instant {
        Instant(nanoseconds: a.nanoseconds &- b.nanoseconds)
    }

    /// Seconds since the origin.
    public var description: String { "\(Double(nanoseconds) / 1e9) s" }
}

extension Duration {
    /// Whole nanoseconds of the duration; clamped to about ±292 years.
    @inlinable public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        return product &+ attoseconds / 1_000_000_000
    }

    /// The duration in seconds, for arithmetic and for people.
    @inlinable public var seconds: Double { Double(nanoseconds) / 1e9 }

    /// A duration of this many seconds, to the nanosecond; at most 10⁹ s (32 years), so that it
    /// can be added to any instant. Negative and non-finite become zero.
    @inlinable public init(seconds: Double) {
        self =
            seconds > 0 && seconds.isFinite ? .nanoseconds(Int64(min(seconds, 1e9) * 1e9)) : .zero
    }
}
