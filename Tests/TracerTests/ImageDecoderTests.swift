// Textures and environments: right pixels from good files, one clear line from bad ones.

import Testing

@testable import Tracer

@Suite("Image decoding")
struct ImageDecoderTests {
    @Test(
        "PNG of any kind becomes RGBA of 8 bits",
        arguments: [
            (ImageFixtures.rgba, [255, 0, 0, 255, 1, 2, 3, 4]),
            (ImageFixtures.palette, [30, 20, 10, 255, 9, 8, 7, 128]),
            (ImageFixtures.grey16, [255, 255, 255, 255, 128, 128, 128, 255]),
        ] as [([UInt8], [UInt8])])
    func png(bytes: [UInt8], expected: [UInt8]) throws {
        let image = try ImageDecoder.decode(bytes, file: "i.png")
        #expect(image.width == 2 && image.height == 1)
        #expect(image.pixels == expected)
    }

    @Test("JPEG becomes RGBA within the error of its compression")
    func jpeg() throws {
        let image = try ImageDecoder.decode(ImageFixtures.jpeg, file: "i.jpg")
        #expect(image.width == 16 && image.height == 8)
        for pixel in 0..<(16 * 8) {
            let expected = [pixel % 16 < 8 ? 250 : 10, 40, 200, 255]
            for part in 0..<4 {
                #expect(abs(Int(image.pixels[4 * pixel + part]) - expected[part]) < 12)
            }
        }
    }

