// What a node's link moves, from the streams that it sends.

/// The rate of the best of the last measurements: any one may have been held up by its receiver,
/// by other streams on the link, or by the slowest link of a tree.
struct LinkSpeed {
    private var rates: [Double] = []
    private var next = 0

    private static let kept = 64

    /// Adds a measurement, bytes per second.
    mutating func add(_ rate: Double) {
        if rates.count < Self.kept {
            rates.append(rate)
        } else {
            rates[next] = rate
            next = (next + 1) % Self.kept
        }
    }

    /// Zero as long as nothing was measured.
    var bytesPerSecond: Double { rates.max() ?? 0 }
}
