// Environment images: what kind a file is, by its first bytes, and what is done with values that
// are no radiance.

/// Decodes Radiance .hdr and OpenEXR images.
enum EnvironmentDecoder {
    /// A decoded environment, and how many values had to be replaced by black.
    struct Result {
        var environment: Environment
        var replacedValues: Int
    }

    /// The pixels of an image as its header says, within the bounds.
    static func pixels(of bytes: [UInt8], file: String) throws(SceneError) -> Int {
        let shown = printable(file)
        let size =
            switch try kind(of: bytes, file: shown) {
            case .radiance: try RadianceDecoder.size(of: bytes, file: shown)
            case .openEXR: try OpenEXRDecoder.size(of: bytes, file: shown)
            }
        try check(width: size.width, height: size.height, file: shown)
        return size.width * size.height
    }

    private enum Kind { case radiance, openEXR }

    private static func kind(of bytes: [UInt8], file: String) throws(SceneError) -> Kind {
        if bytes.starts(with: Array("#?".utf8)) { return .radiance }
        if bytes.starts(with: [0x76, 0x2f, 0x31, 0x01]) { return .openEXR }
        throw .malformed(file: file, reason: "it is neither Radiance .hdr nor OpenEXR")
    }

    static func decode(_ bytes: [UInt8], file: String) throws(SceneError) -> Result {
        let shown = printable(file)
        var image =
            switch try kind(of: bytes, file: shown) {
            case .radiance: try RadianceDecoder.decode(bytes, file: shown)
            case .openEXR: try OpenEXRDecoder.decode(bytes, file: shown)
            }
        var replaced = 0
        for index in image.pixels.indices {
            let value = image.pixels[index]
            guard value >= 0, value <= SceneLimits.radianceMax else {
                image.pixels[index] = 0
                replaced += 1
                continue
            }
        }
        return Result(environment: image, replacedValues: replaced)
    }

    /// Refuses a size outside the bounds, before memory for it is asked for.
    static func check(width: Int, height: Int, file: String) throws(SceneError) {
        guard width > 0, height > 0 else {
            throw .malformed(file: file, reason: "it has no pixels")
        }
        guard width <= SceneLimits.imageSideMax, height <= SceneLimits.imageSideMax,
            width * height <= SceneLimits.environmentPixelsMax
        else {
            throw .tooLarge(
                "'\(file)' has \(width) × \(height) pixels, more than "
                    + "\(SceneLimits.environmentPixelsMax)")
        }
    }
}
