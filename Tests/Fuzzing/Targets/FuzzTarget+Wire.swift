// What other nodes say: datagrams, announcements, control messages, streams. What was understood
// is written again, and must then be read as the same.

import MeshCore
import MeshWire

@testable import Gossip
@testable import MeshNode
@testable import MeshRuntime
@testable import Tracer

extension FuzzTarget {
    static func gossip(_ bytes: [UInt8]) -> Bool {
        guard let message = try? GossipMessage(decoding: bytes) else { return false }
        let again = message.encode()
        // Varints may be written longer than they need to be, so that this may be shorter.
        guard again.count <= GossipMessage.datagramSizeMax else { return true }
        require((try? GossipMessage(decoding: again)) == message, "a datagram reads as it was")
        for update in message.updates {
            if let metadata = update.profile?.metadata { _ = announcement(metadata) }
        }
        return true
    }

    static func announcement(_ bytes: [UInt8]) -> Bool {
        guard let announcement = try? Announcement(decoding: bytes) else { return false }
        let (again, frames) = announcement.encoded(limit: 1 << 16)
        require(frames == announcement.frames.count, "no frame is left out")
        let read = try? Announcement(decoding: again)
        require(read?.frames == announcement.frames, "an announcement reads as it was")
        return true
    }

    static func message(_ bytes: [UInt8]) -> Bool {
        guard let message = try? MeshMessage(decoding: bytes) else { return false }
        require((try? MeshMessage(decoding: message.encoded())) == message, "reads as it was")
        if case .jobOffer(_, let offered) = message { _ = job(offered.payload) }
        return true
    }

    static func opening(_ bytes: [UInt8]) -> Bool {
        guard let opening = try? StreamOpening(decoding: bytes) else { return false }
        require((try? StreamOpening(decoding: opening.encoded())) == opening, "reads as it was")
        return true
    }

    /// The first byte says in what pieces the stream arrives.
    static func frames(_ bytes: [UInt8]) -> Bool {
        guard let pieceSize = bytes.first.map({ Int($0) + 1 }) else { return false }
        var decoder = FrameDecoder(payloadBytesMax: StreamPreamble.byteCountMax)
        var isKnown = false
        for start in stride(from: 1, to: bytes.count, by: pieceSize) {
            let piece = Array(bytes[start..<min(start + pieceSize, bytes.count)])
            let isSound = piece.withUnsafeBytes { buffer in
                var input = buffer
                do {
                    while let frame = try decoder.next(from: &input) {
                        try take(frame, isKnown: isKnown)
                        isKnown = true
                        decoder.payloadBytesMax = 8 << 20
                    }
                    return true
                } catch {
                    return false
                }
            }
            guard isSound else { return false }
        }
        return isKnown
    }

    private static func take(_ frame: StreamFrame, isKnown: Bool) throws {
        guard isKnown else {
            let preamble = try StreamPreamble(frame: frame)
            let own = StreamPreamble(major: 1, minor: 0, purpose: .mesh)
            require(
                try StreamPreamble(frame: StreamFrame(kind: 0, payload: preamble.bytes))
                    == preamble, "a preamble reads as it was")
            try own.match(preamble)
            return
        }
        switch frame.kind {
        case StreamKind.opening: _ = opening(frame.payload)
        case StreamKind.message: _ = message(frame.payload)
        case StreamKind.contribution: _ = control(frame.payload)
        default: break
        }
    }

    /// The frame of the film target's streams: 3 × 2 tiles, cut at the right and below.
    static let filmSpace = TileGrid(width: 20, height: 13, tileSize: 8).flatMap {
        WorkSpace(grid: $0, samplesPerPixel: 5)
    }

    /// That of its streams of an adaptive frame: stages of 16, 16 and 3 samples.
    static let adaptiveFilmSpace = TileGrid(width: 20, height: 13, tileSize: 8).flatMap {
        WorkSpace(grid: $0, samplesPerPixel: 35, isAdaptive: true)
    }

    /// The first byte says in what pieces the stream arrives, the second which stripe it is: of a
    /// count in the upper digit one in the lower; with an upper digit of zero the lower is zero for
    /// all tiles, or it is that of the first stripes of an adaptive frame.
    static func film(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 2 else { return false }
        let pieceSize = Int(bytes[0]) * 8 + 1
        let (upper, lower) = (Int(bytes[1] >> 4), Int(bytes[1] & 15))
        let isAdaptive = upper == 0 && lower > 0
        let stripe =
            isAdaptive ? TileStripe(0, of: lower) : TileStripe(lower % (upper + 1), of: upper + 1)
        guard let space = isAdaptive ? adaptiveFilmSpace : filmSpace else { return false }
        var decoder = FilmStreamDecoder(workSpace: space, stripe: stripe)
        var assembly = FilmAssembly(workSpace: space)
        do {
            for start in stride(from: 2, to: bytes.count, by: pieceSize) {
                let piece = Array(bytes[start..<min(start + pieceSize, bytes.count)])
                for tile in try decoder.read(piece) {
                    var sum = tile.sums.unpacked()
                    sum.add(tile.sums)
                    try assembly.add(tile: tile.index, tile.sums)
                }
            }
            try decoder.finish()
            guard stripe.count == 1, let extent = decoder.extent else { return true }
            var film = Film(workSpace: space)
            try film.add(try assembly.finish(extent))
            film.checkInvariants()
            _ = FilmImage(film)
            for tile in 0..<space.grid.count { _ = film.wantsMore(tile: tile, noiseTarget: 0.1) }
            return true
        } catch {
            return false
        }
    }
}
