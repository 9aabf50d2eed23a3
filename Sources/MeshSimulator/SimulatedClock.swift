// The clock of a simulated process: it has an origin of its own, runs a little too fast or too
// slow, jumps forwards and stands still, but never runs backwards. The machines see no other.

import MeshCore

/// Maps the simulation's time to the time that a process reads, and back.
struct SimulatedClock: Sendable {
    /// The last moment at which the clock did something else than run, and what it showed then.
    private var origin: Instant
    private var reading: Instant
    /// How much too fast it runs: 0.01 gains a second in a hundred.
    let drift: Double
    private var isStopped = false

    /// - Parameter drift: above -1.
    init(showing reading: Instant, at now: Instant, drift: Double) {
        precondition(drift > -1)
        self.reading = reading
        self.drift = drift
        origin = now
    }

    /// What it shows at a moment of the simulation.
    func reading(at now: Instant) -> Instant {
        guard !isStopped else { return reading }
        let elapsed = (now.nanoseconds &- origin.nanoseconds)
        let gained = drift == 0 ? 0 : Int64((Double(elapsed) * drift).rounded(.down))
        return Instant(nanoseconds: reading.nanoseconds &+ elapsed &+ gained)
    }

    /// The first moment of the simulation, from `now` on, at which it shows this or more. A clock
    /// that stands still counts as running.
    func time(of shown: Instant, from now: Instant) -> Instant {
        let rest = shown.nanoseconds &- reading.nanoseconds
        var time = Instant(nanoseconds: origin.nanoseconds &+ rest)
        guard drift != 0 else { return max(time, now) }
        time.nanoseconds = origin.nanoseconds &+ Int64(Double(rest) / (1 + drift))
        // A nanosecond of the one may be none of the other.
        time = max(time, now)
        while reading(at: time) < shown { time.nanoseconds += 1 }
        return time
    }

    /// Shows this much more from now on.
    mutating func jump(by duration: Duration, at now: Instant) {
        reading = reading(at: now) + duration
        origin = now
    }

    /// Stands still, as in a machine that is suspended, until `resume`.
    mutating func stop(at now: Instant) {
        reading = reading(at: now)
        isStopped = true
    }

    mutating func resume(at now: Instant) {
        guard isStopped else { return }
        isStopped = false
        origin = now
    }
}
