// Which nodes get the same bits: a fingerprint of what decides them, measured, not named.

import MeshCore
import MeshSecurity
import Tracer
import WorkStealing

enum ArithmeticClass {
    /// Of this process: the versions of the renderer and of Embree, which finds what rays hit, and
    /// what its processor makes of the approximations that differ between makers (reciprocals and
    /// reciprocal square roots).
    static let own: UInt64 = {
        var bytes = ByteWriter()
        bytes.write(UInt64(FrameJob.currentRendererVersion))
        bytes.write(UInt64(Processor.rayLibraryVersion))
        bytes.write(Processor.approximationFingerprint)
        return Digest(hashing: bytes.bytes).words[0]
    }()
}

extension UnitDigest {
    /// Of a rendered unit, on this machine.
    init(_ tile: FilmTile) {
        let stream = HashStream()
        tile.wide.withUnsafeBytes { stream.update($0) }
        tile.narrow.withUnsafeBytes { stream.update($0) }
        var sums = SIMD3<Float>.zero
        for channel in 0..<3 {
            let plane = tile.wide[channel * tile.pixelCount..<(channel + 1) * tile.pixelCount]
            let scale = Double(1 << FilmTile.beautyFractionBits)
            sums[channel] = Float(plane.reduce(0.0) { $0 + Double($1) } / scale)
        }
        self.init(
            hash: stream.finish().words[0], sums: sums, arithmeticClass: ArithmeticClass.own)
    }
}
