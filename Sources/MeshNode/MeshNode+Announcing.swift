// What this node announces: composed from its state, compared with what the members were told
// last, and published when the difference matters, at most five times a second.

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
        let turn = announcedAt + configuration.announcementTurn
        let isTurn = turn <= now
        guard isUrgent(current) || (isTurn && current != announced) || force else {
            // Small changes, and the turn of frames that found no room, wait.
            if current != announced { announcementDeadline = turn }
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

    /// Whether members should hear of this at once.
    private func isUrgent(_ current: Announcement) -> Bool {
        guard current.frames.count == announced.frames.count,
            !differs(current.samplesPerSecond, announced.samplesPerSecond)
        else { return true }
        for (new, old) in zip(current.frames, announced.frames) {
            guard new.frame == old.frame, new.term == old.term, new.isComplete == old.isComplete,
                new.hasScene == old.hasScene, new.end == old.end,
                !differs(Double(new.remainingSamples), Double(old.remainingSamples))
            else { return true }
        }
        return false
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
