// OpenEXR environments through OpenEXRCore, from memory: the first flat part, scanlines or tiles,
// channels R, G, B or Y, half or float.

import COpenEXR
import Glibc

/// Owns a reading context of OpenEXRCore and the bytes it reads.
final class OpenEXRDecoder {
    private var context: exr_context_t?
    private let stream: Stream
    private let file: String

    /// The bytes that the library's callbacks read.
    private final class Stream {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
    }

    static func decode(_ bytes: [UInt8], file: String) throws(SceneError) -> Environment {
        try OpenEXRDecoder(bytes, file: file).image()
    }

    /// The size that the header declares.
    static func size(
        of bytes: [UInt8], file: String
    ) throws(SceneError) -> (width: Int, height: Int) {
        let decoder = try OpenEXRDecoder(bytes, file: file)
        let window = try decoder.window(ofPart: try decoder.flatPart().part)
        return (window.width, window.height)
    }

    private init(_ bytes: [UInt8], file: String) throws(SceneError) {
        self.file = file
        stream = Stream(bytes)
        var initializer = exr_context_initializer_t()
        initializer.size = MemoryLayout<exr_context_initializer_t>.size
        initializer.zip_level = -1
        initializer.dwa_quality = -1
        initializer.max_image_width = Int32(SceneLimits.imageSideMax)
        initializer.max_image_height = Int32(SceneLimits.imageSideMax)
        initializer.max_tile_width = Int32(SceneLimits.imageSideMax)
        initializer.max_tile_height = Int32(SceneLimits.imageSideMax)
        // The default handler would print: errors come back as codes all the same.
        initializer.error_handler_fn = { _, _, _ in }
        // The stream outlives the context, which `deinit` finishes first.
        initializer.user_data = Unmanaged.passUnretained(stream).toOpaque()
        initializer.size_fn = { _, data in
            guard let data else { return -1 }
            return Int64(Unmanaged<Stream>.fromOpaque(data).takeUnretainedValue().bytes.count)
        }
        initializer.read_fn = { _, data, buffer, size, offset, _ in
            guard let data, let buffer else { return -1 }
            let bytes = Unmanaged<Stream>.fromOpaque(data).takeUnretainedValue().bytes
            guard offset <= UInt64(bytes.count) else { return -1 }
            let count = Int(min(size, UInt64(bytes.count) - offset))
            bytes.withUnsafeBytes { source in
                guard count > 0, let base = source.baseAddress else { return }
                memcpy(buffer, base + Int(offset), count)
            }
            return Int64(count)
        }
        try check(exr_start_read(&context, file, &initializer))
    }

    deinit { exr_finish(&context) }

    /// Turns a code of OpenEXRCore into an error.
    private func check(_ code: exr_result_t) throws(SceneError) {
        guard code != 0 else { return }
        let reason = exr_get_error_code_as_string(code).map { String(cString: $0) }
        throw .malformed(file: file, reason: "OpenEXR: \(reason ?? "error \(code)")")
    }

    private func image() throws(SceneError) -> Environment {
        let (part, isTiled) = try flatPart()
        let (width, height, top) = try window(ofPart: part)
        try EnvironmentDecoder.check(width: width, height: height, file: file)
        // The best codec makes of a byte less than 4,096 pixels of black.
        guard stream.bytes.count * 4_096 >= width * height else {
            throw .malformed(file: file, reason: "it is too short for the size it declares")
        }
        let channels = try channels(ofPart: part)
        let pixels = UnsafeMutablePointer<Float>.allocate(capacity: width * height * 3)
        defer { pixels.deallocate() }
        pixels.initialize(repeating: 0, count: width * height * 3)
        let target = Target(pixels: pixels, width: width, height: height, channels: channels)
        if isTiled {
            try readTiles(part, into: target)
        } else {
            try readScanlines(part, from: top, into: target)
        }
        return Environment(
            width: width, height: height,
            pixels: Array(UnsafeBufferPointer(start: pixels, count: width * height * 3)))
    }

    /// The pixels of a part, and the number of its first line.
    private func window(
        ofPart part: Int32
    ) throws(SceneError) -> (width: Int, height: Int, top: Int) {
        var window = exr_attr_box2i_t()
        try check(exr_get_data_window(context, part, &window))
        return (
            Int(window.max.x) - Int(window.min.x) + 1, Int(window.max.y) - Int(window.min.y) + 1,
            Int(window.min.y)
        )
    }

    /// Where decoded pixels go.
    private struct Target {
        let pixels: UnsafeMutablePointer<Float>
        let width: Int
        let height: Int
        /// The names of the channels, red first; a single one is luminance.
        let channels: [String]
    }

    /// The first part that is an image.
    private func flatPart() throws(SceneError) -> (part: Int32, isTiled: Bool) {
        var count: Int32 = 0
        try check(exr_get_count(context, &count))
        for part in 0..<max(count, 0) {
            var storage = EXR_STORAGE_DEEP_SCANLINE
            try check(exr_get_storage(context, part, &storage))
            if storage == EXR_STORAGE_SCANLINE { return (part, false) }
            if storage == EXR_STORAGE_TILED { return (part, true) }
        }
        throw .unsupported(file: file, feature: "deep data")
    }

