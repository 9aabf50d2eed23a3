// Frames that a node takes no part in: decided here, told to the frame's originator, whose user
// wants to know why somebody does not help, and listed by `meshd status` and `meshd nodes`.

import Foundation
import Logging
import MeshCore
import MeshNode
import Tracer

/// A refusal on its way to the originator.
private struct RefusalMessage: Codable {
    var originator: String
    var boot: UInt64
    var number: UInt64
    var reason: String

    /// The longest reason, bytes.
    static let reasonBytesMax = 512

    init(_ frame: FrameID, _ reason: String) {
        originator = "\(frame.originator.node)"
        boot = frame.originator.boot
        number = frame.number
        var bounded = String(reason.prefix(Self.reasonBytesMax))
        while bounded.utf8.count > Self.reasonBytesMax { bounded.removeLast() }
        self.reason = bounded
    }

    var frame: FrameID? {
        NodeID(originator).map {
            FrameID(originator: ParticipantID(node: $0, boot: boot), number: number)
        }
    }
}

extension NodeRuntime {
    /// Why this node would not take a job, by what the job itself says; nil when it would.
    func refusal(of job: FrameJob) -> String? {
        do throws(SceneError) {
            try configuration.limits.memory.admit(job)
        } catch {
            return "\(error)"
        }
        do throws(FileStoreError) {
            try store.admit(job)
        } catch {
            return "\(error)"
        }
        return nil
    }

    /// The machine leaves a frame to others.
    func declined(_ frame: FrameID, reason: String) {
        notice("takes no part in frame \(frame): \(reason)")
        refusals[frame] = reason
        holds[frame] = nil
    }

    /// Tells the originators why this node does not help. Again and again: messages get lost.
    func reportRefusals() {
        for (frame, reason) in refusals where frame.originator != identity {
            guard let address = node.address(of: frame.originator),
                let bytes = try? JSONEncoder().encode(RefusalMessage(frame, reason))
            else { continue }
            links.send(
                kind: StreamKind.refusal, [UInt8](bytes), to: frame.originator, at: address)
        }
    }

    func received(refusal bytes: [UInt8], from sender: ParticipantID) {
        guard bytes.count <= 4 << 10,
            let message = try? JSONDecoder().decode(RefusalMessage.self, from: Data(bytes)),
            let frame = message.frame, message.reason.utf8.count <= RefusalMessage.reasonBytesMax
        else {
            garbageReceived += 1
            return
        }
        // The frame may have ended while this was on its way.
        guard let session = sessions[frame],
            let member = node.members.first(where: { $0.participant == sender }),
            refusalsOfOthers[frame]?[sender] == nil,
            refusalsOfOthers[frame, default: [:]].count < 1_024
        else { return }
        var reason = String.UnicodeScalarView()
        for scalar in message.reason.unicodeScalars
        where scalar.properties.generalCategory != .control { reason.append(scalar) }
        refusalsOfOthers[frame, default: [:]][sender] = String(reason)
        logger.info("\(member.name) takes no part in frame \(frame): \(String(reason))")
        session.refused(by: member.name, reason: String(reason))
    }

    /// Who takes no part in a frame, and why, a line each; nil for nobody.
    func refusals(of frame: FrameID) -> [String]? {
        let names = Dictionary(
            node.members.map { ($0.participant, $0.name) }, uniquingKeysWith: { first, _ in first })
        var lines = refusals[frame].map { ["\(configuration.name) takes no part: \($0)"] } ?? []
        for (participant, reason) in refusalsOfOthers[frame, default: [:]].sorted(by: {
            $0.key < $1.key
        }) {
            lines.append("\(names[participant] ?? "\(participant.node)") takes no part: \(reason)")
        }
        return lines.isEmpty ? nil : lines
    }

    /// The frames that a member takes no part in, and why, a line each; nil for none.
    func refusals(by participant: ParticipantID) -> [String]? {
        var reasons = refusalsOfOthers.compactMapValues { $0[participant] }
        if participant == identity { reasons.merge(refusals) { $1 } }
        let lines = reasons.sorted { $0.key < $1.key }
            .map { "takes no part in frame \($0.key): \($0.value)" }
        return lines.isEmpty ? nil : lines
    }
}
