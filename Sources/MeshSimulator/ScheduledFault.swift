// The trouble that a simulated mesh gets into.

import MeshCore

/// Something that goes wrong at a time.
public struct ScheduledFault: Hashable, Sendable {
    public var time: Duration
    public var fault: Fault
    public init(time: Duration, fault: Fault) {
        self.time = time
        self.fault = fault
    }

    /// What goes wrong. Nodes are named by index; durations end the trouble.
    public enum Fault: Hashable, Sendable {
        /// The process dies; `after` that it starts again, if not nil: with its disk under the
        /// same id, with a new boot number and the scenes it had, otherwise as a machine that
        /// nobody knows. Not done when it would take the last participant of an unfinished frame.
        case crash(node: Int, after: Duration?, keepsDisk: Bool = true)
        /// The process stands still, as under SIGSTOP: what arrives waits, its streams stop where
        /// they are.
        case freeze(node: Int, Duration)
        /// The same, and its clock stands still too, as in a laptop whose lid is closed.
        case suspend(node: Int, Duration)
        /// Its clock shows this much more at once.
        case jump(node: Int, by: Duration)
        /// What the nodes of `group` send does not reach the others, and, unless `oneWay`, the
        /// other way round.
        case partition(group: [Int], oneWay: Bool, Duration)
        /// Everything between the node and a peer, or all its peers, is held back, and then comes
        /// at once.
        case clog(node: Int, peer: Int?, Duration)
        /// Each stream that the node opens breaks, while its messages pass: an asymmetric firewall.
        /// For ever if nil.
        case mute(node: Int, Duration?)
        /// The devices are this many times slower.
        case slow(node: Int, factor: Double, Duration)
        /// A device, or all of the node, finishes nothing.
        case stick(node: Int, device: Int? = nil, Duration)
        /// Its owner sits down at the machine: the devices give back their units and take none.
        case pause(node: Int, Duration)
        /// A node ends a frame, named by its place in the submissions.
        case cancel(frame: Int, node: Int)
        /// Datagrams are lost at this rate in addition.
        case loss(rate: Double, Duration)
        /// The node starts only now; until then it is not there. Must be the node's first fault.
        case join(node: Int)
        /// The node says goodbye and stops.
        case leave(node: Int)

        /// As files and pictures name it.
        var name: String {
            switch self {
            case .crash: "crash"
            case .freeze: "freeze"
            case .suspend: "suspend"
            case .jump: "jump"
            case .partition: "partition"
            case .clog: "clog"
            case .mute: "mute"
            case .slow: "slow"
            case .stick: "stick"
            case .pause: "pause"
            case .cancel: "cancel"
            case .loss: "loss"
            case .join: "join"
            case .leave: "leave"
            }
        }

        /// The node that it befalls; nil when it is not a single one.
        var node: Int? {
            switch self {
            case .crash(let node, _, _), .freeze(let node, _), .suspend(let node, _),
                .jump(let node, _), .clog(let node, _, _), .mute(let node, _),
                .slow(let node, _, _), .stick(let node, _, _), .pause(let node, _),
                .cancel(_, let node), .join(let node), .leave(let node):
                node
            case .partition, .loss: nil
            }
        }

        /// How long the trouble lasts by itself; zero when it does not, or for ever.
        var duration: Duration {
            switch self {
            case .crash(_, let duration, _), .mute(_, let duration): duration ?? .zero
            case .freeze(_, let duration), .suspend(_, let duration),
                .partition(_, _, let duration), .clog(_, _, let duration),
                .slow(_, _, let duration), .stick(_, _, let duration), .pause(_, let duration),
                .loss(_, let duration):
                duration
            case .jump, .cancel, .join, .leave: .zero
            }
        }

        /// The same for nodes of other indices; nil when its node is no more.
        func renamed(_ name: (Int) -> Int?) -> Self? {
            if case .partition(let group, let oneWay, let time) = self {
                return .partition(group: group.compactMap(name), oneWay: oneWay, time)
            }
            guard let old = node else { return self }
            guard let node = name(old) else { return nil }
            switch self {
            case .crash(_, let after, let keepsDisk):
                return .crash(node: node, after: after, keepsDisk: keepsDisk)
            case .freeze(_, let time): return .freeze(node: node, time)
            case .suspend(_, let time): return .suspend(node: node, time)
            case .jump(_, let by): return .jump(node: node, by: by)
            case .clog(_, let old?, let time):
                return name(old).map { .clog(node: node, peer: $0, time) }
            case .clog(_, nil, let time): return .clog(node: node, peer: nil, time)
            case .mute(_, let time): return .mute(node: node, time)
            case .slow(_, let factor, let time): return .slow(node: node, factor: factor, time)
            case .stick(_, let device, let time):
                return .stick(node: node, device: device, time)
            case .pause(_, let time): return .pause(node: node, time)
            case .cancel(let frame, _): return .cancel(frame: frame, node: node)
            case .join: return .join(node: node)
            case .leave: return .leave(node: node)
            case .partition, .loss: return self
            }
        }
    }

    /// When the trouble is over.
    var end: Duration { time + fault.duration }
}
