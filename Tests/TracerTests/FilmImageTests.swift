// A resolved film shows the mean of each pixel's own samples.

import MeshCore
import Testing

@testable import Tracer

@Suite("Film image")
struct FilmImageTests {
    @Test("Each tile is divided by its own samples, and a pixel without samples is transparent")
    func incomplete() throws {
        let space = try smallSpace()
        let grid = space.grid
        // Tile 0 has passes 0 and 2 (1 + 2 samples), tile 1 pass 0 only, tile 2 nothing.
        var film = Film(workSpace: space)
        func sums(_ tile: Int, samples: Int64) -> FilmTile {
            let area = grid.rectangle(ofTile: tile).area
            var sums = FilmTile(pixelCount: area)
            for pixel in 0..<area {
                sums.wide[pixel] = samples * (2 << 24)
                sums.wide[area + pixel] = samples * (1 << 23)
                sums.wide[2 * area + pixel] = samples * Int64(pixel) << 24
                sums.wide[3 * area + pixel] = 5 << 16
                sums.narrow[pixel] = 1
                sums.narrow[area + pixel] = Int32(samples) << 13
                sums.narrow[6 * area + pixel] = -Int32(samples) << 14
            }
            return sums
        }
        try film.add(unit: 0, sums(0, samples: 1))
        try film.add(unit: 2 * grid.count, sums(0, samples: 2))
        var miss = sums(1, samples: 1)
        let area = grid.rectangle(ofTile: 1).area
        for pixel in 0..<area {
            miss.narrow[pixel] = 0
            miss.wide[3 * area + pixel] = 0
        }
        try film.add(unit: 1, miss)
        let image = FilmImage(film)

        let first = grid.rectangle(ofTile: 0)
        for (x, y) in [(0, 0), (3, 7), (first.width - 1, first.height - 1)] {
            let at = (first.x + x, first.y + y)
            func value(_ plane: FilmImage.Plane) -> Float { image.value(plane, x: at.0, y: at.1) }
            #expect(value(.red) == 2)
            #expect(value(.green) == 0.5)
            #expect(value(.blue) == Float(y * first.width + x))
            #expect(value(.alpha) == Float(2.0 / 3))
            #expect(value(.albedoRed) == 0.5)
            #expect(value(.normalZ) == -1)
            #expect(value(.normalY) == 0 && value(.normalX) == 0 && value(.albedoBlue) == 0)
            #expect(value(.depth) == 5)
            #expect(image.samples[at.1 * image.width + at.0] == 3)
        }
        let second = grid.rectangle(ofTile: 1)
        #expect(image.value(.red, x: second.x, y: second.y) == 2)
        #expect(image.value(.alpha, x: second.x, y: second.y) == 0)
        #expect(image.value(.depth, x: second.x, y: second.y) == .infinity)
        let third = grid.rectangle(ofTile: 2)
        for plane in FilmImage.Plane.allCases where plane != .depth {
            #expect(image.value(plane, x: third.x, y: third.y) == 0)
        }
        #expect(image.value(.depth, x: third.x, y: third.y) == .infinity)
        #expect(image.samples[third.y * image.width + third.x] == 0)
    }

    @Test("The samples of the tiles add up to the samples of the film", arguments: 1...5)
    func sampleCounts(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try smallSpace(samples: 37)
        let coverage = randomCoverage(space, from: &random)
        let counts = space.samplesPerPixel(ofTilesIn: FilmExtent(coverage: coverage))
        let sum = counts.indices.reduce(0) {
            $0 + counts[$1] * space.grid.rectangle(ofTile: $1).area
        }
        #expect(sum == space.sampleCount(of: coverage))
        #expect(
            space.samplesPerPixel(ofTilesIn: FilmExtent(coverage: IntervalSet(space.all)))
                .allSatisfy { $0 == 37 })
    }
}