    private func channels(ofPart part: Int32) throws(SceneError) -> [String] {
        var list: UnsafePointer<exr_attr_chlist_t>?
        try check(exr_get_channels(context, part, &list))
        var usable: Set<String> = []
        if let list = list?.pointee, let entries = list.entries {
            for index in 0..<max(Int(list.num_channels), 0) {
                let entry = entries[index]
                guard let text = entry.name.str, entry.x_sampling == 1, entry.y_sampling == 1,
                    entry.pixel_type == EXR_PIXEL_HALF || entry.pixel_type == EXR_PIXEL_FLOAT
                else { continue }
                usable.insert(String(cString: text))
            }
        }
        if usable.isSuperset(of: ["R", "G", "B"]) {
            return ["R", "G", "B"]
        }
        if usable.contains("Y") { return ["Y"] }
        throw .unsupported(file: file, feature: "an environment without channels R, G, B or Y")
    }

    // MARK: - Chunks

    private func readScanlines(
        _ part: Int32, from top: Int, into target: Target
    ) throws(SceneError) {
        var linesPerChunk: Int32 = 0
        try check(exr_get_scanlines_per_chunk(context, part, &linesPerChunk))
        guard linesPerChunk > 0 else {
            throw .malformed(file: file, reason: "OpenEXR: it has chunks without lines")
        }
        let pipeline = Pipeline()
        defer { pipeline.destroy(context) }
        for row in stride(from: 0, to: target.height, by: Int(linesPerChunk)) {
            var chunk = exr_chunk_info_t()
            try check(exr_read_scanline_chunk_info(context, part, Int32(top + row), &chunk))
            try read(chunk, part, pipeline, x: 0, y: row, into: target)
        }
    }

    private func readTiles(_ part: Int32, into target: Target) throws(SceneError) {
        var tileWidth: Int32 = 0
        var tileHeight: Int32 = 0
        try check(exr_get_tile_sizes(context, part, 0, 0, &tileWidth, &tileHeight))
        guard tileWidth > 0, tileHeight > 0 else {
            throw .malformed(file: file, reason: "OpenEXR: it has tiles without pixels")
        }
        let pipeline = Pipeline()
        defer { pipeline.destroy(context) }
        for y in stride(from: 0, to: target.height, by: Int(tileHeight)) {
            for x in stride(from: 0, to: target.width, by: Int(tileWidth)) {
                var chunk = exr_chunk_info_t()
                try check(
                    exr_read_tile_chunk_info(
                        context, part, Int32(x) / tileWidth, Int32(y) / tileHeight, 0, 0, &chunk))
                try read(chunk, part, pipeline, x: x, y: y, into: target)
            }
        }
    }

    /// A decoding pipeline at an address that stays.
    private final class Pipeline {
        let pointer: UnsafeMutablePointer<exr_decode_pipeline_t>
        var isStarted = false

        init() {
            pointer = .allocate(capacity: 1)
            pointer.initialize(to: exr_decode_pipeline_t())
        }

        func destroy(_ context: exr_context_t?) {
            if isStarted { exr_decoding_destroy(context, pointer) }
            pointer.deallocate()
        }
    }

    /// Decodes one chunk whose first pixel is at (x, y).
    private func read(
        _ info: exr_chunk_info_t, _ part: Int32, _ pipeline: Pipeline, x: Int, y: Int,
        into target: Target
    ) throws(SceneError) {
        var chunk = info
        let isFirst = !pipeline.isStarted
        if isFirst {
            pipeline.isStarted = true
            try check(exr_decoding_initialize(context, part, &chunk, pipeline.pointer))
        } else {
            try check(exr_decoding_update(context, part, &chunk, pipeline.pointer))
        }
        let decoder = pipeline.pointer
        for index in 0..<max(Int(decoder.pointee.channel_count), 0) {
            let channel = decoder.pointee.channels + index
            channel.pointee.decode_to_ptr = nil
            let name = channel.pointee.channel_name.map { String(cString: $0) }
            guard let component = target.channels.firstIndex(where: { $0 == name }) else {
                continue
            }
            // The library must not write beyond the image, whatever the chunk says.
            guard x + Int(channel.pointee.width) <= target.width,
                y + Int(channel.pointee.height) <= target.height,
                channel.pointee.width >= 0, channel.pointee.height >= 0
            else { throw .malformed(file: file, reason: "OpenEXR: a chunk leaves the image") }
            channel.pointee.user_bytes_per_element = 4
            channel.pointee.user_data_type = UInt16(EXR_PIXEL_FLOAT.rawValue)
            channel.pointee.user_pixel_stride = 12
            channel.pointee.user_line_stride = Int32(target.width * 12)
            let start = target.pixels + 3 * (y * target.width + x) + component
            channel.pointee.decode_to_ptr = UnsafeMutableRawPointer(start)
                .assumingMemoryBound(to: UInt8.self)
        }
        if isFirst {
            try check(exr_decoding_choose_default_routines(context, part, decoder))
        }
        try check(exr_decoding_run(context, part, decoder))
        copyGrey(x: x, y: y, chunk: chunk, target)
    }

    /// Copies luminance to green and blue, where it is all there is.
    private func copyGrey(x: Int, y: Int, chunk: exr_chunk_info_t, _ target: Target) {
        guard target.channels.count == 1 else { return }
        for row in y..<min(y + Int(chunk.height), target.height) {
            for column in x..<min(x + Int(chunk.width), target.width) {
                let pixel = target.pixels + 3 * (row * target.width + column)
                pixel[1] = pixel[0]
                pixel[2] = pixel[0]
            }
        }
    }
}
