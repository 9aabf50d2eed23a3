// Schedules of trouble by chance, between the first and the 30th second.

import MeshCore

extension ScheduledFault {
    /// What a schedule is made for.
    struct Mesh {
        var nodes: Int
        /// The originators of the frames, in the order of their submission.
        var originators: [Int]
    }

    /// A schedule of a level.
    static func random(
        _ level: SimulationScenario.FaultLevel, of mesh: Mesh, using random: inout RandomNumbers
    ) -> [ScheduledFault] {
        var faults: [ScheduledFault] = []
        let count: Int
        switch level {
        case .none: return []
        case .mild: count = 1 + random.below(3)
        case .wild:
            count = 4 + random.below(9)
            if random.below(4) == 0 { faults += twoRoots(mesh, using: &random) }
        }
        for _ in 0..<count {
            let time = Duration.seconds(1) + random.duration(below: .seconds(12))
            let fault = level == .wild ? wild(mesh, using: &random) : mild(mesh, using: &random)
            if case .join(let node) = fault {
                // It is the first that the others hear of the node.
                faults.removeAll { $0.fault == .join(node: node) }
            }
            faults.append(ScheduledFault(time: time, fault: fault))
        }
        return faults.sorted { $0.time < $1.time }
    }

    private static func mild(_ mesh: Mesh, using random: inout RandomNumbers) -> Fault {
        let node = random.below(mesh.nodes)
        switch random.below(9) {
        case 0: return .crash(node: node, after: random.below(2) == 0 ? nil : .seconds(4))
        case 1: return .freeze(node: node, random.duration(below: .seconds(3)))
        case 2: return .slow(node: node, factor: 4, .seconds(5))
        case 3: return .loss(rate: 0.05, .seconds(5))
        case 4: return .leave(node: node)
        case 5: return .pause(node: node, .seconds(5))
        case 6: return .suspend(node: node, .seconds(4))
        case 7: return .clog(node: node, peer: nil, random.duration(below: .seconds(1)))
        default: return .join(node: node)
        }
    }

    private static func wild(_ mesh: Mesh, using random: inout RandomNumbers) -> Fault {
        let length = random.duration(below: .seconds(15))
        let frame = random.below(mesh.originators.count)
        // The originator leads the rounds of its frame: trouble seeks it out.
        let node = random.below(6) == 0 ? mesh.originators[frame] : random.below(mesh.nodes)
        switch random.below(24) {
        case 0, 1: return .crash(node: node, after: nil)
        case 2...4:
            return .crash(
                node: node, after: random.duration(below: .seconds(6)),
                keepsDisk: random.below(3) > 0)
        case 5...7: return .freeze(node: node, length)
        case 8: return .suspend(node: node, length)
        case 9: return .jump(node: node, by: length)
        case 10...12:
            return .partition(
                group: someNodes(of: mesh, oneIn: 3, using: &random),
                oneWay: random.below(2) == 0, length)
        case 13, 14:
            let peer = random.below(mesh.nodes)
            return .clog(
                node: node, peer: random.below(2) == 0 || peer == node ? nil : peer, length)
        case 15: return .mute(node: node, length)
        case 16: return .slow(node: node, factor: 2 + 30 * random.unit(), length)
        case 17: return .stick(node: node, length)
        case 18: return .stick(node: node, device: random.below(2), length)
        case 19, 20: return .pause(node: node, length)
        case 21: return .loss(rate: 0.3 * random.unit(), length)
        case 22:
            return random.below(3) == 0 ? .cancel(frame: frame, node: node) : .leave(node: node)
        default: return random.below(2) == 0 ? .join(node: node) : .leave(node: node)
        }
    }

    /// A root falls silent while the others are cut in two: either half finds a successor, under
    /// the same number. Sometimes the root comes back to both.
    private static func twoRoots(_ mesh: Mesh, using random: inout RandomNumbers)
        -> [ScheduledFault]
    {
        let root = mesh.originators[0]
        let time = Duration.seconds(3) + random.duration(below: .seconds(3))
        let length = Duration.seconds(6) + random.duration(below: .seconds(9))
        let silence: Fault
        switch random.below(3) {
        case 0: silence = .crash(node: root, after: nil)
        case 1: silence = .freeze(node: root, length + .seconds(random.below(3) - 1))
        default: silence = .freeze(node: root, .seconds(4))
        }
        return [
            ScheduledFault(time: time, fault: silence),
            ScheduledFault(
                time: time + random.duration(below: .milliseconds(100)),
                fault: .partition(
                    group: someNodes(of: mesh, oneIn: 2, using: &random), oneWay: false, length)),
        ]
    }

    private static func someNodes(
        of mesh: Mesh, oneIn share: Int, using random: inout RandomNumbers
    ) -> [Int] {
        (0..<mesh.nodes).filter { _ in random.below(share) == 0 }
    }
}
