// Whom a thief asks: the better of two random participants by the work that gossip says they have
// left (power of two choices, Mitzenmacher 2001); when those refuse, a fixed set of lifelines,
// which push work later on (Saraswat et al., Lifeline-based global load balancing, PPoPP 2011).

import MeshCore

/// The victims of one search for work.
struct VictimChoice: Sendable {
    private let owner: ParticipantID
    private let hintsMax: Int
    private let triesMax: Int
    /// Samples left, as last heard.
    private var hints: [ParticipantID: Double] = [:]
    /// Asked in this search.
    private(set) var tried: [ParticipantID] = []

    var hintCount: Int { hints.count }

    init(owner: ParticipantID, configuration: FrameConfiguration) {
        self.owner = owner
        hintsMax = configuration.workHintsMax
        triesMax = configuration.stealTriesMax
    }

    /// Something was heard of a member's work.
    mutating func learn(_ participant: ParticipantID, samples: Double) {
        guard hints[participant] != nil || hints.count < hintsMax, samples.isFinite else { return }
        hints[participant] = max(0, samples)
    }

    mutating func forget(_ participant: ParticipantID) { hints[participant] = nil }

    /// The search is given up. The next begins afresh: what was heard has not helped, and gossip of
    /// large meshes is slow to tell of work that has moved since.
    mutating func restart() {
        tried = []
        hints = [:]
    }

    /// The next to ask; nil when the search is over.
    mutating func next(
        among participants: [ParticipantID], isDead: (ParticipantID) -> Bool,
        random: inout RandomNumbers
    ) -> ParticipantID? {
        func isCandidate(_ participant: ParticipantID) -> Bool {
            participant != owner && !tried.contains(participant) && !isDead(participant)
        }
        var found: ParticipantID?
        if tried.count < triesMax {
            found = Self.betterOfTwo(
                participants, hints: hints, isCandidate: isCandidate, random: &random)
        }
        found =
            found
            ?? Self.lifelines(of: owner, participants: participants).first(where: isCandidate)
        if let found { tried.append(found) }
        return found
    }

    private static func betterOfTwo(
        _ participants: [ParticipantID], hints: [ParticipantID: Double],
        isCandidate: (ParticipantID) -> Bool, random: inout RandomNumbers
    ) -> ParticipantID? {
        guard !participants.isEmpty else { return nil }
        var picks: [ParticipantID] = []
        if participants.count <= 32 {
            var rest = participants.filter(isCandidate)
            while picks.count < 2, !rest.isEmpty {
                picks.append(rest.remove(at: random.below(rest.count)))
            }
        } else {
            for _ in 0..<8 where picks.count < 2 {
                let pick = participants[random.below(participants.count)]
                if isCandidate(pick), !picks.contains(pick) { picks.append(pick) }
            }
        }
        // A member of whom nothing is known may have work: it goes before one known to be empty.
        return picks.max { (hints[$0] ?? 1) < (hints[$1] ?? 1) }
    }

    /// The neighbours at distances 1, 2, 4, … along the list, as in a cyclic hypercube.
    static func lifelines(
        of owner: ParticipantID, participants: [ParticipantID]
    ) -> [ParticipantID] {
        guard let own = participants.firstIndex(of: owner) else { return [] }
        var lines: [ParticipantID] = []
        var distance = 1
        while distance < participants.count {
            lines.append(participants[(own + distance) % participants.count])
            distance *= 2
        }
        return lines
    }
}
