// Every duration and bound of a frame's protocol in one place, each with the reasoning that sets
// it (after memberlist's config.go). The defaults are for an office network: round trips of about
// a millisecond, nodes that hiccup for half a second now and then.

/// The durations and bounds of ``FrameParticipant``.
public struct FrameConfiguration: Hashable, Sendable {
    // MARK: Rounds

    /// The shortest time between the starts of two rounds that move pixels, once there is a first
    /// image.
    public var roundIntervalMin: Duration = .milliseconds(100)
    /// The longest time between two rounds that move pixels: what a crash of every holder of a
    /// partial film can cost. The death of a node that has 40 % of the speed, as the fastest of
    /// twelve in docs/BENCHMARKS.md, throws 0.4 × this away at worst: 0.8 s, of a frame of 40 s 2 %.
    public var roundIntervalMax: Duration = .seconds(2)
    /// The interval as a share of the time since the frame began: a viewer sees the image refine
    /// at growing intervals, `interval = share × elapsed`.
    public var roundIntervalShare = 0.3
    /// `interval ≥ factor × cost of the last data phase`: data is on its way for at most
    /// 1 / factor of the time. Nearly all of that is waiting for links; processors pack and add at
    /// gigabytes a second.
    public var roundCostFactor = 4.0
    /// The same for a root without others, whose rounds cost its own processor time and nothing
    /// else: 5 % of a thread at most.
    public var roundCostFactorAlone = 20.0
    /// The longest time between two rounds of a root without others.
    public var roundIntervalMaxAlone: Duration = .seconds(8)
    /// `interval ≤ share × estimated rest of the frame`: the last contribution is small.
    public var roundRestShare = 0.4
    /// The shortest time between two rounds that move pixels while somebody waits for them, for the
    /// first image or for the last units: `this + participants × roundIntervalPerParticipant`, since
    /// each of those gets a start and answers it.
    public var roundIntervalHurried: Duration = .milliseconds(20)
    public var roundIntervalPerParticipant: Duration = .microseconds(100)
    /// A first image that is expected within this time comes whole, in one round, and not in parts
    /// that a viewer would hardly see.
    public var firstImagePatience: Duration = .milliseconds(250)
    /// The longest time between two starts, for liveness and counting claims. Starts in between
    /// rounds of data only collect reports: `max(this, participants × heartbeatPerParticipant)`.
    public var heartbeatInterval: Duration = .seconds(1)
    /// Keeps the root's control traffic constant: a start of n participants goes to n of them.
    public var heartbeatPerParticipant: Duration = .milliseconds(4)
    /// The time between starts while some unit is held by nobody: loss takes four of them. Longer
    /// in large frames: `max(this, participants × roundIntervalPerParticipant)`.
    public var censusInterval: Duration = .milliseconds(50)
    /// How long a round waits for the reports of participants that answered the last one:
    /// an ordinary hiccup of a busy workstation.
    public var reportTimeout: Duration = .seconds(1)
    /// And longer for each participant: what twelve kilobytes take on a root's link of 1 Gbit/s.
    public var reportTimeoutPerParticipant: Duration = .microseconds(100)
    /// How long it waits for those that missed the last one, once all others have answered.
    public var reportPatience: Duration = .milliseconds(20)
    /// A participant that misses ``dismissalRounds`` rounds and this time, and some for each
    /// participant, is dismissed. Gossip's verdict, which comes within 3 s, dismisses at once.
    public var dismissalTime: Duration = .seconds(3)
    public var dismissalTimePerParticipant: Duration = .microseconds(500)
    public var dismissalRounds = 3
    /// A ledger that has grown by more ranges than this is said as what is new since the last sum, to
    /// those to whom that sum went: a kilobyte. They ask when they have not got it.
    public var presumedRangesMin = 256
    /// Newcomers within this time share one start.
    public var admissionDelay: Duration = .milliseconds(50)
    /// How long a data phase may take in all, doubled with each round abandoned in a row; a stream
    /// that stalls is the driver's to notice, much earlier.
    public var dataTimeout: Duration = .seconds(60)
    /// The wait after an abandoned round, times the number of rounds abandoned in a row.
    public var abandonedDelay: Duration = .milliseconds(50)
    /// The most stripes of a sum, each with a tree of its own: four fill all links but for a few
    /// percent, and need four streams each way at every node (docs/adr/0014-several-trees.md).
    public var stripesMax = 4
    /// A sum that is estimated smaller goes along one low tree: 2 ms at 1 Gbit/s, as long as a few
    /// more hops take.
    public var stripedBytesMin = 256 << 10
    /// For that estimate: seven to eight channels as 4-byte numbers, packed to 0.75 and less.
    public var sumBytesPerPixel = 15.0
    /// After so many data rounds in a row that failed because of one participant, its sealed
    /// partial films count as unmentioned: their units are lost, and given to others. By then it
    /// was left out 1, 2, 4, 8 and 16 rounds; a link that only hiccups has got through.
    public var failuresMax = 6
    /// The same when all the rest of the frame is rendered.
    public var failuresMaxIdle = 3
    /// The shortest time between two starts, when everything is rendered.
    public var startIntervalMin: Duration = .milliseconds(10)
    /// How often a complete frame's last start is repeated for those who have not said that they
    /// know; gossip tells the others.
    public var farewellsMax = 5

