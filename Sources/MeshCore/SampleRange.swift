// A piece of a frame's work, small enough to travel as two integers.

/// A half-open interval of units in a frame's linear work space.
@frozen
public struct SampleRange: Hashable, Sendable, CustomStringConvertible {
    public let lowerBound: Int
    public let upperBound: Int

    /// - Precondition: `0 <= lowerBound <= upperBound`.
    @inlinable public init(_ lowerBound: Int, _ upperBound: Int) {
        precondition(0 <= lowerBound && lowerBound <= upperBound)
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// The number of units.
    @inlinable public var count: Int { upperBound - lowerBound }
    @inlinable public var isEmpty: Bool { lowerBound == upperBound }
    @inlinable public func contains(_ unit: Int) -> Bool {
        lowerBound <= unit && unit < upperBound
    }
    public var description: String { "[\(lowerBound), \(upperBound))" }
}
