// The stages of an adaptive frame at its root: which tiles may be rendered further, which need no
// more, and about which nothing has been decided (docs/PROTOCOL.md §9). Pure: coverages and verdicts
// in, sets of units out.

import MeshCore

/// A tile, and the stage after those that the root's film has of it.
public struct TileStage: Hashable, Sendable {
    public var tile: Int
    public var stage: Int
    public init(tile: Int, stage: Int) {
        self.tile = tile
        self.stage = stage
    }
}

/// Which stages of each tile are open, as follows from a root's film.
///
///     open ──all its stages are in the film──► asked ──needs more──► open, one stage further
///                                                └─────needs no more──► settled
///
/// What settled tiles do not need of a stage is *waived*, for all of them at once, when no tile is left
/// that may still need it: so a stage has no more holes in the ledger than tiles that are rendered.
struct StageBook: Sendable {
    private enum Progress: Hashable, Sendable { case open, asked, settled }

    private let workSpace: WorkSpace
    private var progress: [Progress]
    /// For each tile the number of stages that are open to it, and of those that the film has.
    private var opened: [Int]
    private var held: [Int]
    /// The first stage that is not waived yet.
    private var nextWaived = 1
    /// The units of stages that are not open: nobody has to hold them. Those to be waived are among
    /// them until they are sealed.
    private(set) var closed: IntervalSet
    /// Units to be waived.
    private(set) var pending = IntervalSet()

    /// The book of a root that has this film. A stage of which the film has something was open once.
    init(_ workSpace: WorkSpace, film: IntervalSet) {
        self.workSpace = workSpace
        let tiles = workSpace.grid.count
        progress = Array(repeating: .open, count: tiles)
        opened = Array(repeating: 1, count: tiles)
        held = Array(repeating: 0, count: tiles)
        closed = IntervalSet(
            SampleRange(workSpace.units(ofStage: 0).upperBound, workSpace.count))
        var open: [SampleRange] = []
        for tile in 0..<tiles {
            opened[tile] = lastStage(of: tile, in: film) + 1
            for stage in 1..<opened[tile] {
                open.append(workSpace.units(ofTile: tile, inStage: stage))
            }
        }
        closed.subtract(IntervalSet(open))
    }

    /// The tiles whose open stages are all in the film, each with the next stage; each is named once.
    mutating func due(_ film: IntervalSet) -> [TileStage] {
        var due: [TileStage] = []
        var open: [SampleRange] = []
        let hasOthers = !film.isDisjoint(with: closed)
        for tile in progress.indices where progress[tile] == .open {
            // Another root opened what the film has of later stages. It knew all those before, which
            // this film may lack: a verdict is about no samples but theirs.
            let last = hasOthers ? lastStage(of: tile, in: film) : 0
            while opened[tile] <= last {
                open.append(workSpace.units(ofTile: tile, inStage: opened[tile]))
                opened[tile] += 1
            }
            while held[tile] < opened[tile], has(film, tile, stage: held[tile]) { held[tile] += 1 }
            guard held[tile] == opened[tile], opened[tile] < workSpace.stageCount else { continue }
            progress[tile] = .asked
            due.append(TileStage(tile: tile, stage: opened[tile]))
        }
        if !open.isEmpty {
            closed.subtract(IntervalSet(open))
            // These may have been the last tiles about which nothing was decided.
            waive()
        }
        return due
    }

    /// The last stage of which a film has something of a tile; the first if it has none.
    private func lastStage(of tile: Int, in film: IntervalSet) -> Int {
        guard film.upperBound > workSpace.units(ofStage: 0).upperBound else { return 0 }
        let later = (1..<max(1, workSpace.stageCount)).reversed()
        return later.first { film.intersects(workSpace.units(ofTile: tile, inStage: $0)) } ?? 0
    }

    private func has(_ film: IntervalSet, _ tile: Int, stage: Int) -> Bool {
        guard stage == 0 else {
            return film.contains(workSpace.units(ofTile: tile, inStage: stage))
        }
        let units = workSpace.units(ofStage: 0)
        return stride(from: tile, to: units.upperBound, by: workSpace.grid.count)
            .allSatisfy(film.contains)
    }

    /// Takes the answers for tiles that were due.
    /// - Parameter needed: those that are rendered further; the others of `asked` need no more.
    /// - Returns: the units that are open now.
    mutating func settle(_ asked: [TileStage], needed: Set<Int>) -> IntervalSet {
        var open: [SampleRange] = []
        for answer in asked
        where progress[answer.tile] == .asked && opened[answer.tile] == answer.stage {
            guard needed.contains(answer.tile) else {
                progress[answer.tile] = .settled
                continue
            }
            progress[answer.tile] = .open
            open.append(workSpace.units(ofTile: answer.tile, inStage: answer.stage))
            opened[answer.tile] += 1
        }
        let units = IntervalSet(open)
        closed.subtract(units)
        waive()
        return units
    }

    /// Waives stages of which all tiles are decided.
    private mutating func waive() {
        var waived: [SampleRange] = []
        while nextWaived < workSpace.stageCount {
            let isDecided = progress.indices.allSatisfy {
                opened[$0] > nextWaived || progress[$0] == .settled
            }
            guard isDecided else { break }
            for tile in progress.indices where opened[tile] <= nextWaived {
                waived.append(workSpace.units(ofTile: tile, inStage: nextWaived))
            }
            nextWaived += 1
        }
        pending.formUnion(IntervalSet(waived))
    }

    /// Takes out what is to be waived; from then on a sealed partial film has it.
    /// - Parameter known: what the ledger or other partial films have of it already.
    mutating func takePending(besides known: IntervalSet) -> IntervalSet {
        let units = pending.subtracting(known)
        closed.subtract(pending)
        pending = IntervalSet()
        return units
    }

    /// Units whose sealed partial film is gone are to be waived again.
    mutating func restore(_ units: IntervalSet) {
        pending.formUnion(units)
        closed.formUnion(units)
    }

    func checkInvariants() {
        precondition(pending.subtracting(closed).isEmpty)
        precondition(zip(held, opened).allSatisfy { $0 <= $1 })
        precondition(opened.allSatisfy { $0 <= max(1, workSpace.stageCount) })
    }
}
