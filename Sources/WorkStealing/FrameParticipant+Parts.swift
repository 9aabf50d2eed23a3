// The small states that a participant keeps.

import MeshCore

extension FrameParticipant {
    /// How the root counts this node.
    enum Standing: Hashable, Sendable {
        /// Never listed yet.
        case joining
        case listed
        /// Listed once, and no longer.
        case exiled
    }

    /// A unit on a device.
    struct UnitInProgress: Hashable, Sendable {
        let unit: Int
        let since: Instant
        /// Whether its result goes into a partial film of its own.
        var isApart: Bool
    }

    /// A node that asked in vain and is given work when there is some.
    struct WaitingThief: Hashable, Sendable {
        let id: ParticipantID
        let samplesPerSecond: Double
        let until: Instant
    }

    /// A participant that its root has listed for the first time.
    struct Newcomer: Hashable, Sendable {
        let id: ParticipantID
        let samplesPerSecond: Double
    }

    /// The search for work.
    struct ThiefState: Sendable {
        struct Request: Hashable, Sendable {
            let number: UInt64
            let victim: ParticipantID
            let deadline: Instant
        }
        var victims: VictimChoice
        var request: Request?
        var nextNumber: UInt64 = 1
        /// No request before.
        var nextAt: Instant
        var backoff: Duration
        /// Whether a device has asked in vain.
        var isStarving = false

        init(owner: ParticipantID, configuration: FrameConfiguration, at now: Instant) {
            victims = VictimChoice(owner: owner, configuration: configuration)
            nextAt = now
            backoff = configuration.stealBackoffMin
        }
    }

    /// The fetching of a whole film.
    struct FetchState: Sendable {
        /// When a fetch falls due; nil when none is wanted.
        var dueAt: Instant?
        /// When the one in flight is given up.
        var deadline: Instant?
        var lastAt: Instant?
        /// Who announced a complete film; the last few.
        var completeAt: [ParticipantID] = []
    }

    /// Saying that there is no work.
    struct ExhaustedState: Sendable {
        var emptySince: Instant?
        /// When to say it next; nil: the root knows.
        var nextAt: Instant?
    }
}
