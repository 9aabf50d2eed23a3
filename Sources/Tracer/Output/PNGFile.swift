// PNG through libspng, encoded in memory: a viewer's picture is small.

import CSpng
import Glibc

/// Writes 8-bit RGB pictures.
enum PNGFile {
    /// Writes `height × width × 3` bytes of sRGB to a file, with metadata as text.
    static func write(
        _ pixels: [UInt8], width: Int, height: Int, attributes: [PictureAttribute],
        to file: AtomicFile
    ) throws(OutputError) {
        func check(_ code: Int32, _ operation: String) throws(OutputError) {
            guard code != 0 else { return }
            let reason = spng_strerror(code).map { String(cString: $0) } ?? "error \(code)"
            throw .encoding(path: file.path, operation: operation, reason: reason)
        }
        guard let context = spng_ctx_new(Int32(SPNG_CTX_ENCODER.rawValue)) else {
            throw .encoding(path: file.path, operation: "png", reason: "out of memory")
        }
        defer { spng_ctx_free(context) }
        try check(spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1), "png buffer")
        // Below the default of 6: noise hardly compresses, and a viewer waits for the file.
        try check(spng_set_option(context, SPNG_IMG_COMPRESSION_LEVEL, 4), "png level")
        var header = spng_ihdr()
        header.width = UInt32(width)
        header.height = UInt32(height)
        header.bit_depth = 8
        header.color_type = UInt8(SPNG_COLOR_TYPE_TRUECOLOR.rawValue)
        try check(spng_set_ihdr(context, &header), "png header")
        // Intent 0: perceptual.
        try check(spng_set_srgb(context, 0), "png sRGB")
        // libspng keeps pointers to the texts until it has encoded the picture.
        var strings: [UnsafeMutablePointer<CChar>] = []
        defer { strings.forEach { free($0) } }
        try setText(attributes, context, &strings, check)
        let format = Int32(SPNG_FMT_PNG.rawValue)
        let flags = Int32(SPNG_ENCODE_FINALIZE.rawValue)
        try check(
            spng_encode_image(context, pixels, pixels.count, format, flags), "png encoding")
        var size = 0
        var code: Int32 = 0
        guard let bytes = spng_get_png_buffer(context, &size, &code) else {
            return try check(code == 0 ? -1 : code, "png buffer")
        }
        defer { free(bytes) }
        try file.write(UnsafeRawBufferPointer(start: bytes, count: size), at: 0)
    }

    /// Sets each attribute as an uncompressed UTF-8 text; its C strings are added to `strings`.
    private static func setText(
        _ attributes: [PictureAttribute], _ context: OpaquePointer,
        _ strings: inout [UnsafeMutablePointer<CChar>],
        _ check: (Int32, String) throws(OutputError) -> Void
    ) throws(OutputError) {
        guard !attributes.isEmpty else { return }
        func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
            guard let copy = strdup(text) else { return nil }
            strings.append(copy)
            return copy
        }
        var texts: [spng_text] = []
        for attribute in attributes {
            var text = spng_text()
            // libspng refuses bytes that a keyword may not have, with an error of its own.
            withUnsafeMutableBytes(of: &text.keyword) { keyword in
                keyword.copyBytes(from: attribute.name.utf8.prefix(79))
            }
            let value = attribute.value.description
            text.type = Int32(SPNG_ITXT.rawValue)
            text.text = copy(value)
            text.length = text.text.map { strlen($0) } ?? 0
            text.language_tag = copy("")
            text.translated_keyword = copy("")
            texts.append(text)
        }
        try check(spng_set_text(context, &texts, UInt32(texts.count)), "png text")
    }
}
