// PNG through libspng, from memory.

import CSpng

/// Owns a decoder of libspng and the bytes it reads.
final class PNGDecoder {
    private let context: OpaquePointer
    /// A copy of its own, at an address that stays.
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private let file: String

    /// DEFLATE makes at most 1,032 bytes of one (zlib's technical notes).
    private static let expansionMax = 1_032
    /// The most memory for one and for all ancillary chunks, bytes.
    private static let chunkSizeMax = 1 << 24

    init(_ source: [UInt8], file: String) throws(SceneError) {
        self.file = file
        guard let context = spng_ctx_new(0) else {
            throw .unreadableFile(file, reason: "no memory for its decoder")
        }
        self.context = context
        bytes = .allocate(capacity: source.count)
        _ = bytes.initialize(from: source)
        try check(spng_set_png_buffer(context, bytes.baseAddress, bytes.count))
        try check(spng_set_chunk_limits(context, Self.chunkSizeMax, Self.chunkSizeMax))
        try check(
            spng_set_image_limits(
                context, UInt32(SceneLimits.imageSideMax), UInt32(SceneLimits.imageSideMax)))
    }

    deinit {
        spng_ctx_free(context)
        bytes.deallocate()
    }

    /// The size that the header declares.
    func size() throws(SceneError) -> (width: Int, height: Int) {
        var header = spng_ihdr()
        try check(spng_get_ihdr(context, &header))
        return (Int(header.width), Int(header.height))
    }

    /// `height × width × 4` UInt8; palettes, 16 bits and transparent colours are converted.
    func pixels() throws(SceneError) -> [UInt8] {
        var stored = 0
        try check(spng_decoded_image_size(context, Int32(SPNG_FMT_PNG.rawValue), &stored))
        guard stored / Self.expansionMax <= bytes.count else {
            throw .malformed(file: file, reason: "it is too short for the size it declares")
        }
        let format = Int32(SPNG_FMT_RGBA8.rawValue)
        var size = 0
        try check(spng_decoded_image_size(context, format, &size))
        var code: Int32 = 0
        let pixels = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            code = spng_decode_image(
                context, buffer.baseAddress, size, format, Int32(SPNG_DECODE_TRNS.rawValue))
            // What was not decoded is not initialised: nothing of it is used.
            count = code == 0 ? size : 0
        }
        try check(code)
        return pixels
    }

    /// Turns a code of libspng into an error.
    private func check(_ code: Int32) throws(SceneError) {
        guard code != 0 else { return }
        if code == Int32(SPNG_EUSER_WIDTH.rawValue) || code == Int32(SPNG_EUSER_HEIGHT.rawValue) {
            throw .tooLarge(
                "'\(file)' has a side of more than \(SceneLimits.imageSideMax) pixels")
        }
        let reason = spng_strerror(code).map { String(cString: $0) } ?? "error \(code)"
        throw .malformed(file: file, reason: "PNG: \(reason)")
    }
}
