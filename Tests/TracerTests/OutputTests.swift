// Pictures come back from their files as they were, and a failure leaves the old file alone.

import COpenEXR
import Foundation
import Glibc
import MeshCore
import Testing

@testable import Tracer

@Suite("Output")
struct OutputTests {
    /// A film of some units with sums in the range of real ones.
    private func film(seed: UInt64) throws -> Film {
        var random = RandomNumbers(seed: seed)
        let space = try smallSpace()
        var film = Film(workSpace: space)
        for unit in 0..<(2 * space.grid.count - 1) where unit % 6 != 4 {
            let area = space.grid.rectangle(ofTile: space.unit(unit).tile).area
            var tile = FilmTile(pixelCount: area)
            for pixel in 0..<area {
                for plane in 0..<3 {
                    tile.wide[plane * area + pixel] = Int64(random.below(3 << 24))
                }
                tile.wide[3 * area + pixel] = Int64(random.below(100 << 16))
                tile.narrow[pixel] = Int32(random.below(2))
                for plane in 1...3 {
                    tile.narrow[plane * area + pixel] = Int32(random.below(1 << 14))
                }
                for plane in 4...6 {
                    tile.narrow[plane * area + pixel] = Int32(random.below(1 << 15)) - 1 << 14
                }
            }
            try film.add(unit: unit, tile)
        }
        return film
    }

