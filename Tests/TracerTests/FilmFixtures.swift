// Films and tiles from a seed, shared by the film's tests.

import MeshCore
import Testing

@testable import Tracer

/// A frame of 3 × 2 tiles whose right and lower tiles are cut.
func smallSpace(
    samples: Int = 8, width: Int = 70, height: Int = 41, isAdaptive: Bool = false
) throws -> WorkSpace {
    try #require(
        TileGrid(width: width, height: height).flatMap {
            WorkSpace(grid: $0, samplesPerPixel: samples, isAdaptive: isAdaptive)
        })
}

/// Sums as rendering makes them: beauty noisy, depth smooth, the rest within its range.
func randomTile(
    pixels: Int, isAdaptive: Bool = false, from random: inout RandomNumbers
) -> FilmTile {
    var tile = FilmTile(pixelCount: pixels, isAdaptive: isAdaptive)
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
            let tile = randomTile(pixels: area, isAdaptive: space.isAdaptive, from: &random)
            try film.add(unit: unit, tile)
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

/// A film of an adaptive frame: some units, and some of the others waived where that may be.
func randomAdaptiveFilm(
    _ space: WorkSpace, within units: IntervalSet, from random: inout RandomNumbers
) throws -> Film {
    let sampled = randomCoverage(space, from: &random).intersection(units)
    var film = try randomFilm(space, sampled, from: &random)
    let later = IntervalSet(SampleRange(space.units(ofStage: 0).upperBound, space.count))
    let open = later.intersection(units).subtracting(sampled)
    try film.waive(randomCoverage(space, from: &random).intersection(open))
    return film
}
