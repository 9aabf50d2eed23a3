// One direction of a node's link, or of a way between two nodes: what is booked on it, and when it
// is free again.

import MeshCore

/// A queue for one link. Pieces of streams pass one after the other; control messages share the
/// link with the piece under way.
///
/// That is what a host's link does with fair queueing (fq_codel, the usual one of Linux) when a
/// connection for messages runs beside others with streams: a message takes turns, packet by
/// packet, with the streams, so it needs twice its time and waits for one packet, and the streams
/// end later by the message's time.
struct SimulatedLink: Sendable {
    let bytesPerSecond: Double
    /// When the last piece booked has passed.
    private(set) var until = Instant.zero
    /// When the last message booked has passed.
    private var messagesUntil = Instant.zero

    /// Of Ethernet.
    private static let packetBytes = 1_514

    init(bytesPerSecond: Double) { self.bytesPerSecond = bytesPerSecond }

    private func nanoseconds(of bytes: Int) -> Int64 {
        Int64(Double(bytes) / bytesPerSecond * 1e9)
    }

    /// Books a piece of a stream.
    /// - Parameters:
    ///   - earliest: when its first byte is there.
    ///   - last: when its last byte is there.
    /// - Returns: when its first and its last byte pass.
    mutating func book(
        bytes: Int, from earliest: Instant, notBefore last: Instant = .zero
    ) -> (from: Instant, to: Instant) {
        let first = max(earliest, until)
        until = max(first + .nanoseconds(nanoseconds(of: bytes)), last)
        return (first, until)
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
