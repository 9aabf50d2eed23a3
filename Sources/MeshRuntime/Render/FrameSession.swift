// A frame as its originator's user sees it: progress, pictures, and the end.

import Dispatch
public import MeshCore
import MeshNode
import Tracer
import WorkStealing

/// One frame that was submitted here, until its user has the result.
@EventLoop
public final class FrameSession {
    public let frame: FrameID
    private unowned let runtime: NodeRuntime
    private let workSpace: WorkSpace
    private let begin: Instant
    private let requested: Instant
    private var schedule: PictureSchedule
    private var meter = RateMeter()
    private var continuation: AsyncStream<RenderUpdate>.Continuation?
    /// What is to be heard of the frame; ends after `finished` or `failed`.
    public nonisolated let updates: AsyncStream<RenderUpdate>
    private var firstPictureSeconds: Double?
    private var rounds = 0
    private var roundsAbandoned = 0
    private var unitsLost = 0
    /// Nodes whose results were found wrong.
    private var quarantined: [String] = []
    /// Samples that somebody has rendered and nobody has any more.
    private var samplesLost = 0
    /// What was last said to be rendered: it never becomes less.
    private var samplesShown = 0
    private var isFinishing = false

    init(
        frame: FrameID, prepared: PreparedJob, runtime: NodeRuntime, requested: Instant
    ) {
        self.frame = frame
        self.runtime = runtime
        self.requested = requested
        workSpace = prepared.workSpace
        begin = EventLoop.now
        schedule = PictureSchedule(workSpace: prepared.workSpace)
        meter.add(0, at: begin)
        var continuation: AsyncStream<RenderUpdate>.Continuation?
        updates = AsyncStream(bufferingPolicy: RenderUpdate.buffering) { continuation = $0 }
        self.continuation = continuation
        continuation?.yield(.accepted("\(frame)"))
        for notice in prepared.notices { continuation?.yield(.notice(notice)) }
        runtime.frames[frame]?.onFilmChanged = { [weak self] in self?.filmChanged() }
    }

    private var film: Film { runtime.frames[frame]?.film ?? Film(workSpace: workSpace) }

    private func filmChanged() {
        guard !isFinishing else { return }
        let film = self.film
        if film.isComplete {
            finish()
        } else if schedule.isDue(film.coverage, begin: begin, now: EventLoop.now) {
            if firstPictureSeconds == nil {
                firstPictureSeconds = (EventLoop.now - requested).seconds
            }
            continuation?.yield(.picture(film))
        }
    }

    /// Called twice a second.
    func tick() {
        guard continuation != nil, !isFinishing else { return }
        let nodes = runtime.allContributions(to: frame, since: begin)
        let total = film.sampleCountMax
        let told = min(total, nodes.reduce(0) { $0 + $1.samples } - samplesLost)
        samplesShown = max(samplesShown, told, film.sampleCount)
        let rendered = samplesShown
        let now = EventLoop.now
        meter.add(rendered, at: now)
        continuation?.yield(
            .progress(
                RenderProgress(
                    elapsedSeconds: (now - begin).seconds,
                    samplesCommitted: film.sampleCount, samplesRendered: rendered,
                    samplesTotal: total, isTotalAtMost: workSpace.isAdaptive,
                    samplesPerSecond: meter.perSecond, nodes: nodes)))
    }

    func note(_ event: FrameEvent) {
        switch event {
        case .committed: rounds += 1
        case .roundAbandoned: roundsAbandoned += 1
        case .lost(let units):
            unitsLost += units.count
            samplesLost += workSpace.sampleCount(of: units)
            continuation?.yield(
                .notice("\(units.count) units were lost with a node and are rendered again"))
        case .becameRoot(let term) where term.number > 1:
            continuation?.yield(.notice("this node goes on with the frame"))
        case .quarantined(let participant, _):
            quarantined.append("\(participant.node)")
            continuation?.yield(
                .notice(
                    "node \(participant.node) rendered something else than two others: "
                        + "it is kept out, and what it held is rendered again"))
        case .keptOut(let participant, let differing):
            quarantined.append("\(participant.node)")
            let reason = FrameEvent.reasonToKeepOut(differing: differing)
            continuation?.yield(
                .notice("node \(participant.node) takes no part: \(reason)"))
        case .dismissed(let participant):
            continuation?.yield(.notice("goes on without node \(participant.node)"))
        default: break
        }
    }

