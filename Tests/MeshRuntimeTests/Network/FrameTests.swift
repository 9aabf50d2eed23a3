// Framing and preamble without sockets: bytes in any pieces, and any bytes at all.

import MeshCore
import Testing

@testable import MeshRuntime

@Suite("Frames")
struct FrameTests {
    /// Feeds `bytes` in pieces of random size.
    private func decode(
        _ bytes: [UInt8], max: Int, pieces: inout RandomNumbers
    ) throws(FrameError) -> [StreamFrame] {
        var decoder = FrameDecoder(payloadBytesMax: max)
        var frames: [StreamFrame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(1 + pieces.below(9)))
            rest = rest.dropFirst(piece.count)
            let result: Result<[StreamFrame], FrameError> = piece.withUnsafeBytes { buffer in
                var input = buffer
                var found: [StreamFrame] = []
                do throws(FrameError) {
                    while let frame = try decoder.next(from: &input) { found.append(frame) }
                } catch {
                    return .failure(error)
                }
                return .success(found)
            }
            frames += try result.get()
        }
        return frames
    }

    private func encode(_ frames: [StreamFrame]) -> [UInt8] {
        frames.flatMap { frame in
            withUnsafeBytes(of: UInt32(frame.payload.count).littleEndian) { Array($0) }
                + [frame.kind] + frame.payload
        }
    }

    @Test("Frames come out of bytes cut anywhere", arguments: 1...20 as ClosedRange<UInt64>)
    func pieces(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let frames = (0..<30).map { _ in
            StreamFrame(
                kind: UInt8(random.below(256)),
                payload: (0..<random.below(40)).map { _ in UInt8(random.below(256)) })
        }
        #expect(try decode(encode(frames), max: 40, pieces: &random) == frames)
    }

    @Test("A length above the limit is refused before its payload, one at the limit is not")
    func limit() throws {
        var random = RandomNumbers(seed: 1)
        let frame = StreamFrame(kind: 1, payload: Array(repeating: 2, count: 40))
        #expect(try decode(encode([frame]), max: 40, pieces: &random) == [frame])
        #expect(throws: FrameError.payloadTooLarge(byteCount: 40, max: 39)) {
            try decode(Array(encode([frame]).prefix(5)), max: 39, pieces: &random)
        }
    }

    @Test("Random bytes never crash the decoder", arguments: 1...20 as ClosedRange<UInt64>)
    func randomBytes(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        let bytes = (0..<500).map { _ in UInt8(random.below(random.below(2) == 0 ? 4 : 256)) }
        let frames = try? decode(bytes, max: 1_000, pieces: &random)
        #expect((frames ?? []).allSatisfy { $0.payload.count <= 1_000 })
    }

    @Test("A preamble reads what it writes, also with more behind it, and nothing else")
    func preamble() throws {
        let preamble = StreamPreamble(major: 0x1234, minor: 0xff01, purpose: .mesh)
        #expect(
            try StreamPreamble(frame: StreamFrame(kind: 0, payload: preamble.bytes)) == preamble)
        let longer = StreamFrame(kind: 0, payload: preamble.bytes + [1, 2, 3])
        #expect(try StreamPreamble(frame: longer) == preamble)
        #expect(throws: FrameError.preambleMissing(kind: 1)) {
            try StreamPreamble(frame: StreamFrame(kind: 1, payload: preamble.bytes))
        }
        for index in 0..<8 {
            var bytes = preamble.bytes
            bytes[index] ^= 1
            #expect(throws: FrameError.preambleMalformed) {
                try StreamPreamble(frame: StreamFrame(kind: 0, payload: bytes))
            }
        }
        let former = StreamFrame(kind: 0, payload: Array(preamble.bytes.prefix(13)))
        #expect(try StreamPreamble(frame: former) == preamble)
        for count in 0..<13 {
            let cut = StreamFrame(kind: 0, payload: Array(preamble.bytes.prefix(count)))
            #expect(throws: FrameError.preambleMalformed) { try StreamPreamble(frame: cut) }
        }
    }

    @Test("Another minor version is understood, another major one or purpose is named")
    func matching() throws {
        let ours = StreamPreamble(major: 2, minor: 5, purpose: .mesh)
        try ours.match(StreamPreamble(major: 2, minor: 9, purpose: .mesh))
        #expect(throws: StreamPreamble.Mismatch.version(ours: 2, theirs: 3)) {
            try ours.match(StreamPreamble(major: 3, minor: 0, purpose: .control))
        }
        #expect(throws: StreamPreamble.Mismatch.purpose(ours: .mesh, theirs: .control)) {
            try ours.match(StreamPreamble(major: 2, minor: 5, purpose: .control))
        }
    }

    @Test("Features that are offered may be unknown, those that are needed may not")
    func features() throws {
        let ours = StreamPreamble(major: 2, minor: 5, purpose: .mesh)
        func theirs(_ features: UInt32) throws -> StreamPreamble {
            let preamble = StreamPreamble(
                major: 2, minor: 6, purpose: .mesh, features: StreamFeatures(rawValue: features))
            let frame = StreamFrame(kind: 0, payload: preamble.bytes)
            #expect(try StreamPreamble(frame: frame) == preamble)
            return preamble
        }
        try ours.match(try theirs(0x0000_8001))
        let needed = StreamFeatures(rawValue: 0x0002_0000)
        #expect(throws: StreamPreamble.Mismatch.features(needed)) {
            try ours.match(try theirs(0x0002_8001))
        }
        #expect("\(StreamPreamble.Mismatch.features(needed))".contains("feature 17"))
    }
}
