// The program under test, and what it says of itself as JSON: read here as documented, not with
// the program's own types, so that a change of the format fails a test.

import Foundation

/// Where the program is.
public enum Meshd {
    /// `$MESHD_PROGRAM`, or the release build of this package.
    public static let path: String =
        ProcessInfo.processInfo.environment["MESHD_PROGRAM"] ?? packageRoot
        + "/.build/release/meshd"

    /// Whether programs and tests are built with a sanitizer, in which the responder of mDNS does
    /// not work (Sources/CAvahi/shim.h).
    public static let isSanitized = ProcessInfo.processInfo.environment["MESHD_SANITIZER"] != nil

    /// How many times as long as without a sanitizer a test waits, and may take.
    public static let patience = isSanitized ? 5 : 1

    /// The folder of Package.swift.
    public static let packageRoot: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// Why nothing can be tested; nil when the program is there.
    public static var absence: String? {
        FileManager.default.isExecutableFile(atPath: path)
            ? nil : "there is no program at \(path): run make build, or set MESHD_PROGRAM"
    }
}

/// The figures of `--stats`.
public struct Statistics: Decodable, Sendable {
    public struct Node: Decodable, Sendable {
        public struct Device: Decodable, Sendable {}
        public var id: String
        public var name: String
        public var devices: [Device]
        public var samples: Int
        public var units: Int
        public var stealsAsked: Int
        public var stealsGranted: Int
        public var stealsRefused: Int
        public var bytesSent: Int
        public var bytesReceived: Int
    }
    public var wallSeconds: Double
    public var firstPictureSeconds: Double?
    public var complete: Bool
    public var filmHash: String
    public var width: Int
    public var height: Int
    public var samplesPerPixel: Int
    /// Nil unless the frame is adaptive, like the next one.
    public var meanSamplesPerPixel: Double?
    public var waivedShare: Double?
    public var nodes: [Node]
    /// Nil of a frame that was fetched, like the next three.
    public var unitsLost: Int?
    public var unitsRenderedAgain: Int?
    public var rounds: Int?
    public var makespanOverIdeal: Double?
    public var peakMemoryBytes: Int

    /// Reads a file of `--stats`.
    public init(contentsOf path: String) throws {
        self = try JSONDecoder().decode(
            Statistics.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

/// One line of `meshd nodes --json`.
public struct ListedNode: Decodable, Sendable, Equatable {
    public var id: String
    public var name: String
    public var address: String
    public var status: String
    public var devices: String
    public var isThisNode: Bool
}

/// What `meshd status --json` says.
public struct DaemonState: Decodable, Sendable {
    public struct Frame: Decodable, Sendable {
        public var id: String
        public var stage: String
        public var committed: Double
        public var isRoot: Bool
        public var participants: Int
    }
    public var name: String
    public var id: String
    public var address: String
    public var discovery: String
    public var nodesAlive: Int
    public var frames: [Frame]
    public var garbageReceived: Int
}
