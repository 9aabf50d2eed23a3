// Which units a frame on one machine still needs. Of an adaptive frame a tile gets its next stage
// once all it has been given is in the film and that wants more: the rule by which the root of a
// mesh decides, so that both make the same film.

import MeshCore
import Tracer

/// The units of one frame, given out one by one.
struct LocalWork {
    private let workSpace: WorkSpace
    /// Nil unless the frame is adaptive.
    private let noiseTarget: Float?
    /// Units to give out: first those, then these, in order.
    private var current: SampleRange
    private var ready: ArraySlice<SampleRange> = []
    /// Of each tile the units that it has been given and that are not in the film; empty unless the
    /// frame is adaptive.
    private var missing: [Int] = []
    /// Of each tile the stage that it was not given yet.
    private var nextStage: [Int] = []

    init(workSpace: WorkSpace, noiseTarget: Float?) {
        self.workSpace = workSpace
        self.noiseTarget = workSpace.isAdaptive ? noiseTarget : nil
        current = workSpace.units(ofStage: 0)
        guard workSpace.isAdaptive else { return }
        let tiles = workSpace.grid.count
        missing = Array(repeating: workSpace.units(ofStage: 0).count / tiles, count: tiles)
        nextStage = Array(repeating: 1, count: tiles)
    }

    /// The next unit to render; nil while there is none.
    mutating func next() -> Int? {
        if current.isEmpty {
            guard let range = ready.popFirst() else { return nil }
            current = range
        }
        defer { current = SampleRange(current.lowerBound + 1, current.upperBound) }
        return current.lowerBound
    }

    /// Takes note of a unit that has been added to the film, and waives there what its tile does not
    /// need.
    mutating func rendered(_ unit: Int, in film: inout Film) throws(FilmError) {
        guard let noiseTarget else { return }
        let tile = workSpace.unit(unit).tile
        missing[tile] -= 1
        guard missing[tile] == 0, nextStage[tile] < workSpace.stageCount else { return }
        guard film.wantsMore(tile: tile, noiseTarget: noiseTarget) else {
            let rest = (nextStage[tile]..<workSpace.stageCount).map {
                workSpace.units(ofTile: tile, inStage: $0)
            }
            nextStage[tile] = workSpace.stageCount
            return try film.waive(IntervalSet(rest))
        }
        let stage = workSpace.units(ofTile: tile, inStage: nextStage[tile])
        nextStage[tile] += 1
        missing[tile] = stage.count
        ready.append(stage)
    }
}
