// What a node says of itself and of its frames. It rides as metadata in the membership gossip,
// so that every node learns of every frame, its term and its end without a message of its own.
// The layout is described in docs/WIRE.md, "Announcements".

import MeshCore

/// The content of a member's gossip metadata.
struct Announcement: Hashable, Sendable {
    var name = ""
    var version = ""
    var devices = ""
    /// Of all devices.
    var samplesPerSecond = 0.0
    /// Held and not rendered, of all frames.
    var remainingSamples = 0
    var isIdle = true
    /// Whether there are frames for which there was no room.
    var isPartial = false
    var frames: [AnnouncedFrame] = []

    /// The version of this layout; others are not read.
    static let layout: UInt8 = 1
    static let nameBytesMax = 64
    static let versionBytesMax = 32
    static let devicesBytesMax = 96
    static let remainingSamplesMax = 1 << 48
    static let frameBytesMax = 64
    static let framesMax = 64

    private static let idleFlag: UInt8 = 1
    private static let partialFlag: UInt8 = 2

    init() {}

    /// Writes at most `limit` bytes: as many of `frames`, from the first on, as fit.
    /// - Returns: the bytes, and how many frames they hold.
    func encoded(limit: Int) -> (bytes: [UInt8], frames: Int) {
        var records: [[UInt8]] = []
        var writer = ByteWriter()
        writer.write(Self.layout)
        writer.write(UInt8(0))
        writer.write(Float(samplesPerSecond).bitPattern)
        writer.writeVarint(UInt64(min(max(remainingSamples, 0), Self.remainingSamplesMax)))
        writer.writeText(name, bytesMax: Self.nameBytesMax)
        writer.writeText(version, bytesMax: Self.versionBytesMax)
        writer.writeText(devices, bytesMax: Self.devicesBytesMax)
        var size = writer.bytes.count
        for frame in frames.prefix(Self.framesMax) {
            let record = frame.encoded()
            guard size + 1 + record.count <= limit else { break }
            size += 1 + record.count
            records.append(record)
        }
        for record in records {
            writer.write(UInt8(record.count))
            writer.write(contentsOf: record)
        }
        var bytes = writer.bytes
        bytes[1] =
            (isIdle ? Self.idleFlag : 0) | (records.count < frames.count ? Self.partialFlag : 0)
        return (bytes, records.count)
    }

    /// Reads what `encoded(limit:)` of this or a later program wrote: unknown flags and what
    /// follows the known part of a frame's record are passed over.
    init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        var reader = ByteReader(bytes)
        guard try reader.read(UInt8.self) == Self.layout else {
            throw .invalid("announcement layout")
        }
        let flags = try reader.read(UInt8.self)
        isIdle = flags & Self.idleFlag != 0
        isPartial = flags & Self.partialFlag != 0
        let speed = Double(Float(bitPattern: try reader.read()))
        samplesPerSecond = speed.isFinite && speed > 0 ? speed : 0
        remainingSamples = try reader.readCount(
            "remaining samples", atMost: Self.remainingSamplesMax)
        name = try reader.readText("name", bytesMax: Self.nameBytesMax)
        version = try reader.readText("version", bytesMax: Self.versionBytesMax)
        devices = try reader.readText("devices", bytesMax: Self.devicesBytesMax)
        while reader.remaining > 0 {
            guard frames.count < Self.framesMax else { throw .invalid("number of frames") }
            let size = Int(try reader.read(UInt8.self))
            frames.append(try AnnouncedFrame(decoding: try reader.readBytes(size)))
        }
    }
}

/// What a member says of one frame.
struct AnnouncedFrame: Hashable, Sendable {
    var frame: FrameID
    /// The highest term it knows.
    var term: Term?
    /// It has the scene and can pass it on.
    var hasScene = false
    /// Its film is complete.
    var isComplete = false
    /// The frame is over.
    var end: FrameEnd?
    /// Work it holds and has not rendered.
    var remainingSamples = 0

    private static let sceneFlag: UInt8 = 1
    private static let completeFlag: UInt8 = 2
    private static let termFlag: UInt8 = 4
    /// The root is the frame's originator, and is not repeated.
    private static let originatorFlag: UInt8 = 8
    private static let endShift: UInt8 = 4
    private static let endMask: UInt8 = 3

    init(frame: FrameID) { self.frame = frame }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(frame.originator)
        writer.writeVarint(frame.number)
        var flags = ((end?.rawValue ?? 0) & Self.endMask) << Self.endShift
        if hasScene { flags |= Self.sceneFlag }
        if isComplete { flags |= Self.completeFlag }
        if let term {
            flags |= Self.termFlag
            if term.root == frame.originator { flags |= Self.originatorFlag }
        }
        writer.write(flags)
        writer.writeVarint(UInt64(min(max(remainingSamples, 0), Announcement.remainingSamplesMax)))
        if let term {
            writer.writeVarint(term.number)
            if term.root != frame.originator { writer.write(term.root) }
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        var reader = ByteReader(bytes)
        let originator = try reader.readParticipant()
        frame = FrameID(originator: originator, number: try reader.readVarint())
        let flags = try reader.read(UInt8.self)
        hasScene = flags & Self.sceneFlag != 0
        isComplete = flags & Self.completeFlag != 0
        end = FrameEnd(rawValue: flags >> Self.endShift & Self.endMask)
        remainingSamples = try reader.readCount(
            "remaining samples", atMost: Announcement.remainingSamplesMax)
        guard flags & Self.termFlag != 0 else { return }
        let number = try reader.readVarint()
        let root =
            flags & Self.originatorFlag != 0 ? originator : try reader.readParticipant()
        term = Term(number: number, root: root)
    }
}

extension ByteWriter {
    mutating func write(_ participant: ParticipantID) {
        write(participant.node.rawValue)
        writeVarint(participant.boot)
    }

    /// Writes a length and UTF-8, cut at a character's end to at most `bytesMax` bytes.
    mutating func writeText(_ text: String, bytesMax: Int) {
        var bytes: [UInt8] = []
        for character in text {
            guard bytes.count + character.utf8.count <= bytesMax else { break }
            bytes.append(contentsOf: character.utf8)
        }
        writeVarint(UInt64(bytes.count))
        write(contentsOf: bytes)
    }
}

extension ByteReader {
    mutating func readParticipant() throws(MalformedBytes) -> ParticipantID {
        let node = NodeID(try read())
        return ParticipantID(node: node, boot: try readVarint())
    }

    /// Reads text from outside, which ends up on terminals: broken UTF-8 is repaired, control
    /// characters are left out.
    mutating func readText(
        _ what: StaticString, bytesMax: Int
    ) throws(MalformedBytes) -> String {
        let count = try readCount(what, atMost: bytesMax)
        let text = String(decoding: try readBytes(count), as: UTF8.self)
        var printable = String.UnicodeScalarView()
        for scalar in text.unicodeScalars where scalar.properties.generalCategory != .control {
            printable.append(scalar)
        }
        return String(printable)
    }
}
