// One direction of a node's link, or of a way between two nodes: what is booked on it, and when it
// has room again.

import MeshCore

/// A queue for one link. Streams are carried whole, one after the other, as they come; control
/// messages share the link with the stream under way.
///
/// That is what a host's link does with fair queueing (fq_codel, the usual one of Linux) when a
/// connection for messages runs beside others with streams: a message takes turns, packet by
/// packet, with the stream that is being sent, so it needs twice its time and waits for one packet,
/// and the stream ends later by the message's time.
struct SimulatedLink: Sendable {
    let bytesPerSecond: Double
    /// When the last stream booked has passed.
    private(set) var until = Instant.zero
    /// Before the last streams, where something else may pass.
    private var gap = (from: Instant.zero, to: Instant.zero)
    /// When the last message booked has passed.
    private var messagesUntil = Instant.zero

    /// Of Ethernet.
    private static let packetBytes = 1_514

    init(bytesPerSecond: Double) { self.bytesPerSecond = bytesPerSecond }

    func nanoseconds(of bytes: Int) -> Int64 {
        Int64(Double(bytes) / bytesPerSecond * 1e9)
    }

    func duration(of bytes: Int) -> Duration { .nanoseconds(nanoseconds(of: bytes)) }

    /// Books a stream.
    /// - Parameters:
    ///   - earliest: when its first bytes are there.
    ///   - last: it does not end before this: its last bytes come only then.
    /// - Returns: when its first byte passes.
    mutating func book(_ duration: Duration, from earliest: Instant, last: Instant) -> Instant {
        let inGap = max(earliest, gap.from)
        if inGap + duration <= gap.to, last <= gap.to {
            gap.from = max(inGap + duration, last)
            return inGap
        }
        let first = max(earliest, until)
        if earliest - until > gap.to - gap.from { gap = (until, earliest) }
        until = max(first + duration, last)
        return first
    }

    /// Books a message.
    /// - Returns: when it has passed.
    mutating func bookMessage(bytes: Int, at now: Instant) -> Instant {
        let own = nanoseconds(of: bytes)
        var needed = own
        if until > now {
            until.nanoseconds += own
            needed = own + own + nanoseconds(of: Self.packetBytes)
        }
        messagesUntil.nanoseconds = max(messagesUntil, now).nanoseconds + needed
        return messagesUntil
    }
}

/// The time in which a node stood still.
struct Standstill: Sendable {
    let from: Instant
    /// Nil: it stands still now.
    var until: Instant?
}
