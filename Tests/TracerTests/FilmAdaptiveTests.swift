// Films of adaptive frames: what is waived is covered and has no samples, wherever a film goes.

import MeshCore
import Testing

@testable import Tracer

@Suite("Films of adaptive frames")
struct FilmAdaptiveTests {
    /// Six tiles; stages of 16, 16, 16 and 16 samples.
    private func space() throws -> WorkSpace { try smallSpace(samples: 64, isAdaptive: true) }

    @Test("A unit's sums enter the tile that the unit is of, in every stage")
    func places() throws {
        let space = try space()
        for unit in 0..<space.count {
            let tile = space.unit(unit).tile
            let area = space.grid.rectangle(ofTile: tile).area
            var film = Film(workSpace: space)
            try film.add(unit: unit, FilmTile(pixelCount: area, isAdaptive: true))
            #expect(film.touchedTiles == [tile])
            film.checkInvariants()
        }
    }

    @Test("Waived units are covered, touch no tile, and count no samples")
    func waiving() throws {
        let space = try space()
        var film = Film(workSpace: space)
        let tile = IntervalSet(space.units(ofTile: 3, inStage: 1))
        try film.waive(tile)
        #expect(film.coverage == tile && film.waived == tile)
        #expect(film.touchedTiles.isEmpty && film.sizeBytes == 0 && film.sampleCount == 0)
        film.checkInvariants()

        var random = RandomNumbers(seed: 1)
        let first = IntervalSet(space.units(ofStage: 0))
        try film.add(try randomFilm(space, first, from: &random))
        #expect(film.sampleCount == 70 * 41 * 16)
        #expect(film.waived == tile && !film.isComplete)
        #expect(film.sizeBytes == 68 * 70 * 41)
        try film.waive(IntervalSet(space.all).subtracting(film.coverage))
        #expect(film.isComplete)
        #expect(film.sampleCount == 70 * 41 * 16)
        #expect(Set(FilmImage(film).samples) == [16])
        film.checkInvariants()
    }

