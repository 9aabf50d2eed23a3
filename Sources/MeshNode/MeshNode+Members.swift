// What members announce, and what their coming and going means for the frames.

import Gossip
import MeshCore
import WorkStealing

extension MeshNode {
    /// Takes in a change of a member's status or of what it announces.
    mutating func memberChanged(_ member: Member, from old: MemberStatus?) {
        guard member.participant != identity else { return }
        let announcement = try? Announcement(decoding: member.metadata)
        tell(member, from: old, name: announcement?.name ?? "")
        let wasPresent = old?.isPresent ?? false
        if !member.status.isPresent {
            if wasPresent { loseMember(member.participant) }
            return
        }
        if !wasPresent {
            for index in records.indices where records[index].participant != nil {
                records[index].participant?.participantChanged(
                    member.participant, isAlive: true, at: now)
                performParticipant(at: index)
            }
        }
        if let announcement { observe(announcement, of: member.participant) }
    }

    private mutating func tell(_ member: Member, from old: MemberStatus?, name: String) {
        guard old != member.status else { return }
        let participant = member.participant
        switch member.status {
        case .alive where old == .suspect:
            directives.append(.event(.memberRecovered(participant, name: name)))
        case .alive where !(old?.isPresent ?? false):
            let event = NodeEvent.memberJoined(participant, name: name, address: member.address)
            directives.append(.event(event))
        case .alive: break
        case .suspect: directives.append(.event(.memberSuspected(participant, name: name)))
        case .dead where old?.isPresent ?? false:
            directives.append(.event(.memberDied(participant, name: name)))
        case .left where old != nil:
            directives.append(.event(.memberLeft(participant, name: name)))
        case .dead, .left: break
        }
    }

    /// A member is gone: it announces nothing any more, and its part in frames is lost.
    private mutating func loseMember(_ member: ParticipantID) {
        for frame in records.map(\.frame) {
            guard let index = index(of: frame) else { continue }
            records[index].participant?.participantChanged(member, isAlive: false, at: now)
            performParticipant(at: index)
            records[index].setAnnouncer(member, nil)
            if records[index].asked == member { records[index].asked = nil }
            pursue(at: index)
        }
        let turn = turnToSpeak()
        tombstones.forget(member) { turn }
        noteAnnouncementChange()
    }

    /// Takes in what a present member announces.
    mutating func observe(_ announcement: Announcement, of member: ParticipantID) {
        var mentioned: [FrameID] = []
        for announced in announcement.frames {
            mentioned.append(announced.frame)
            observe(announced, of: member)
        }
        for index in records.indices where !mentioned.contains(records[index].frame) {
            // Work of a frame that others announce is in the sum alone.
            learnWork(at: index, of: member, remainingSamples: announcement.remainingSamples)
        }
        guard !announcement.isPartial else { return }
        mentioned.sort()
        for frame in records.map(\.frame) {
            let position = mentioned.partitioningIndex { $0 >= frame }
            if position < mentioned.count, mentioned[position] == frame { continue }
            guard let index = index(of: frame), records[index].announcers[member] != nil else {
                continue
            }
            records[index].setAnnouncer(member, nil)
            noteAnnouncementChange()
            pursue(at: index)
        }
    }

    private mutating func observe(_ announced: AnnouncedFrame, of member: ParticipantID) {
        if let end = announced.end {
            noteEnd(of: announced.frame, end)
            tombstones.note(
                member, announces: announced.frame, enough: configuration.announcersEnough, at: now)
            return
        }
        if let end = tombstones[announced.frame] {
            // It missed the end; an expired film may still be waited for elsewhere.
            if end != .expired { send(.frameEnded(announced.frame, end), to: member) }
            return
        }
        guard let index = index(of: announced.frame) ?? learn(announced.frame) else { return }
        let known = records[index].announcers[member]
        records[index].setAnnouncer(
            member,
            .init(
                hasScene: announced.hasScene, isComplete: announced.isComplete,
                term: announced.term))
        if let term = announced.term, FrameParticipant.isPlausible(term) {
            records[index].term = records[index].term.map { max($0, term) } ?? term
            records[index].participant?.learned(term: term, at: now)
        }
        if announced.isComplete, known?.isComplete != true {
            records[index].participant?.learnedCompleteFilm(at: member, at: now)
        }
        learnWork(at: index, of: member, remainingSamples: announced.remainingSamples)
        performParticipant(at: index)
        pursue(at: index)
    }

    private mutating func learnWork(
        at index: Int, of member: ParticipantID, remainingSamples: Int
    ) {
        guard let space = records[index].workSpace else { return }
        let all = space.samplesPerPixel * space.grid.width * space.grid.height
        records[index].participant?.learnedWork(
            of: member, remainingSamples: Double(min(remainingSamples, all)))
    }

    /// Opens a record for a frame that a member announces or offers; nil when there is no room.
    mutating func learn(_ frame: FrameID) -> Int? {
        guard configuration.acceptsWork, !isLeaving, frame.originator != identity else {
            return nil
        }
        guard records.count < configuration.framesMax else {
            ignoresFrames = true
            return nil
        }
        directives.append(.event(.frameLearned(frame)))
        let index = records.partitioningIndex { $0.frame >= frame }
        records.insert(FrameRecord(frame: frame, stage: .wantsJob), at: index)
        return index
    }

    /// After a frame has ended there is room for one that was ignored.
    mutating func reconsiderIgnoredFrames() {
        guard ignoresFrames else { return }
        ignoresFrames = false
        for member in membership.members
        where member.status.isPresent && member.participant != identity {
            if let announcement = try? Announcement(decoding: member.metadata) {
                observe(announcement, of: member.participant)
            }
        }
    }
}
