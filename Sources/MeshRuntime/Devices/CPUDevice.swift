// The processor as a device: threads that render one unit after another.

import Foundation
import MeshCore
import Tracer
import WorkStealing

/// What a device says of itself.
public struct DeviceInfo: Hashable, Sendable, Codable {
    public var kind: String
    public var name: String
    public var threads: Int

    /// This machine's processor, with `threads` threads.
    public static func processor(threads: Int) -> DeviceInfo {
        DeviceInfo(kind: "cpu", name: processorName, threads: threads)
    }

    private static var processorName: String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        let name = line?.split(separator: ":").last.map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        return name ?? "unknown processor"
    }
}

/// A finished unit.
struct UnitResult: Sendable {
    let frame: FrameID
    let unit: Int
    let tile: FilmTile
    /// If others compare it.
    var digest: UnitDigest?
    /// Time from its begin to its end on its thread.
    let duration: Duration
}

/// Threads that render units. Made and used on the loop; results come through `deliver`, called
/// on the device's threads.
final class CPUDevice: Sendable {
    let info: DeviceInfo
    private let queue = UnitQueue()

    /// - Parameters:
    ///   - niceness: added to the threads' scheduling priority, so that control messages and the
    ///     machine's owner come first.
    ///   - fault: what is wrong with this device, in tests of those who have to notice.
    init(
        threads: Int, niceness: Int32, fault: (@Sendable (inout FilmTile) -> Void)? = nil,
        deliver: @escaping @Sendable (UnitResult) -> Void
    ) {
        info = .processor(threads: threads)
        for index in 0..<threads {
            let queue = self.queue
            let thread = Thread {
                Self.work(queue, niceness: niceness, fault: fault, deliver: deliver)
            }
            thread.name = "device-\(index)"
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    deinit { queue.close() }

    func render(_ order: UnitOrder) { queue.append(order) }

    /// Takes back units of a frame that no thread has begun.
    func recall(_ frame: FrameID) -> [Int] { queue.removeAll(of: frame) }

    func stop() { queue.close() }

    /// The life of one thread.
    private static func work(
        _ queue: UnitQueue, niceness: Int32, fault: (@Sendable (inout FilmTile) -> Void)?,
        deliver: @Sendable (UnitResult) -> Void
    ) {
        // On Linux a thread has a niceness of its own; 0 names the calling thread.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
        // Measured now, and not when the first digest is wanted.
        _ = ArithmeticClass.own
        var renderers: [(scene: PreparedScene, renderer: UnitRenderer)] = []
        while let order = queue.next() {
            let renderer: UnitRenderer
            if let known = renderers.first(where: { $0.scene === order.scene }) {
                renderer = known.renderer
            } else {
                renderer = UnitRenderer(scene: order.scene, workSpace: order.workSpace)
                // Two frames at once are common, more are not: keep few queues.
                renderers = [(order.scene, renderer)] + renderers.prefix(1)
            }
            let clock = ContinuousClock()
            let start = clock.now
            var tile = renderer.render(order.workSpace.unit(order.unit))
            fault?(&tile)
            deliver(
                UnitResult(
                    frame: order.frame, unit: order.unit, tile: tile,
                    digest: order.needsDigest ? UnitDigest(tile) : nil,
                    duration: start.duration(to: clock.now)))
        }
    }
}