    @Test("What must not be waived is refused, and the film stays as it was")
    func refusals() throws {
        let space = try space()
        let end = space.units(ofStage: 0).upperBound
        var film = Film(workSpace: space)
        let tile = FilmTile(
            pixelCount: space.grid.rectangle(ofTile: 0).area, isAdaptive: true)
        try film.add(unit: end, tile)
        let before = film
        #expect(throws: FilmError.unitCoveredAlready(end)) {
            try film.waive(IntervalSet(SampleRange(end, end + 2)))
        }
        #expect(throws: FilmError.notWaivable(end - 1)) {
            try film.waive(IntervalSet(SampleRange(end - 1, end)))
        }
        #expect(throws: FilmError.unitOutside(space.count)) {
            try film.waive(IntervalSet(SampleRange(end + 1, space.count + 1)))
        }
        #expect(film == before)
        // Neither is a unit of a waived range rendered, nor a film of it added.
        try film.waive(IntervalSet(SampleRange(end + 1, end + 3)))
        #expect(throws: FilmError.unitCoveredAlready(end + 1)) {
            try film.add(unit: end + 1, tile)
        }
        var other = Film(workSpace: space)
        try other.waive(IntervalSet(SampleRange(end + 2, end + 9)))
        #expect(throws: FilmError.overlap(firstUnit: end + 2)) { try film.add(other) }

        var plain = Film(workSpace: try smallSpace(samples: 64))
        #expect(throws: FilmError.notWaivable(end)) {
            try plain.waive(IntervalSet(SampleRange(end, end + 1)))
        }
        #expect(throws: FilmError.differentWorkSpace) { try plain.add(film) }
    }

    @Test("A tile with the planes of another kind of frame is refused")
    func planes() throws {
        let space = try space()
        let area = space.grid.rectangle(ofTile: 0).area
        var film = Film(workSpace: space)
        #expect(throws: FilmError.wrongPlanes(tile: 0)) {
            try film.add(unit: 0, FilmTile(pixelCount: area))
        }
        var plain = FilmAssembly(workSpace: try smallSpace(samples: 64))
        #expect(throws: FilmError.wrongPlanes(tile: 0)) {
            try plain.add(tile: 0, FilmTile(pixelCount: area, isAdaptive: true))
        }
        var bytes: [UInt8] = []
        FilmTile(pixelCount: area, isAdaptive: true).pack(into: &bytes)
        let packed = try PackedTile(checking: bytes[...], pixelCount: area, isAdaptive: true)
        #expect(throws: FilmError.wrongPlanes(tile: 0)) { try plain.add(tile: 0, packed) }
        #expect(throws: MalformedBytes.invalid("length of a packed tile")) {
            try PackedTile(checking: bytes[...], pixelCount: area)
        }
    }

    @Test("Films with waived units add up in any order", arguments: 1...5)
    func order(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try space()
        var rest = IntervalSet(space.all)
        var parts: [Film] = []
        for _ in 0..<4 {
            parts.append(try randomAdaptiveFilm(space, within: rest, from: &random))
            rest.subtract(parts[parts.count - 1].coverage)
        }
        var forward = Film(workSpace: space)
        for part in parts { try forward.add(part) }
        var backward = Film(workSpace: space)
        for part in parts.reversed() { try backward.add(part) }
        #expect(forward == backward)
        forward.checkInvariants()
        let samples = parts.reduce(0) { $0 + $1.sampleCount }
        #expect(forward.sampleCount == samples)
        for tile in 0..<space.grid.count {
            #expect(forward.noise(ofTile: tile) == backward.noise(ofTile: tile))
        }
        // Without its samples a unit is another film than with samples that are all zero.
        let unit = space.count - 1
        var waived = Film(workSpace: space)
        try waived.waive(IntervalSet(SampleRange(unit, unit + 1)))
        var black = Film(workSpace: space)
        let area = space.grid.rectangle(ofTile: space.unit(unit).tile).area
        try black.add(unit: unit, FilmTile(pixelCount: area, isAdaptive: true))
        #expect(waived != black)
    }

    @Test("Samples and tiles are counted as if unit by unit", arguments: 1...10)
    func counts(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try smallSpace(samples: 100 + random.below(60), isAdaptive: true)
        let film = try randomAdaptiveFilm(space, within: IntervalSet(space.all), from: &random)
        var expected = [SampleCounts](repeating: SampleCounts(), count: space.grid.count)
        var sampleCount = 0
        for unit in 0..<space.count
        where film.coverage.contains(unit) && !film.waived.contains(unit) {
            let (tile, samples) = (space.unit(unit).tile, space.unit(unit).samples)
            expected[tile].all += samples.count
            expected[tile].control += samples.count(where: ControlSamples.contains)
            sampleCount += samples.count * space.grid.rectangle(ofTile: tile).area
        }
        #expect(space.samplesPerPixel(ofTilesIn: film.extent) == expected.map(\.all))
        #expect(film.touchedTiles == expected.indices.filter { expected[$0].all > 0 })
        #expect(film.sampleCount == sampleCount)
        for tile in expected.indices {
            let counts = space.sampleCounts(ofTile: tile, in: film.extent)
            #expect(counts.all == expected[tile].all && counts.control == expected[tile].control)
        }
        let image = FilmImage(film)
        for tile in expected.indices {
            let place = space.grid.rectangle(ofTile: tile)
            #expect(image.samples[place.y * 70 + place.x] == expected[tile].all)
        }
    }

    private func encode(_ film: Film) -> [UInt8] {
        var encoder = FilmStreamEncoder(film)
        var bytes: [UInt8] = []
        while let chunk = encoder.nextChunk(tiles: 3) { bytes += chunk }
        return bytes
    }

    private func decode(_ bytes: [UInt8], _ space: WorkSpace, pieces: Int) throws -> Film {
        var decoder = FilmStreamDecoder(workSpace: space)
        var assembly = FilmAssembly(workSpace: space)
        for offset in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = Array(bytes[offset..<min(bytes.count, offset + pieces)])
            for tile in try decoder.read(piece) { try assembly.add(tile: tile.index, tile.sums) }
        }
        try decoder.finish()
        return try assembly.finish(try #require(decoder.extent))
    }

    @Test("A film comes back from its stream with what it waives", arguments: 1...10)
    func stream(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try space()
        let all = IntervalSet(space.all)
        let film = try randomAdaptiveFilm(space, within: all, from: &random)
        let back = try decode(encode(film), space, pieces: 1 + random.below(3_000))
        #expect(back == film)
        back.checkInvariants()
        // A film of waived units only is a head and an end.
        var spared = Film(workSpace: space)
        try spared.waive(IntervalSet(space.units(ofStage: 2)))
        let bytes = encode(spared)
        #expect(bytes.count < 30)
        #expect(try decode(bytes, space, pieces: 7) == spared)
    }

    @Test("The head has the mark and the waived units in adaptive frames only")
    func head() throws {
        let coverage = IntervalSet([SampleRange(0, 4), SampleRange(30, 40)])
        let plain = FilmStream.head(
            workSpace: try smallSpace(samples: 64), extent: FilmExtent(coverage: coverage))
        #expect(plain == [70, 41, 32, 64, 2, 0, 3, 26, 9])
        let extent = FilmExtent(
            coverage: coverage, waived: IntervalSet(SampleRange(33, 35)))
        let adaptive = FilmStream.head(workSpace: try space(), extent: extent)
        #expect(adaptive == plain + [1, 1, 33, 1])
    }

    @Test("Heads that lie about what is waived are refused, each for its reason")
    func lies() throws {
        let space = try space()
        let end = UInt8(space.units(ofStage: 0).upperBound)
        let geometry: [UInt8] = [70, 41, 32, 64]
        let cases: [(head: [UInt8], reason: String)] = [
            (geometry + [1, end, 0], "film: it belongs to a frame that is not adaptive"),
            (geometry + [1, end, 0, 2, 0], "film: it belongs to a frame that is not adaptive"),
            (geometry + [1, end, 3, 1, 1, end - 1, 2], "waived units: they are for all tiles"),
            (geometry + [1, end, 3, 1, 1, end, 4], "waived units: they are not in the coverage"),
            (geometry + [0, 1, 1, 255, 1, 0], "waived units: they are for all tiles"),
            (geometry + [0, 1, 0, 0], "length of a film's head"),
        ]
        for (head, reason) in cases {
            let bytes = FilmStream.magic + [UInt8(head.count), 0, 0, 0] + head
            var decoder = FilmStreamDecoder(workSpace: space)
            #expect(throws: MalformedBytes.invalid(reason)) { try decoder.read(bytes) }
        }
        var plain = FilmStreamDecoder(workSpace: try smallSpace(samples: 64))
        #expect(throws: MalformedBytes.invalid("length of a film's head")) {
            try plain.read(encode(Film(workSpace: space)))
        }
    }

    @Test("A corrupted stream never traps and never gives a film of false shape", arguments: 1...10)
    func corruption(seed: UInt64) throws {
        var random = RandomNumbers(seed: 50 + seed)
        let space = try smallSpace(samples: 40, width: 40, height: 20, isAdaptive: true)
        let all = IntervalSet(space.all)
        let good = encode(try randomAdaptiveFilm(space, within: all, from: &random))
        var refused = 0
        for _ in 0..<200 {
            var bytes = good
            for _ in 0...random.below(3) {
                let reach = random.below(2) == 0 ? min(60, bytes.count) : bytes.count
                bytes[random.below(reach)] = UInt8(random.below(256))
            }
            do {
                let back = try decode(bytes, space, pieces: 4_096)
                back.checkInvariants()
                for tile in 0..<space.grid.count {
                    #expect(back.noise(ofTile: tile)?.isNaN != true)
                }
            } catch is MalformedBytes {
                refused += 1
            }
        }
        #expect(refused > 50)
    }

    @Test("An assembly becomes no film that waives what must not be waived")
    func assembly() throws {
        let space = try space()
        let first = IntervalSet(SampleRange(0, 1))
        #expect(throws: FilmError.notWaivable(0)) {
            try FilmAssembly(workSpace: space).finish(FilmExtent(coverage: first, waived: first))
        }
        let later = IntervalSet(space.units(ofStage: 1))
        #expect(throws: FilmError.notWaivable(later.first ?? 0)) {
            try FilmAssembly(workSpace: try smallSpace(samples: 64)).finish(
                FilmExtent(coverage: later, waived: later))
        }
        // Of what is sampled the tiles must be there, of what is waived none.
        #expect(throws: FilmError.missingTile(0)) {
            try FilmAssembly(workSpace: space).finish(FilmExtent(coverage: later))
        }
        let film = try FilmAssembly(workSpace: space).finish(
            FilmExtent(coverage: later, waived: later))
        #expect(film.waived == later)
    }

    @Test("Canonical bytes have the mark, what is waived, and the plane of the control samples")
    func canonicalBytes() throws {
        let space = try space()
        let end = space.units(ofStage: 0).upperBound
        let area = space.grid.rectangle(ofTile: 0).area
        var film = Film(workSpace: space)
        var tile = FilmTile(pixelCount: area, isAdaptive: true)
        tile.wide[4 * area] = 77
        try film.add(unit: end, tile)
        try film.waive(IntervalSet(SampleRange(end + 3, end + 5)))
        var expected = ByteWriter()
        for number: UInt32 in [70, 41, 32, 64 | 1 << 31] { expected.write(number) }
        let bound = UInt64(end)
        for number in [2, bound, bound + 1, bound + 3, bound + 5, 1, bound + 3, bound + 5] {
            expected.write(number)
        }
        for index in 0..<(5 * area) { expected.write(Int64(index == 4 * area ? 77 : 0)) }
        for _ in 0..<(7 * area) { expected.write(Int32(0)) }
        expected.write(Int64(0))
        var bytes: [UInt8] = []
        film.forEachCanonicalChunk { bytes.append(contentsOf: $0) }
        #expect(bytes == expected.bytes)
    }
}