    @Test(
        "An image that ends early is refused, wherever it ends",
        arguments: [ImageFixtures.rgba, ImageFixtures.jpeg])
    func truncated(_ whole: [UInt8]) {
        // Behind the pixels come only checksums and end marks, 16 bytes at most.
        for length in 0..<(whole.count - 16) {
            #expect(throws: SceneError.self, "\(length) bytes") {
                try ImageDecoder.decode(Array(whole.prefix(length)), file: "i")
            }
        }
    }

    @Test(
        "Any byte of an image may be wrong",
        arguments: [ImageFixtures.rgba, ImageFixtures.palette, ImageFixtures.jpeg])
    func corrupt(_ whole: [UInt8]) {
        for position in whole.indices {
            var bytes = whole
            bytes[position] ^= 0x55
            let image = try? ImageDecoder.decode(bytes, file: "i")
            #expect(image.map { $0.pixels.count == 4 * $0.width * $0.height } ?? true)
        }
    }

    @Test("A JPEG that is too short for its size is refused before memory is asked for")
    func jpegBomb() throws {
        var bytes = ImageFixtures.jpeg
        let frame = try #require(
            bytes.indices.dropLast(9).first { bytes[$0] == 0xff && bytes[$0 + 1] == 0xc0 })
        // Height and width: 16,384 each.
        bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0x40, 0, 0x40, 0])
        #expect(try ImageDecoder.size(of: bytes, file: "i").width == 16_384)
        do {
            _ = try ImageDecoder.decode(bytes, file: "i")
            Issue.record("it was decoded")
        } catch {
            #expect(error.description.contains("too short"), "\(error)")
        }
    }

    @Test("Absurd sizes are refused before memory is asked for")
    func absurdSizes() {
        #expect(throws: SceneError.tooLarge("'i' has a side of more than 32768 pixels")) {
            try ImageDecoder.size(of: ImageFixtures.huge, file: "i")
        }
        #expect(
            throws: SceneError.malformed(
                file: "i", reason: "it is too short for the size it declares")
        ) {
            try ImageDecoder.decode(ImageFixtures.bomb, file: "i")
        }
    }

    // MARK: - Environments

    /// A Radiance picture of a header and data.
    private func picture(
        _ data: [UInt8], header: String = "", size: String = "-Y 2 +X 8"
    ) -> [UInt8] {
        Array("#?RADIANCE\n\(header)FORMAT=32-bit_rle_rgbe\n\n\(size)\n".utf8) + data
    }

    /// Two scanlines in the new encoding: runs in the first, literals in the second.
    private var encoded: [UInt8] {
        var data: [UInt8] = [2, 2, 0, 8]
        for value in [128, 64, 32, 129] as [UInt8] { data += [136, value] }
        data += [2, 2, 0, 8]
        for value in [1, 2, 3, 136] as [UInt8] { data += [8] + [UInt8](repeating: value, count: 8) }
        return data
    }

    @Test("Run-length encoded scanlines are read")
    func newEncoding() throws {
        let image = try EnvironmentDecoder.decode(picture(encoded), file: "e").environment
        #expect(image.width == 8 && image.height == 2)
        #expect(Array(image.pixels.prefix(3)) == [1, 0.5, 0.25])
        #expect(Array(image.pixels.suffix(3)) == [1, 2, 3])
    }

    @Test("Exposures are taken out again, and pictures stored upside down are turned")
    func exposureAndOrientation() throws {
        let bytes = picture(encoded, header: "EXPOSURE=2\nEXPOSURE= 2\n", size: "+Y 2 -X 8")
        let image = try EnvironmentDecoder.decode(bytes, file: "e").environment
        #expect(Array(image.pixels.prefix(3)) == [0.25, 0.5, 0.75])
        #expect(Array(image.pixels.suffix(3)) == [0.25, 0.125, 0.0625])
    }

    @Test("Plain pixels and the old repeat marks are read")
    func oldEncoding() throws {
        let data: [UInt8] = [128, 0, 0, 129, 1, 1, 1, 2, 0, 128, 0, 129]
        let image = try EnvironmentDecoder.decode(
            picture(data, size: "-Y 1 +X 4"), file: "e"
        ).environment
        #expect(image.pixels == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0])
    }

    @Test("A picture that ends early is refused, wherever it ends")
    func truncatedPicture() {
        let whole = picture(encoded)
        for length in 0..<whole.count {
            #expect(throws: SceneError.self, "\(length) bytes") {
                try EnvironmentDecoder.decode(Array(whole.prefix(length)), file: "e")
            }
        }
    }

    @Test(
        "A broken picture is refused in one line",
        arguments: [
            ("-Y 0 +X 8", [], "no pixels"), ("-Y 99999 +X 99999", [], "more than"),
            ("-Y 16000 +X 16000", [], "more than"), ("-Y 1000 +X 1000", [], "too short"),
            ("-Y -2 +X 8", [], "no pixels"), ("+X 8 -Y 2", [], "orientation"),
            ("8 2", [], "no resolution"), ("-Y 2 +X 8", [2, 2, 0, 9], "another width"),
            ("-Y 1 +X 8", [2, 2, 0, 8, 137, 1, 1, 1, 1, 1, 1, 1, 1], "longer than its scanline"),
            ("-Y 1 +X 8", [2, 2, 0, 8, 0, 1, 1, 1, 1, 1, 1, 1, 1], "longer than its scanline"),
            ("-Y 1 +X 4", [1, 1, 1, 3], "repeats nothing"),
            ("-Y 1 +X 4", [9, 1, 1, 3, 1, 1, 1, 255], "longer than its scanline"),
        ] as [(String, [UInt8], String)])
    func brokenPicture(size: String, data: [UInt8], expected: String) throws {
        let error = #expect(throws: SceneError.self) {
            try EnvironmentDecoder.decode(picture(data, size: size), file: "e")
        }
        #expect(try #require(error).description.contains(expected), "\(String(describing: error))")
    }

    @Test("OpenEXR in tiles, half and float, is read")
    func tiledOpenEXR() throws {
        let image = try EnvironmentDecoder.decode(ImageFixtures.tiled, file: "e").environment
        #expect(image.width == 5 && image.height == 3)
        for pixel in 0..<15 {
            let value = Float(pixel)
            let expected = [value, value / 2, 100 - value / 4]
            #expect(Array(image.pixels[(3 * pixel)..<(3 * pixel + 3)]) == expected)
        }
    }

    @Test("OpenEXR of luminance is grey; what is no radiance becomes black and is counted")
    func greyOpenEXR() throws {
        let result = try EnvironmentDecoder.decode(ImageFixtures.grey, file: "e")
        #expect(result.environment.width == 3 && result.environment.height == 19)
        #expect(result.replacedValues == 6)
        for pixel in 0..<57 {
            let expected = pixel == 5 || pixel == 6 ? 0 : Float(pixel)
            #expect(
                Array(result.environment.pixels[(3 * pixel)..<(3 * pixel + 3)])
                    == [expected, expected, expected])
        }
    }

    @Test(
        "OpenEXR that ends early or has a wrong byte is refused or read, and never a crash",
        arguments: [ImageFixtures.tiled, ImageFixtures.grey])
    func brokenOpenEXR(_ whole: [UInt8]) {
        for length in 0..<whole.count {
            #expect(throws: SceneError.self, "\(length) bytes") {
                try EnvironmentDecoder.decode(Array(whole.prefix(length)), file: "e")
            }
        }
        for position in whole.indices {
            var bytes = whole
            bytes[position] ^= 0x81
            let result = try? EnvironmentDecoder.decode(bytes, file: "e")
            let pixels = result?.environment.pixels ?? []
            #expect(pixels.allSatisfy { $0.isFinite && $0 >= 0 })
        }
    }
}
