// OpenEXR through OpenEXRCore, a block of scanlines at a time. The library writes through our
// file, so that a full disk is reported in the system's words.

import COpenEXR

/// Writes the planes of a film image as one scanline part, ZIP-compressed.
///
/// | channels | type |
/// | --- | --- |
/// | R G B A | half, scene-linear Rec. 709 |
/// | albedo.R albedo.G albedo.B | half |
/// | normal.X normal.Y normal.Z | half, world space |
/// | depth.Z | float, metres, +∞ for none |
/// | samples | uint |
/// | noise | float, the estimated error; adaptive frames only |
enum EXRFile {
    /// The largest finite half: brighter light is cut to it rather than become infinite.
    static let halfMax: Float = 65_504

    /// A plane's channel; the others are half.
    private static let channels: [(name: String, plane: FilmImage.Plane)] = [
        ("R", .red), ("G", .green), ("B", .blue), ("A", .alpha),
        ("albedo.R", .albedoRed), ("albedo.G", .albedoGreen), ("albedo.B", .albedoBlue),
        ("normal.X", .normalX), ("normal.Y", .normalY), ("normal.Z", .normalZ),
        ("depth.Z", .depth),
    ]
    private static let samplesChannel = "samples"
    private static let noiseChannel = "noise"

    static func write(
        _ image: FilmImage, attributes: [PictureAttribute], to file: AtomicFile
    ) throws(OutputError) {
        var setup = exr_context_initializer_t()
        setup.size = MemoryLayout<exr_context_initializer_t>.size
        // Zeroes would mean level 0: silently uncompressed.
        setup.zip_level = -1
        setup.dwa_quality = -1
        // Errors are reported by codes; the library must not print.
        setup.error_handler_fn = { _, _, _ in }
        setup.user_data = Unmanaged.passUnretained(file).toOpaque()
        setup.write_fn = { _, user, bytes, size, offset, _ in
            guard let user else { return -1 }
            let file = Unmanaged<AtomicFile>.fromOpaque(user).takeUnretainedValue()
            let buffer = UnsafeRawBufferPointer(start: bytes, count: Int(size))
            return file.writeAll(buffer, at: Int(offset)) ? Int64(size) : -1
        }
        var writer = Writer(file: file)
        defer { exr_finish(&writer.context) }
        try writer.check(
            exr_start_write(&writer.context, file.path, EXR_WRITE_FILE_DIRECTLY, &setup), "start")
        try writer.writeHeader(image, attributes)
        try writer.writePixels(image)
        try writer.check(exr_finish(&writer.context), "finish")
    }

    /// The context of one file, with the steps that write it.
    private struct Writer {
        let file: AtomicFile
        var context: exr_context_t?
        var part: Int32 = 0

        init(file: AtomicFile) { self.file = file }

        func check(_ code: exr_result_t, _ operation: String) throws(OutputError) {
            guard code != 0 else { return }
            if file.writeErrorCode != 0 {
                let reason = OutputError.reason(file.writeErrorCode)
                throw .failed(path: file.path, operation: "write", reason: reason)
            }
            let reason =
                exr_get_default_error_message(code).map { String(cString: $0) } ?? "error \(code)"
            throw .encoding(path: file.path, operation: "exr \(operation)", reason: reason)
        }

        mutating func writeHeader(
            _ image: FilmImage, _ attributes: [PictureAttribute]
        ) throws(OutputError) {
            try check(exr_add_part(context, "beauty", EXR_STORAGE_SCANLINE, &part), "part")
            try check(
                exr_initialize_required_attr_simple(
                    context, part, Int32(image.width), Int32(image.height), EXR_COMPRESSION_ZIP),
                "size")
            for (name, plane) in EXRFile.channels {
                let type = plane == .depth ? EXR_PIXEL_FLOAT : EXR_PIXEL_HALF
                try addChannel(name, type)
            }
            try addChannel(EXRFile.samplesChannel, EXR_PIXEL_UINT)
            if image.noise != nil { try addChannel(EXRFile.noiseChannel, EXR_PIXEL_FLOAT) }
            for attribute in attributes { try set(attribute) }
            try check(exr_write_header(context), "header")
        }

        private func addChannel(
            _ name: String, _ type: exr_pixel_type_t
        ) throws(OutputError) {
            try check(
                exr_add_channel(context, part, name, type, EXR_PERCEPTUALLY_LOGARITHMIC, 1, 1),
                "channel \(name)")
        }

