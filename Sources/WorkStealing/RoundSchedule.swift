// When the next round of data begins: soon for a first image, then at growing intervals, never so
// often that reduction costs rendering, and closer together towards the end.

import MeshCore

/// The interval between two rounds that move pixels.
enum RoundSchedule {
    /// - Parameters:
    ///   - elapsed: since the frame began.
    ///   - lastCost: of the last data phase, from its plan to its commit.
    ///   - rest: the estimated time until everything is rendered; nil when unknown.
    ///   - hasFirstImage: whether the first pass is committed; until then rounds come as fast as
    ///     they pay, since somebody waits.
    static func interval(
        elapsed: Duration, lastCost: Duration, rest: Duration?, hasFirstImage: Bool = true,
        participants: Int = 1, configuration: FrameConfiguration
    ) -> Duration {
        // One more round must still pay: a cost of c leaves at least 2c between rounds, and the
        // root's control traffic has its bound.
        let hurried = max(
            configuration.roundIntervalHurried
                + configuration.roundIntervalPerParticipant * participants,
            lastCost + lastCost)
        guard hasFirstImage else { return hurried }
        let shortest = configuration.roundIntervalMin
        let growing = Duration(seconds: elapsed.seconds * configuration.roundIntervalShare)
        let cheap = Duration(seconds: lastCost.seconds * configuration.roundCostFactor)
        let usual = max(min(max(growing, shortest), configuration.roundIntervalMax), cheap)
        guard let rest else { return usual }
        let ending = Duration(seconds: rest.seconds * configuration.roundRestShare)
        return min(usual, max(ending, hurried))
    }

    /// The interval between two starts, with data or without.
    static func heartbeat(participants: Int, configuration: FrameConfiguration) -> Duration {
        let spread = Duration(
            seconds: configuration.heartbeatPerParticipant.seconds * Double(participants))
        return max(configuration.heartbeatInterval, spread)
    }
}
