// Radiance pictures (.hdr): a text header, then scanlines of RGBE, run-length encoded in the new
// way (per component), in the old way (repeated pixels), or not at all.
// Source: Ward, Real Pixels, Graphics Gems II (1991); Radiance's ray/src/common/color.c.

/// Decodes one picture.
struct RadianceDecoder {
    private let bytes: [UInt8]
    private let file: String
    private var offset = 0

    /// The longest line of a header, bytes.
    private static let lineLengthMax = 4_096
    /// The widths that scanlines in the new encoding can have.
    private static let newEncodingWidths = 8...0x7fff

    /// The picture, its pixels divided by the exposures that its header names.
    static func decode(_ bytes: [UInt8], file: String) throws(SceneError) -> Environment {
        var decoder = RadianceDecoder(bytes: bytes, file: file)
        return try decoder.picture()
    }

    /// The size that the header declares.
    static func size(
        of bytes: [UInt8], file: String
    ) throws(SceneError) -> (width: Int, height: Int) {
        var decoder = RadianceDecoder(bytes: bytes, file: file)
        _ = try decoder.header()
        let (width, height, _, _) = try decoder.resolution()
        return (width, height)
    }

    private init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    private func malformed(_ reason: String) -> SceneError {
        .malformed(file: file, reason: reason)
    }

    private mutating func picture() throws(SceneError) -> Environment {
        let exposure = try header()
        let (width, height, isFlippedX, isFlippedY) = try resolution()
        try EnvironmentDecoder.check(width: width, height: height, file: file)
        // A run of 127 or 255 pixels takes at least two bytes: shorter files are not worth memory.
        guard (bytes.count - offset) * 512 >= width * height else {
            throw malformed("it is too short for the size it declares")
        }
        let scales = Self.scales(exposure: exposure)
        var pixels = [Float](repeating: 0, count: width * height * 3)
        var line = [UInt8](repeating: 0, count: width * 4)
        for row in 0..<height {
            try scanline(&line, width: width)
            let target = (isFlippedY ? height - 1 - row : row) * width
            for column in 0..<width {
                let scale = scales[Int(line[4 * column + 3])]
                let pixel = 3 * (target + (isFlippedX ? width - 1 - column : column))
                for part in 0..<3 {
                    pixels[pixel + part] = Float(line[4 * column + part]) * scale
                }
            }
        }
        return Environment(width: width, height: height, pixels: pixels)
    }

    /// What a mantissa is worth for each of the 256 exponents: 2^(e - 136), nothing for zero.
    private static func scales(exposure: Float) -> [Float] {
        (0..<256).map { exponent in
            exponent == 0
                ? 0 : Float(sign: .plus, exponent: exponent - 136, significand: 1) / exposure
        }
    }

    /// Reads the header's lines to the empty one that ends it.
    /// - Returns: The product of all exposures.
    private mutating func header() throws(SceneError) -> Float {
        var exposure: Float = 1
        while true {
            let line = try textLine()
            if line.isEmpty { break }
            if line.hasPrefix("FORMAT=") {
                let format = line.dropFirst("FORMAT=".count).trimmingSpaces
                guard format == "32-bit_rle_rgbe" else {
                    throw .unsupported(file: file, feature: "the format '\(printable(format))'")
                }
            } else if line.hasPrefix("EXPOSURE=") {
                let text = line.dropFirst("EXPOSURE=".count).trimmingSpaces
                guard let value = Float(text), value.isFinite, value > 0 else {
                    throw malformed("it has the impossible exposure '\(printable(text))'")
                }
                exposure *= value
            }
        }
        guard exposure.isFinite, exposure >= 1e-6, exposure <= 1e6 else {
            throw malformed("it has an impossible exposure")
        }
        return exposure
    }

