// The bytes whose SHA-256 is a film's hash. They depend on nothing but the film: two films are
// equal exactly when their canonical bytes are.

import MeshCore

extension Film {
    /// Calls `body` with the film's canonical bytes, piece by piece, in order. All integers are
    /// little-endian.
    ///
    /// 1. width, height, tile size, samples per pixel: UInt32 each; the last has its highest bit
    ///    set if the frame is adaptive.
    /// 2. The number of ranges of the coverage: UInt64; then lower and upper bound of each: UInt64.
    ///    Of an adaptive frame the same of what is waived.
    /// 3. For each touched tile, in tile order: its planes red, green, blue, depth, in an adaptive
    ///    frame the luminance of the control samples, as Int64, its planes coverage, albedo red,
    ///    green, blue, normal x, y, z as Int32, each row-major over
    ///    the tile's pixels; then the number of its non-finite samples: Int64.
    ///
    /// A chunk is valid only during its call.
    public func forEachCanonicalChunk(_ body: (UnsafeRawBufferPointer) -> Void) {
        precondition(1.littleEndian == 1, "the planes are passed on as they lie in memory")
        var header = ByteWriter()
        let grid = workSpace.grid
        for number in [grid.width, grid.height, grid.tileSize] { header.write(UInt32(number)) }
        let mark: UInt32 = workSpace.isAdaptive ? 1 << 31 : 0
        header.write(UInt32(workSpace.samplesPerPixel) | mark)
        for units in workSpace.isAdaptive ? [coverage, waived] : [coverage] {
            header.write(UInt64(units.ranges.count))
            for range in units.ranges {
                header.write(UInt64(range.lowerBound))
                header.write(UInt64(range.upperBound))
            }
        }
        header.bytes.withUnsafeBytes(body)
        for index in 0..<grid.count {
            guard let tile = tile(index) else { continue }
            tile.wide.withUnsafeBytes(body)
            tile.narrow.withUnsafeBytes(body)
            withUnsafeBytes(of: tile.nonFiniteSamples, body)
        }
    }
}
