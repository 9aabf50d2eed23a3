// The settings of a node: what it says of itself, and the bound of everything it keeps.

public import Gossip
public import WorkStealing

/// What a node is, how patient it is, and how much it remembers.
public struct MeshNodeConfiguration: Hashable, Sendable {
    /// The program's version, as other nodes show it.
    public var version = "0.1.0"
    /// The node's devices in a few words, for `meshd nodes`: "8 × CPU avx2".
    public var devices = ""
    /// Whether the node joins frames it hears of. A node that does not still originates its own
    /// and renders those.
    public var acceptsWork = true

    /// How members are watched.
    public var gossip = GossipConfiguration()
    /// How frames are shared.
    public var frame = FrameConfiguration()

    /// The node's announcement changes at most once in this time; the latest wins.
    public var announcementInterval: Duration = .milliseconds(200)
    /// Figures, remaining work and speed, are announced at most once in this time for each present
    /// member: one a second in all, which each node sends on up to eight times, some 500 B/s at most.
    /// Thieves do as well with old figures, which refusals correct: 12 nodes of speeds 1 to 32 need
    /// 1.003 times the ideal time, as with figures fifty times as fresh.
    public var announcementPerMember: Duration = .seconds(1)
    /// A node leaves out what so many other present members announce of a frame: sources of its
    /// scene, holders of its complete film, its term, its end. The originator and the root never do.
    public var announcersEnough = 4
    /// Who would announce what others may announce as well waits for a random time up to this for
    /// each present member, so that about 16 a second speak before the first have been heard.
    public var announcementDelayPerMember: Duration = .milliseconds(60)
    /// A change of remaining work or of speed is announced when it is more than this share.
    public var announcementChangeMin = 0.1
    /// How often the announced frames take turns when they do not all fit.
    public var announcementTurn: Duration = .seconds(2)
    /// A frame's end is announced for this long; who asks later is told directly.
    public var tombstoneAnnouncement: Duration = .seconds(30)

    /// The most members that are told directly of a frame as it is submitted, chosen at random;
    /// gossip tells all.
    public var offersMax = 64
    /// A larger payload is sent to those only who ask for it, bytes.
    public var offeredPayloadMax = 64 << 10
    /// The wait for a job after asking an announcer for it; then the next is asked. Doubles with
    /// each attempt up to `jobRequestTimeoutMax`: a large job on a slow link takes its time.
    public var jobRequestTimeout: Duration = .seconds(1)
    public var jobRequestTimeoutMax: Duration = .seconds(16)
    /// The wait before a scene that could not be prepared is tried again, times the attempt.
    public var sceneRetryDelay: Duration = .seconds(2)
    /// How often a scene is tried before the node leaves the frame to others.
    public var sceneAttemptsMax = 5
    /// The most sources named to the driver for one scene.
    public var sceneSourcesMax = 16

    /// The most frames known at a time, own ones included; further ones are not joined.
    public var framesMax = 64
    /// The most ended frames remembered; the oldest go first.
    public var tombstonesMax = 256
    /// How long an ended frame is remembered, so that a node that missed its end cannot bring it
    /// back.
    public var tombstoneRetention: Duration = .seconds(600)
    /// How long a complete film waits for its originator; the originator itself keeps it until
    /// `delivered` or `cancel`.
    public var completeRetention: Duration = .seconds(600)
    /// How long a frame that no present member announces, and that could not be joined, is
    /// remembered.
    public var unannouncedRetention: Duration = .seconds(60)

    public init() {}
}