    /// Another node takes no part.
    func refused(by name: String, reason: String) {
        continuation?.yield(.notice("\(name) takes no part: \(reason)"))
    }

    /// Ends the frame before it is complete: the picture so far is the result.
    public func cancel() { finish() }

    /// Ends the session when the node can't go on.
    func end(reason: String) {
        // A result that is being hashed is still a result.
        guard !isFinishing else { return }
        continuation?.yield(.failed(reason))
        close()
    }

    private func finish() {
        guard continuation != nil, !isFinishing else { return }
        isFinishing = true
        let film = self.film
        // The last pieces of what others did may be on their way; half a second is not waited for.
        let nodes = runtime.allContributions(to: frame, since: begin)
        let wall = (EventLoop.now - begin).seconds
        let statistics = runtime.node.participant(of: frame)?.statistics
        let done = nodes.reduce(0) { $0 + $1.samples }
        let ideal = RenderStatistics.idealSeconds(
            samples: film.sampleCount, nodes: nodes)
        let result = RenderStatistics(
            wallSeconds: wall,
            firstPictureSeconds: firstPictureSeconds ?? (EventLoop.now - requested).seconds,
            complete: film.isComplete, filmHash: "",
            width: workSpace.grid.width, height: workSpace.grid.height,
            samplesPerPixel: workSpace.samplesPerPixel,
            nonFiniteSamples: Int(film.nonFiniteSamples), nodes: nodes,
            unitsLost: unitsLost,
            unitsRenderedAgain: statistics?.unitsDuplicated ?? 0,
            unitsVerified: statistics?.unitsVerified, unitsUnverified: statistics?.unitsUnverified,
            quarantined: quarantined,
            rounds: rounds, roundsAbandoned: roundsAbandoned,
            makespanOverIdeal: ideal > 0 && done > 0 ? wall / ideal : 1,
            peakMemoryBytes: ProcessMemory.peakBytes
        ).describing(film)
        // The hash of a large film takes longer than the loop may be busy.
        DispatchQueue.global(qos: .userInitiated).async { [runtime] in
            let hash = film.hash
            EventLoop.submit {
                var result = result
                result.filmHash = hash
                self.deliver(film, result, runtime)
            }
        }
    }

    /// The last update; then the frame ends everywhere.
    private func deliver(_ film: Film, _ result: RenderStatistics, _ runtime: NodeRuntime) {
        guard continuation != nil else { return }
        continuation?.yield(.finished(film, result))
        close()
        if result.complete {
            runtime.node.delivered(frame, at: EventLoop.now)
        } else {
            runtime.node.cancel(frame, at: EventLoop.now)
        }
        runtime.drive()
    }

    private func close() {
        continuation?.finish()
        continuation = nil
        runtime.frames[frame]?.onFilmChanged = nil
        runtime.sessions[frame] = nil
    }
}

/// A rate over the last few seconds.
struct RateMeter {
    private var points: [(at: Instant, value: Int)] = []

    mutating func add(_ value: Int, at now: Instant) {
        points.append((now, value))
        while points.count > 2, now - points[0].at > .seconds(5) { points.removeFirst() }
    }

    /// Zero before there are two points.
    var perSecond: Double {
        guard let first = points.first, let last = points.last, last.at > first.at else {
            return 0
        }
        return Double(last.value - first.value) / (last.at - first.at).seconds
    }
}

extension NodeRuntime {
    /// Renders a frame on the mesh, from this node.
    /// - Parameter requested: when the user asked for it.
    public func submit(_ prepared: PreparedJob, requested: Instant) -> FrameSession {
        let frame = begin(prepared)
        let session = FrameSession(
            frame: frame, prepared: prepared, runtime: self, requested: requested)
        sessions[frame] = session
        return session
    }
}
