// What a node keeps of one frame: how it came to know it, who else has it, and, once its scene is
// ready, the machine that takes part in it.

import MeshCore
import WorkStealing

/// One frame in the eyes of one node.
struct FrameRecord: Sendable {
    let frame: FrameID
    var job: JobDescription?
    /// Computed once from the job.
    var workSpace: WorkSpace?
    var stage: FrameStatus.Stage
    /// There exactly in the stage `active`.
    var participant: FrameParticipant?
    /// The highest term heard of.
    var term: Term?

    /// The present members that announce the frame. Looped over in the order of their ids only.
    private(set) var announcers: [ParticipantID: Announcer] = [:]
    private(set) var announcersWithScene = 0
    private(set) var announcersWithFilm = 0

    /// The announcer that was asked for the job.
    var asked: ParticipantID?
    /// Requests or preparations so far.
    var attempts = 0
    /// When `tick` has something to do for this record itself.
    var deadline = Instant.distantFuture

    /// What the participant said of itself after its last input.
    var summary = ParticipantSummary()

    /// When nothing was left to do and the originator was last seen.
    var completeSince: Instant?

    /// Start-time fair queueing (Goyal, Vin, Cheng 1996): the virtual time at which this frame's last
    /// unit ends, in samples of a frame of the highest priority.
    var finishTag = 0
    static let tagScale = JobDescription.priorityMax
    var priority: Int { job?.priority ?? JobDescription.priorityDefault }
    /// Units that devices of this node render now.
    var unitsInProgress = 0
    /// When members hear from this node what it knows of the frame and not enough of them announce;
    /// the distant future if there is nothing of that kind.
    var speaksAt = Instant.distantFuture
    /// Takes part, and something is left to render.
    var isWorking = false
    /// The speed last given to the participant.
    var samplesPerSecond = -1.0

    /// What a member announces of the frame, as far as it matters later.
    struct Announcer: Hashable, Sendable {
        var hasScene: Bool
        var isComplete: Bool
        var term: Term?
    }

    init(frame: FrameID, stage: FrameStatus.Stage) {
        self.frame = frame
        self.stage = stage
    }

    var isComplete: Bool { participant?.isComplete ?? false }
    var isCompleteSomewhere: Bool { isComplete || announcersWithFilm > 0 }

    /// Replaces what is known from one member; nil when it announces the frame no more.
    mutating func setAnnouncer(_ participant: ParticipantID, _ announcer: Announcer?) {
        let old = announcers.updateValue(
            announcer ?? Announcer(hasScene: false, isComplete: false), forKey: participant)
        if announcer == nil { announcers.removeValue(forKey: participant) }
        if old?.hasScene == true { announcersWithScene -= 1 }
        if old?.isComplete == true { announcersWithFilm -= 1 }
        if announcer?.hasScene == true { announcersWithScene += 1 }
        if announcer?.isComplete == true { announcersWithFilm += 1 }
    }

    /// Whether others announce all that `own` says beyond `old`, each fact `enough` of them.
    func isCommonKnowledge(_ own: AnnouncedFrame, beyond old: AnnouncedFrame?, enough: Int) -> Bool
    {
        if old == nil, announcers.count < enough { return false }
        if own.hasScene, old?.hasScene != true, announcersWithScene < enough { return false }
        if own.isComplete, old?.isComplete != true, announcersWithFilm < enough { return false }
        guard let term = own.term, old?.term.map({ $0 < term }) ?? true else { return true }
        guard announcers.count >= enough else { return false }
        var count = 0
        for announcer in announcers.values where announcer.term.map({ $0 >= term }) ?? false {
            count += 1
            if count >= enough { return true }
        }
        return count >= enough
    }

    func checkInvariants() {
        precondition(announcers.values.count(where: \.hasScene) == announcersWithScene)
        precondition(announcers.values.count(where: \.isComplete) == announcersWithFilm)
        participant?.checkInvariants()
    }

    /// The announcers for which `condition` holds, by id.
    func sortedAnnouncers(where condition: (Announcer) -> Bool) -> [ParticipantID] {
        announcers.filter { condition($0.value) }.keys.sorted()
    }
}

/// What is read of a participant all the time, by gossip and timers too: read once after each of
/// its inputs, because a machine of a kilobyte is looked at where it lies only while it changes.
struct ParticipantSummary: Sendable {
    /// When it has something to do by itself.
    var nextDeadline = Instant.distantFuture
    var term: Term?
    var remainingSamples = 0
    var isComplete = false
    /// Whether this node only waits for the frame's end.
    var isDone = false
    /// Whether nothing is left to render here.
    var isLedgerComplete = true
}

extension FrameParticipant {
    /// Changes nothing; read where the participant lies, which is large.
    mutating func summary() -> ParticipantSummary { currentSummary() }

    /// Not part of the function above, which would copy the participant for each line.
    @inline(never)
    private func currentSummary() -> ParticipantSummary {
        ParticipantSummary(
            nextDeadline: nextDeadline, term: term, remainingSamples: Int(remainingSamples),
            isComplete: isComplete, isDone: isComplete || isDone,
            isLedgerComplete: isLedgerComplete)
    }
}
