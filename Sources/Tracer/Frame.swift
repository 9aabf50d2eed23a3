// What is rendered and how: the numbers that, with the scene's files, decide every bit of a frame.

public import MeshCore

/// The settings of one frame; with the scene they decide the image to the bit.
public struct FrameSettings: Hashable, Sendable {
    /// Pixels.
    public var width: Int
    /// Pixels.
    public var height: Int
    /// The most samples of a pixel; exactly those unless there is a noise target.
    public var samplesPerPixel: Int
    /// The longest path in vertices after the camera: 1 is emitted light only, 2 adds direct
    /// light (Mitsuba's `max_depth`).
    public var maxDepth: Int
    /// Scrambles the sample sequence.
    public var seed: UInt32
    /// The name of the camera; nil for the scene's first.
    public var cameraName: String?
    /// Where an adaptive frame ends: a tile gets no more samples once its estimated error
    /// (``Film/noise(ofTile:)``) is no more than this. Nil for the same number of samples everywhere.
    public var noiseTarget: Float?

    /// The largest noise target.
    public static let noiseTargetMax: Float = 1

    public init(
        width: Int = 1280, height: Int = 720, samplesPerPixel: Int = 64, maxDepth: Int = 8,
        seed: UInt32 = 0, cameraName: String? = nil, noiseTarget: Float? = nil
    ) {
        self.width = width
        self.height = height
        self.samplesPerPixel = samplesPerPixel
        self.maxDepth = maxDepth
        self.seed = seed
        self.cameraName = cameraName
        self.noiseTarget = noiseTarget
    }

    /// The frame's units; nil when the size, the number of samples or the noise target is outside
    /// the bounds.
    public var workSpace: WorkSpace? {
        guard let grid = TileGrid(width: width, height: height) else { return nil }
        if let noiseTarget {
            guard noiseTarget > 0, noiseTarget <= Self.noiseTargetMax else { return nil }
        }
        return WorkSpace(
            grid: grid, samplesPerPixel: samplesPerPixel, isAdaptive: noiseTarget != nil)
    }
}
