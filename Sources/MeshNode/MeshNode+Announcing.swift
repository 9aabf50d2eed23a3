// What this node announces: composed from its state, compared with what the members were told
// last, and published when the difference matters.
//
// All nodes of a frame come to know the same things about it, and a change that each of them
// announced would cost every member's traffic in proportion to the mesh. So a node leaves out what
// enough others announce; who would speak first waits for a random time, in which it mostly hears
// that others did (as receivers of a multicast suppress each other's repair requests: Floyd,
// Jacobson, Liu, McCanne, Zhang, SRM, 1997). Figures go so seldom that all nodes together fill the
// same share of the traffic at any size of the mesh.

import Gossip
import MeshCore
import WorkStealing

extension MeshNode {
    /// Says that the announcement may have to change.
    mutating func noteAnnouncementChange() {
        announcementDeadline = min(
            announcementDeadline, max(now, comparedAt + configuration.announcementInterval))
    }

    /// Publishes the announcement if it is due and says something new.
    mutating func announceWhenDue(force: Bool = false) {
        guard announcementDeadline <= now || force, !isLeaving else { return }
        announcementDeadline = .distantFuture
        comparedAt = now
        let hasNews = findNews()
        var current = announcement()
        let figuresDue = announcedAt + figureInterval
        let turn = max(announcedAt + configuration.announcementTurn, figuresDue)
        let differs = figuresDiffer(current)
        guard
            hasNews || force || !keepsFrames(of: announced, current)
                || (differs && figuresDue <= now) || (current != announced && turn <= now)
        else {
            // Figures wait in a large mesh, and small changes, and the turn of frames that found
            // no room, everywhere.
            announcementDeadline = nextWord
            if current != announced {
                announcementDeadline = min(announcementDeadline, differs ? figuresDue : turn)
            }
            return
        }
        let whole = current
        current.frames = rotated(current.frames)
        let (bytes, count) = current.encoded(limit: GossipMessage.metadataSizeMax)
        announced = whole
        announcedAt = now
        for index in records.indices where records[index].speaksAt <= now {
            records[index].speaksAt = .distantFuture
        }
        announcementDeadline = nextWord
        if count < current.frames.count {
            announcementTurn += max(count - urgentFrames(current.frames), 1)
            announcementDeadline = min(announcementDeadline, now + configuration.announcementTurn)
        }
        membership.updateMetadata(bytes, at: now)
        performMembership()
    }

    /// The announcement as it should be now: fresh ends first, then frames by id. What was said of
    /// a frame before is not taken back while it is true.
    private func announcement() -> Announcement {
        var result = announced
        result.samplesPerSecond = samplesPerSecond
        result.isIdle = records.indices.allSatisfy { records[$0].unitsInProgress == 0 }
        result.remainingSamples = 0
        result.frames = []
        for entry in tombstones.entries.reversed() where isAnnounced(entry) {
            guard entry.speaksAt <= now else { continue }
            var frame = AnnouncedFrame(frame: entry.frame)
            frame.end = entry.end
            result.frames.append(frame)
        }
        for index in records.indices where records[index].job != nil {
            let frame = saying(at: index)
            result.remainingSamples += frame.remainingSamples
            if records[index].speaksAt <= now || lastSaying(of: frame.frame) != nil {
                result.frames.append(frame)
            }
        }
        return result
    }

    /// All that this node knows of a frame.
    private func saying(at index: Int) -> AnnouncedFrame {
        var frame = AnnouncedFrame(frame: records[index].frame)
        frame.term = records[index].term
        let summary = records[index].summary
        if let term = summary.term {
            frame.term = max(frame.term ?? term, term)
            frame.hasScene = true
            frame.isComplete = summary.isComplete
            frame.remainingSamples = summary.remainingSamples
        }
        return frame
    }

    private func lastSaying(of frame: FrameID) -> AnnouncedFrame? {
        announced.frames.first { $0.frame == frame && $0.end == nil }
    }

    // MARK: News

    /// Decides for each frame whether members have to hear of it from this node.
    /// - Returns: whether any of it is due.
    private mutating func findNews() -> Bool {
        var isDue = false
        for index in records.indices where records[index].job != nil {
            let own = saying(at: index)
            let old = lastSaying(of: own.frame)
            // Everybody asks these two.
            let isAsked = own.frame.originator == identity || own.term?.root == identity
            let isKnown = records[index].isCommonKnowledge(
                own, beyond: old, enough: isAsked ? .max : configuration.announcersEnough)
            if isKnown {
                records[index].speaksAt = .distantFuture
            } else if isAsked {
                records[index].speaksAt = now
            } else if records[index].speaksAt == .distantFuture {
                records[index].speaksAt = turnToSpeak()
            }
            isDue = isDue || records[index].speaksAt <= now
        }
        let due = tombstones.entries.contains { entry in
            isAnnounced(entry) && entry.speaksAt <= now
                && !announced.frames.contains { $0.frame == entry.frame && $0.end != nil }
        }
        return isDue || due
    }

    /// A random time, so far off that few nodes come before the first has been heard.
    mutating func turnToSpeak() -> Instant {
        let others = max(membership.presentCount - 1, 1)
        return now + random.duration(below: configuration.announcementDelayPerMember * others)
    }

    /// When something changes in what members hear of frames, without an input.
    private var nextWord: Instant {
        var next = Instant.distantFuture
        for index in records.indices { next = min(next, records[index].speaksAt) }
        for entry in tombstones.entries where isAnnounced(entry) && entry.speaksAt != .distantFuture
        {
            let end = entry.since + configuration.tombstoneAnnouncement
            next = min(next, entry.speaksAt > now ? entry.speaksAt : end)
        }
        return max(next, now + configuration.announcementInterval)
    }

    /// Whether no frame or end is missing in `new` that was in `old`.
    private func keepsFrames(of old: Announcement, _ new: Announcement) -> Bool {
        old.frames.allSatisfy { frame in
            new.frames.contains { $0.frame == frame.frame && $0.end == frame.end }
        }
    }

    private func isAnnounced(_ entry: Tombstones.Entry) -> Bool {
        entry.end != .expired && now < entry.since + configuration.tombstoneAnnouncement
    }

    /// How often figures may be told: all nodes together fill the gossip up to the same share,
    /// however many they are.
    private var figureInterval: Duration {
        max(
            configuration.announcementInterval,
            configuration.announcementPerMember * membership.presentCount)
    }

    /// Whether speed or remaining work have changed so much that thieves should know.
    private func figuresDiffer(_ current: Announcement) -> Bool {
        differs(current.samplesPerSecond, announced.samplesPerSecond)
            || differs(Double(current.remainingSamples), Double(announced.remainingSamples))
    }

    /// Whether a figure has changed by more than the share that is worth telling.
    private func differs(_ new: Double, _ old: Double) -> Bool {
        abs(new - old) > configuration.announcementChangeMin * old
    }

    /// Ends stay in front; the rest begins elsewhere each time while there is no room for all.
    private func rotated(_ frames: [AnnouncedFrame]) -> [AnnouncedFrame] {
        let urgent = urgentFrames(frames)
        let rest = frames[urgent...]
        guard !rest.isEmpty else { return frames }
        let start = rest.startIndex + announcementTurn % rest.count
        return Array(frames[..<urgent] + frames[start...] + frames[rest.startIndex..<start])
    }

    private func urgentFrames(_ frames: [AnnouncedFrame]) -> Int {
        // More ends than these would leave no room for frames.
        min(frames.partitioningIndex { $0.end == nil }, 6)
    }
}
