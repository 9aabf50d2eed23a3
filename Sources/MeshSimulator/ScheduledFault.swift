// The trouble that a simulated mesh gets into, and random schedules of it.

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
        /// The process dies; `after` that it starts again with a new boot number, if not nil.
        /// Not done when it would take the last participant of an unfinished frame.
        case crash(node: Int, after: Duration?)
        /// The process stands still, as under SIGSTOP: what arrives waits.
        case freeze(node: Int, Duration)
        /// What the nodes of `group` send does not reach the others, and, unless `oneWay`, the
        /// other way round.
        case partition(group: [Int], oneWay: Bool, Duration)
        /// The devices are this many times slower.
        case slow(node: Int, factor: Double, Duration)
        /// The devices finish nothing.
        case stick(node: Int, Duration)
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
            case .partition: "partition"
            case .slow: "slow"
            case .stick: "stick"
            case .loss: "loss"
            case .join: "join"
            case .leave: "leave"
            }
        }

        /// The node that it befalls; nil when it is not a single one.
        var node: Int? {
            switch self {
            case .crash(let node, _), .freeze(let node, _), .slow(let node, _, _),
                .stick(let node, _), .join(let node), .leave(let node):
                node
            case .partition, .loss: nil
            }
        }

        /// How long the trouble lasts by itself.
        var duration: Duration {
            switch self {
            case .crash(_, let duration): duration ?? .zero
            case .freeze(_, let duration), .partition(_, _, let duration),
                .slow(_, _, let duration), .stick(_, let duration), .loss(_, let duration):
                duration
            case .join, .leave: .zero
            }
        }
    }

    /// When the trouble is over.
    var end: Duration { time + fault.duration }

    /// A schedule of a level for so many nodes, between the first and the 20th second.
    static func random(
        _ level: SimulationScenario.FaultLevel, nodes: Int, using random: inout RandomNumbers
    ) -> [ScheduledFault] {
        var faults: [ScheduledFault] = []
        let count: Int
        switch level {
        case .none: return []
        case .mild: count = 1 + random.below(3)
        case .wild: count = 4 + random.below(9)
        }
        for _ in 0..<count {
            let time = Duration.seconds(1) + random.duration(below: .seconds(12))
            let fault =
                level == .wild
                ? wild(nodes: nodes, using: &random) : mild(nodes: nodes, using: &random)
            if case .join(let node) = fault {
                // It is the first that the others hear of the node.
                faults.removeAll { $0.fault == .join(node: node) }
            }
            faults.append(ScheduledFault(time: time, fault: fault))
        }
        return faults.sorted { $0.time < $1.time }
    }

    private static func mild(nodes: Int, using random: inout RandomNumbers) -> Fault {
        let node = random.below(nodes)
        switch random.below(6) {
        case 0: return .crash(node: node, after: random.below(2) == 0 ? nil : .seconds(4))
        case 1: return .freeze(node: node, random.duration(below: .seconds(3)))
        case 2: return .slow(node: node, factor: 4, .seconds(5))
        case 3: return .loss(rate: 0.05, .seconds(5))
        case 4: return .leave(node: node)
        default: return .join(node: node)
        }
    }

    private static func wild(nodes: Int, using random: inout RandomNumbers) -> Fault {
        let node = random.below(nodes)
        let length = random.duration(below: .seconds(15))
        switch random.below(12) {
        case 0, 1: return .crash(node: node, after: nil)
        case 2, 3: return .crash(node: node, after: random.duration(below: .seconds(6)))
        case 4, 5: return .freeze(node: node, length)
        case 6, 7:
            let group = (0..<nodes).filter { _ in random.below(3) == 0 }
            return .partition(group: group, oneWay: random.below(2) == 0, length)
        case 8: return .slow(node: node, factor: 2 + 30 * random.unit(), length)
        case 9: return .stick(node: node, length)
        case 10: return .loss(rate: 0.3 * random.unit(), length)
        default: return random.below(2) == 0 ? .join(node: node) : .leave(node: node)
        }
    }
}