    /// Reads the line `-Y height +X width`; the signs tell where the picture begins.
    private mutating func resolution() throws(SceneError) -> (
        width: Int, height: Int, isFlippedX: Bool, isFlippedY: Bool
    ) {
        let line = try textLine()
        let words = line.split(separator: " ")
        guard words.count == 4, let first = Int(words[1]), let second = Int(words[3]) else {
            throw malformed("it has no resolution, but '\(printable(line))'")
        }
        switch (words[0], words[2]) {
        case ("-Y", "+X"): return (second, first, false, false)
        case ("-Y", "-X"): return (second, first, true, false)
        case ("+Y", "+X"): return (second, first, false, true)
        case ("+Y", "-X"): return (second, first, true, true)
        default:
            throw .unsupported(file: file, feature: "the orientation '\(printable(line))'")
        }
    }

    private mutating func textLine() throws(SceneError) -> String {
        let start = offset
        while offset < bytes.count, bytes[offset] != 0x0a {
            offset += 1
            guard offset - start <= Self.lineLengthMax else {
                throw malformed("its header has an endless line")
            }
        }
        guard offset < bytes.count else { throw malformed("it ends within its header") }
        var end = offset
        offset += 1
        if end > start, bytes[end - 1] == 0x0d { end -= 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    // MARK: - Scanlines

    private mutating func scanline(_ line: inout [UInt8], width: Int) throws(SceneError) {
        guard bytes.count - offset >= 4 else { throw malformed("it is truncated") }
        let isNew =
            Self.newEncodingWidths ~= width && bytes[offset] == 2 && bytes[offset + 1] == 2
            && bytes[offset + 2] < 0x80
        if isNew {
            guard Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3]) == width else {
                throw malformed("a scanline has another width than the picture")
            }
            offset += 4
            for component in 0..<4 {
                try runs(&line, component: component, width: width)
            }
        } else {
            try oldScanline(&line, width: width)
        }
    }

    /// One component of a scanline: runs (a count above 128 and a value) and literals.
    private mutating func runs(
        _ line: inout [UInt8], component: Int, width: Int
    ) throws(SceneError) {
        var column = 0
        while column < width {
            guard bytes.count - offset >= 2 else { throw malformed("it is truncated") }
            let code = Int(bytes[offset])
            let isRun = code > 128
            let count = isRun ? code - 128 : code
            guard count > 0, count <= width - column else {
                throw malformed("a run is longer than its scanline")
            }
            offset += 1
            guard bytes.count - offset >= (isRun ? 1 : count) else {
                throw malformed("it is truncated")
            }
            for index in 0..<count {
                line[4 * (column + index) + component] = bytes[offset + (isRun ? 0 : index)]
            }
            offset += isRun ? 1 : count
            column += count
        }
    }

    /// Plain pixels, where (1, 1, 1, n) repeats the pixel before n times; several of them in a row
    /// are the digits of one count in base 256, the lowest first.
    private mutating func oldScanline(_ line: inout [UInt8], width: Int) throws(SceneError) {
        var column = 0
        var shift = 0
        while column < width {
            guard bytes.count - offset >= 4 else { throw malformed("it is truncated") }
            let isRepeat =
                bytes[offset] == 1 && bytes[offset + 1] == 1 && bytes[offset + 2] == 1
            if isRepeat {
                guard column > 0, shift <= 16 else { throw malformed("a run repeats nothing") }
                let count = Int(bytes[offset + 3]) << shift
                guard count <= width - column else {
                    throw malformed("a run is longer than its scanline")
                }
                for index in 0..<(4 * count) {
                    line[4 * column + index] = line[4 * column - 4 + index % 4]
                }
                column += count
                shift += 8
            } else {
                for part in 0..<4 { line[4 * column + part] = bytes[offset + part] }
                column += 1
                shift = 0
            }
            offset += 4
        }
    }
}

extension Substring {
    /// Without spaces and tabs at both ends.
    fileprivate var trimmingSpaces: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var rest = drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return String(rest)
    }
}
