// Who hears whom in a lab, whatever partitions and losses hold at the moment: each change is
// written as the packet filter of the hosts that it concerns. (This kernel's traffic control has no
// netem; a filter that drops by chance loses packets as well.)

/// The partitions and losses of a lab.
struct SoakNetwork {
    private var faults: [Int: SoakFault] = [:]
    private var applied: [Int: String] = [:]

    /// Begins or ends a fault, named by a number.
    mutating func set(_ fault: SoakFault?, _ number: Int, in lab: Lab) async throws {
        faults[number] = fault
        try await apply(to: lab)
    }

    /// Ends all of them.
    mutating func heal(_ lab: Lab) async throws {
        faults = [:]
        try await apply(to: lab)
    }

    private mutating func apply(to lab: Lab) async throws {
        for (index, host) in lab.hosts.enumerated() {
            let rules = rules(of: index, hosts: lab.hosts)
            guard rules != applied[index, default: ""] else { continue }
            try await host.filter(rules)
            applied[index] = rules
        }
    }

    /// The rules for what a host receives, one a line.
    private func rules(of index: Int, hosts: [LabHost]) -> String {
        var unheard: Set<Int> = []
        var percent = 0
        for fault in faults.values {
            switch fault {
            case .partition(let side, let hear, let areHeard):
                let others = hosts.indices.filter { !side.contains($0) }
                if side.contains(index) {
                    if !hear { unheard.formUnion(others) }
                } else if !areHeard {
                    unheard.formUnion(side)
                }
            case .loss(index, let share): percent = max(percent, share)
            default: break
            }
        }
        var lines: [String] = []
        if !unheard.isEmpty {
            let addresses = unheard.sorted().map { hosts[$0].address }.joined(separator: ", ")
            lines.append("iifname eth0 ip saddr { \(addresses) } drop")
        }
        if percent > 0 { lines.append("iifname eth0 numgen random mod 100 < \(percent) drop") }
        return lines.joined(separator: "\n")
    }
}
