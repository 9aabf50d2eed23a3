// The bounds of what an import takes. They stand far above real scenes and keep a small hostile
// file from asking for all memory.

/// The largest scene that is read.
enum SceneLimits {
    /// Triangles of all meshes before instancing: 64 Mi take about 10 GB with their BVH.
    static let trianglesMax = 1 << 26
    /// Placed meshes: each takes about 720 bytes (measured), most of it Embree's; 6 GB in all.
    static let instancesMax = 1 << 23
    static let nodesMax = 1 << 24
    static let lightsMax = 1 << 16
    static let camerasMax = 1 << 12
    /// Elements without data (they are all zeros) that all primitives read: each may become a
    /// triangle.
    static let elementsWithoutDataMax = 1 << 20
    /// Pixels of one image, 16,384².
    static let imagePixelsMax = 1 << 28
    /// The side of an image, pixels.
    static let imageSideMax = 1 << 15
    /// Pixels of all textures: 2 GiB decoded.
    static let texturePixelsMax = 1 << 29
    /// Bytes of all textures as they are in files: views of one buffer may overlap.
    static let encodedTexturesSizeMax = 1 << 31
    /// Pixels of an environment, 16,384 × 8,192: 1.5 GiB decoded.
    static let environmentPixelsMax = 1 << 27
    /// How far from the origin anything may be, metres: squared areas still fit Float.
    static let coordinateMax: Float = 1e9
    /// The brightest emitter: sums of many still fit Float.
    static let radianceMax: Float = 1e20
    /// Texture coordinates are clamped to this: beyond it Float has no texels left.
    static let textureCoordinateMax: Float = 65_536
    /// The largest file, bytes.
    static let fileSizeMax = 1 << 33
    /// Lines of notices.
    static let noticesMax = 40
}

/// Lines for the user: each once, in order, not too many.
struct Notices {
    private(set) var lines: [String] = []

    mutating func add(_ line: String) {
        guard !lines.contains(line), lines.count <= SceneLimits.noticesMax else { return }
        let isFull = lines.count == SceneLimits.noticesMax
        lines.append(isFull ? "further notices were left out" : line)
    }
}

/// A name from a file as it can stand in a line of text: no control characters, not too long.
func printable(_ name: String) -> String {
    let lengthMax = 250
    var result = ""
    for (position, scalar) in name.unicodeScalars.enumerated() {
        if position == lengthMax { return result + "…" }
        let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
        let breaksLines = scalar.value == 0x2028 || scalar.value == 0x2029
        result.unicodeScalars.append(isControl || breaksLines ? "\u{fffd}" : scalar)
    }
    return result
}
