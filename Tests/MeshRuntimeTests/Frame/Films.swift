// Films and streams from a seed, shared by the tests of rounds.

import MeshCore
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

/// What the tests of rounds share.
enum Films {
    /// A frame of 3 × 2 tiles whose right and lower tiles are cut.
    static func space(
        width: Int = 70, height: Int = 41, samples: Int = 8, isAdaptive: Bool = false
    ) throws -> WorkSpace {
        try #require(
            TileGrid(width: width, height: height).flatMap {
                WorkSpace(grid: $0, samplesPerPixel: samples, isAdaptive: isAdaptive)
            })
    }

    /// Films of a random part of the frame's units each, no unit in two; of those that an adaptive
    /// frame can waive some are.
    static func split(
        _ space: WorkSpace, among count: Int, from random: inout RandomNumbers
    ) throws -> [Film] {
        var films = (0..<count).map { _ in Film(workSpace: space) }
        for unit in 0..<space.count {
            let owner = random.below(count + 1)
            guard owner < count else { continue }
            if unit >= space.units(ofStage: 0).upperBound, random.below(2) == 0 {
                try films[owner].waive(IntervalSet(SampleRange(unit, unit + 1)))
                continue
            }
            try films[owner].add(unit: unit, tile(space, unit, from: &random))
        }
        return films
    }

    static func tile(
        _ space: WorkSpace, _ unit: Int, from random: inout RandomNumbers
    ) -> FilmTile {
        let area = space.grid.rectangle(ofTile: space.unit(unit).tile).area
        var tile = FilmTile(pixelCount: area, isAdaptive: space.isAdaptive)
        for index in tile.wide.indices { tile.wide[index] = Int64(random.next() >> 36) }
        for index in tile.narrow.indices {
            tile.narrow[index] = Int32(truncatingIfNeeded: random.next() >> 50)
        }
        return tile
    }

    /// A film of the given units.
    static func film(
        _ space: WorkSpace, _ units: some Sequence<Int>, from random: inout RandomNumbers
    ) throws -> Film {
        var film = Film(workSpace: space)
        for unit in units { try film.add(unit: unit, tile(space, unit, from: &random)) }
        return film
    }

    static func sum(_ films: [Film], _ space: WorkSpace) throws -> Film {
        var sum = Film(workSpace: space)
        for film in films { try sum.add(film) }
        return sum
    }

    /// A film's stream, or that of one stripe of it.
    static func stream(_ film: Film, _ stripe: TileStripe = .whole) -> [UInt8] {
        var writer = FilmStreamWriter(
            workSpace: film.workSpace, extent: film.extent, stripe: stripe)
        var bytes: [UInt8] = []
        while let index = writer.nextTile, let tile = film.tile(index) {
            writer.write(tile: index, tile, into: &bytes)
        }
        writer.writeEnd(into: &bytes)
        return bytes
    }

    static func participant(_ number: UInt64) -> ParticipantID {
        ParticipantID(node: NodeID(number), boot: 1)
    }

    static let frame = FrameID(originator: participant(1), number: 1)
    static func round(_ number: UInt64) -> RoundID {
        RoundID(term: Term(number: 1, root: participant(1)), number: number)
    }
}
