// When the next round of data begins: soon for a first image, then at growing intervals, never so
// often that reduction costs rendering, and closer together towards the end.

import MeshCore

/// The interval between two rounds that move pixels.
enum RoundSchedule {
    /// While somebody waits, for the first image or for the last units. One more round must still
    /// pay: a cost of c leaves at least 2c between rounds, and the root's control traffic has its
    /// bound.
    /// - Parameters:
    ///   - lastCost: of the last data phase, from its plan to its commit.
    ///   - participants: of the frame, the root included.
    static func hurried(
        lastCost: Duration, participants: Int, configuration: FrameConfiguration
    ) -> Duration {
        max(
            configuration.roundIntervalHurried
                + configuration.roundIntervalPerParticipant * participants,
            lastCost + lastCost)
    }

    /// Once there is a first image.
    /// - Parameters:
    ///   - elapsed: since the frame began.
    ///   - lastCost: of the last data phase, from its plan to its commit.
    ///   - rest: the estimated time until everything is rendered; nil when unknown.
    ///   - hurried: the least that pays.
    static func interval(
        elapsed: Duration, lastCost: Duration, rest: Duration?, hurried: Duration, isAlone: Bool,
        configuration: FrameConfiguration
    ) -> Duration {
        let shortest = configuration.roundIntervalMin
        let growing = Duration(seconds: elapsed.seconds * configuration.roundIntervalShare)
        // A root without others has no links to wait for: its rounds cost its own processor time,
        // and protect nothing.
        let factor =
            isAlone ? configuration.roundCostFactorAlone : configuration.roundCostFactor
        let longest =
            isAlone ? configuration.roundIntervalMaxAlone : configuration.roundIntervalMax
        let cheap = Duration(seconds: lastCost.seconds * factor)
        let usual = max(min(max(growing, shortest), longest), cheap)
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
