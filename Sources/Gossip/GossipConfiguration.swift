// The settings of the membership protocol, each with the formula it enters. The defaults are for
// a local network. Names follow SWIM and Lifeguard. With them, real nodes in the lab
// (docs/BENCHMARKS.md): a killed process is known dead by all of 5 to 20 members after 1.5 to 1.7 s
// at the median, a host that falls silent after 6.3 to 7 s; no false death in 90 stops of 3 and 5 s
// and under 10 and 20 % loss; 323 to 366 bytes a second idle, sealed, frames included. Halves that
// were cut apart merge 2 s after healing (GossipTests).

/// How fast and how patient the membership is.
public struct GossipConfiguration: Hashable, Sendable {
    /// One member is probed per interval, times (local health + 1). A silent member is found
    /// after 1.6 intervals on average, whatever the size of the mesh (SWIM §3.1). Idle traffic is
    /// 4 datagrams per interval pair: 3.1 a second at 650 ms.
    public var probeInterval: Duration = .milliseconds(650)

    /// The wait for a direct answer before relays are asked: smoothed round-trip time + 4 ×
    /// its variation (RFC 6298), at least this, times (local health + 1).
    public var probeTimeoutMin: Duration = .milliseconds(60)
    /// The same at most.
    public var probeTimeoutMax: Duration = .milliseconds(200)

    /// How many members are asked to probe one that did not answer (SWIM §3.1, k).
    public var indirectProbes = 3

    /// The shortest time from suspicion to death for a member that is silent:
    /// `max(suspicionMin, suspicionMultiplier × log₂(n + 1) × probeInterval)`. A process that is
    /// stopped for 5 s must live through it, so it cannot be shorter than that.
    public var suspicionMin: Duration = .milliseconds(5_500)
    /// See `suspicionMin`; 6.6 s at 10,000 members.
    public var suspicionMultiplier = 0.77
    /// An unconfirmed suspicion lasts this many times the shortest; each independent confirmation
    /// shortens it: `max − (max − min) × log(c + 1) / log(k + 1)` (Lifeguard §IV-B).
    public var suspicionMaxFactor = 2.0

    /// The time from suspicion to death when the network says that the member's port is closed
    /// (ICMP port unreachable, connection refused), which a stopped process never causes: this
    /// with two witnesses or in a mesh of two, twice this with one.
    public var refusedTimeout: Duration = .milliseconds(1_000)

    /// While a member is suspect, about this many others probe it out of turn, so that it learns
    /// of the suspicion and can refute it (an extension of Lifeguard's buddy system, §IV-C).
    public var suspectProbers = 8
    /// How often each of them does.
    public var suspectProbeInterval: Duration = .milliseconds(700)

    /// The local health score is at most this; timeouts grow to (max + 1)-fold (Lifeguard §IV-A).
    public var localHealthMax = 7

    /// While there is news, it goes to `gossipFanout` random members at this interval.
    public var gossipInterval: Duration = .milliseconds(100)
    public var gossipFanout = 3
    /// A change of status is sent `⌈statusRetransmissions × log₂(n + 1)⌉` times by each member.
    public var statusRetransmissions = 2.0
    /// A change of metadata, likewise; anti-entropy mends what is missed.
    public var metadataRetransmissions = 1.2
    /// The most times that a member sends a change of metadata: each is sent by all, so that
    /// e⁻⁸ = 0.03 % of the members miss it, at any size of the mesh, and compare views later.
    public var metadataTransmissionsMax = 8
    /// A member's metadata changes at most once in this time; the latest wins.
    public var metadataInterval: Duration = .milliseconds(200)

    /// How often the whole view is compared with that of a random member, ± 25 %. Equal views
    /// cost one small datagram, at any size of the mesh.
    public var syncInterval: Duration = .seconds(15)

    /// How often one member that is thought dead, or one address given to `join`, is asked whether
    /// it is there, so that healed partitions merge.
    public var contactInterval: Duration = .seconds(3)
    /// The same while this node knows nobody.
    public var lonelyContactInterval: Duration = .seconds(1)

    /// Whether this node, when others do not reach it at its address but hear it from another, says
    /// that it is there now: for one that listens on all addresses of its machine and had to choose
    /// which to tell.
    public var learnsAddress = false

    /// The number before the first probe's: at random where somebody may send answers again that
    /// were recorded before this node started (docs/adr/0015-sealed-packets.md).
    public var firstSequence: UInt32 = 0

    /// How long dead and departed members are remembered.
    public var departedRetention: Duration = .seconds(3_600)

    /// An input that comes this much after the deadline that was due means that this node itself
    /// was stopped: probes and suspicions of that time are void.
    public var freezeThreshold: Duration = .milliseconds(400)

    /// The most members, departed ones included. A newcomer beyond them takes the place of the one
    /// that departed first; if all are present, it is ignored.
    public var membersMax = 16_384
    /// The most pieces of news waiting; the most often sent go first.
    public var broadcastsMax = 4_096
    /// The most probes made for others at a time.
    public var relaysMax = 64
    /// The most addresses given to `join` that are kept.
    public var seedsMax = 64

    public init() {}
}
