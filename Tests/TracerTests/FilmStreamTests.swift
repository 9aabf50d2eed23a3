// A film's stream, cut in any pieces, gives the film back, and nothing else gives a film.

import MeshCore
import Testing

@testable import Tracer

@Suite("Film stream")
struct FilmStreamTests {
    private func encode(_ film: Film, tiles: Int = 2) -> [UInt8] {
        var encoder = FilmStreamEncoder(film)
        var bytes: [UInt8] = []
        while let chunk = encoder.nextChunk(tiles: tiles) { bytes += chunk }
        return bytes
    }

    /// Reads a stream in pieces of random size.
    private func decode(
        _ bytes: [UInt8], _ space: WorkSpace, pieces: Int, from random: inout RandomNumbers
    ) throws -> Film {
        var decoder = FilmStreamDecoder(workSpace: space)
        var assembly = FilmAssembly(workSpace: space)
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, offset + 1 + random.below(pieces))
            for tile in try decoder.read(Array(bytes[offset..<end])) {
                try assembly.add(tile: tile.index, tile.sums)
            }
            offset = end
        }
        try decoder.finish()
        return try assembly.finish(decoder.extent ?? FilmExtent())
    }

    @Test("A film comes back from pieces of any size", arguments: [1, 5, 1_000, 1 << 20])
    func roundTrip(pieces: Int) throws {
        var random = RandomNumbers(seed: UInt64(pieces))
        let space = try smallSpace()
        for coverage in [
            IntervalSet(), IntervalSet(SampleRange(4, 5)), randomCoverage(space, from: &random),
            IntervalSet(space.all),
        ] {
            let film = try randomFilm(space, coverage, from: &random)
            let back = try decode(
                encode(film, tiles: 1 + random.below(4)), space, pieces: pieces, from: &random)
            #expect(back == film)
        }
    }

    @Test("A parent's stream of sums, tile by tile, is the stream of the sum")
    func sums() throws {
        var random = RandomNumbers(seed: 9)
        let space = try smallSpace()
        let left = try randomFilm(space, IntervalSet(SampleRange(0, 3)), from: &random)
        let right = try randomFilm(space, IntervalSet(SampleRange(7, 11)), from: &random)
        let coverage = left.coverage.union(right.coverage)
        var writer = FilmStreamWriter(workSpace: space, extent: FilmExtent(coverage: coverage))
        var bytes: [UInt8] = []
        while let index = writer.nextTile {
            var tile = FilmTile(pixelCount: space.grid.rectangle(ofTile: index).area)
            for film in [left, right] { if let part = film.tile(index) { tile.add(part) } }
            writer.write(tile: index, tile, into: &bytes)
        }
        writer.writeEnd(into: &bytes)
        var sum = left
        try sum.add(right)
        #expect(bytes == encode(sum))
    }

    @Test("A stream cut anywhere is not complete, and bytes behind its end are refused")
    func truncation() throws {
        var random = RandomNumbers(seed: 10)
        let space = try smallSpace(width: 33, height: 9)
        let film = try randomFilm(space, IntervalSet(SampleRange(1, 4)), from: &random)
        let bytes = encode(film)
        for length in 0..<bytes.count {
            var decoder = FilmStreamDecoder(workSpace: space)
            _ = try decoder.read(Array(bytes.prefix(length)))
            #expect(!decoder.isComplete)
            #expect(throws: MalformedBytes.truncated) { try decoder.finish() }
        }
        var decoder = FilmStreamDecoder(workSpace: space)
        _ = try decoder.read(bytes)
        #expect(decoder.isComplete)
        #expect(throws: MalformedBytes.invalid("bytes after a film's end")) {
            try decoder.read([0])
        }
        #expect(throws: MalformedBytes.invalid("bytes after a film's end")) {
            try decoder.read([])
        }
    }

    @Test("A film of another frame is refused")
    func otherFrame() throws {
        let space = try smallSpace()
        let film = Film(workSpace: try smallSpace(samples: 16))
        var decoder = FilmStreamDecoder(workSpace: space)
        #expect(throws: MalformedBytes.invalid("film: it belongs to another frame")) {
            try decoder.read(encode(film))
        }
        var other = FilmStreamDecoder(workSpace: space)
        #expect(throws: MalformedBytes.invalid("start of a film's stream")) {
            try other.read(Array("mfsX".utf8))
        }
    }

    /// A stream written by hand: head of a coverage, then elements.
    private func stream(
        _ space: WorkSpace, _ ranges: [(Int, Int)], _ elements: [[UInt8]]
    ) -> [UInt8] {
        let coverage = IntervalSet(ranges.map { SampleRange($0.0, $0.1) })
        let head = FilmStream.head(
            workSpace: space, extent: FilmExtent(coverage: coverage))
        var writer = ByteWriter()
        writer.write(contentsOf: FilmStream.magic)
        writer.write(UInt32(head.count))
        writer.write(contentsOf: head)
        for element in elements { writer.write(contentsOf: element) }
        return writer.bytes
    }

    /// A tile of zeros: its step, length and packed bytes.
    private func element(step: UInt8, pixels: Int) -> [UInt8] {
        var packed: [UInt8] = []
        FilmTile(pixelCount: pixels).pack(into: &packed)
        var writer = ByteWriter()
        writer.write(step)
        writer.write(UInt32(packed.count))
        writer.write(contentsOf: packed)
        return writer.bytes
    }

    @Test("Streams that lie about their tiles or coverage are refused, each for its reason")
    func lies() throws {
        let space = try smallSpace()
        let area = space.grid.rectangle(ofTile: 0).area
        let tile = element(step: 1, pixels: area)
        let missing = "film: a tile of its coverage is missing"
        let cases: [(bytes: [UInt8], reason: String)] = [
            (stream(space, [(0, space.count + 1)], []), "coverage: it leaves the frame"),
            (stream(space, [(0, 2)], [tile, [0]]), missing),
            (stream(space, [(0, 1), (5, 6)], [[6]]), missing),
            (stream(space, [(0, 1)], [tile, tile]), "tile without a unit in the coverage"),
            (stream(space, [(0, 1)], [[7]]), "tile index"),
            (stream(space, [(0, 1)], [[0xff, 0xff, 0xff, 0xff, 0xff]]), "tile index"),
            (
                stream(space, [(0, 1)], [element(step: 1, pixels: area + 1_000)]),
                "length of a packed tile"
            ),
            (
                stream(space, [(0, 1)], [[1, 0xff, 0xff, 0xff, 0xff]]),
                "length of a packed tile"
            ),
            (FilmStream.magic + [0xff, 0xff, 0xff, 0xff], "length of a film's head"),
        ]
        for (bytes, reason) in cases {
            var decoder = FilmStreamDecoder(workSpace: space)
            #expect(throws: MalformedBytes.invalid(reason)) { try decoder.read(bytes) }
            // A failed decoder stays failed.
            #expect(throws: MalformedBytes.invalid(reason)) { try decoder.read([]) }
        }
        var fair = FilmStreamDecoder(workSpace: space)
        #expect(try fair.read(stream(space, [(0, 1)], [tile, [0]])).map(\.index) == [0])
        #expect(fair.isComplete)
    }

    @Test("A corrupted stream never traps and never gives a film of false shape", arguments: 1...20)
    func corruption(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try smallSpace(width: 40, height: 20)
        let film = try randomFilm(space, randomCoverage(space, from: &random), from: &random)
        let good = encode(film)
        var refused = 0
        for _ in 0..<200 {
            var bytes = good
            for _ in 0...random.below(3) {
                // The head and the first lengths more often than their share.
                let reach = random.below(2) == 0 ? min(40, bytes.count) : bytes.count
                bytes[random.below(reach)] = UInt8(random.below(256))
            }
            do {
                let back = try decode(bytes, space, pieces: 4_096, from: &random)
                back.checkInvariants()
            } catch is MalformedBytes {
                refused += 1
            }
        }
        #expect(refused > 50)
    }
}
