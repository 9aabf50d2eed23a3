// What each node has done for a frame: counted here, told to the frame's originator twice a
// second, and gathered there for progress and statistics.

import Foundation
import MeshCore
import MeshNode
import WorkStealing

/// What another node said of itself, and when.
struct ReportedContribution {
    var contribution: NodeContribution
    /// When it could begin to render.
    var readyAt: Instant
    var lastHeard: Instant
}

/// A contribution on its way to the originator.
private struct ContributionMessage: Codable {
    var originator: String
    var boot: UInt64
    var number: UInt64
    var contribution: NodeContribution

    init(_ frame: FrameID, _ contribution: NodeContribution) {
        originator = "\(frame.originator.node)"
        boot = frame.originator.boot
        number = frame.number
        self.contribution = contribution
    }

    var frame: FrameID? {
        NodeID(originator).map {
            FrameID(originator: ParticipantID(node: $0, boot: boot), number: number)
        }
    }
}

extension NodeRuntime {
    /// This node's part in a frame. Times count from `begin`; on their way to the originator,
    /// whose clock is another, from when this node was ready.
    func ownContribution(to frame: FrameID, since begin: Instant?) -> NodeContribution? {
        guard let counted = counters[frame], let participant = node.participant(of: frame) else {
            return nil
        }
        let statistics = participant.statistics
        let threads = configuration.threads
        let perThread =
            counted.busy > .zero
            ? Double(counted.samples) / counted.busy.seconds
            : speed.samplesPerThreadSecond ?? 0
        let readyAt = counted.readyAt ?? EventLoop.now
        return NodeContribution(
            id: "\(identity.node)", name: configuration.name,
            devices: [.processor(threads: threads)],
            samples: counted.samples, units: counted.units,
            stealsAsked: statistics.stealsAsked, stealsGranted: statistics.stealsWon,
            stealsRefused: statistics.stealsRefused,
            bytesSent: counted.bytesSent, bytesReceived: counted.bytesReceived,
            samplesPerSecond: perThread * Double(threads),
            presentFromSeconds: begin.map { (readyAt - $0).seconds } ?? 0,
            presentToSeconds: (EventLoop.now - (begin ?? readyAt)).seconds,
            peakMemoryBytes: ProcessMemory.peakBytes)
    }

    /// Tells the originators of all frames what this node has done.
    func reportContributions() {
        for frame in frames.keys where frame.originator != identity {
            guard let address = node.address(of: frame.originator),
                let contribution = ownContribution(to: frame, since: nil),
                let bytes = try? JSONEncoder().encode(ContributionMessage(frame, contribution))
            else { continue }
            counters[frame]?.bytesSent += bytes.count
            links.send(
                kind: StreamKind.contribution, [UInt8](bytes), to: frame.originator, at: address)
        }
    }

    func received(contribution bytes: [UInt8], from sender: ParticipantID) {
        guard bytes.count <= 64 << 10,
            let message = try? JSONDecoder().decode(
                ContributionMessage.self, from: Data(bytes)),
            let frame = message.frame, message.contribution.isPlausible
        else {
            garbageReceived += 1
            return
        }
        // The frame may have ended while this was on its way.
        guard sessions[frame] != nil, node.address(of: sender) != nil else { return }
        let now = EventLoop.now
        var known = contributions[frame, default: [:]]
        guard known[sender] != nil || known.count < 1_024 else { return }
        let age = Duration(seconds: message.contribution.presentToSeconds)
        var contribution = message.contribution
        contribution.id = "\(sender.node)"
        known[sender] = ReportedContribution(
            contribution: contribution,
            readyAt: known[sender]?.readyAt ?? now - age, lastHeard: now)
        contributions[frame] = known
    }

    /// All nodes' parts in a frame that began here, this node's first.
    func allContributions(to frame: FrameID, since begin: Instant) -> [NodeContribution] {
        var result: [NodeContribution] = []
        if let own = ownContribution(to: frame, since: begin) { result.append(own) }
        let reported = contributions[frame, default: [:]].sorted { $0.key < $1.key }
        for (_, report) in reported {
            var contribution = report.contribution
            contribution.presentFromSeconds = (report.readyAt - begin).seconds
            // A node that was heard a moment ago is there still.
            let silence = EventLoop.now - report.lastHeard
            let end = silence < .seconds(2) ? EventLoop.now : report.lastHeard
            contribution.presentToSeconds = (end - begin).seconds
            result.append(contribution)
        }
        return result
    }
}

extension NodeContribution {
    /// Whether the figures are such that sums of them, and their JSON, have a value.
    var isPlausible: Bool {
        let counts = [
            samples, units, stealsAsked, stealsGranted, stealsRefused, bytesSent, bytesReceived,
            peakMemoryBytes,
        ]
        let measures = [samplesPerSecond, presentFromSeconds, presentToSeconds]
        return counts.allSatisfy { (0...(1 << 50)).contains($0) }
            && measures.allSatisfy { $0.isFinite && abs($0) < 1e15 }
            && samplesPerSecond >= 0 && presentToSeconds >= 0
            && id.utf8.count <= 256 && name.utf8.count <= 256 && devices.count <= 64
            && devices.allSatisfy { $0.kind.utf8.count <= 64 && $0.name.utf8.count <= 256 }
    }
}

/// This process's memory.
enum ProcessMemory {
    /// The most this process has had in memory, bytes.
    static var peakBytes: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1_024
    }
}
