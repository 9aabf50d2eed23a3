// Adaptive frames: the simulated driver knows how many stages each tile needs, as the tracer would find
// by looking at the tile's film, and checks that it is asked about films of exactly those stages.

import MeshCore
import MeshNode
import WorkStealing

extension Simulation {
    /// How long a driver looks at a film.
    private static let judging: Duration = .milliseconds(2)

    /// Looks which tiles need more, by the film as it is now, and tells the machine later.
    mutating func judge(
        _ tiles: [TileStage], term: Term, of frame: FrameID, _ kept: FilmKeeper, at index: Int
    ) {
        guard let number = job(of: frame) else { return }
        let film = kept.film
        for tile in tiles where !isJudgeable(film, tile, jobs[number].tallies.workSpace) {
            violate(
                .untimelyVerdict,
                "node \(index) asks about stage \(tile.stage) of tile \(tile.tile) of \(frame), "
                    + "and has \(film.coverage)")
        }
        let needed = tiles.filter { needs(film, $0, ofJob: number, at: index) }.map(\.tile)
        let event = LocalEvent.judged(frame, tiles, needed: Set(needed), term)
        queue.add(
            .local(node: index, boot: nodes[index].boot, event),
            at: now + random.duration(below: Self.judging))
    }

    /// Whether a film has all stages of a tile before the one in question, and nothing of that or
    /// of later ones.
    private func isJudgeable(
        _ film: SimulatedFilm, _ tile: TileStage, _ space: WorkSpace
    ) -> Bool {
        let first = space.units(ofStage: 0)
        let hasFirst = stride(from: tile.tile, to: first.upperBound, by: space.grid.count)
            .allSatisfy { film.coverage.contains($0) }
        let hasOthers = (1..<tile.stage).allSatisfy {
            film.coverage.contains(space.units(ofTile: tile.tile, inStage: $0))
        }
        let hasLater = (tile.stage..<space.stageCount).contains {
            film.coverage.intersects(space.units(ofTile: tile.tile, inStage: $0))
        }
        return hasFirst && hasOthers && !hasLater
    }

    /// Nodes of another class see a little other sums, and decide otherwise now and then.
    private func needs(
        _ film: SimulatedFilm, _ tile: TileStage, ofJob number: Int, at index: Int
    ) -> Bool {
        let space = jobs[number].tallies.workSpace
        let later = 1..<space.stageCount
        let isSpared = later.contains {
            film.waived.intersects(space.units(ofTile: tile.tile, inStage: $0))
        }
        guard !isSpared else { return false }
        // By what it has, as the tracer's estimate is: not by what it is asked.
        let last = later.last {
            film.coverage.intersects(space.units(ofTile: tile.tile, inStage: $0))
        }
        let isOther = configuration.otherClass.contains(index) && tile.tile % 8 == 3
        return 1 + (last ?? 0) < jobs[number].tallies.stagesNeeded[tile.tile] + (isOther ? 1 : 0)
    }
}
