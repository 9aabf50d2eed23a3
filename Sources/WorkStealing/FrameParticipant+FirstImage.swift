// The first image: somebody waits for it, so its round begins when the last unit of the first pass
// is rendered, and no earlier round is still under way by then (docs/PROTOCOL.md §5).

import MeshCore

extension FrameParticipant {
    /// Whether this node has units of the first pass to render, or lent some that nobody has
    /// accepted yet.
    private var holdsFirstPass: Bool {
        isOfFirstPass(deque.units) || grants.lent.contains { isOfFirstPass($0.units) }
            || inProgress.contains { deque.weights.firstPass.contains($0.unit) && !$0.isApart }
    }

    func isOfFirstPass(_ units: IntervalSet) -> Bool {
        units.first.map(deque.weights.firstPass.contains) ?? false
    }

    /// Tells the root once that this node's part of the first pass is rendered.
    mutating func noteFirstPass(at now: Instant) {
        guard root == nil, isListed else {
            owesFirstPass = false
            return
        }
        if holdsFirstPass {
            owesFirstPass = true
        } else if owesFirstPass {
            owesFirstPass = false
            send(.firstPassDone(term), to: term.root)
        }
    }

    mutating func receiveFirstPassDone(
        _ term: Term, from sender: ParticipantID, at now: Instant
    ) {
        learn(term, at: now)
        guard term == self.term, let position = root?.position(of: sender) else { return ignore() }
        root?[position].firstPassUntil = nil
    }

    /// Root: a member has these units to render.
    mutating func noteFirstPass(
        _ units: IntervalSet, of member: ParticipantID, speed: Double, at now: Instant
    ) {
        guard let position = root?.position(of: member), isOfFirstPass(units) else { return }
        let end = firstPassEnd(units, speed: speed, at: now)
        root?[position].firstPassUntil = end
        root?.hasHurriedFirstImage = false
    }

    /// When the units of the first pass among these will be rendered, at this speed.
    private func firstPassEnd(
        _ units: IntervalSet, speed: Double, at now: Instant
    ) -> Instant {
        guard speed > 0 else { return now }
        let first = units.intersection(IntervalSet(deque.weights.firstPass))
        return now + Duration(seconds: Double(deque.weights.samples(of: first)) / speed)
    }

    /// Starts a round of data as soon as nobody renders the first pass any more, as far as the root
    /// knows: it may be wrong about units that thieves have passed on, and then the next round has
    /// them.
    mutating func hurryFirstImage(at now: Instant) {
        guard let root, root.phase == .idle, !root.hasHurriedFirstImage, round != nil,
            root.abandonedInRow == 0, !holdsFirstPass,
            root.others.allSatisfy({ $0.firstPassUntil == nil })
        else { return }
        self.root?.hasHurriedFirstImage = true
        guard !hasFirstImage else { return }
        // Later than now, so that no timer stands still; this happens once.
        let at = max(now + .milliseconds(1), root.sumAwaitedUntil(configuration))
        self.root?.nextDataAt = min(root.nextDataAt, at)
        self.root?.nextStartAt = min(root.nextStartAt, at)
    }

    var hasFirstImage: Bool { ledger.isSuperset(of: IntervalSet(deque.weights.firstPass)) }

    /// When the next round of data is due while there is no first image: `hurried` after the last
    /// one. But if the first pass is expected to end before such a round has paid, the round waits
    /// for that, and some more in case the speeds are not what they were; but not for ever, for a
    /// unit that always seems to be done soon.
    func firstImageDue(at now: Instant, hurried: Duration) -> Instant {
        guard let root else { return now }
        let usual = max(now, root.lastDataAt + hurried)
        var end = holdsFirstPass ? firstPassEnd(claims, speed: speed, at: now) : now
        for member in root.others { end = max(end, member.firstPassUntil ?? now) }
        let patience = max(configuration.firstImagePatience, root.lastCost)
        guard end > now, end - now < patience else { return usual }
        let wait = end + (end - now) / 4 + configuration.roundIntervalHurried
        let latest = max(patience, configuration.firstImagePatience * 2)
        return max(usual, min(wait, root.lastDataAt + hurried + latest))
    }
}
