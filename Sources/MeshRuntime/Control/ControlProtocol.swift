// What the command line and the daemon of one machine say to each other over the daemon's Unix
// socket: JSON in frames of our own, film streams and files as raw bytes (docs/WIRE.md).

import Foundation
import MeshCore

/// Kinds of frames on a control connection.
enum ControlKind {
    /// Client: a ``ControlRequest``.
    static let request: UInt8 = 1
    /// Client: a whole file the daemon said is missing, after its 32-byte hash, in pieces; an
    /// empty piece ends it.
    static let file: UInt8 = 2
    /// Daemon: a ``ControlReply``.
    static let reply: UInt8 = 3
    /// Daemon: a piece of a film's stream.
    static let film: UInt8 = 4
}

/// What a client asks for.
enum ControlRequest: Codable {
    case nodes
    case status
    case devices
    /// The frames of the mesh.
    case frames
    /// Follow the frame whose id begins so, and give its film when it is complete.
    case fetch(String)
    /// Render this; the reply says which files the daemon lacks.
    case submit(FrameJob)
    /// All missing files have been sent.
    case filesSent
    /// The keys of the mesh were changed on disk: take them over.
    case rejoin
    case rotateKey
    case revokeOldKeys(force: Bool)
    /// End the frame and give back the picture so far.
    case cancel
}

/// What the daemon answers.
enum ControlReply: Codable {
    case nodes([NodeReport])
    case status(DaemonStatus)
    case devices([DeviceInfo])
    case frames([FrameReport])
    /// The frame that is fetched from here on.
    case following(FrameJob)
    case missing([String])
    /// The frame has begun, under this name.
    case accepted(String)
    case notice(String)
    case progress(RenderProgress)
    /// A film follows as film frames; the client says nothing.
    case picture
    /// The frame has ended; its film follows as film frames.
    case finished(RenderStatistics)
    case failed(String)
}

/// One member of the mesh, as `meshd nodes` shows it.
public struct NodeReport: Codable, Sendable, Equatable {
    public var id: String
    public var name: String
    public var address: String
    /// alive, suspect, dead or left.
    public var status: String
    public var version: String
    public var devices: String
    public var samplesPerSecond: Double
    public var idle: Bool
    /// Whether it is the node that answers.
    public var isThisNode: Bool
    /// The frames that it takes no part in, and why, as far as the node that answers knows; nil
    /// for none.
    public var refusals: [String]?
}

/// What a daemon is doing, as `meshd status` shows it.
public struct DaemonStatus: Codable, Sendable, Equatable {
    public struct Frame: Codable, Sendable, Equatable {
        public var id: String
        public var stage: String
        public var width: Int?
        public var height: Int?
        public var samplesPerPixel: Int?
        /// The share of the frame in this node's film, 0 … 1.
        public var committed: Double
        public var isRoot: Bool
        public var participants: Int
        /// Who takes no part in it, and why, as far as is known here; nil for nobody.
        public var refusals: [String]?
    }
    public var name: String
    public var id: String
    public var version: String
    public var address: String
    public var discovery: String
    public var nodesAlive: Int
    public var frames: [Frame]
    /// Datagrams and connections that were no messages of a mesh.
    public var garbageReceived: Int
}

/// One frame of the mesh, as `meshd frames` shows it.
public struct FrameReport: Codable, Sendable, Equatable {
    public var id: String
    /// The name of the scene file; nil until its description is here.
    public var scene: String?
    public var width: Int?
    public var height: Int?
    /// The most samples of a pixel; exactly those unless the frame is adaptive.
    public var samplesPerPixel: Int?
    /// Whether tiles that need fewer samples get fewer.
    public var isAdaptive: Bool?
    /// How far the node that answers is in joining it.
    public var stage: String
    /// The share of the frame in the film of the node that answers, 0 … 1.
    public var committed: Double
    /// The name of the node that was asked for it, and whether that is still there.
    public var originator: String
    public var originatorPresent: Bool
    /// The names of the nodes that hold the complete film.
    public var completeAt: [String]
}

extension StreamConnection {
    /// Sends a value as JSON.
    func send(kind: UInt8, _ value: some Encodable) {
        guard let data = try? JSONEncoder().encode(value) else {
            preconditionFailure("a control message has no value that JSON can't hold")
        }
        send(kind: kind, payload: [UInt8](data))
    }
}
