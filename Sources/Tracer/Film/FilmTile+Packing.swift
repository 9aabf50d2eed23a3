// Tiles on the wire: each plane in blocks of 256 values by frame of reference (minimum, bit width,
// packed differences; Goldstein, Ramakrishnan and Shaft, Compressing Relations and Indexes, 1998).
// It is exact, saves what zlib saves on noisy sums, and runs a hundred times faster.

public import MeshCore

/// Packed tile: the number of non-finite samples as a zigzag varint, then the planes in the order
/// of ``FilmTile``, each as blocks of at most 256 values. A block is its minimum as a zigzag
/// varint, the bit width w of the largest difference (one byte, 0 … 64, at most 32 in narrow
/// planes), then the differences, w bits each, lowest bits first, padded to a whole byte.
extension FilmTile {
    /// Values in a block: few enough to follow the image, enough that its head of 2 to 11 bytes
    /// costs little (docs/PROTOCOL.md §3).
    static let packedBlock = 256

    /// The most bytes that a tile of so many pixels can take.
    public static func packedSizeMax(pixelCount: Int) -> Int {
        let blocks = (pixelCount + packedBlock - 1) / packedBlock
        let head = 11  // A varint of 64 bits and the width.
        return 10 + widePlanes * (pixelCount * 8 + blocks * head)
            + narrowPlanes * (pixelCount * 4 + blocks * head)
    }

