// How long a suspect has to refute what is said of it (Lifeguard §IV-B), and the local health
// that stretches a node's own timeouts (§IV-A).

import MeshCore

/// A suspicion as one node keeps it: it ends by a refutation or by its deadline.
struct Suspicion: Hashable, Sendable {
    let node: NodeID
    /// The incarnation that is suspected.
    let incarnation: UInt32
    /// When this node began to count; moves on while this node itself is stopped.
    var start: Instant
    /// Who saw it not answer, sorted.
    private(set) var witnesses: [NodeID] = []
    /// Who was told that its port is closed, sorted.
    private(set) var refusals: [NodeID] = []
    /// When the first refusal became known here.
    var refusedAt: Instant?
    /// When this node probes the suspect out of turn; nil if it does not.
    var nextProbe: Instant?

    init(node: NodeID, incarnation: UInt32, start: Instant) {
        self.node = node
        self.incarnation = incarnation
        self.start = start
    }

    /// Adds what others saw. Returns whether any of it was new.
    mutating func merge(witnesses: [NodeID], refusals: [NodeID], at now: Instant) -> Bool {
        var isNews = Self.merge(witnesses, into: &self.witnesses)
        if Self.merge(refusals, into: &self.refusals) {
            isNews = true
            if refusedAt == nil { refusedAt = now }
        }
        return isNews
    }

    private static func merge(_ new: [NodeID], into list: inout [NodeID]) -> Bool {
        let before = list.count
        for node in new where list.count < MemberUpdate.witnessesMax && !list.contains(node) {
            list.insert(node, at: list.firstIndex { $0 > node } ?? list.count)
        }
        return list.count > before
    }

    /// The length of an undisturbed suspicion, for `present` members with this one and the
    /// suspect.
    static func timeout(
        confirmations: Int, present: Int, _ configuration: GossipConfiguration
    ) -> Duration {
        let scaled = configuration.suspicionMultiplier * Logarithm.binary(present + 1)
        let shortest = max(
            configuration.suspicionMin.seconds, scaled * configuration.probeInterval.seconds)
        let longest = shortest * configuration.suspicionMaxFactor
        // More confirmations than there are other members cannot come.
        let wanted = min(MemberUpdate.witnessesMax - 1, present - 3)
        guard wanted > 0 else { return Duration(seconds: shortest) }
        let share =
            Logarithm.binary(min(confirmations, wanted) + 1) / Logarithm.binary(wanted + 1)
        return Duration(seconds: longest - (longest - shortest) * share)
    }

    /// When the suspect is declared dead if nothing else is heard.
    func deadline(present: Int, _ configuration: GossipConfiguration) -> Instant {
        let silent =
            start
            + Self.timeout(
                confirmations: max(witnesses.count - 1, 0), present: present, configuration)
        guard let refusedAt else { return silent }
        let factor = refusals.count >= 2 || present <= 2 ? 1 : 2
        return min(silent, refusedAt + configuration.refusedTimeout * factor)
    }
}

/// Logarithms for timeouts and counts, from integers, alike on every machine: no library function
/// whose last bit depends on the processor.
enum Logarithm {
    /// log₂ of a positive integer, linear between powers of two (at most 0.09 too small).
    static func binary(_ value: Int) -> Double {
        precondition(value > 0)
        let whole = Int.bitWidth - 1 - value.leadingZeroBitCount
        return Double(whole) + Double(value) / Double(1 << whole) - 1
    }
}

/// How well this node itself seems to be, and how long answers take.
struct LocalHealth: Hashable, Sendable {
    /// 0 is well.
    private(set) var score = 0
    private let scoreMax: Int
    private var smoothed: Double?
    private var variation = 0.0

    init(max: Int) { scoreMax = max }

    mutating func change(by delta: Int) { score = min(max(score + delta, 0), scoreMax) }

    func scale(_ duration: Duration) -> Duration { duration * (score + 1) }

    /// Takes in one measured round trip (RFC 6298 §2).
    mutating func measured(_ roundTrip: Duration) {
        let sample = roundTrip.seconds
        if let old = smoothed {
            variation = 0.75 * variation + 0.25 * abs(old - sample)
            smoothed = 0.875 * old + 0.125 * sample
        } else {
            smoothed = sample
            variation = sample / 2
        }
    }

    /// The wait for an answer.
    func probeTimeout(_ configuration: GossipConfiguration) -> Duration {
        let estimate = smoothed.map { Duration(seconds: $0 + 4 * variation) }
        let timeout = max(
            estimate ?? configuration.probeTimeoutMax, configuration.probeTimeoutMin)
        return scale(min(timeout, configuration.probeTimeoutMax))
    }
}
