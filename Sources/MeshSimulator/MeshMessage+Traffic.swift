// What a control message counts as, and about how many bytes it takes.

import MeshCore
import MeshNode
import WorkStealing

extension MeshMessage {
    /// What it counts as.
    var trafficKind: TrafficKind {
        guard case .frame(_, let message) = self else { return .scene }
        switch message {
        case .stealRequest, .stealGrant, .stealRefusal, .grantAccepted, .grantRefused,
            .lateUnitRequest, .lateUnits, .contested:
            return .steal
        default:
            return .round
        }
    }

    /// About its bytes on the wire: names take some ten bytes each, ranges some four.
    var estimatedBytes: Int {
        let name = 12
        var size = 16 + 2 * name
        switch self {
        case .jobOffer(_, let job): size += 24 + job.payload.count
        case .frame(_, .start(let start)):
            let list = start.participants
            size += 16 + name * (list.added.count + list.removed.count)
            size += name * start.acquaintances.count
            size += 4 * start.ledger.added.ranges.count
        case .frame(_, .report(let report)):
            size += 16 + 2 * name + 4 * report.claims.ranges.count
            for seal in report.seals { size += 4 + 4 * seal.coverage.ranges.count }
        case .frame(_, .plan(let plan)):
            for place in plan.places { size += name * (1 + place.children.count) }
            size += 2 * plan.seals.count
        case .frame(_, .stealGrant(let grant)): size += 2 * name + 4 * grant.units.ranges.count
        case .frame: size += 2 * name
        case .jobRequest, .jobUnknown, .frameEnded: break
        }
        return size
    }
}