    /// Appends the packed tile.
    public func pack(into bytes: inout [UInt8]) {
        // Room for the word that the last difference of a block may be written with.
        let room = Self.packedSizeMax(pixelCount: pixelCount) + 8
        let start = bytes.count
        let packed = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            var packer = Packer(base: base)
            packer.writeVarint(Packer.zigzag(nonFiniteSamples))
            wide.withUnsafeBufferPointer { packer.pack($0, planeSize: pixelCount) }
            narrow.withUnsafeBufferPointer { packer.pack($0, planeSize: pixelCount) }
            count = packer.offset
        }
        bytes.append(contentsOf: packed)
        assert(bytes.count - start <= room - 8)
    }

    /// Reads the packed tile of `pixelCount` pixels that starts at `offset`, and moves `offset`
    /// behind it.
    /// - Throws: ``MalformedBytes`` when the bytes end too early or a width is out of bounds.
    /// - Precondition: `0 <= offset <= bytes.count`.
    public static func unpack(
        from bytes: UnsafeRawBufferPointer, at offset: inout Int, pixelCount: Int
    ) throws(MalformedBytes) -> FilmTile {
        precondition(offset >= 0 && offset <= bytes.count)
        var unpacker = Unpacker(bytes: bytes, offset: offset)
        var tile = FilmTile(pixelCount: pixelCount)
        tile.nonFiniteSamples = Unpacker.unzigzag(try unpacker.readVarint())
        // Errors leave the closures as values: rethrowing is untyped there.
        let failure: MalformedBytes? =
            tile.wide.withUnsafeMutableBufferPointer { plane in
                unpacker.unpack(into: plane, planeSize: pixelCount)
            }
            ?? tile.narrow.withUnsafeMutableBufferPointer { plane in
                unpacker.unpack(into: plane, planeSize: pixelCount)
            }
        if let failure { throw failure }
        offset = unpacker.offset
        return tile
    }

    /// Reads a packed tile of `pixelCount` pixels that fills `bytes`.
    /// - Throws: ``MalformedBytes``, also when bytes are left.
    static func unpack(
        filling bytes: UnsafeRawBufferPointer, pixelCount: Int
    ) throws(MalformedBytes) -> FilmTile {
        var offset = 0
        let tile = try unpack(from: bytes, at: &offset, pixelCount: pixelCount)
        guard offset == bytes.count else { throw .invalid("length of a packed tile") }
        return tile
    }

    /// Reads a packed tile of `pixelCount` pixels that fills `bytes`.
    /// - Throws: ``MalformedBytes``, also when bytes are left.
    public static func unpack(
        from bytes: [UInt8], pixelCount: Int
    ) throws(MalformedBytes) -> FilmTile {
        let result: Result<FilmTile, MalformedBytes> = bytes.withUnsafeBytes { buffer in
            do throws(MalformedBytes) {
                return .success(try unpack(filling: buffer, pixelCount: pixelCount))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// Writes packed planes to memory that its owner made large enough.
private struct Packer {
    let base: UnsafeMutableRawPointer
    var offset = 0

    static func zigzag(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
    }

    mutating func writeByte(_ byte: UInt8) {
        base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
        offset += 1
    }

    mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            writeByte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        writeByte(UInt8(truncatingIfNeeded: rest))
    }

    mutating func pack<T: FixedWidthInteger & SignedInteger>(
        _ planes: UnsafeBufferPointer<T>, planeSize: Int
    ) {
        guard planeSize > 0, let values = planes.baseAddress else { return }
        for plane in stride(from: 0, to: planes.count, by: planeSize) {
            for block in stride(from: 0, to: planeSize, by: FilmTile.packedBlock) {
                packBlock(values + plane + block, min(FilmTile.packedBlock, planeSize - block))
            }
        }
    }

    private mutating func packBlock<T: FixedWidthInteger & SignedInteger>(
        _ values: UnsafePointer<T>, _ count: Int
    ) {
        var minimum = values[0]
        var maximum = values[0]
        for index in 0..<count {
            minimum = min(minimum, values[index])
            maximum = max(maximum, values[index])
        }
        let reference = UInt64(truncatingIfNeeded: minimum)
        let width = 64 &- (UInt64(truncatingIfNeeded: maximum) &- reference).leadingZeroBitCount
        writeVarint(Self.zigzag(Int64(truncatingIfNeeded: minimum)))
        writeByte(UInt8(truncatingIfNeeded: width))
        guard width > 0 else { return }
        // Fill 64-bit words from the low end; the last word may reach past the block, where the
        // next block overwrites it.
        var word: UInt64 = 0
        var filled = 0
        var target = base + offset
        for index in 0..<count {
            let difference = UInt64(truncatingIfNeeded: values[index]) &- reference
            word |= difference &<< UInt64(truncatingIfNeeded: filled)
            filled &+= width
            if filled >= 64 {
                target.storeBytes(of: word.littleEndian, as: UInt64.self)
                target += 8
                filled &-= 64
                let used = UInt64(truncatingIfNeeded: width &- filled)
                word = filled > 0 ? difference &>> used : 0
            }
        }
        if filled > 0 { target.storeBytes(of: word.littleEndian, as: UInt64.self) }
        offset += (count &* width &+ 7) / 8
    }
}

/// Reads packed planes; every read is checked against what is left.
private struct Unpacker {
    let bytes: UnsafeRawBufferPointer
    var offset: Int

    static func unzigzag(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value &>> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func readByte() throws(MalformedBytes) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func readVarint() throws(MalformedBytes) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try readByte()
            if shift == 63, byte > 1 { throw .invalid("varint") }
            result |= UInt64(byte & 0x7f) &<< shift
            if byte < 0x80 { return result }
            shift += 7
        }
    }

    /// Fills the planes, and returns what was wrong.
    mutating func unpack<T: FixedWidthInteger & SignedInteger>(
        into planes: UnsafeMutableBufferPointer<T>, planeSize: Int
    ) -> MalformedBytes? {
        guard planeSize > 0, let values = planes.baseAddress else { return nil }
        do throws(MalformedBytes) {
            for plane in stride(from: 0, to: planes.count, by: planeSize) {
                for block in stride(from: 0, to: planeSize, by: FilmTile.packedBlock) {
                    let count = min(FilmTile.packedBlock, planeSize - block)
                    try unpackBlock(values + plane + block, count)
                }
            }
            return nil
        } catch {
            return error
        }
    }

    private mutating func unpackBlock<T: FixedWidthInteger & SignedInteger>(
        _ values: UnsafeMutablePointer<T>, _ count: Int
    ) throws(MalformedBytes) {
        let minimum = Self.unzigzag(try readVarint())
        let width = Int(try readByte())
        guard width <= T.bitWidth else { throw .invalid("bit width of a block") }
        guard let reference = T(exactly: minimum) else { throw .invalid("minimum of a block") }
        let size = (count * width + 7) / 8
        guard bytes.count - offset >= size else { throw .truncated }
        guard width > 0 else { return values.update(repeating: reference, count: count) }
        guard let base = bytes.baseAddress else { throw .truncated }
        let source = base + offset
        offset += size
        // Sums that wrap are values like others: a sum of hostile bytes is wrong, never a trap.
        let mask = UInt64.max &>> UInt64(64 - width)
        // Where a word that starts at the difference's first byte holds all of it, and lies in
        // the buffer, one load reads it.
        var direct = 0
        if width <= 57 {
            let last = min(size - 1, bytes.count - (offset - size) - 8)
            direct = last < 0 ? 0 : min(count, last * 8 / width)
        }
        for index in 0..<direct {
            let bit = index &* width
            let word = source.loadUnaligned(fromByteOffset: bit &>> 3, as: UInt64.self)
            let value = (UInt64(littleEndian: word) &>> UInt64(truncatingIfNeeded: bit & 7)) & mask
            values[index] = reference &+ T(truncatingIfNeeded: value)
        }
        for index in direct..<count {
            let bit = index * width
            var value: UInt64 = 0
            var shift = -(bit & 7)
            for byte in (bit >> 3)...((bit + width - 1) >> 3) {
                let part = UInt64(source.load(fromByteOffset: byte, as: UInt8.self))
                value |= shift < 0 ? part >> UInt64(-shift) : part << UInt64(shift)
                shift += 8
            }
            values[index] = reference &+ T(truncatingIfNeeded: value & mask)
        }
    }
}
