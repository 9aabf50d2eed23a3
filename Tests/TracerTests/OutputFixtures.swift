// Reading pictures back with the libraries that wrote them, and folders that go when a test ends.

import COpenEXR
import CSpng
import Foundation
import Testing

@testable import Tracer

/// A folder that is removed with its contents.
final class TemporaryFolder {
    let path: String
    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "meshd-output-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The names in the folder, hidden ones too.
    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }
}

struct ReadFailure: Error {
    let operation: String
    let code: Int32
}

/// What an EXR file holds: each channel as Float32, row-major, and what the file says of it.
struct EXRContents {
    var width = 0
    var height = 0
    var channels: [String: [Float]] = [:]
    var types: [String: exr_pixel_type_t] = [:]
    var compression = EXR_COMPRESSION_NONE
    var strings: [String: String] = [:]
    var ints: [String: Int32] = [:]
    var doubles: [String: Double] = [:]

    init(path: String, strings: [String] = [], ints: [String] = [], doubles: [String] = []) throws {
        func check(_ code: exr_result_t, _ operation: String) throws {
            guard code == 0 else { throw ReadFailure(operation: operation, code: code) }
        }
        var setup = exr_context_initializer_t()
        setup.size = MemoryLayout<exr_context_initializer_t>.size
        var context: exr_context_t?
        try check(exr_start_read(&context, path, &setup), "start")
        defer { exr_finish(&context) }
        var window = exr_attr_box2i_t()
        try check(exr_get_data_window(context, 0, &window), "window")
        width = Int(window.max.x - window.min.x) + 1
        height = Int(window.max.y - window.min.y) + 1
        try check(exr_get_compression(context, 0, &compression), "compression")
        for name in strings {
            var length: Int32 = 0
            var text: UnsafePointer<CChar>?
            try check(exr_attr_get_string(context, 0, name, &length, &text), name)
            self.strings[name] = text.map { String(cString: $0) }
        }
        for name in ints {
            var value: Int32 = 0
            try check(exr_attr_get_int(context, 0, name, &value), name)
            self.ints[name] = value
        }
        for name in doubles {
            var value = 0.0
            try check(exr_attr_get_double(context, 0, name, &value), name)
            self.doubles[name] = value
        }
        var lines: Int32 = 0
        try check(exr_get_scanlines_per_chunk(context, 0, &lines), "lines")
        var pipeline = exr_decode_pipeline_t()
        defer { exr_decoding_destroy(context, &pipeline) }
        for y in stride(from: 0, to: height, by: Int(lines)) {
            var chunk = exr_chunk_info_t()
            try check(exr_read_scanline_chunk_info(context, 0, Int32(y), &chunk), "chunk")
            if y == 0 {
                try check(exr_decoding_initialize(context, 0, &chunk, &pipeline), "decoder")
            } else {
                try check(exr_decoding_update(context, 0, &chunk, &pipeline), "decoder")
            }
            let count = Int(pipeline.channel_count)
            let rows = min(Int(lines), height - y)
            let plane = rows * width
            let scratch = UnsafeMutablePointer<UInt32>.allocate(capacity: count * plane)
            defer { scratch.deallocate() }
            for index in 0..<count {
                let isUInt = pipeline.channels[index].data_type == UInt16(EXR_PIXEL_UINT.rawValue)
                let type = isUInt ? EXR_PIXEL_UINT : EXR_PIXEL_FLOAT
                pipeline.channels[index].user_bytes_per_element = 4
                pipeline.channels[index].user_data_type = UInt16(type.rawValue)
                pipeline.channels[index].user_pixel_stride = 4
                pipeline.channels[index].user_line_stride = Int32(4 * width)
                pipeline.channels[index].decode_to_ptr = UnsafeMutableRawPointer(
                    scratch + index * plane
                ).assumingMemoryBound(to: UInt8.self)
            }
            if y == 0 {
                try check(
                    exr_decoding_choose_default_routines(context, 0, &pipeline), "routines")
            }
            try check(exr_decoding_run(context, 0, &pipeline), "decoding")
            for index in 0..<count {
                let channel = pipeline.channels[index]
                let name = String(cString: try #require(channel.channel_name))
                types[name] = exr_pixel_type_t(rawValue: UInt32(channel.data_type))
                let isUInt = channel.data_type == UInt16(EXR_PIXEL_UINT.rawValue)
                let values = (0..<plane).map { offset -> Float in
                    let bits = scratch[index * plane + offset]
                    return isUInt ? Float(bits) : Float(bitPattern: bits)
                }
                channels[name, default: []] += values
            }
        }
    }
}

/// What a PNG file holds: its bytes of RGB, row-major, its rendering intent and its texts.
struct PNGContents {
    let width: Int
    let height: Int
    let pixels: [UInt8]
    let intent: UInt8
    let texts: [String: String]

    init(path: String) throws {
        func check(_ code: Int32, _ operation: String) throws {
            guard code == 0 else { throw ReadFailure(operation: operation, code: code) }
        }
        let data = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let context = try #require(spng_ctx_new(0))
        defer { spng_ctx_free(context) }
        var header = spng_ihdr()
        var intent: UInt8 = 99
        var size = 0
        var pixels: [UInt8] = []
        var texts: [String: String] = [:]
        try data.withUnsafeBytes { bytes in
            try check(spng_set_png_buffer(context, bytes.baseAddress, bytes.count), "buffer")
            try check(spng_get_ihdr(context, &header), "header")
            let format = Int32(SPNG_FMT_RGB8.rawValue)
            try check(spng_decoded_image_size(context, format, &size), "size")
            pixels = [UInt8](repeating: 0, count: size)
            try check(spng_decode_image(context, &pixels, size, format, 0), "decoding")
            try check(spng_get_srgb(context, &intent), "sRGB")
            var count: UInt32 = 0
            if spng_get_text(context, nil, &count) == 0 {
                var found = [spng_text](repeating: spng_text(), count: Int(count))
                try check(spng_get_text(context, &found, &count), "texts")
                for text in found {
                    let keyword = withUnsafeBytes(of: text.keyword) { bytes in
                        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                    }
                    texts[keyword] = String(cString: try #require(text.text))
                }
            }
        }
        width = Int(header.width)
        height = Int(header.height)
        self.pixels = pixels
        self.intent = intent
        self.texts = texts
    }
}
