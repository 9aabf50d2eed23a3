// Environment images: what kind a file is, by its first bytes, and what is done with values that
// are no radiance.

/// Decodes Radiance .hdr and OpenEXR images.
enum EnvironmentDecoder {
    /// A decoded environment, and how many values had to be replaced by black.
    struct Result {
        var environment: Environment
        var replacedValues: Int
    }

    static func decode(_ bytes: [UInt8], file: String) throws(SceneError) -> Result {
        let shown = printable(file)
        var image: Environment
        if bytes.starts(with: Array("#?".utf8)) {
            image = try RadianceDecoder.decode(bytes, file: shown)
        } else if bytes.starts(with: [0x76, 0x2f, 0x31, 0x01]) {
            image = try OpenEXRDecoder.decode(bytes, file: shown)
        } else {
            throw .malformed(file: shown, reason: "it is neither Radiance .hdr nor OpenEXR")
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
