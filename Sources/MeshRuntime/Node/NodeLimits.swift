// What a node takes of its machine at most, as a guest: disk for scene files, and memory for a
// frame, which is estimated before any of it is taken.

import Foundation
import MeshCore
import Tracer

/// The limits of a node.
public struct NodeLimits: Sendable, Hashable {
    /// The most bytes of scene files that are kept; nil for the smaller of 20 GiB and a tenth of
    /// the disk.
    public var diskBytes: Int?
    /// The most memory that a frame may need here.
    public var memory: MemoryLimit

    /// - Parameter memoryBytes: nil for half of this machine's memory.
    public init(diskBytes: Int? = nil, memoryBytes: Int? = nil) {
        self.diskBytes = diskBytes
        memory = memoryBytes.map { MemoryLimit(bytes: $0) } ?? .standard
    }
}

/// The most memory that one frame may need on a node.
public struct MemoryLimit: Sendable, Hashable {
    public var bytes: Int

    public init(bytes: Int) { self.bytes = bytes }

    /// For who asks this machine alone, and knows what for.
    public static let none = MemoryLimit(bytes: .max)

    /// Half of this machine's memory.
    public static let standard = MemoryLimit(
        bytes: Int(clamping: ProcessInfo.processInfo.physicalMemory / 2))

    /// Films of a frame that a node has at a time: its own, the open partial one, one that is
    /// sealed, and a sum that is gathered or arrives. Measured with two nodes at 1920 × 1080: 2.3.
    static let filmsHeld = 4

    /// Bytes of a frame's films on one node.
    static func filmBytes(of job: FrameJob) -> Int {
        let perPixel = Film.bytesPerPixel(isAdaptive: job.noiseTarget != nil)
        return filmsHeld * perPixel * job.width * job.height
    }

    /// Refuses a frame of which no more is known than its job: its films do not fit, or its largest
    /// file, which has to be in memory whole.
    /// - Throws: `SceneError.tooLarge` with the reason.
    func admit(_ job: FrameJob) throws(SceneError) {
        try admit(job, sceneBytes: job.files.map(\.sizeBytes).max() ?? 0, isLeast: true)
    }

    /// Refuses a frame that does not fit.
    /// - Throws: `SceneError.tooLarge` with the reason.
    func admit(_ job: FrameJob, _ scene: SceneFootprint) throws(SceneError) {
        try admit(job, sceneBytes: scene.bytes, isLeast: false)
    }

    private func admit(
        _ job: FrameJob, sceneBytes: Int, isLeast: Bool
    ) throws(SceneError) {
        let films = Self.filmBytes(of: job)
        let (needed, overflow) = sceneBytes.addingReportingOverflow(films)
        guard overflow || needed > bytes else { return }
        throw .tooLarge(
            "it needs \(isLeast ? "more than" : "about") "
                + "\(sizeText(overflow ? .max : needed)) of memory "
                + "(\(sizeText(sceneBytes)) for the scene, \(sizeText(films)) for films), and "
                + "a frame may have \(sizeText(bytes)) here (--memory)")
    }
}

/// A number of bytes for people: 512 KiB, 3.1 GiB.
func sizeText(_ bytes: Int) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(bytes)
    var unit = 0
    while value >= 1_024, unit < units.count - 1 {
        value /= 1_024
        unit += 1
    }
    return String(format: unit > 0 && value < 100 ? "%.1f %@" : "%.0f %@", value, units[unit])
}
