// What a stream between two nodes is for: the first frame of whoever opened it. What follows on
// it is described in docs/WIRE.md.

public import MeshCore
import SwiftProtobuf

/// The purpose of one stream, named by its opener.
public enum StreamOpening: Hashable, Sendable {
    /// Control messages of `sender`, one after the other, for as long as it lasts. `name` is for
    /// people, at most 256 bytes of UTF-8.
    case control(sender: ParticipantID, name: String)
    /// A stripe of the opener's contribution to a round: a film stream follows.
    case contribution(FrameID, RoundID, TileStripe, sender: ParticipantID)
    /// A stripe of a round's sum, and to whom the receiver passes it on, in the order of that
    /// stripe's tree: a film stream follows, and once the round is committed the new ledger.
    case sum(FrameID, RoundID, TileStripe, receivers: [ParticipantID])
    /// Asks for the receiver's whole film of a frame: a film stream comes back.
    case film(FrameID)
    /// Asks for the file of this hash: its bytes come back.
    case file(Digest)

    /// The opening's bytes, without any framing.
    public func encoded() -> [UInt8] {
        var proto = ProtoOpening()
        switch self {
        case .control(let sender, let name):
            proto.control.sender = sender.proto
            proto.control.name = name.cut(toBytes: WireBounds.nameBytesMax)
        case .contribution(let frame, let round, let stripe, let sender):
            proto.contribution.frame = frame.proto
            proto.contribution.round = round.proto
            proto.contribution.stripe = stripe.proto
            proto.contribution.sender = sender.proto
        case .sum(let frame, let round, let stripe, let receivers):
            proto.sum.frame = frame.proto
            proto.sum.round = round.proto
            proto.sum.stripe = stripe.proto
            proto.sum.receivers = receivers.map(\.proto)
        case .film(let frame):
            proto.film = frame.proto
        case .file(let digest):
            proto.file = ProtoJob.data(digest.bytes)
        }
        return proto.bytes()
    }

    /// Reads the first frame of a stream that another node has opened.
    /// - Throws: ``MalformedBytes`` when anything in it is missing or out of bounds, and for
    ///   purposes that a later version may have added.
    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        let proto = try ProtoOpening(checked: bytes)
        switch proto.purpose {
        case .control(let control):
            guard control.name.utf8.count <= WireBounds.nameBytesMax else {
                throw .invalid("name")
            }
            self = .control(
                sender: try ParticipantID(control.sender, isThere: control.hasSender, "sender"),
                name: control.name)
        case .contribution(let contribution):
            self = .contribution(
                try FrameID(contribution.frame, isThere: contribution.hasFrame, "frame"),
                try RoundID(contribution.round, isThere: contribution.hasRound, "round"),
                try TileStripe(contribution.stripe, isThere: contribution.hasStripe, "stripe"),
                sender: try ParticipantID(
                    contribution.sender, isThere: contribution.hasSender, "sender"))
        case .sum(let sum):
            self = .sum(
                try FrameID(sum.frame, isThere: sum.hasFrame, "frame"),
                try RoundID(sum.round, isThere: sum.hasRound, "round"),
                try TileStripe(sum.stripe, isThere: sum.hasStripe, "stripe"),
                receivers: try ParticipantID.list(sum.receivers, "receivers"))
        case .film(let frame):
            self = .film(try FrameID(frame))
        case .file(let digest):
            guard let digest = Digest(bytes: digest) else { throw .invalid("hash of a file") }
            self = .file(digest)
        case nil:
            throw .invalid("stream: its purpose is unknown")
        }
    }
}

extension String {
    /// The longest run of whole characters from the start that takes at most `limit` bytes.
    fileprivate func cut(toBytes limit: Int) -> String {
        var size = 0
        return String(
            prefix { character in
                size += character.utf8.count
                return size <= limit
            })
    }
}
