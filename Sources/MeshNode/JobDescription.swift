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
    public var samplesPerPixel: Int
    /// The share of the units that are rendered twice, on different nodes, and compared: 0 to 1.
    public var verifiedShare: Double
    /// The driver's: render settings and scene manifest. At most ``payloadBytesMax`` bytes.
    public var payload: [UInt8]

    /// The most bytes of a payload.
    public static let payloadBytesMax = 1 << 20

    public init(
        width: Int, height: Int, tileSize: Int = 32, samplesPerPixel: Int,
        verifiedShare: Double = 0,
        payload: [UInt8] = []
    ) {
        self.width = width
        self.height = height
        self.tileSize = tileSize
        self.samplesPerPixel = samplesPerPixel
        self.verifiedShare = verifiedShare
        self.payload = payload
    }

    /// The frame's work space; nil when a size is out of bounds. Costs time and memory linear in
    /// the number of tiles: keep it.
    public var workSpace: WorkSpace? {
        guard let grid = TileGrid(width: width, height: height, tileSize: tileSize) else {
            return nil
        }
        return WorkSpace(grid: grid, samplesPerPixel: samplesPerPixel)
    }

    /// Whether the job may enter a mesh: its sizes and its payload are within bounds. True exactly
    /// when there is a ``workSpace`` and the payload is not too large; constant time.
    public var isValid: Bool {
        width > 0 && width <= TileGrid.sideMax && height > 0 && height <= TileGrid.sideMax
            && width * height <= TileGrid.pixelsMax && tileSize >= 8
            && tileSize <= TileGrid.sideMax && samplesPerPixel >= 1
            && samplesPerPixel <= WorkSpace.samplesPerPixelMax
            && (0...1).contains(verifiedShare) && payload.count <= Self.payloadBytesMax
    }
}
