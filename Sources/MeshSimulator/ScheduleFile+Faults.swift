// Single faults of a fault file, written and read.

import MeshCore

extension ScheduleFile.Fault {
    init(_ scheduled: ScheduledFault) {
        self.init(at: scheduled.time.seconds, kind: scheduled.fault.name)
        node = scheduled.fault.node
        switch scheduled.fault {
        case .crash(_, let after, let disk):
            lasts = after?.seconds
            keepsDisk = disk ? nil : false
        case .freeze(_, let time), .suspend(_, let time), .pause(_, let time):
            lasts = time.seconds
        case .mute(_, let time): lasts = time?.seconds
        case .stick(_, let place, let time):
            device = place
            lasts = time.seconds
        case .jump(_, let time): by = time.seconds
        case .clog(_, let other, let time):
            peer = other
            lasts = time.seconds
        case .cancel(let place, _): frame = place
        case .partition(let nodes, let isOneWay, let time):
            group = nodes
            oneWay = isOneWay
            lasts = time.seconds
        case .slow(_, let times, let time):
            factor = times
            lasts = time.seconds
        case .loss(let share, let time):
            rate = share
            lasts = time.seconds
        case .join, .leave: break
        }
    }

    /// The fault, if it makes sense in a run.
    func scheduled(
        in run: SimulationConfiguration
    ) throws(ScheduleFile.Malformed) -> ScheduledFault {
        ScheduledFault(
            time: try ScheduleFile.duration(at, "at"),
            fault: node == nil ? try meshFault(in: run) : try nodeFault(in: run))
    }

    private func need<T>(_ value: T?, _ what: String) throws(ScheduleFile.Malformed) -> T {
        guard let value else {
            throw ScheduleFile.Malformed("the \(kind) at \(at) s needs '\(what)'")
        }
        return value
    }

    private func place(
        _ value: Int?, _ what: String, below count: Int
    ) throws(ScheduleFile.Malformed) -> Int {
        let value = try need(value, what)
        guard (0..<count).contains(value) else {
            throw ScheduleFile.Malformed("there is no \(what) \(value) for the \(kind) at \(at) s")
        }
        return value
    }

    private func place(
        _ value: Int?, _ what: String, below count: Int, orNone: Bool
    ) throws(ScheduleFile.Malformed) -> Int? {
        value == nil ? nil : try place(value, what, below: count)
    }

    private func time() throws(ScheduleFile.Malformed) -> Duration {
        try ScheduleFile.duration(try need(lasts, "lasts"), "lasts")
    }

    /// A fault of no single node, or one that lacks its node.
    private func meshFault(
        in run: SimulationConfiguration
    ) throws(ScheduleFile.Malformed) -> ScheduledFault.Fault {
        switch kind {
        case "partition":
            let group = try need(group, "group")
            guard group.allSatisfy({ run.nodes.indices.contains($0) }) else {
                throw ScheduleFile.Malformed("the partition at \(at) s names unknown nodes")
            }
            return .partition(group: group, oneWay: oneWay ?? false, try time())
        case "loss":
            let rate = try need(rate, "rate")
            guard (0...1).contains(rate) else {
                throw ScheduleFile.Malformed("the rate \(rate) is not 0 to 1")
            }
            return .loss(rate: rate, try time())
        case "cancel":
            let frame = try place(frame, "frame", below: run.submissions.count)
            return .cancel(frame: frame, node: run.submissions[frame].node)
        default: return try nodeFault(in: run)
        }
    }

    private func nodeFault(
        in run: SimulationConfiguration
    ) throws(ScheduleFile.Malformed) -> ScheduledFault.Fault {
        func theNode() throws(ScheduleFile.Malformed) -> Int {
            try place(node, "node", below: run.nodes.count)
        }
        switch kind {
        case "crash":
            return .crash(
                node: try theNode(), after: lasts == nil ? nil : try time(),
                keepsDisk: keepsDisk ?? true)
        case "freeze": return .freeze(node: try theNode(), try time())
        case "suspend": return .suspend(node: try theNode(), try time())
        case "jump":
            let by = try ScheduleFile.duration(try need(by, "by"), "by")
            return .jump(node: try theNode(), by: by)
        case "clog":
            let peer = try place(peer, "peer", below: run.nodes.count, orNone: true)
            return .clog(node: try theNode(), peer: peer, try time())
        case "mute": return .mute(node: try theNode(), lasts == nil ? nil : try time())
        case "slow":
            let factor = try need(factor, "factor")
            guard factor > 0, factor < 1e6 else {
                throw ScheduleFile.Malformed("the factor \(factor) is out of bounds")
            }
            return .slow(node: try theNode(), factor: factor, try time())
        case "stick":
            let node = try theNode()
            let device = try place(
                device, "device", below: run.nodes[node].count, orNone: true)
            return .stick(node: node, device: device, try time())
        case "pause": return .pause(node: try theNode(), try time())
        case "cancel":
            let frame = try place(frame, "frame", below: run.submissions.count)
            return .cancel(frame: frame, node: try theNode())
        case "join": return .join(node: try theNode())
        case "leave": return .leave(node: try theNode())
        case "partition", "loss":
            throw ScheduleFile.Malformed("the \(kind) at \(at) s is of no single node")
        default: throw ScheduleFile.Malformed("'\(kind)' is no kind of fault")
        }
    }
}
