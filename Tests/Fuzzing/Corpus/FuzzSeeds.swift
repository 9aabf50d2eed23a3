// Seeds by the program's own encoders, so that the fuzzer begins with what is understood. Seeds of
// scenes and images are made by tools/fuzz-seeds.py.

import Foundation
import MeshCore
import MeshSecurity
import MeshWire

@testable import MeshNode
@testable import MeshRuntime
@testable import MeshSimulator
@testable import Tracer

/// Where seeds come from.
enum FuzzSeeds {
    /// A target, the seed's name, its bytes.
    typealias Seed = (FuzzTarget, String, [UInt8])

    static let a = ParticipantID(node: NodeID(0x0123_4567_89ab_cdef), boot: 7)
    static let b = ParticipantID(node: NodeID(2), boot: 1)
    static let frame = FrameID(originator: a, number: 42)
    static let round = RoundID(term: Term(number: 3, root: b), number: 9)

    static func all() throws -> [Seed] {
        try node() + announcements() + openings() + frames() + films() + discovery() + jobs()
            + control() + schedules() + text()
            + security(datagrams: Array(RecordedMesh(originator: 0).datagrams.prefix(6)))
    }

    private static func announcements() -> [Seed] {
        var announcement = Announcement()
        announcement.name = "studio"
        announcement.version = "0.1.0"
        announcement.devices = "8 × CPU avx2"
        announcement.samplesPerSecond = 1e6
        var seeds: [Seed] = []
        for (index, term) in [nil, Term(number: 3, root: a), Term(number: 1, root: b)].enumerated()
        {
            var announced = AnnouncedFrame(frame: frame)
            announced.term = term
            announced.hasScene = index != 0
            announced.remainingSamples = 1 << (20 * index)
            announcement.frames.append(announced)
            seeds.append(
                (.announcement, "frames-\(index)", announcement.encoded(limit: 512).bytes))
        }
        return seeds
    }

    private static func openings() -> [Seed] {
        let all: [StreamOpening] =
            [
                .control(sender: a, name: "Wörkstätion"),
                .contribution(frame, round, TileStripe(2, of: 4), sender: b),
                .sum(frame, round, TileStripe(63, of: 64), receivers: [a, b]), .film(frame),
                .file(Digest(hashing: [1])),
            ]
        return all.enumerated().map { (.opening, "\($0.offset)", $0.element.encoded()) }
    }