    @Test("An EXR file gives back every plane, its types and its metadata")
    func exr() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/picture.EXR"
        let film = try film(seed: 1)
        try PictureWriter().write(
            film, to: path,
            metadata: [
                PictureAttribute("software", .string("meshd ü")),
                PictureAttribute("meshd/samples", .int(16)),
                PictureAttribute("meshd/raysTraced", .int(1 << 40)),
                PictureAttribute("meshd/seconds", .double(1.25)),
            ])
        #expect(folder.names == ["picture.EXR"])
        let image = FilmImage(film)
        let read = try EXRContents(
            path: path, strings: ["software"], ints: ["meshd/samples"],
            doubles: ["meshd/seconds", "meshd/raysTraced"])
        #expect(read.width == 70 && read.height == 41)
        #expect(read.compression == EXR_COMPRESSION_ZIP)
        #expect(read.strings["software"] == "meshd ü")
        #expect(read.ints["meshd/samples"] == 16)
        #expect(read.doubles["meshd/seconds"] == 1.25)
        #expect(read.doubles["meshd/raysTraced"] == 0x1p40)
        let names: [(String, FilmImage.Plane)] = [
            ("R", .red), ("G", .green), ("B", .blue), ("A", .alpha), ("albedo.R", .albedoRed),
            ("albedo.G", .albedoGreen), ("albedo.B", .albedoBlue), ("normal.X", .normalX),
            ("normal.Y", .normalY), ("normal.Z", .normalZ), ("depth.Z", .depth),
        ]
        #expect(Set(read.channels.keys) == Set(names.map(\.0) + ["samples"]))
        let area = 70 * 41
        for (name, plane) in names {
            let start = plane.rawValue * area
            let expected = image.values[start..<(start + area)].map {
                plane == .depth ? $0 : Float(Float16($0))
            }
            #expect(read.channels[name] == expected, "channel \(name)")
            #expect(read.types[name] == (plane == .depth ? EXR_PIXEL_FLOAT : EXR_PIXEL_HALF))
        }
        #expect(read.channels["samples"] == image.samples.map { Float($0) })
        #expect(read.types["samples"] == EXR_PIXEL_UINT)
        #expect(Set(image.samples) == [0, 1, 2])
    }

    @Test("The file of an adaptive frame shows the error and the samples of each tile")
    func exrOfAdaptiveFrame() throws {
        var random = RandomNumbers(seed: 5)
        let space = try smallSpace(samples: 64, isAdaptive: true)
        let film = try randomAdaptiveFilm(
            space, within: IntervalSet(space.all), from: &random)
        let folder = try TemporaryFolder()
        let path = folder.path + "/picture.exr"
        try PictureWriter().write(film, to: path, metadata: [])
        let image = FilmImage(film)
        let read = try EXRContents(path: path, strings: [], ints: [], doubles: [])
        let noise = try #require(image.noise)
        #expect(read.channels["noise"] == noise)
        #expect(read.types["noise"] == EXR_PIXEL_FLOAT)
        #expect(Set(noise).count > 12)
        #expect(read.channels["samples"] == image.samples.map { Float($0) })
        #expect(Set(image.samples).count > 2)
    }

    @Test("Light beyond a half is written as the largest half")
    func brightLight() throws {
        let folder = try TemporaryFolder()
        let space = try smallSpace(width: 8, height: 8)
        var tile = FilmTile(pixelCount: 64)
        tile.wide[0] = 1 << 46
        var film = Film(workSpace: space)
        try film.add(unit: 0, tile)
        let path = folder.path + "/bright.exr"
        try PictureWriter().write(film, to: path)
        #expect(try EXRContents(path: path).channels["R"]?.first == 65_504)
        #expect(FilmImage(film).value(.red, x: 0, y: 0) == 4_194_304)
    }

    @Test("A PNG file gives back the view, declared as sRGB, with its metadata")
    func png() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/picture.png"
        let film = try film(seed: 2)
        let writer = PictureWriter(view: ViewTransform(exposure: 0.5, look: .punchy))
        try writer.write(
            film, to: path,
            metadata: [
                PictureAttribute("Software", .string("meshd ü")),
                PictureAttribute("samples", .int(16)),
            ])
        let read = try PNGContents(path: path)
        #expect(read.width == 70 && read.height == 41)
        #expect(read.intent == 0)
        #expect(read.pixels == writer.view.bytes(of: FilmImage(film)))
        #expect(read.texts == ["Software": "meshd ü", "samples": "16"])
        #expect(Set(read.pixels).count > 100)
    }

    @Test("A new picture takes the old one's place, and a failed one leaves it")
    func atomic() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/picture.png"
        try PictureWriter().write(try film(seed: 3), to: path)
        let old = try Data(contentsOf: URL(fileURLWithPath: path))
        // libspng refuses an empty keyword.
        #expect(throws: OutputError.self) {
            try PictureWriter().write(
                try film(seed: 4), to: path, metadata: [PictureAttribute("", .int(1))])
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == old)
        #expect(folder.names == ["picture.png"])
        try PictureWriter().write(try film(seed: 4), to: path)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) != old)
        #expect(folder.names == ["picture.png"])
    }

    @Test("A path that can't be written is found before anything is rendered")
    func check() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.path + "/dir.png", withIntermediateDirectories: false)
        try Data().write(to: URL(fileURLWithPath: folder.path + "/file"))
        func error(_ name: String) -> OutputError? {
            do throws(OutputError) {
                try PictureWriter.check(path: name)
                return nil
            } catch {
                return error
            }
        }
        let base = folder.path
        #expect(error(base + "/a.jpg") == .unknownExtension(path: base + "/a.jpg"))
        #expect(error(base + "/png") == .unknownExtension(path: base + "/png"))
        #expect(error(base + "/.png") == .unknownExtension(path: base + "/.png"))
        #expect(error("") == .unknownExtension(path: ""))
        #expect(
            error(base + "/no/a.png")
                == .folderMissing(path: base + "/no/a.png", folder: base + "/no"))
        #expect(
            error(base + "/file/a.exr")
                == .folderMissing(path: base + "/file/a.exr", folder: base + "/file"))
        #expect(error(base + "/dir.png") == .isFolder(path: base + "/dir.png"))
        // The kernel lets nobody make a file there.
        guard case .notWritable? = error("/proc/a.png") else {
            Issue.record("a file in /proc was allowed")
            return
        }
        #expect(error(base + "/" + String(repeating: "x", count: 240) + ".png") == nil)
        #expect(error(base + "/a.PNG") == nil)
        #expect(folder.names == ["dir.png", "file"])
    }

    @Test("A full disk is named in the system's words, in both formats")
    func fullDisk() throws {
        let image = FilmImage(try film(seed: 5))
        func full() throws -> AtomicFile {
            let descriptor = open("/dev/full", O_WRONLY)
            try #require(descriptor >= 0)
            return AtomicFile(path: "out", temporaryPath: "", descriptor: descriptor)
        }
        let expected = OutputError.failed(
            path: "out", operation: "write", reason: String(cString: strerror(ENOSPC)))
        #expect(throws: expected) { try EXRFile.write(image, attributes: [], to: try full()) }
        #expect(throws: expected) {
            try PNGFile.write(
                ViewTransform().bytes(of: image), width: image.width, height: image.height,
                attributes: [], to: try full())
        }
        #expect("\(expected)" == "cannot write 'out': write: No space left on device")
    }
}
