// What nodes say of themselves in the gossip's metadata.

import Gossip
import MeshCore
import Testing

@testable import MeshNode

@Suite("Announcements")
struct AnnouncementTests {
    static let a = ParticipantID(node: NodeID(1 << 60), boot: 3)
    static let b = ParticipantID(node: NodeID(2), boot: 300)

    static func announcement(frames: Int) -> Announcement {
        var result = Announcement()
        result.name = "büro-4"
        result.version = "1.2.3"
        result.devices = "8 × CPU avx2"
        result.samplesPerSecond = 1_500_000
        result.remainingSamples = 1 << 40
        result.isIdle = false
        for number in 0..<frames {
            var frame = AnnouncedFrame(frame: FrameID(originator: a, number: UInt64(number)))
            frame.term = number % 3 == 0 ? nil : Term(number: 5, root: number % 3 == 1 ? a : b)
            frame.hasScene = number % 2 == 0
            frame.isComplete = number % 5 == 0
            frame.end = number % 7 == 0 ? .cancelled : nil
            frame.remainingSamples = number * 1_000
            result.frames.append(frame)
        }
        return result
    }

    @Test("An announcement is read as it was written", arguments: [0, 1, 8])
    func roundTrip(frames: Int) throws {
        let original = Self.announcement(frames: frames)
        let (bytes, count) = original.encoded(limit: GossipMessage.metadataSizeMax)
        #expect(count == frames)
        #expect(try Announcement(decoding: bytes) == original)
    }

    @Test("What does not fit is left out, and the rest says so")
    func overflow() throws {
        let original = Self.announcement(frames: 60)
        let (bytes, count) = original.encoded(limit: GossipMessage.metadataSizeMax)
        #expect(bytes.count <= GossipMessage.metadataSizeMax)
        #expect(count > 10 && count < 60)
        let read = try Announcement(decoding: bytes)
        #expect(read.isPartial)
        #expect(read.frames == Array(original.frames.prefix(count)))
    }

    @Test("Any bytes are refused or read", arguments: 1...4 as ClosedRange<UInt64>)
    func damage(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        let original = Self.announcement(frames: 9).encoded(limit: 512).bytes
        for _ in 0..<2_000 {
            var bytes = Array(original.prefix(1 + random.below(original.count)))
            for _ in 0...random.below(4) {
                bytes[random.below(bytes.count)] = UInt8(random.below(256))
            }
            guard let read = try? Announcement(decoding: bytes) else { continue }
            #expect(read.samplesPerSecond.isFinite && read.samplesPerSecond >= 0)
            #expect(read.remainingSamples >= 0)
            #expect(read.name.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 })
        }
    }

    @Test("A name cannot move the cursor of a terminal")
    func controlCharacters() throws {
        var announcement = Announcement()
        announcement.name = "a\u{1b}[2Jb\n"
        let read = try Announcement(decoding: announcement.encoded(limit: 512).bytes)
        #expect(read.name == "a[2Jb")
    }

    @Test("A job is valid exactly when it has a work space")
    func validJobs() {
        let sides = [-1, 0, 1, 300, 65_536, 65_537]
        for width in sides {
            for height in sides {
                for (tileSize, samples) in [(32, 4), (7, 4), (65_537, 4), (64, 0), (64, 65_537)] {
                    let job = JobDescription(
                        width: width, height: height, tileSize: tileSize,
                        samplesPerPixel: samples)
                    // The largest grid takes a while: its bounds are what counts here.
                    if job.isValid, width * height > 1 << 24 { continue }
                    #expect(job.isValid == (job.workSpace != nil), "\(job)")
                }
            }
        }
    }
}
