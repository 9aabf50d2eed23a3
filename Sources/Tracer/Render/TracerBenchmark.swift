// How fast a prepared scene renders here, measured the way every renderer can be compared: camera
// samples per second of processor time.

import Glibc
import MeshCore
import Synchronization

/// Renders a whole frame on some threads and reports speed and mean.
public struct TracerBenchmark: Sendable {
    /// One run.
    public struct Result: Hashable, Sendable {
        public var threads: Int
        /// Camera paths.
        public var samples: Int
        public var wallSeconds: Double
        /// Of all threads, system time included.
        public var cpuSeconds: Double
        public var closestHitRays: Int
        public var shadowRays: Int
        /// Mean of red, green and blue over all samples.
        public var mean: SIMD3<Double>
        public var nonFiniteSamples: Int64

        /// Millions of camera paths per second of processor time.
        public var megasamplesPerCPUSecond: Double { Double(samples) / cpuSeconds * 1e-6 }
        /// Millions of camera paths per second on the clock.
        public var megasamplesPerSecond: Double { Double(samples) / wallSeconds * 1e-6 }
        /// Rays of both kinds per second on the clock.
        public var raysPerSecond: Double { Double(closestHitRays + shadowRays) / wallSeconds }
    }

    private let scene: PreparedScene
    private let threads: Int

    /// - Precondition: at least one thread.
    public init(scene: PreparedScene, threads: Int) {
        precondition(threads >= 1)
        self.scene = scene
        self.threads = threads
    }

    /// Renders `samplesPerPixel` samples of every pixel; nil if size or samples are outside the
    /// bounds of ``WorkSpace``.
    ///
    /// Units are taken one after the other by whoever is free; the mean is the same for any
    /// number of threads.
    public func run(samplesPerPixel: Int) -> Result? {
        var settings = scene.settings
        settings.samplesPerPixel = samplesPerPixel
        guard let space = settings.workSpace else { return nil }
        let shared = SharedRun(scene: scene, space: space)
        let wall = Self.seconds(CLOCK_MONOTONIC)
        let cpu = Self.seconds(CLOCK_PROCESS_CPUTIME_ID)
        var others: [pthread_t] = []
        for _ in 1..<threads {
            if let thread = Self.start(shared) { others.append(thread) }
        }
        shared.work()
        for thread in others { pthread_join(thread, nil) }
        let cpuSeconds = Self.seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu
        let wallSeconds = Self.seconds(CLOCK_MONOTONIC) - wall
        let samples = settings.width * settings.height * samplesPerPixel
        return shared.totals.withLock { totals in
            Result(
                threads: others.count + 1, samples: samples, wallSeconds: wallSeconds,
                cpuSeconds: cpuSeconds, closestHitRays: totals.closestHit,
                shadowRays: totals.shadow,
                mean: SIMD3(totals.sum) * (0x1p-24 / Double(samples)),
                nonFiniteSamples: totals.nonFinite)
        }
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// A thread of its own: the caller's pool must not be blocked.
    private static func start(_ shared: SharedRun) -> pthread_t? {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(shared)
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<SharedRun>.fromOpaque(context).takeRetainedValue().work()
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            context.release()
            return nil
        }
        return thread
    }
}

/// What the threads of one run share.
private final class SharedRun: Sendable {
    struct Totals: Sendable {
        var sum = SIMD3<Int64>(repeating: 0)
        var closestHit = 0
        var shadow = 0
        var nonFinite: Int64 = 0
    }

    let scene: PreparedScene
    let space: WorkSpace
    let next = Atomic<Int>(0)
    let totals = Mutex(Totals())

    init(scene: PreparedScene, space: WorkSpace) {
        self.scene = scene
        self.space = space
    }

    /// Renders units until none is left.
    func work() {
        let renderer = UnitRenderer(scene: scene, workSpace: space)
        var own = Totals()
        while true {
            let unit = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard unit < space.count else { break }
            let tile = renderer.render(space.unit(unit))
            own.nonFinite += tile.nonFiniteSamples
            for channel in 0..<3 {
                let plane = (channel * tile.pixelCount)..<((channel + 1) * tile.pixelCount)
                own.sum[channel] += tile.wide[plane].reduce(0, &+)
            }
        }
        let rays = renderer.raysTraced
        totals.withLock { totals in
            totals.sum &+= own.sum
            totals.nonFinite += own.nonFinite
            totals.closestHit += rays.closestHit
            totals.shadow += rays.shadow
        }
    }
}
