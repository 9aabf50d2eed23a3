// The node's devices: which unit of which frame they render next, and what becomes of it. Frames
// share the devices by samples in the ratio of their priorities: start-time fair queueing (Goyal, Vin
// and Cheng, SIGCOMM 1996), in which a frame that had no work for a while neither loses nor hoards
// its share.

public import MeshCore
public import WorkStealing

extension MeshNode {
    /// Tells the measured speed of all devices together, samples per second.
    public mutating func setSpeed(samplesPerSecond: Double) {
        self.samplesPerSecond = samplesPerSecond
        shareSpeed()
        noteAnnouncementChange()
    }

    /// Tells what this node's link has moved of late in a film stream, bytes per second.
    public mutating func setLinkSpeed(bytesPerSecond: Double) {
        linkBytesPerSecond = bytesPerSecond
        for index in records.indices {
            records[index].participant?.setLinkSpeed(bytesPerSecond: bytesPerSecond)
        }
    }

    /// The next unit for a device that has nothing to do; nil when there is none, and then a
    /// `workAvailable` follows once there is. Each unit must come back by `rendered` or
    /// `returnUnit`.
    public mutating func takeUnit(at instant: Instant) -> (frame: FrameID, unit: Int)? {
        advance(to: instant)
        guard !isLeaving else { return nil }
        let order = records.indices
            .filter { records[$0].participant != nil }
            .sorted { (startTag(records[$0]), $0) < (startTag(records[$1]), $1) }
        for index in order {
            let unit = records[index].participant?.takeUnit(at: now)
            performParticipant(at: index)
            guard let unit, let space = records[index].workSpace else { continue }
            virtualTime = startTag(records[index])
            let piece = space.unit(unit)
            let area = space.grid.rectangle(ofTile: piece.tile).area
            records[index].finishTag =
                virtualTime + piece.samples.count * area * FrameRecord.tagScale
                / records[index].priority
            records[index].unitsInProgress += 1
            return (records[index].frame, unit)
        }
        return nil
    }

    private func startTag(_ record: FrameRecord) -> Int { max(virtualTime, record.finishTag) }

    /// A device gives a unit back unrendered.
    public mutating func returnUnit(_ unit: Int, of frame: FrameID, at instant: Instant) {
        advance(to: instant)
        guard let index = index(of: frame), records[index].participant != nil else { return }
        records[index].unitsInProgress -= 1
        records[index].participant?.returnUnit(unit, at: now)
        performParticipant(at: index)
    }

    /// A device has rendered a unit; says what the driver does with its pixels, and that at once.
    /// - Parameter digest: of the pixels, if ``needsDigest(of:_:)``.
    public mutating func rendered(
        _ unit: Int, of frame: FrameID, digest: UnitDigest? = nil, at instant: Instant
    ) -> UnitDisposition {
        advance(to: instant)
        guard let index = index(of: frame), records[index].participant != nil else {
            return .discard
        }
        records[index].unitsInProgress -= 1
        let disposition = records[index].participant?.rendered(unit, digest: digest, at: now)
        performParticipant(at: index)
        return disposition ?? .discard
    }

    /// Whether others compare what this node gets of a unit: of all in a frame with a
    /// `verifiedShare`, and of the one that all render first.
    public func needsDigest(of unit: Int, _ frame: FrameID) -> Bool {
        guard let index = index(of: frame) else { return false }
        return records[index].job?.verifiedShare ?? 0 > 0
            || records[index].participant?.referenceUnit == unit
    }

    /// Lends units of a frame to a participant that did not ask, as far as they are held here; see
    /// ``FrameParticipant/lend(_:to:at:)``. For simulations of other policies than stealing.
    /// - Returns: what was lent.
    public mutating func lend(
        _ units: IntervalSet, of frame: FrameID, to participant: ParticipantID, at instant: Instant
    ) -> IntervalSet {
        advance(to: instant)
        guard let index = index(of: frame) else { return IntervalSet() }
        let lent = records[index].participant?.lend(units, to: participant, at: now)
        performParticipant(at: index)
        return lent ?? IntervalSet()
    }

    /// Gives each frame that still needs work its part of the speed, by its priority.
    mutating func shareSpeed() {
        let all = records.reduce(0) { $0 + ($1.isWorking ? $1.priority : 0) }
        for index in records.indices where records[index].participant != nil {
            let share = samplesPerSecond * Double(records[index].priority) / Double(max(all, 1))
            guard records[index].samplesPerSecond != share else { continue }
            records[index].samplesPerSecond = share
            records[index].participant?.setSpeed(samplesPerSecond: share)
            performParticipant(at: index)
        }
    }
}
