// When the picture so far is worth showing: at the first complete pass, then at growing
// intervals, so that writing pictures never slows the rendering.

import MeshCore

/// Decides when a frame's picture is passed on.
struct PictureSchedule {
    private let workSpace: WorkSpace
    private var lastShown: Instant?
    private var unitsShown = 0
    /// A picture follows another after this share of the frame's age, and at least a second.
    private static let intervalPerAge = 0.5

    init(workSpace: WorkSpace) { self.workSpace = workSpace }

    /// Whether a picture is due for a film of this coverage.
    mutating func isDue(_ coverage: IntervalSet, begin: Instant, now: Instant) -> Bool {
        let firstPass = IntervalSet(workSpace.units(ofPass: 0))
        guard coverage.isSuperset(of: firstPass) else { return false }
        let units = coverage.count
        if let lastShown {
            let interval = max(1, (now - begin).seconds * Self.intervalPerAge)
            guard units > unitsShown, (now - lastShown).seconds >= interval else { return false }
        }
        lastShown = now
        unitsShown = units
        return true
    }
}
