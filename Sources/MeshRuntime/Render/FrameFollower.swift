// A frame of the mesh as somebody sees it who did not submit it: how far it is, the picture so
// far, and its end. So a result is fetched when the machine that asked for it is gone.

import Dispatch
import MeshCore
import MeshNode
import Tracer
import WorkStealing

/// Follows a frame that this node knows until its film is complete here or at another node.
@EventLoop
final class FrameFollower {
    let frame: FrameID
    let job: FrameJob
    private unowned let runtime: NodeRuntime
    private let workSpace: WorkSpace
    private let begin = EventLoop.now
    private var meter = RateMeter()
    private var schedule: PictureSchedule
    private var ticker: LoopTimer?
    private var fetch: FilmFetch?
    private var continuation: AsyncStream<RenderUpdate>.Continuation?
    /// What is to be heard of the frame; ends after `finished` or `failed`.
    let updates: AsyncStream<RenderUpdate>

    private static let interval = Duration.milliseconds(500)

    /// - Throws: ``FrameNotFound`` while the frame's job is not known here, and
    ///   ``MalformedBytes`` when it is not one that this program can read.
    init(_ frame: FrameID, runtime: NodeRuntime) throws {
        let status = runtime.node.frames.first { $0.frame == frame }
        guard let description = status?.job, let workSpace = runtime.node.workSpace(of: frame)
        else {
            throw FrameNotFound(
                description: "the description of frame \(frame) has not arrived here yet")
        }
        self.frame = frame
        self.runtime = runtime
        self.workSpace = workSpace
        job = try FrameJob(decoding: description.payload)
        schedule = PictureSchedule(workSpace: workSpace)
        var continuation: AsyncStream<RenderUpdate>.Continuation?
        updates = AsyncStream(bufferingPolicy: RenderUpdate.buffering) { continuation = $0 }
        self.continuation = continuation
        // The timer keeps the follower until it has ended.
        ticker = LoopTimer { self.tick() }
        ticker?.start(after: .zero)
    }

    private var film: Film { runtime.frames[frame]?.film ?? Film(workSpace: workSpace) }

    private func tick() {
        guard continuation != nil else { return }
        ticker?.start(after: Self.interval)
        guard fetch == nil else { return }
        guard !runtime.isStopped else { return fail("the node stops") }
        guard let status = runtime.node.frames.first(where: { $0.frame == frame }) else {
            return fail("the frame has ended: whoever asked for it has the result, or ended it")
        }
        let film = self.film
        if film.isComplete { return finish(film) }
        if !status.holders.isEmpty { return fetch(from: status.holders) }
        show(film)
    }

    private func show(_ film: Film) {
        let now = EventLoop.now
        meter.add(film.sampleCount, at: now)
        continuation?.yield(
            .progress(
                RenderProgress(
                    elapsedSeconds: (now - begin).seconds, samplesCommitted: film.sampleCount,
                    samplesRendered: film.sampleCount, samplesTotal: film.sampleCountMax,
                    isTotalAtMost: workSpace.isAdaptive,
                    samplesPerSecond: meter.perSecond, nodes: [])))
        if schedule.isDue(film.coverage, begin: begin, now: now) {
            continuation?.yield(.picture(film))
        }
    }

    private func fetch(from holders: [ParticipantID]) {
        fetch = FilmFetch(
            frame: frame, workSpace: workSpace, sources: holders, opener: runtime
        ) { film, _ in
            self.fetch = nil
            // A holder may have gone meanwhile: the next tick asks the others.
            if let film, film.isComplete { self.finish(film) }
        }
    }

    /// Ends with the picture so far.
    func cancel() { finish(film) }

    private func fail(_ reason: String) {
        continuation?.yield(.failed(reason))
        close()
    }

    private func finish(_ film: Film) {
        guard let continuation else { return }
        close()
        let nodes = [runtime.ownContribution(to: frame, since: begin)].compactMap(\.self)
        let begin = self.begin
        let wall = (EventLoop.now - begin).seconds
        // The hash of a large film takes longer than the loop may be busy.
        DispatchQueue.global(qos: .userInitiated).async {
            continuation.yield(
                .finished(
                    film,
                    RenderStatistics(
                        wallSeconds: wall, firstPictureSeconds: nil,
                        complete: film.isComplete, filmHash: film.hash,
                        width: film.workSpace.grid.width, height: film.workSpace.grid.height,
                        samplesPerPixel: film.workSpace.samplesPerPixel,
                        nonFiniteSamples: Int(film.nonFiniteSamples), nodes: nodes,
                        unitsLost: nil, unitsRenderedAgain: nil, rounds: nil,
                        roundsAbandoned: nil, makespanOverIdeal: nil,
                        peakMemoryBytes: ProcessMemory.peakBytes
                    ).describing(film)))
            continuation.finish()
        }
    }

    private func close() {
        continuation = nil
        ticker?.close()
        ticker = nil
        fetch?.abandon()
        fetch = nil
    }
}

extension NodeRuntime {
    /// The frames known here, for a person or a program.
    var frameReports: [FrameReport] {
        let names = Dictionary(
            node.members.map { ($0.participant, $0.name) }, uniquingKeysWith: { first, _ in first })
        return node.frames.map { status in
            let film = frames[status.frame]?.film
            var holders = status.holders.map { names[$0] ?? "\($0.node)" }
            if film?.isComplete == true { holders.insert(configuration.name, at: 0) }
            let isOriginatorPresent =
                status.frame.originator == identity
                || node.address(of: status.frame.originator) != nil
            return FrameReport(
                id: "\(status.frame)",
                scene: status.job.flatMap { try? FrameJob(decoding: $0.payload).main },
                width: status.job?.width, height: status.job?.height,
                samplesPerPixel: status.job?.samplesPerPixel,
                isAdaptive: status.job?.isAdaptive,
                stage: "\(status.stage)",
                committed: film.map {
                    Double($0.coverage.count) / Double(max(1, $0.workSpace.count))
                } ?? 0,
                originator: names[status.frame.originator] ?? "\(status.frame.originator.node)",
                originatorPresent: isOriginatorPresent, completeAt: holders)
        }
    }

    /// The one frame known here whose id begins so.
    /// - Throws: ``FrameNotFound`` with what there is instead.
    func frame(named prefix: String) throws(FrameNotFound) -> FrameID {
        let known = node.frames.map(\.frame)
        if let exact = known.first(where: { "\($0)" == prefix }) { return exact }
        let matches = prefix.isEmpty ? [] : known.filter { "\($0)".hasPrefix(prefix) }
        switch matches.count {
        case 1: return matches[0]
        case 0: throw FrameNotFound(description: "this node knows no frame '\(prefix)'")
        default:
            let names = matches.map { "\($0)" }.joined(separator: ", ")
            throw FrameNotFound(description: "'\(prefix)' begins several frames: \(names)")
        }
    }
}

/// A frame that can't be followed here.
struct FrameNotFound: Error, CustomStringConvertible {
    let description: String
}
