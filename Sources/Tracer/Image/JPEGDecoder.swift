// JPEG through libturbojpeg, from memory.

import CTurboJPEG

/// Owns a decompressor of libturbojpeg.
final class JPEGDecoder {
    private let handle: tjhandle
    private let file: String

    /// A progressive file may repeat its scans without end: more than 500 is an attack.
    private static let flags = Int32(TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT)

    /// A byte makes at most so many pixels: a bit may stand for a whole block of 64, and arithmetic
    /// coding does a little better.
    private static let pixelsPerByteMax = 4_096

    init(file: String) throws(SceneError) {
        self.file = file
        guard let handle = tjInitDecompress() else {
            throw .unreadableFile(file, reason: "no memory for its decoder")
        }
        self.handle = handle
    }

    deinit { tjDestroy(handle) }

    /// The size that the header declares.
    func size(of bytes: [UInt8]) throws(SceneError) -> (width: Int, height: Int) {
        var width: Int32 = 0
        var height: Int32 = 0
        var subsampling: Int32 = 0
        var space: Int32 = 0
        let code = tjDecompressHeader3(
            handle, bytes, UInt(bytes.count), &width, &height, &subsampling, &space)
        if code != 0 { try fail() }
        return (Int(width), Int(height))
    }

    /// `height × width × 4` UInt8, alpha 255.
    func pixels(of bytes: [UInt8]) throws(SceneError) -> [UInt8] {
        let (width, height) = try size(of: bytes)
        guard width * height / Self.pixelsPerByteMax <= bytes.count else {
            throw .malformed(file: file, reason: "it is too short for the size it declares")
        }
        var code: Int32 = 0
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 4) { buffer, count in
            code = tjDecompress2(
                handle, bytes, UInt(bytes.count), buffer.baseAddress, Int32(width),
                Int32(width * 4), Int32(height), Int32(TJPF_RGBA.rawValue), Self.flags)
            // A warning leaves a whole image; `fail` decides whether it is one of those that do.
            let isWhole = code == 0 || tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue)
            count = isWhole ? width * height * 4 : 0
        }
        if code != 0 { try fail() }
        return pixels
    }

    /// Throws the error that the library has at hand, unless it is a warning about bytes that do
    /// not matter; an image that ends early is an error.
    private func fail() throws(SceneError) {
        let reason = tjGetErrorStr2(handle).map { String(cString: $0) } ?? "unknown error"
        let isWarning = tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue)
        if isWarning, !reason.contains("Premature end") { return }
        throw .malformed(file: file, reason: "JPEG: \(printable(reason))")
    }
}
