// Textures from files: what kind a file is, by its first bytes and never by its name, and bounds
// that are checked before anything is allocated.

/// Decodes PNG and JPEG images.
enum ImageDecoder {
    /// The pixels of an image as its header says, within the bounds.
    static func size(of bytes: [UInt8], file: String) throws(SceneError) -> (
        width: Int, height: Int
    ) {
        let size =
            switch try kind(of: bytes, file: file) {
            case .png: try PNGDecoder(bytes, file: file).size()
            case .jpeg: try JPEGDecoder(file: file).size(of: bytes)
            }
        guard size.width > 0, size.height > 0 else {
            throw .malformed(file: file, reason: "it has no pixels")
        }
        guard size.width <= SceneLimits.imageSideMax, size.height <= SceneLimits.imageSideMax,
            size.width * size.height <= SceneLimits.imagePixelsMax
        else {
            throw .tooLarge(
                "'\(file)' has \(size.width) × \(size.height) pixels, more than "
                    + "\(SceneLimits.imagePixelsMax)")
        }
        return size
    }

    /// An image as `height × width × 4` UInt8.
    static func decode(_ bytes: [UInt8], file: String) throws(SceneError) -> TextureImage {
        let size = try size(of: bytes, file: file)
        let pixels =
            switch try kind(of: bytes, file: file) {
            case .png: try PNGDecoder(bytes, file: file).pixels()
            case .jpeg: try JPEGDecoder(file: file).pixels(of: bytes)
            }
        guard pixels.count == size.width * size.height * 4 else {
            throw .malformed(file: file, reason: "its pixels do not match its header")
        }
        return TextureImage(width: size.width, height: size.height, pixels: pixels)
    }

    private enum Kind { case png, jpeg }

    private static func kind(of bytes: [UInt8], file: String) throws(SceneError) -> Kind {
        if bytes.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) { return .png }
        if bytes.starts(with: [0xff, 0xd8, 0xff]) { return .jpeg }
        if bytes.isEmpty { throw .malformed(file: file, reason: "it is empty") }
        if bytes.starts(with: Array("RIFF".utf8)) {
            throw .unsupported(file: file, feature: "images in WebP")
        }
        if bytes.starts(with: [0xab, 0x4b, 0x54, 0x58]) {
            throw .unsupported(file: file, feature: "images in KTX")
        }
        throw .malformed(file: file, reason: "it is neither PNG nor JPEG")
    }
}
