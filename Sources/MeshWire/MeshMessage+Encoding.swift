// Control messages as bytes: one protobuf envelope each (mesh.proto, docs/WIRE.md).

public import MeshCore
public import MeshNode
import WorkStealing

extension MeshMessage {
    /// The message's bytes, without any framing.
    public func encoded() -> [UInt8] {
        var proto = ProtoEnvelope()
        switch self {
        case .frame(let frame, let message):
            proto.frame = frame.proto
            proto.content = message.content
        case .jobRequest(let frame):
            proto.frame = frame.proto
            proto.jobRequest = ProtoEmpty()
        case .jobOffer(let frame, let job):
            proto.frame = frame.proto
            proto.jobOffer = job.proto
        case .jobUnknown(let frame):
            proto.frame = frame.proto
            proto.jobUnknown = ProtoEmpty()
        case .frameEnded(let frame, let end):
            proto.frame = frame.proto
            proto.frameEnded = end.proto
        }
        return proto.bytes()
    }

    /// Reads a message from another node.
    /// - Throws: ``MalformedBytes`` when anything in it is missing or out of bounds, and for
    ///   messages that a later version may have added.
    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        let proto = try ProtoEnvelope(checked: bytes)
        let frame = try FrameID(proto.frame, isThere: proto.hasFrame, "frame")
        guard let content = proto.content else { throw .invalid("message: its kind is unknown") }
        switch content {
        case .jobRequest: self = .jobRequest(frame)
        case .jobOffer(let job): self = .jobOffer(frame, try JobDescription(job))
        case .jobUnknown: self = .jobUnknown(frame)
        case .frameEnded(let end): self = .frameEnded(frame, try FrameEnd(end))
        default: self = .frame(frame, try FrameMessage(content))
        }
    }
}

extension FrameEnd {
    /// - Precondition: not `expired`, which every node decides for itself.
    var proto: ProtoFrameEnd {
        switch self {
        case .cancelled: .cancelled
        case .delivered: .delivered
        case .expired: preconditionFailure("expiry is never sent")
        }
    }

    init(_ proto: ProtoFrameEnd) throws(MalformedBytes) {
        switch proto {
        case .cancelled: self = .cancelled
        case .delivered: self = .delivered
        case .unspecified, .UNRECOGNIZED: throw .invalid("end of a frame")
        }
    }
}

extension JobDescription: WireValue {
    var proto: ProtoJob {
        var proto = ProtoJob()
        proto.width = UInt32(width)
        proto.height = UInt32(height)
        proto.tileSize = UInt32(tileSize)
        proto.samplesPerPixel = UInt32(samplesPerPixel)
        proto.payload = ProtoJob.data(payload)
        proto.verifiedShare = verifiedShare
        proto.isAdaptive = isAdaptive
        proto.priority = UInt32(priority)
        return proto
    }

    init(_ proto: ProtoJob) throws(MalformedBytes) {
        guard proto.payload.count <= Self.payloadBytesMax else { throw .invalid("job: its size") }
        let job = JobDescription(
            width: Int(proto.width), height: Int(proto.height), tileSize: Int(proto.tileSize),
            samplesPerPixel: Int(proto.samplesPerPixel), verifiedShare: proto.verifiedShare,
            isAdaptive: proto.isAdaptive,
            priority: proto.priority == 0 ? Self.priorityDefault : Int(proto.priority),
            payload: Array(proto.payload))
        guard job.isValid else { throw .invalid("job: its sizes") }
        self = job
    }
}
