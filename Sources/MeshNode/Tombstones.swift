// The frames that are over, and who says so.

import MeshCore

/// The frames that are over, so that nobody's late word brings them back.
struct Tombstones: Sendable {
    struct Entry: Hashable, Sendable {
        var frame: FrameID
        var end: FrameEnd
        var since: Instant
        /// Members that announce the end; few of them matter.
        var announcers: [ParticipantID] = []
        /// When members hear of it from this node; the distant future if others tell them.
        var speaksAt: Instant
    }
    /// Oldest first.
    private(set) var entries: [Entry] = []
    private var ends: [FrameID: FrameEnd] = [:]
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    subscript(frame: FrameID) -> FrameEnd? { ends[frame] }

    /// - Parameter speaksAt: when this node announces it, if not enough others do.
    mutating func add(_ frame: FrameID, _ end: FrameEnd, speaksAt: Instant, at now: Instant) {
        guard ends.updateValue(end, forKey: frame) == nil else { return }
        entries.append(Entry(frame: frame, end: end, since: now, speaksAt: speaksAt))
        if entries.count > countMax { ends.removeValue(forKey: entries.removeFirst().frame) }
    }

    /// Forgets what is older than `retention`.
    mutating func expire(_ retention: Duration, at now: Instant) {
        while let first = entries.first, first.since + retention <= now {
            ends.removeValue(forKey: entries.removeFirst().frame)
        }
    }

    /// A member announces an end: when `enough` do, this node need not, if it has not yet.
    mutating func note(
        _ member: ParticipantID, announces frame: FrameID, enough: Int, at now: Instant
    ) {
        guard let index = entries.lastIndex(where: { $0.frame == frame }),
            entries[index].announcers.count < enough,
            !entries[index].announcers.contains(member)
        else { return }
        entries[index].announcers.append(member)
        if entries[index].announcers.count >= enough, entries[index].speaksAt > now {
            entries[index].speaksAt = .distantFuture
        }
    }

    /// An announcer is gone: who stays may have to speak.
    mutating func forget(_ member: ParticipantID, speakAgain: () -> Instant) {
        for index in entries.indices {
            guard let place = entries[index].announcers.firstIndex(of: member) else { continue }
            entries[index].announcers.remove(at: place)
            if entries[index].speaksAt == .distantFuture { entries[index].speaksAt = speakAgain() }
        }
    }
}
