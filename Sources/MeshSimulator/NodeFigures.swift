// What a run counts for each node: traffic by kind, work done, time without work.

import MeshCore

/// What a message or a stream is for.
public enum TrafficKind: Int, Hashable, Sendable, CaseIterable {
    /// Membership, and the announcements that ride on it.
    case gossip
    /// Requests for work, grants, answers, late units.
    case steal
    /// The small messages of rounds: admission, starts, reports, plans.
    case round
    /// Film streams: contributions up a tree, sums down, whole films fetched.
    case reduce
    /// Jobs and scenes.
    case scene

    /// As `--json` names it.
    public var name: String {
        switch self {
        case .gossip: "gossip"
        case .steal: "steal"
        case .round: "round"
        case .reduce: "reduce"
        case .scene: "scene"
        }
    }
}

/// Messages and bytes.
public struct Traffic: Hashable, Sendable {
    public var messages = 0
    public var bytes = 0

    mutating func count(_ bytes: Int) {
        messages += 1
        self.bytes += bytes
    }

    static func + (a: Traffic, b: Traffic) -> Traffic {
        Traffic(messages: a.messages + b.messages, bytes: a.bytes + b.bytes)
    }
}

/// Traffic of each kind.
public struct TrafficByKind: Hashable, Sendable {
    private var kinds = Array(repeating: Traffic(), count: TrafficKind.allCases.count)

    public subscript(kind: TrafficKind) -> Traffic {
        get { kinds[kind.rawValue] }
        set { kinds[kind.rawValue] = newValue }
    }

    /// Of all kinds.
    public var total: Traffic { kinds.reduce(Traffic(), +) }

    static func + (a: TrafficByKind, b: TrafficByKind) -> TrafficByKind {
        var sum = a
        for kind in TrafficKind.allCases { sum[kind] = a[kind] + b[kind] }
        return sum
    }
}

/// The figures of one node, all its processes together.
public struct NodeFigures: Hashable, Sendable {
    public var sent = TrafficByKind()
    /// What reached its link, whether or not it was delivered.
    public var received = TrafficByKind()
    /// Units that its devices finished.
    public var units = 0
    /// Grants it took, asked for or pushed.
    public var steals = 0
    /// Seconds in which its devices rendered, their mean.
    public var busySeconds = 0.0
    /// Seconds in which its devices had nothing to do while a frame was under way, their mean.
    public var idleSeconds = 0.0
    /// Those of them before its first unit began: until it heard of the frame, was admitted and got
    /// work.
    public var idleBeforeSeconds = 0.0
    /// Those of them after its last unit was done: until the frame was complete.
    public var idleAfterSeconds = 0.0
    /// When its devices began their first unit and ended their last one.
    var firstUnitAt: Instant?
    var lastUnitAt: Instant?
}

/// What gossip costs: the bytes that a node sends in a second, the mean of all.
public struct GossipRates: Hashable, Sendable {
    /// From the start to the first submission.
    public var idle = 0.0
    /// From there until that frame is complete.
    public var rendering = 0.0
}