    // MARK: Large frames

    /// A start names all participants up to this number: 14 KB. Of more it names the first
    /// successors, and to each receiver some others to steal from, so that the root's traffic grows
    /// with the participants and not with their square.
    public var listedMax = 1_024
    /// How many a start names then. One of them lives but in the strangest of cases.
    public var successorsListed = 32
    /// How many others a newcomer hears of…
    public var acquaintancesSent = 64
    /// … and of how many with each start after that.
    public var acquaintancesSentLater = 8
    /// How many of them a participant remembers. A random graph of this degree is connected, and
    /// work spreads through it as if all knew all.
    public var acquaintancesMax = 256
    /// A root that knows few of the participants counts no losses for so long: gossip tells the
    /// others of its term, and they ask for admission with what they hold.
    public var partialListPatience: Duration = .seconds(5)

    // MARK: Succession

    /// The silence after which the first successor takes over:
    /// `base + 2 × heartbeat + rank × step`.
    public var successionBase: Duration = .seconds(2)
    /// As long as a new root's first start needs to reach everybody, with room to spare.
    public var successionStep: Duration = .milliseconds(700)
    /// The base when gossip says that the root is dead.
    public var successionBaseDead: Duration = .milliseconds(100)
    /// Who is late by this when it would take over was stopped itself, and waits anew.
    public var stoppedTime: Duration = .milliseconds(500)
    /// How long a participant that is no longer listed asks in vain for admission before it goes
    /// on alone.
    public var exilePatience: Duration = .seconds(15)
    /// The time between two requests for admission.
    public var admissionInterval: Duration = .milliseconds(500)

    // MARK: Stealing

    /// A thief asks when its claims last less than this: two round trips and a device's wait.
    public var stealAhead: Duration = .milliseconds(40)
    /// Whether the root gives newcomers their part of its work before they ask.
    public var sharesWithNewcomers = true
    /// A request without an answer counts as refused after this.
    public var stealTimeout: Duration = .milliseconds(250)
    /// Refusals in a row before a thief backs off, besides its lifelines.
    public var stealTriesMax = 6
    /// The wait after being refused everywhere: doubles from the first to the second, jittered.
    public var stealBackoffMin: Duration = .milliseconds(10)
    public var stealBackoffMax: Duration = .milliseconds(100)
    /// … or to `participants × this`, if that is longer: those without work together ask the others
    /// as often, however many they are.
    public var stealBackoffPerParticipant: Duration = .microseconds(100)
    /// How long a victim remembers a refused thief, to push work to it.
    public var waitingTime: Duration = .milliseconds(400)
    /// A grant not answered is repeated at this interval…
    public var grantRepeat: Duration = .milliseconds(500)
    /// … and taken back after this time.
    public var grantTimeout: Duration = .seconds(3)
    /// A claimed unit that its owner has reported for at least this long is late.
    public var lateAge: Duration = .milliseconds(200)
    /// The time before a late unit is given to one more node; doubles each time.
    public var lateRepeat: Duration = .seconds(2)
    /// After this time on a device of this node another idle device of it tries the unit.
    public var stuckAge: Duration = .seconds(2)
    /// How long a participant without work waits before it says so, and between two times.
    public var exhaustedDelay: Duration = .milliseconds(4)
    public var exhaustedRepeat: Duration = .milliseconds(250)

