// A film holds what was added to it, and says so.

import MeshCore
import Testing

@testable import Tracer

@Suite("Film")
struct FilmTests {
    @Test("A film's coverage is the units that were added, and its tiles are their sums")
    func addsUnits() throws {
        var random = RandomNumbers(seed: 1)
        let space = try smallSpace()
        var film = Film(workSpace: space)
        var expected = [FilmTile?](repeating: nil, count: space.grid.count)
        var units = Array(0..<space.count)
        random.shuffle(&units)
        for unit in units.prefix(space.count / 2) {
            let index = space.unit(unit).tile
            let area = space.grid.rectangle(ofTile: index).area
            let tile = randomTile(pixels: area, from: &random)
            try film.add(unit: unit, tile)
            if expected[index] == nil {
                expected[index] = tile
            } else {
                for at in tile.wide.indices { expected[index]?.wide[at] += tile.wide[at] }
                for at in tile.narrow.indices { expected[index]?.narrow[at] += tile.narrow[at] }
                expected[index]?.nonFiniteSamples += tile.nonFiniteSamples
            }
            film.checkInvariants()
        }
        let held = units.prefix(space.count / 2).map { SampleRange($0, $0 + 1) }
        #expect(film.coverage == IntervalSet(held))
        for index in expected.indices { #expect(film.tile(index) == expected[index]) }
        #expect(film.touchedTiles == expected.indices.filter { expected[$0] != nil })
        #expect(film.nonFiniteSamples == expected.reduce(0) { $0 + ($1?.nonFiniteSamples ?? 0) })
    }

    @Test("A unit that the film has is refused, and the film stays as it was")
    func refusesUnitTwice() throws {
        var random = RandomNumbers(seed: 2)
        let space = try smallSpace()
        var film = try randomFilm(space, IntervalSet(SampleRange(3, 9)), from: &random)
        let before = film
        let tile = FilmTile(pixelCount: space.grid.rectangle(ofTile: 4).area)
        #expect(throws: FilmError.unitCoveredAlready(4)) { try film.add(unit: 4, tile) }
        #expect(throws: FilmError.unitOutside(space.count)) {
            try film.add(unit: space.count, tile)
        }
        #expect(throws: FilmError.unitOutside(-1)) { try film.add(unit: -1, tile) }
        #expect(throws: FilmError.wrongPixelCount(tile: 0)) {
            try film.add(unit: 0, FilmTile(pixelCount: 7))
        }
        #expect(film == before)
    }

    @Test("Films of disjoint coverage add up to the same film in any order", arguments: 1...5)
    func addsFilmsInAnyOrder(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try smallSpace()
        let first = randomCoverage(space, from: &random)
        let second = randomCoverage(space, from: &random).subtracting(first)
        let third = IntervalSet(space.all).subtracting(first).subtracting(second)
        var parts: [Film] = []
        for coverage in [first, second, third] {
            parts.append(try randomFilm(space, coverage, from: &random))
        }
        var forward = Film(workSpace: space)
        for part in parts { try forward.add(part) }
        var backward = Film(workSpace: space)
        for part in parts.reversed() { try backward.add(part) }
        #expect(forward == backward)
        #expect(forward.isComplete)
        #expect(forward.sampleCount == 70 * 41 * 8)
        forward.checkInvariants()
    }

    @Test("Overlapping films, and films of different frames, are refused")
    func refusesOverlap() throws {
        var random = RandomNumbers(seed: 3)
        let space = try smallSpace()
        var film = try randomFilm(space, IntervalSet(SampleRange(0, 10)), from: &random)
        let before = film
        let other = try randomFilm(space, IntervalSet(SampleRange(9, 12)), from: &random)
        #expect(throws: FilmError.overlap(firstUnit: 9)) { try film.add(other) }
        let stranger = Film(workSpace: try smallSpace(samples: 9))
        #expect(throws: FilmError.differentWorkSpace) { try film.add(stranger) }
        #expect(throws: FilmError.differentWorkSpace) { try film.replace(with: stranger) }
        #expect(film == before)
        try film.replace(with: other)
        #expect(film == other)
    }

    @Test("Sealing moves a film out and leaves an empty one, and a copy does not change with it")
    func seals() throws {
        var random = RandomNumbers(seed: 4)
        let space = try smallSpace()
        var film = try randomFilm(space, IntervalSet(SampleRange(0, 10)), from: &random)
        let before = film
        let sealed = film.seal()
        #expect(sealed == before)
        #expect(film == Film(workSpace: space))
        #expect(film.isEmpty && film.sizeBytes == 0)
        film = sealed
        let more = try randomFilm(space, IntervalSet(SampleRange(10, 14)), from: &random)
        try film.add(more)
        #expect(sealed == before)
        #expect(film != sealed)
    }

    @Test("A touched tile takes 60 bytes a pixel, an untouched one nothing")
    func memory() throws {
        let space = try smallSpace()
        var film = Film(workSpace: space)
        #expect(film.sizeBytes == 0)
        let area = space.grid.rectangle(ofTile: 0).area
        let tile = FilmTile(pixelCount: area)
        try film.add(unit: 0, tile)
        #expect(film.sizeBytes == 60 * area)
        #expect(tile.wide.count * 8 + tile.narrow.count * 4 == 60 * area)
    }

    @Test("Adding to a film that nobody shares moves no tile in memory")
    func addsInPlace() throws {
        let space = try smallSpace()
        var film = Film(workSpace: space)
        let grid = space.grid
        for tile in 0..<grid.count {
            try film.add(unit: tile, FilmTile(pixelCount: grid.rectangle(ofTile: tile).area))
        }
        func addresses() -> [UInt] {
            film.touchedTiles.flatMap { index -> [UInt] in
                guard let tile = film.tile(index) else { return [] }
                return [
                    tile.wide.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) },
                    tile.narrow.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) },
                ]
            }
        }
        // The first add parts the film from the tiles that the loop above made.
        var second = Film(workSpace: space)
        for tile in 0..<grid.count {
            let unit = grid.count + tile
            try second.add(unit: unit, FilmTile(pixelCount: grid.rectangle(ofTile: tile).area))
        }
        let before = addresses()
        try film.add(second)
        #expect(addresses() == before)
    }

    @Test("An assembly of two streams is the sum of their films")
    func assembles() throws {
        var random = RandomNumbers(seed: 5)
        let space = try smallSpace()
        let coverage = randomCoverage(space, from: &random)
        let rest = IntervalSet(space.all).subtracting(coverage)
        let left = try randomFilm(space, coverage, from: &random)
        let right = try randomFilm(space, rest, from: &random)
        var assembly = FilmAssembly(workSpace: space)
        for index in left.touchedTiles.reversed() {
            try assembly.add(tile: index, try #require(left.tile(index)))
        }
        try assembly.add(right)
        var sum = left
        try sum.add(right)
        let film = try assembly.finish(FilmExtent(coverage: coverage.union(rest)))
        #expect(film == sum)
        film.checkInvariants()
    }

    @Test("An assembly whose tiles are not those of its coverage becomes no film")
    func assemblyChecks() throws {
        let space = try smallSpace()
        let tile = FilmTile(pixelCount: space.grid.rectangle(ofTile: 0).area)
        var assembly = FilmAssembly(workSpace: space)
        #expect(throws: FilmError.tileOutside(6)) { try assembly.add(tile: 6, tile) }
        #expect(throws: FilmError.wrongPixelCount(tile: 0)) {
            try assembly.add(tile: 0, FilmTile(pixelCount: 1))
        }
        try assembly.add(tile: 0, tile)
        let whole = assembly
        #expect(throws: FilmError.missingTile(1)) {
            try whole.finish(FilmExtent(coverage: IntervalSet(SampleRange(0, 2))))
        }
        #expect(throws: FilmError.tileWithoutUnits(0)) {
            try whole.finish(FilmExtent())
        }
        #expect(throws: FilmError.unitOutside(space.count)) {
            try whole.finish(
                FilmExtent(coverage: IntervalSet(SampleRange(0, space.count + 1))))
        }
    }

    @Test("Canonical bytes are the header, the coverage and the planes, and tell films apart")
    func canonicalBytes() throws {
        let space = try smallSpace()
        var film = Film(workSpace: space)
        let area = space.grid.rectangle(ofTile: 0).area
        var tile = FilmTile(pixelCount: area)
        tile.wide[1] = -2
        tile.narrow[0] = 5
        tile.nonFiniteSamples = 9
        try film.add(unit: 0, tile)
        func bytes(_ film: Film) -> [UInt8] {
            var bytes: [UInt8] = []
            film.forEachCanonicalChunk { bytes.append(contentsOf: $0) }
            return bytes
        }
        var expected = ByteWriter()
        for number: UInt32 in [70, 41, 32, 8] { expected.write(number) }
        for number: UInt64 in [1, 0, 1] { expected.write(number) }
        for index in 0..<(4 * area) { expected.write(Int64(index == 1 ? -2 : 0)) }
        for index in 0..<(7 * area) { expected.write(Int32(index == 0 ? 5 : 0)) }
        expected.write(Int64(9))
        #expect(bytes(film) == expected.bytes)
        var other = Film(workSpace: space)
        try other.add(unit: space.grid.count, tile)
        #expect(bytes(other) != bytes(film))
    }
}
