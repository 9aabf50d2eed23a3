// What a user hears of a frame while it renders: the same whether it renders here alone, on a
// mesh this process has joined, or through the daemon of this machine.

import MeshCore
import MeshSecurity
public import Tracer

/// How far a frame is.
public struct RenderProgress: Sendable, Codable {
    /// Seconds since the frame began to render.
    public var elapsedSeconds: Double
    /// Samples in the film.
    public var samplesCommitted: Int
    /// Samples rendered anywhere, in the film or on their way to it, as far as is known.
    public var samplesRendered: Int
    public var samplesTotal: Int
    /// Whether `samplesTotal` is only a bound: of an adaptive frame, whose tiles may need less.
    public var isTotalAtMost: Bool?
    /// Of all nodes, over the last seconds.
    public var samplesPerSecond: Double
    public var nodes: [NodeContribution]
    /// Seconds to the end at the present speed, or a bound of them; nil while the speed is not known.
    public var remainingSeconds: Double? {
        guard samplesPerSecond > 0 else { return nil }
        return Double(max(0, samplesTotal - samplesRendered)) / samplesPerSecond
    }
}

/// What one node does for a frame.
public struct NodeContribution: Sendable, Codable, Equatable {
    public var id: String
    public var name: String
    public var devices: [DeviceInfo]
    /// Samples and units this node has rendered.
    public var samples: Int
    public var units: Int
    public var stealsAsked: Int
    public var stealsGranted: Int
    public var stealsRefused: Int
    /// Bytes of this frame's messages, films and files.
    public var bytesSent: Int
    public var bytesReceived: Int
    /// While all its devices work, from the time each unit took.
    public var samplesPerSecond: Double
    /// Seconds from the frame's begin until this node could render, and until it was last heard.
    public var presentFromSeconds: Double
    public var presentToSeconds: Double
    public var peakMemoryBytes: Int
}

/// The figures of a finished frame, as `--stats` writes them. What is nil is not known, because the
/// frame was fetched from a mesh that somebody else had asked for it, and is left out.
public struct RenderStatistics: Sendable, Codable {
    public var wallSeconds: Double
    /// From the request to the first picture, seconds.
    public var firstPictureSeconds: Double?
    public var complete: Bool
    /// SHA-256 over the film's canonical bytes (docs/WIRE.md).
    public var filmHash: String
    public var width: Int
    public var height: Int
    /// The most samples of a pixel; exactly those unless the frame is adaptive.
    public var samplesPerPixel: Int
    /// Of an adaptive frame: the mean number of samples of a pixel, and the share of the most it
    /// could have had that its tiles did not need, 0 … 1.
    public var meanSamplesPerPixel: Double?
    public var waivedShare: Double?
    public var nonFiniteSamples: Int
    public var nodes: [NodeContribution]
    /// Units that were lost with a node, and units rendered more than once.
    public var unitsLost: Int?
    public var unitsRenderedAgain: Int?
    /// Units whose results two nodes agreed on, by the node that leads the frame; units that were
    /// chosen for that and that nobody could check; and the nodes whose results were wrong.
    public var unitsVerified: Int?
    public var unitsUnverified: Int?
    public var quarantined: [String]?
    public var rounds: Int?
    public var roundsAbandoned: Int?
    /// The time the frame took over the time in which the nodes, each from when it was ready
    /// until it was last heard, could have done all of its samples at their measured speeds.
    public var makespanOverIdeal: Double?
    public var peakMemoryBytes: Int
}

/// Something that happened to a frame.
public enum RenderUpdate: Sendable {
    /// The frame has begun on a mesh, under this name.
    case accepted(String)
    /// A line for the user.
    case notice(String)
    case progress(RenderProgress)
    /// The picture so far, at least one complete pass.
    case picture(Film)
    /// The frame has ended, complete or not.
    case finished(Film, RenderStatistics)
    /// The frame can't go on.
    case failed(String)

    /// What waits for a consumer that is slow: the newest half minute. The last update of all is
    /// always among it, and pictures, which come at growing intervals, are few.
    static let buffering = AsyncStream<RenderUpdate>.Continuation.BufferingPolicy
        .bufferingNewest(64)
}

extension RenderStatistics {
    /// The shortest time in which nodes of these speeds and presences can render `samples`,
    /// seconds: the `T` at which the sum over nodes of speed × time present before `T` reaches
    /// the work.
    static func idealSeconds(samples: Int, nodes: [NodeContribution]) -> Double {
        let work = Double(samples)
        func done(by time: Double) -> Double {
            nodes.reduce(0) { sum, node in
                let present = min(time, node.presentToSeconds) - node.presentFromSeconds
                return sum + node.samplesPerSecond * max(0, present)
            }
        }
        let end = nodes.map(\.presentToSeconds).max() ?? 0
        guard done(by: end) >= work else {
            // What is missing is done by those who stayed to the end.
            let speed = nodes.filter { $0.presentToSeconds >= end - 1 }
                .reduce(0) { $0 + $1.samplesPerSecond }
            return speed > 0 ? end + (work - done(by: end)) / speed : end
        }
        var low = 0.0
        var high = end
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if done(by: middle) < work { low = middle } else { high = middle }
        }
        return high
    }
}

extension RenderStatistics {
    /// The same with the figures of how a film of an adaptive frame is sampled.
    func describing(_ film: Film) -> RenderStatistics {
        let space = film.workSpace
        guard space.isAdaptive else { return self }
        var result = self
        let pixels = Double(space.grid.width * space.grid.height)
        result.meanSamplesPerPixel = Double(film.sampleCount) / pixels
        let most = Double(space.sampleCount(of: IntervalSet(space.all)))
        result.waivedShare = Double(space.sampleCount(of: film.waived)) / most
        return result
    }
}

extension Film {
    /// The most samples of all pixels that the film can have once it is complete.
    public var sampleCountMax: Int {
        workSpace.sampleCount(of: IntervalSet(workSpace.all)) - workSpace.sampleCount(of: waived)
    }

    /// SHA-256 over the film's canonical bytes, hexadecimal.
    public var hash: String {
        let stream = HashStream()
        forEachCanonicalChunk { stream.update($0) }
        return "\(stream.finish())"
    }
}
