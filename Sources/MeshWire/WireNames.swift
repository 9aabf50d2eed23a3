// The names of things as protobuf messages, and back. Everything from outside is checked: a
// missing part, a number out of bounds or a set that is not canonical is an error, never a trap.

import MeshCore
import SwiftProtobuf

/// The bounds of what is read from other nodes.
enum WireBounds {
    /// Of one message or opening.
    static let messageBytesMax = 8 << 20
    static let participantsMax = 16_384
    static let sealsMax = 1_024
    static let nameBytesMax = 256
    static let unitsMax = 1 << 48
    /// Of terms, which participants raise by one: far above what is reached, far below overflow.
    static let termMax: UInt64 = 1 << 48
}

extension SwiftProtobuf.Message {
    /// Reads a message; unknown fields are kept out of the way.
    init(checked bytes: [UInt8]) throws(MalformedBytes) {
        guard bytes.count <= WireBounds.messageBytesMax else { throw .invalid("message size") }
        do {
            try self.init(serializedBytes: bytes)
        } catch {
            throw .invalid("protobuf message")
        }
    }

    /// The message's bytes.
    func bytes() -> [UInt8] {
        do {
            return try serializedBytes()
        } catch {
            // Only missing required fields and sizes beyond 2 GiB can fail: proto3 has none of
            // the first, and our bounds none of the second.
            preconditionFailure("a message cannot be written: \(error)")
        }
    }
}

/// A value of the mesh that is one protobuf message.
protocol WireValue {
    associatedtype Proto: SwiftProtobuf.Message
    var proto: Proto { get }
    init(_ proto: Proto) throws(MalformedBytes)
}

extension WireValue {
    /// Reads a part that must be there.
    init(_ proto: Proto, isThere: Bool, _ what: StaticString) throws(MalformedBytes) {
        guard isThere else { throw .invalid("\(what): it is missing") }
        try self.init(proto)
    }
}

extension TileStripe: WireValue {
    var proto: ProtoStripe {
        var proto = ProtoStripe()
        proto.index = UInt32(index)
        proto.count = UInt32(count)
        return proto
    }

    init(_ proto: ProtoStripe) throws(MalformedBytes) {
        guard proto.index < proto.count, proto.count <= UInt32(Self.countMax) else {
            throw .invalid("stripe")
        }
        self.init(Int(proto.index), of: Int(proto.count))
    }
}

extension ParticipantID: WireValue {
    var proto: ProtoParticipant {
        var proto = ProtoParticipant()
        proto.node = node.rawValue
        proto.boot = boot
        return proto
    }

    init(_ proto: ProtoParticipant) {
        self.init(node: NodeID(proto.node), boot: proto.boot)
    }

    static func list(
        _ protos: [ProtoParticipant], _ what: StaticString
    ) throws(MalformedBytes) -> [ParticipantID] {
        guard protos.count <= WireBounds.participantsMax else {
            throw .invalid("number of \(what)")
        }
        return protos.map { ParticipantID($0) }
    }
}

extension FrameID: WireValue {
    var proto: ProtoFrame {
        var proto = ProtoFrame()
        proto.originator = originator.proto
        proto.number = number
        return proto
    }

    init(_ proto: ProtoFrame) throws(MalformedBytes) {
        self.init(
            originator: try ParticipantID(
                proto.originator, isThere: proto.hasOriginator, "originator"),
            number: proto.number)
    }
}

extension Term: WireValue {
    var proto: ProtoTerm {
        var proto = ProtoTerm()
        proto.number = number
        proto.root = root.proto
        return proto
    }

    init(_ proto: ProtoTerm) throws(MalformedBytes) {
        guard proto.number <= WireBounds.termMax else { throw .invalid("number of a term") }
        self.init(
            number: proto.number,
            root: try ParticipantID(proto.root, isThere: proto.hasRoot, "root"))
    }
}

extension RoundID: WireValue {
    var proto: ProtoRound {
        var proto = ProtoRound()
        proto.term = term.proto
        proto.number = number
        return proto
    }

    init(_ proto: ProtoRound) throws(MalformedBytes) {
        self.init(
            term: try Term(proto.term, isThere: proto.hasTerm, "term"), number: proto.number)
    }
}

extension GrantID: WireValue {
    var proto: ProtoGrant {
        var proto = ProtoGrant()
        proto.victim = victim.proto
        proto.number = number
        return proto
    }

    init(_ proto: ProtoGrant) throws(MalformedBytes) {
        self.init(
            victim: try ParticipantID(proto.victim, isThere: proto.hasVictim, "victim"),
            number: proto.number)
    }
}

extension IntervalSet: WireValue {
    var proto: ProtoUnits {
        var proto = ProtoUnits()
        proto.steps.reserveCapacity(2 * ranges.count)
        var end = 0
        for range in ranges {
            proto.steps.append(UInt64(range.lowerBound - end))
            proto.steps.append(UInt64(range.count - 1))
            end = range.upperBound
        }
        return proto
    }

    /// An absent set is an empty one.
    init(_ proto: ProtoUnits) throws(MalformedBytes) {
        let steps = proto.steps
        guard steps.count.isMultiple(of: 2), steps.count / 2 <= Self.rangesMax else {
            throw .invalid("number of ranges")
        }
        let limit = UInt64(WireBounds.unitsMax)
        var ranges: [SampleRange] = []
        ranges.reserveCapacity(steps.count / 2)
        var end: UInt64 = 0
        for index in stride(from: 0, to: steps.count, by: 2) {
            let gap = steps[index]
            let last = steps[index + 1]
            guard gap <= limit, last < limit, gap > 0 || index == 0 else { throw .invalid("range") }
            let lower = end + gap
            end = lower + last + 1
            guard end <= limit else { throw .invalid("range") }
            ranges.append(SampleRange(Int(lower), Int(end)))
        }
        guard let set = IntervalSet(canonical: ranges) else { throw .invalid("ranges") }
        self = set
    }
}

/// A speed from outside: finite and not negative.
func checkedSpeed(_ samplesPerSecond: Double) throws(MalformedBytes) -> Double {
    guard samplesPerSecond.isFinite, samplesPerSecond >= 0 else { throw .invalid("speed") }
    return samplesPerSecond
}

/// A number of units from outside.
func checkedUnits(_ count: UInt64) throws(MalformedBytes) -> Int {
    guard count <= UInt64(WireBounds.unitsMax) else { throw .invalid("number of units") }
    return Int(count)
}