        private func set(_ attribute: PictureAttribute) throws(OutputError) {
            let name = attribute.name
            let code =
                switch attribute.value {
                case .string(let text): exr_attr_set_string(context, part, name, text)
                case .double(let number): exr_attr_set_double(context, part, name, number)
                case .int(let number):
                    // The format's integers have 32 bits.
                    if let small = Int32(exactly: number) {
                        exr_attr_set_int(context, part, name, small)
                    } else {
                        exr_attr_set_double(context, part, name, Double(number))
                    }
                }
            try check(code, "attribute '\(name)'")
        }

        mutating func writePixels(_ image: FilmImage) throws(OutputError) {
            var lines: Int32 = 0
            try check(exr_get_scanlines_per_chunk(context, part, &lines), "lines")
            let channels = EXRFile.channels.count + 2
            let stride = Int(lines) * image.width
            // The chunk's lines of one channel after the other, 32 bits a value.
            let scratch = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: channels * stride)
            defer { scratch.deallocate() }
            var pipeline = exr_encode_pipeline_t()
            defer { exr_encoding_destroy(context, &pipeline) }
            for y in Swift.stride(from: 0, to: image.height, by: Int(lines)) {
                var chunk = exr_chunk_info_t()
                try check(
                    exr_write_scanline_chunk_info(context, part, Int32(y), &chunk), "chunk")
                if y == 0 {
                    try check(
                        exr_encoding_initialize(context, part, &chunk, &pipeline), "encoder")
                } else {
                    try check(exr_encoding_update(context, part, &chunk, &pipeline), "encoder")
                }
                let rows = y..<min(y + Int(lines), image.height)
                EXRFile.copy(rows, of: image, to: scratch, channelStride: stride)
                point(&pipeline, at: scratch, channelStride: stride, width: image.width)
                if y == 0 {
                    try check(
                        exr_encoding_choose_default_routines(context, part, &pipeline),
                        "encoder")
                }
                try check(exr_encoding_run(context, part, &pipeline), "encoding")
            }
        }

        /// Tells the encoder where the values of each channel are.
        private func point(
            _ pipeline: inout exr_encode_pipeline_t, at scratch: UnsafeMutableBufferPointer<UInt32>,
            channelStride: Int, width: Int
        ) {
            for index in 0..<Int(pipeline.channel_count) {
                guard let name = pipeline.channels[index].channel_name else { continue }
                let known = EXRFile.channels.firstIndex { $0.name == String(cString: name) }
                let isSamples = String(cString: name) == EXRFile.samplesChannel
                let type = isSamples ? EXR_PIXEL_UINT : EXR_PIXEL_FLOAT
                let behind = EXRFile.channels.count + (isSamples ? 0 : 1)
                let place = (known ?? behind) * channelStride
                let values = scratch.baseAddress.map { UnsafeRawPointer($0 + place) }
                pipeline.channels[index].user_bytes_per_element = 4
                pipeline.channels[index].user_data_type = UInt16(type.rawValue)
                pipeline.channels[index].user_pixel_stride = 4
                pipeline.channels[index].user_line_stride = Int32(4 * width)
                pipeline.channels[index].encode_from_ptr =
                    values?.assumingMemoryBound(to: UInt8.self)
            }
        }
    }

    /// Copies lines of all planes, cut to what a half can hold where the channel is half.
    private static func copy(
        _ rows: Range<Int>, of image: FilmImage, to scratch: UnsafeMutableBufferPointer<UInt32>,
        channelStride: Int
    ) {
        let area = image.width * image.height
        let first = rows.lowerBound * image.width
        let count = rows.count * image.width
        for (index, channel) in channels.enumerated() {
            let source = channel.plane.rawValue * area + first
            let target = index * channelStride
            let bound = channel.plane == .depth ? Float.infinity : halfMax
            for offset in 0..<count {
                let value = image.values[source + offset]
                scratch[target + offset] = min(max(value, -bound), bound).bitPattern
            }
        }
        let target = channels.count * channelStride
        for offset in 0..<count { scratch[target + offset] = image.samples[first + offset] }
        guard let noise = image.noise else { return }
        for offset in 0..<count {
            scratch[target + channelStride + offset] = noise[first + offset].bitPattern
        }
    }
}