    /// A frame as it lies on a stream.
    private static func framed(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt32(payload.count))
        writer.write(kind)
        writer.write(contentsOf: payload)
        return writer.bytes
    }

    private static func frames() -> [Seed] {
        let preamble = framed(0, StreamPreamble(major: 1, minor: 0, purpose: .mesh).bytes)
        let opening = framed(
            StreamKind.opening, StreamOpening.control(sender: a, name: "n").encoded())
        let job = MeshMessage.jobOffer(
            frame, JobDescription(width: 64, height: 64, samplesPerPixel: 4, payload: [1]))
        let messages = framed(StreamKind.message, job.encoded()) + framed(StreamKind.alive, [])
        return [
            (.frames, "whole", [255] + preamble + opening + messages),
            (.frames, "bytes", [0] + preamble + opening),
            (.frames, "pieces", [12] + preamble + opening + messages + messages),
        ]
    }

    private static func films() -> [Seed] {
        guard let space = FuzzTarget.filmSpace, let adaptive = FuzzTarget.adaptiveFilmSpace
        else { return [] }
        var seeds: [Seed] = []
        let coverages: [[SampleRange]] = [
            [], [SampleRange(0, 1)], [space.all], [SampleRange(1, 3), SampleRange(7, 9)],
        ]
        for (index, ranges) in coverages.enumerated() {
            let coverage = IntervalSet(ranges)
            var random = RandomNumbers(seed: UInt64(index))
            for (pieces, stripe) in [(255, TileStripe.whole), (3, TileStripe(1, of: 2))] {
                let head = [UInt8(pieces), UInt8((stripe.count - 1) << 4 | stripe.index)]
                let stream = filmStream(
                    space, FilmExtent(coverage: coverage), stripe, from: &random)
                seeds.append((.film, "\(index)-\(stripe.count)", head + stream))
            }
        }
        let later = SampleRange(adaptive.units(ofStage: 0).upperBound, adaptive.count)
        let waived: [(coverage: [SampleRange], waived: [SampleRange])] = [
            ([], []), ([later], [later]),
            ([adaptive.all], [adaptive.units(ofTile: 2, inStage: 1), adaptive.units(ofStage: 2)]),
            ([SampleRange(3, 9), adaptive.units(ofStage: 1)], [adaptive.units(ofStage: 1)]),
        ]
        for (index, ranges) in waived.enumerated() {
            let extent = FilmExtent(
                coverage: IntervalSet(ranges.coverage), waived: IntervalSet(ranges.waived))
            var random = RandomNumbers(seed: 100 + UInt64(index))
            for (pieces, count) in [(255, 1), (3, 2)] {
                let stream = filmStream(
                    adaptive, extent, TileStripe(0, of: count), from: &random)
                seeds.append(
                    (.film, "adaptive-\(index)-\(count)", [UInt8(pieces), UInt8(count)] + stream))
            }
        }
        return seeds
    }

    private static func filmStream(
        _ space: WorkSpace, _ extent: FilmExtent, _ stripe: TileStripe,
        from random: inout RandomNumbers
    ) -> [UInt8] {
        var writer = FilmStreamWriter(workSpace: space, extent: extent, stripe: stripe)
        var bytes: [UInt8] = []
        while let next = writer.nextTile {
            var tile = FilmTile(
                pixelCount: space.grid.rectangle(ofTile: next).area, isAdaptive: space.isAdaptive)
            // Few bits, so that seeds stay small.
            for place in tile.wide.indices { tile.wide[place] = Int64(random.below(9)) }
            for place in tile.narrow.indices where next % 2 == 0 {
                tile.narrow[place] = Int32(random.below(3)) - 1
            }
            writer.write(tile: next, tile, into: &bytes)
        }
        writer.writeEnd(into: &bytes)
        return bytes
    }

    private static func discovery() -> [Seed] {
        func service(_ name: String, _ text: [String]) -> [UInt8] {
            ([name] + text + [""]).flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        }
        let record = DiscoveryRecord(
            node: b.node, mesh: MeshTag(of: MeshKey()), protocolVersion: 1, instanceName: "studio",
            address: NodeAddress(10, 0, 0, 2, port: 4_040))
        let first = service("studio", record.text)
        let moved = service("studio #2", ["id=00000000000000ff", "v=1", "boot=9"])
        return [
            (.discovery, "one", first),
            (.discovery, "two", first + moved + service("studio", [])),
            (.discovery, "own", service("me", ["id=0000000000000001"])),
        ]
    }

    private static func theJob() -> FrameJob {
        FrameJob(
            settings: FrameSettings(width: 64, height: 48, samplesPerPixel: 4, cameraName: "c"),
            main: "s.gltf", environment: "environment:sky.hdr",
            files: ["s.gltf", "s.bin", "environment:sky.hdr"].map {
                .init(name: $0, digest: "\(Digest(hashing: Array($0.utf8)))", sizeBytes: 1_000)
            })
    }

    private static func jobs() -> [Seed] { [(.job, "scene", theJob().encoded())] }

    private static func control() throws -> [Seed] {
        let encoder = JSONEncoder()
        let requests: [ControlRequest] = [
            .nodes, .status, .fetch("0001"), .submit(theJob()), .filesSent, .cancel,
        ]
        let part = NodeContribution(
            id: "\(b.node)", name: "studio",
            devices: [DeviceInfo(kind: "cpu", name: "processor", threads: 4)], samples: 1_000,
            units: 3, stealsAsked: 1, stealsGranted: 1, stealsRefused: 0, bytesSent: 10,
            bytesReceived: 20, samplesPerSecond: 1e6, presentFromSeconds: 0.5,
            presentToSeconds: 2, peakMemoryBytes: 1 << 20)
        let replies: [ControlReply] = [
            .missing(["00ff"]), .accepted("f"), .notice("n"), .picture, .failed("no"),
            .progress(
                RenderProgress(
                    elapsedSeconds: 1, samplesCommitted: 2, samplesRendered: 3, samplesTotal: 4,
                    samplesPerSecond: 5, nodes: [part])),
        ]
        var seeds: [Seed] = [(.control, "contribution", [UInt8](try encoder.encode(part)))]
        for (index, request) in requests.enumerated() {
            seeds.append((.control, "request-\(index)", [UInt8](try encoder.encode(request))))
        }
        for (index, reply) in replies.enumerated() {
            seeds.append((.control, "reply-\(index)", [UInt8](try encoder.encode(reply))))
        }
        return seeds
    }

    private static func schedules() throws -> [Seed] {
        var seeds: [Seed] = []
        let faults = """
            {"comment":"all","seed":7,"nodes":[[1e6],[1e6,2e6],[3e6]],"costSigma":0.5,
            "joined":true,"costs":"field:1:0.2","clockDrift":[0.01],"bandwidth":[1e6],
            "links":[{"from":0,"to":1,"bytesPerSecond":1e6}],"ledgerOnly":[2],
            "network":{"latencySeconds":0.001,"jitterSeconds":0.001,"bytesPerSecond":1e8,
            "datagramLoss":0.1,"messageLoss":0,"sumDuplication":0.5},
            "frames":[{"at":1,"node":0,"width":64,"height":64,"tileSize":32,
            "samplesPerPixel":4}],"faults":[
            {"at":1,"kind":"crash","node":1,"lasts":2,"keepsDisk":false},
            {"at":1.5,"kind":"freeze","node":0,"lasts":1},
            {"at":1,"kind":"jump","node":0,"by":5},
            {"at":1,"kind":"clog","node":0,"peer":1,"lasts":1},
            {"at":1,"kind":"mute","node":2},
            {"at":1,"kind":"slow","node":2,"factor":3,"lasts":1},
            {"at":1,"kind":"stick","node":1,"device":1,"lasts":1},
            {"at":1,"kind":"partition","group":[0,2],"oneWay":true,"lasts":1},
            {"at":1,"kind":"loss","rate":0.2,"lasts":1},
            {"at":2,"kind":"cancel","frame":0},{"at":3,"kind":"leave","node":1}]}
            """
        seeds.append((.schedule, "all", Array(faults.utf8)))
        seeds.append((.schedule, "least", Array(#"{"faults":[]}"#.utf8)))
        return seeds
    }

    private static func text() -> [Seed] {
        let words = [
            "10.0.0.1:4040", "[fe80::1]:4040", "[::ffff:1.2.3.4]:1", "[::]:0",
            "0123456789abcdef", String(repeating: "0f", count: 32), "lognormal:0.5",
            "pareto:2", "field:1:0.2", "equal", "uniform:0.5..2", "powers:5", "1,1,2,4",
        ]
        return [(.text, "words", Array(words.joined(separator: "\n").utf8))]
            + words.enumerated().map { (.text, "\($0.offset)", Array($0.element.utf8)) }
    }
}