    // MARK: Verification

    /// The share of the units that are rendered twice, on different nodes, and compared: 0 to 1. The
    /// job says it.
    public var verifiedShare = 0.0
    /// How long somebody has to render a unit for a check before another is asked…
    public var checkTimeout: Duration = .seconds(5)
    /// … and at most how much longer because of those that it was asked for before…
    public var checkQueueMax: Duration = .seconds(10)
    /// … and how many are asked before a unit counts as one that nobody can check.
    public var checkTriesMax = 4
    /// How long a new frame waits for somebody who can check, and two that differ for a third…
    public var checkPatience: Duration = .seconds(10)
    /// … who is looked for this often.
    public var checkInterval: Duration = .milliseconds(250)
    /// Units that are being checked at a time.
    public var checksMax = 256
    /// Units of a verified frame that a participant has rendered and not seen committed; with more
    /// it waits, since it reports a digest of each.
    public var digestsMax = 65_536
    /// Participants found wrong, of one frame.
    public var quarantinedMax = 1_024

    // MARK: Admission by a reference unit

    /// How long a newcomer waits with its request for its reference unit, which takes a thread about
    /// a millisecond. Who is slower asks without its digest, so that the first image does not wait.
    public var referencePatience: Duration = .milliseconds(2)
    /// Participants that differ from others, and have not been outvoted.
    public var pendingReferencesMax = 256
    /// How long a listed one keeps its claims meanwhile: as long as a heartbeat takes to bring in
    /// what others got.
    public var disputePatience: Duration = .seconds(1)
    /// Of those that are kept out, so many are asked again when another one got the same.
    public var witnessesMax = 16
    /// How often somebody who is kept out asks again at last: the one who differs from it may be
    /// outvoted, or gone.
    public var keptOutInterval: Duration = .seconds(8)

    // MARK: Film

    /// Whether this node holds the whole film; otherwise it is ledger-only, unless it is the root
    /// or one of the first two successors.
    public var keepsFilm = true
    /// How long a film may differ from the ledger before it is fetched: sums overtake each other.
    public var fetchDelay: Duration = .milliseconds(300)
    /// How long the last sum may be on its way after a start has said that the frame is complete.
    public var finalFetchDelay: Duration = .seconds(1)
    /// The shortest time between two fetches of a film.
    public var fetchInterval: Duration = .seconds(2)
    /// When a fetch that the driver has not ended is forgotten: longer than a large film takes on a
    /// slow link, since a stream that stalls is the driver's to notice.
    public var fetchTimeout: Duration = .seconds(600)

    // MARK: Bounds

    /// Participants of one frame.
    public var participantsMax = 16_384
    /// Sealed partial films of one participant.
    public var sealsMax = 32
    /// Grants not yet answered.
    public var lentMax = 256
    /// Answered grants remembered, so that a repeated one is answered alike.
    public var answeredGrantsMax = 1_024
    /// Thieves remembered for pushing work.
    public var waitingMax = 32
    /// Late units in one message.
    public var lateUnitsMax = 4
    /// Late units that a helper has taken and not rendered: answers of a busy root come late, and
    /// all at once. Their owners have left them to it.
    public var helpingMax = 64
    /// Late units whose helpers the root remembers.
    public var helpedUnitsMax = 4_096
    /// Members whose gossiped work is remembered.
    public var workHintsMax = 16_384
    /// Ranges in a set of units from outside: more than any sane frame has.
    public var rangesMax = 262_144

    /// A planted bug, in tests of the checkers; nil everywhere else.
    package var mutation: ProtocolMutation?

    public init() {}
}
