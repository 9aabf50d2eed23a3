// What this node announces: composed from its state, compared with what the members were told
// last, and published when the difference matters, at most five times a second, and figures more
// seldom the larger the mesh.

import Gossip
import MeshCore
import WorkStealing

extension MeshNode {
    /// Says that the announcement may have to change.
    mutating func noteAnnouncementChange() {
        announcementDeadline = min(
            announcementDeadline, max(now, announcedAt + configuration.announcementInterval))
    }

    /// Publishes the announcement if it is due and says something new.
    mutating func announceWhenDue(force: Bool = false) {
        guard announcementDeadline <= now || force, !isLeaving else { return }
        announcementDeadline = .distantFuture
        var current = announcement()
        let figuresDue = announcedAt + figureInterval
        let turn = max(announcedAt + configuration.announcementTurn, figuresDue)
        let isTurn = turn <= now
        let differs = figuresDiffer(current)
        guard
            hasNews(current) || (differs && figuresDue <= now) || (isTurn && current != announced)
                || force
        else {
            // Figures wait in a large mesh, and small changes, and the turn of frames that found
            // no room, everywhere.
            if current != announced { announcementDeadline = differs ? figuresDue : turn }
            expireAnnouncedTombstones()
            return
        }
        let whole = current
        current.frames = rotated(current.frames)
        let (bytes, count) = current.encoded(limit: GossipMessage.metadataSizeMax)
        if count < current.frames.count {
            announcementTurn += max(count - urgentFrames(current.frames), 1)
            announcementDeadline = now + configuration.announcementTurn
        }
        announced = whole
        announcedAt = now
        membership.updateMetadata(bytes, at: now)
        performMembership()
        expireAnnouncedTombstones()
    }

    /// The announcement as it should be now: fresh ends first, then frames by id.
    private func announcement() -> Announcement {
        var result = announced
        result.samplesPerSecond = samplesPerSecond
        result.isIdle = records.allSatisfy { $0.unitsInProgress == 0 }
        result.remainingSamples = 0
        result.frames = []
        for entry in tombstones.entries.reversed() where isAnnounced(entry) {
            var frame = AnnouncedFrame(frame: entry.frame)
            frame.end = entry.end
            result.frames.append(frame)
        }
        for record in records where record.job != nil {
            var frame = AnnouncedFrame(frame: record.frame)
            frame.term = record.term
            if let participant = record.participant {
                frame.term = [record.term, participant.term].compactMap(\.self).max()
                frame.hasScene = true
                frame.isComplete = participant.isComplete
                frame.remainingSamples = Int(participant.remainingSamples)
            }
            result.remainingSamples += frame.remainingSamples
            result.frames.append(frame)
        }
        return result
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

    /// Whether members should hear of this at once: frames, their roots and their ends.
    private func hasNews(_ current: Announcement) -> Bool {
        guard current.frames.count == announced.frames.count else { return true }
        return zip(current.frames, announced.frames).contains { new, old in
            new.frame != old.frame || new.term != old.term || new.isComplete != old.isComplete
                || new.hasScene != old.hasScene || new.end != old.end
        }
    }

    /// Whether speed or remaining work have changed so much that thieves should know.
    private func figuresDiffer(_ current: Announcement) -> Bool {
        differs(current.samplesPerSecond, announced.samplesPerSecond)
            || zip(current.frames, announced.frames).contains { new, old in
                differs(Double(new.remainingSamples), Double(old.remainingSamples))
            }
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

    /// Sees to it that ends leave the announcement when their time is over.
    private mutating func expireAnnouncedTombstones() {
        guard let entry = tombstones.entries.first(where: isAnnounced) else { return }
        announcementDeadline = min(
            announcementDeadline, entry.since + configuration.tombstoneAnnouncement)
    }
}
