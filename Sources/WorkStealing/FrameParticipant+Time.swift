// Timers: what is due when, and what every input ends with.

public import MeshCore

extension FrameParticipant {
    /// When `tick` has something to do; `distantFuture` when only an input can change anything.
    public var nextDeadline: Instant {
        var next = grants.nextDeadline
        func consider(_ instant: Instant?) { if let instant { next = min(next, instant) } }
        consider(thief.request?.deadline)
        if thief.request == nil, wantsToSteal { consider(thief.nextAt) }
        consider(saysExhausted.nextAt)
        consider(fetch.deadline ?? fetchAt)
        consider(stuckDeadline)
        consider(referenceDeadline)
        if root != nil {
            consider(rootDeadline)
            consider(root?.checks.nextDeadline)
        } else {
            consider(admissionAt)
            // It takes time linear in the participants: only when it can be the next.
            let patience = Succession.shortestPatience(
                rootIsDead: dead.contains(term.root), configuration: configuration)
            if heardAt + patience < next {
                consider(successionAt)
            }
        }
        return next
    }

    /// Does whatever is due.
    public mutating func tick(at now: Instant) {
        noticeStop(at: now)
        if let request = thief.request, request.deadline <= now {
            thief.request = nil
        }
        for lent in grants.repetitions(at: now) { sendGrant(lent) }
        takeBackGrants(at: now)
        if let deadline = fetch.deadline, deadline <= now { fetchEnded(at: now, failed: true) }
        if let at = successionAt, at <= now { takeOver(at: now) }
        if let at = admissionAt, at <= now { askForAdmission(at: now) }
        tickRoot(at: now)
        if let at = root?.checks.nextDeadline, at <= now { askForChecks(at: now) }
        tickReference(at: now)
        if let at = stuckDeadline, at <= now {
            stuckToldAt = now
            emit(.workAvailable)
        }
        settle(at: now)
    }

    /// What follows from the state after any input: give, ask, say so, fetch.
    mutating func settle(at now: Instant) {
        noticeStop(at: now)
        pushWork(at: now)
        steal(at: now)
        noteExhaustion(at: now)
        noteFirstPass(at: now)
        beginFetch(at: now)
        if root != nil {
            judgeTiles()
            hurryRoot(at: now)
            hurryFirstImage(at: now)
        }
    }

    /// A node whose process was stopped has not yet read what the root said meanwhile: it must not
    /// take over for that.
    private mutating func noticeStop(at now: Instant) {
        defer { settledAt = max(settledAt, now) }
        guard now - settledAt >= configuration.stoppedTime, let at = successionAt,
            at > settledAt, now - at >= configuration.stoppedTime
        else { return }
        heardAt = now
    }

    /// Whether a set of units from outside can be one of this frame.
    func isValid(_ units: IntervalSet) -> Bool {
        units.upperBound <= workSpace.count && units.ranges.count <= configuration.rangesMax
    }

    /// Whether a speed from outside is one.
    func isValid(speed: Double) -> Bool { speed.isFinite && speed >= 0 && speed < 1e18 }
}
