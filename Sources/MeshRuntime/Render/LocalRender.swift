// A frame on this machine alone: no node, no sockets, no rounds. The yardstick for what the mesh
// costs, and for the film that every mesh must make.

public import MeshCore
import Tracer

/// Renders one frame with this process's threads.
@EventLoop
public final class LocalRender {
    private let prepared: PreparedJob
    private let threads: Int
    private var device: CPUDevice?
    private var film: Film
    private var work: LocalWork
    private var unitsInFlight = 0
    private var unitsDone = 0
    private var busy = Duration.zero
    private let begin = EventLoop.now
    private let requested: Instant
    private var schedule: PictureSchedule
    private var meter = RateMeter()
    private var ticker: LoopTimer?
    private var firstPictureSeconds: Double?
    private var continuation: AsyncStream<RenderUpdate>.Continuation?
    /// Ends after `finished`.
    public nonisolated let updates: AsyncStream<RenderUpdate>
    private static let frame = FrameID(
        originator: ParticipantID(node: NodeID(0), boot: 0), number: 0)

    /// Begins to render.
    public init(
        _ prepared: PreparedJob, threads: Int, niceness: Int32, requested: Instant
    ) {
        self.prepared = prepared
        self.threads = threads
        self.requested = requested
        film = Film(workSpace: prepared.workSpace)
        work = LocalWork(
            workSpace: prepared.workSpace, noiseTarget: prepared.job.noiseTarget)
        schedule = PictureSchedule(workSpace: prepared.workSpace)
        meter.add(0, at: begin)
        var continuation: AsyncStream<RenderUpdate>.Continuation?
        updates = AsyncStream(bufferingPolicy: RenderUpdate.buffering) { continuation = $0 }
        self.continuation = continuation
        for notice in prepared.notices { continuation?.yield(.notice(notice)) }
        // The device keeps the render until it has ended: its user may hold the updates only.
        device = CPUDevice(threads: threads, niceness: niceness) { result in
            EventLoop.submit { self.rendered(result) }
        }
        ticker = LoopTimer { [weak self] in self?.tick() }
        ticker?.start(after: .milliseconds(500))
        feed()
    }

    /// Keeps the device busy, as far as there is work.
    private func feed() {
        while unitsInFlight < 4 * threads, let unit = work.next() {
            unitsInFlight += 1
            device?.render(
                UnitOrder(
                    frame: Self.frame, unit: unit, scene: prepared.scene,
                    workSpace: prepared.workSpace))
        }
    }

    private func rendered(_ result: UnitResult) {
        guard continuation != nil else { return }
        unitsInFlight -= 1
        do {
            try film.add(unit: result.unit, result.tile)
            try work.rendered(result.unit, in: &film)
        } catch {
            preconditionFailure("a unit was given out twice: \(error)")
        }
        feed()
        unitsDone += 1
        busy += result.duration
        if film.isComplete {
            finish()
        } else if result.unit % 32 == 0,
            schedule.isDue(film.coverage, begin: begin, now: EventLoop.now)
        {
            if firstPictureSeconds == nil {
                firstPictureSeconds = (EventLoop.now - requested).seconds
            }
            continuation?.yield(.picture(film))
        }
    }

    private var contribution: NodeContribution {
        let samples = film.sampleCount
        let perThread = busy > .zero ? Double(samples) / busy.seconds : 0
        return NodeContribution(
            id: "local", name: "this machine", devices: [.processor(threads: threads)],
            samples: samples, units: unitsDone, stealsAsked: 0, stealsGranted: 0,
            stealsRefused: 0, bytesSent: 0, bytesReceived: 0,
            samplesPerSecond: perThread * Double(threads), presentFromSeconds: 0,
            presentToSeconds: (EventLoop.now - begin).seconds,
            peakMemoryBytes: ProcessMemory.peakBytes)
    }

    private func tick() {
        ticker?.start(after: .milliseconds(500))
        let now = EventLoop.now
        let samples = film.sampleCount
        meter.add(samples, at: now)
        continuation?.yield(
            .progress(
                RenderProgress(
                    elapsedSeconds: (now - begin).seconds, samplesCommitted: samples,
                    samplesRendered: samples, samplesTotal: film.sampleCountMax,
                    isTotalAtMost: prepared.workSpace.isAdaptive,
                    samplesPerSecond: meter.perSecond, nodes: [contribution])))
    }

    /// Ends before the frame is complete.
    public func cancel() { finish() }

    private func finish() {
        guard let continuation else { return }
        self.continuation = nil
        ticker?.close()
        ticker = nil
        device?.stop()
        device = nil
        let wall = (EventLoop.now - begin).seconds
        let own = contribution
        let ideal = RenderStatistics.idealSeconds(samples: own.samples, nodes: [own])
        let grid = prepared.workSpace.grid
        continuation.yield(
            .finished(
                film,
                RenderStatistics(
                    wallSeconds: wall,
                    firstPictureSeconds: firstPictureSeconds
                        ?? (EventLoop.now - requested).seconds,
                    complete: film.isComplete, filmHash: film.hash, width: grid.width,
                    height: grid.height, samplesPerPixel: prepared.workSpace.samplesPerPixel,
                    nonFiniteSamples: Int(film.nonFiniteSamples), nodes: [own], unitsLost: 0,
                    unitsRenderedAgain: 0, rounds: 0, roundsAbandoned: 0,
                    makespanOverIdeal: ideal > 0 ? wall / ideal : 1,
                    peakMemoryBytes: ProcessMemory.peakBytes
                ).describing(film)))
        continuation.finish()
    }
}
