// The root of an adaptive frame looks which tiles need more, and covers what they do not need.

import Foundation
import MeshCore
import Tracer
import WorkStealing

extension FrameDriver {
    /// Looks at tiles of the film as it is now, on another thread, and tells the machine.
    ///
    /// The copy shares its tiles with the film; those that change meanwhile are copied.
    func judge(_ tiles: [TileStage], term: Term) {
        guard let target = prepared?.job.noiseTarget else {
            return report("stages", JudgingError())
        }
        let film = film
        DispatchQueue.global(qos: .utility).async { [weak self] in
            let needed = Set(
                tiles.map(\.tile).filter { film.wantsMore(tile: $0, noiseTarget: target) })
            EventLoop.submit {
                guard let self, !self.isClosed else { return }
                self.host.judged(self.frame, tiles, needed: needed, term: term)
            }
        }
    }

    /// A partial film that covers units of which nobody renders samples.
    func film(waiving units: IntervalSet) -> Film {
        var film = Film(workSpace: workSpace)
        do {
            try film.waive(units)
        } catch {
            // The machine waives later stages only: this is a mistake of ours, and shows as a seal
            // that does not hold what was planned.
            report("waived units", error)
        }
        return film
    }
}

/// A root without the scene, or with a job that is not adaptive, is asked about noise.
private struct JudgingError: Error, CustomStringConvertible {
    var description: String { "the job names no noise target" }
}
