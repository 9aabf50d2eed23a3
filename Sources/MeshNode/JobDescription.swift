// What a user asks for, as far as the mesh needs to know it: the size of the work. The rest is
// the driver's and travels as bytes.

public import MeshCore

/// One frame to render: its work space, and a payload that only drivers understand.
public struct JobDescription: Hashable, Sendable {
    /// Pixels.
    public var width: Int
    /// Pixels.
    public var height: Int
    /// The side of a tile, pixels.
    public var tileSize: Int
    /// The most samples of a pixel; exactly those in a frame that is not adaptive.
    public var samplesPerPixel: Int
    /// Whether tiles that need fewer samples get fewer.
    public var isAdaptive: Bool
    /// The share of the units that are rendered twice, on different nodes, and compared: 0 to 1.
    public var verifiedShare: Double
    /// The frame's share of each node's devices, beside other frames': of two, one of twice the
    /// priority gets twice the samples. 1 to ``priorityMax``.
    public var priority: Int
    /// The driver's: render settings and scene manifest. At most ``payloadBytesMax`` bytes.
    public var payload: [UInt8]

    /// The most bytes of a payload.
    public static let payloadBytesMax = 1 << 20
    /// That of frames that say nothing of it.
    public static let priorityDefault = 10
    public static let priorityMax = 100

    public init(
        width: Int, height: Int, tileSize: Int = 32, samplesPerPixel: Int,
        isAdaptive: Bool = false, verifiedShare: Double = 0,
        priority: Int = JobDescription.priorityDefault,
        payload: [UInt8] = []
    ) {
        self.width = width
        self.height = height
        self.tileSize = tileSize
        self.samplesPerPixel = samplesPerPixel
        self.isAdaptive = isAdaptive
        self.verifiedShare = verifiedShare
        self.priority = priority
        self.payload = payload
    }

    /// The frame's work space; nil when a size is out of bounds. Costs time and memory linear in
    /// the number of tiles: keep it.
    public var workSpace: WorkSpace? {
        guard let grid = TileGrid(width: width, height: height, tileSize: tileSize) else {
            return nil
        }
        return WorkSpace(grid: grid, samplesPerPixel: samplesPerPixel, isAdaptive: isAdaptive)
    }

    /// Whether the job may enter a mesh: all of it is within bounds, so that there is a
    /// ``workSpace``. Constant time.
    public var isValid: Bool {
        width > 0 && width <= TileGrid.sideMax && height > 0 && height <= TileGrid.sideMax
            && width * height <= TileGrid.pixelsMax && tileSize >= 8
            && tileSize <= TileGrid.sideMax && samplesPerPixel >= 1
            && samplesPerPixel <= WorkSpace.samplesPerPixelMax
            && (0...1).contains(verifiedShare) && (1...Self.priorityMax).contains(priority)
            && payload.count <= Self.payloadBytesMax
    }
}
