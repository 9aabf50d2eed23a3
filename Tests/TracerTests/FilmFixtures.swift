// Films and tiles from a seed, shared by the film's tests.

import MeshCore
import Testing

@testable import Tracer

/// A frame of 3 × 2 tiles whose right and lower tiles are cut.
func smallSpace(samples: Int = 8, width: Int = 70, height: Int = 41) throws -> WorkSpace {
    try #require(
        TileGrid(width: width, height: height).flatMap {
            WorkSpace(grid: $0, samplesPerPixel: samples)
        })
}

/// Sums as rendering makes them: beauty noisy, depth smooth, the rest within its range.
func randomTile(pixels: Int, from random: inout RandomNumbers) -> FilmTile {
    var tile = FilmTile(pixelCount: pixels)
    for index in tile.wide.indices { tile.wide[index] = Int64(random.next() >> 36) }
    for index in tile.narrow.indices {
        tile.narrow[index] = Int32(truncatingIfNeeded: random.next() >> 50) - 8_192
    }
    tile.nonFiniteSamples = Int64(random.below(3))
    return tile
}

/// A film of the units of a coverage.
func randomFilm(
    _ space: WorkSpace, _ coverage: IntervalSet, from random: inout RandomNumbers
) throws -> Film {
    var film = Film(workSpace: space)
    for range in coverage.ranges {
        for unit in range.lowerBound..<range.upperBound {
            let area = space.grid.rectangle(ofTile: space.unit(unit).tile).area
            try film.add(unit: unit, randomTile(pixels: area, from: &random))
        }
    }
    return film
}

/// Some of the units of a frame, in several ranges.
func randomCoverage(_ space: WorkSpace, from random: inout RandomNumbers) -> IntervalSet {
    var set = IntervalSet()
    for unit in 0..<space.count where random.below(3) == 0 { set.insert(unit) }
    return set
}
