// Tiles on the wire: each plane in blocks of 256 values by frame of reference (minimum, bit width,
// packed differences; Goldstein, Ramakrishnan and Shaft, Compressing Relations and Indexes, 1998).
// It is exact, saves what zlib saves on noisy sums, and runs a hundred times faster.

import CTracerSIMD
public import MeshCore

/// Packed tile: the number of non-finite samples as a zigzag varint, then the planes in the order
/// of ``FilmTile``, each as blocks of at most 256 values. A block is its minimum as a zigzag
/// varint, the bit width w of the largest difference (one byte, 0 … 64, at most 32 in narrow
/// planes), then the differences, w bits each, lowest bits first, padded to a whole byte.
extension FilmTile {
    /// Values in a block: few enough to follow the image, enough that its head of 2 to 11 bytes
    /// costs little (docs/PROTOCOL.md §3).
    static let packedBlock = Int(CTRACER_BLOCK)

    /// The most bytes that a tile of so many pixels can take.
    public static func packedSizeMax(pixelCount: Int, isAdaptive: Bool) -> Int {
        let blocks = (pixelCount + packedBlock - 1) / packedBlock
        let head = 11  // A varint of 64 bits and the width.
        return 10 + widePlanes(isAdaptive: isAdaptive) * (pixelCount * 8 + blocks * head)
            + narrowPlanes * (pixelCount * 4 + blocks * head)
    }

    /// Appends the packed tile.
    public func pack(into bytes: inout [UInt8]) {
        let most = Self.packedSizeMax(pixelCount: pixelCount, isAdaptive: isAdaptive)
        let room = most + Int(CTRACER_PACK_SLACK)
        withUnsafeTemporaryAllocation(byteCount: room, alignment: 16) { scratch in
            guard let base = scratch.baseAddress else { return }
            var packer = Packer(base: base)
            packer.writeVarint(Packer.zigzag(nonFiniteSamples))
            wide.withUnsafeBufferPointer { packer.pack($0, planeSize: pixelCount) }
            narrow.withUnsafeBufferPointer { packer.pack($0, planeSize: pixelCount) }
            assert(packer.offset <= room - Int(CTRACER_PACK_SLACK))
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: scratch[..<packer.offset]))
        }
    }

    /// Reads the packed tile of `pixelCount` pixels that starts at `offset`, and moves `offset`
    /// behind it.
    /// - Parameter addend: a tile to add it to.
    /// - Throws: ``MalformedBytes`` when the bytes end too early or a width is out of bounds.
    /// - Precondition: `0 <= offset <= bytes.count`, and the addend has as many pixels and planes.
    public static func unpack(
        from bytes: UnsafeRawBufferPointer, at offset: inout Int, pixelCount: Int,
        isAdaptive: Bool = false, addedTo addend: FilmTile? = nil
    ) throws(MalformedBytes) -> FilmTile {
        precondition(offset >= 0 && offset <= bytes.count)
        if let addend {
            precondition(addend.pixelCount == pixelCount && addend.isAdaptive == isAdaptive)
        }
        let widePlanes = widePlanes(isAdaptive: isAdaptive)
        var unpacker = Unpacker(bytes: bytes, offset: offset)
        let nonFiniteSamples = Unpacker.unzigzag(try unpacker.readVarint())
        let sum = nonFiniteSamples &+ (addend?.nonFiniteSamples ?? 0)
        // Errors leave the closures as values: rethrowing is untyped there.
        var failure: MalformedBytes?
        let wide = [Int64](unsafeUninitializedCapacity: widePlanes * pixelCount) { planes, count in
            failure = withAddend(addend?.wide) {
                unpacker.unpack(into: planes.baseAddress, widePlanes, of: pixelCount, addedTo: $0)
            }
            count = failure == nil ? widePlanes * pixelCount : 0
        }
        if let failure { throw failure }
        let narrow = [Int32](
            unsafeUninitializedCapacity: narrowPlanes * pixelCount
        ) { planes, count in
            failure = withAddend(addend?.narrow) {
                unpacker.unpack(
                    into: planes.baseAddress, narrowPlanes, of: pixelCount, addedTo: $0)
            }
            count = failure == nil ? narrowPlanes * pixelCount : 0
        }
        if let failure { throw failure }
        offset = unpacker.offset
        return FilmTile(
            pixelCount: pixelCount, wide: wide, narrow: narrow, nonFiniteSamples: sum)
    }

    private static func withAddend<Value>(
        _ planes: [Value]?, _ body: (UnsafePointer<Value>?) -> MalformedBytes?
    ) -> MalformedBytes? {
        guard let planes else { return body(nil) }
        return planes.withUnsafeBufferPointer { body($0.baseAddress) }
    }

    /// Adds a packed tile of as many pixels and planes that fills `bytes`; blocks without samples cost nothing.
    /// - Throws: ``MalformedBytes``; the tile then holds a part of it and is of no use.
    mutating func add(packed bytes: UnsafeRawBufferPointer) throws(MalformedBytes) {
        var unpacker = Unpacker(bytes: bytes, offset: 0)
        nonFiniteSamples &+= Unpacker.unzigzag(try unpacker.readVarint())
        let widePlanes = Self.widePlanes(isAdaptive: isAdaptive)
        let failure =
            wide.withUnsafeMutableBufferPointer {
                unpacker.unpack(
                    into: $0.baseAddress, widePlanes, of: pixelCount,
                    addedTo: UnsafePointer($0.baseAddress))
            }
            ?? narrow.withUnsafeMutableBufferPointer {
                unpacker.unpack(
                    into: $0.baseAddress, Self.narrowPlanes, of: pixelCount,
                    addedTo: UnsafePointer($0.baseAddress))
            }
        if let failure { throw failure }
        guard unpacker.offset == bytes.count else { throw .invalid("length of a packed tile") }
    }

    /// Makes sure that `bytes` are a packed tile of so many pixels, which can be unpacked and added.
    /// - Throws: ``MalformedBytes``, also when bytes are left.
    static func check(
        packed bytes: UnsafeRawBufferPointer, pixelCount: Int, isAdaptive: Bool
    ) throws(MalformedBytes) {
        var unpacker = Unpacker(bytes: bytes, offset: 0)
        _ = try unpacker.readVarint()
        try unpacker.skip(
            Int64.self, planes: widePlanes(isAdaptive: isAdaptive), of: pixelCount)
        try unpacker.skip(Int32.self, planes: narrowPlanes, of: pixelCount)
        guard unpacker.offset == bytes.count else { throw .invalid("length of a packed tile") }
    }

    /// Reads a packed tile of `pixelCount` pixels that fills `bytes`, and adds it to `addend`.
    /// - Throws: ``MalformedBytes``, also when bytes are left.
    static func unpack(
        filling bytes: UnsafeRawBufferPointer, pixelCount: Int, isAdaptive: Bool,
        addedTo addend: FilmTile? = nil
    ) throws(MalformedBytes) -> FilmTile {
        var offset = 0
        let tile = try unpack(
            from: bytes, at: &offset, pixelCount: pixelCount, isAdaptive: isAdaptive,
            addedTo: addend)
        guard offset == bytes.count else { throw .invalid("length of a packed tile") }
        return tile
    }

    /// Reads a packed tile of `pixelCount` pixels that fills `bytes`.
    /// - Throws: ``MalformedBytes``, also when bytes are left.
    public static func unpack(
        from bytes: [UInt8], pixelCount: Int, isAdaptive: Bool = false
    ) throws(MalformedBytes) -> FilmTile {
        let result: Result<FilmTile, MalformedBytes> = bytes.withUnsafeBytes { buffer in
            do throws(MalformedBytes) {
                return .success(
                    try unpack(
                        filling: buffer, pixelCount: pixelCount, isAdaptive: isAdaptive))
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

    mutating func pack<Value: PackedInteger>(
        _ planes: UnsafeBufferPointer<Value>, planeSize: Int
    ) {
        guard planeSize > 0, let values = planes.baseAddress else { return }
        for plane in stride(from: 0, to: planes.count, by: planeSize) {
            for block in stride(from: 0, to: planeSize, by: FilmTile.packedBlock) {
                packBlock(values + plane + block, min(FilmTile.packedBlock, planeSize - block))
            }
        }
    }

    @inline(__always)
    private mutating func packBlock<Value: PackedInteger>(
        _ values: UnsafePointer<Value>, _ count: Int
    ) {
        let (minimum, maximum) = Value.range(values, count)
        let width = 64 &- UInt64(bitPattern: maximum &- minimum).leadingZeroBitCount
        writeVarint(Self.zigzag(minimum))
        writeByte(UInt8(truncatingIfNeeded: width))
        guard width > 0 else { return }
        let target = (base + offset).assumingMemoryBound(to: UInt8.self)
        Value.pack(values, count, minimum, UInt32(truncatingIfNeeded: width), target)
        offset += (count &* width &+ 7) / 8
    }
}

/// An integer of the film's planes, with the operations on its blocks.
private protocol PackedInteger: FixedWidthInteger & SignedInteger {
    /// The smallest and the largest of at least one value.
    static func range(_ values: UnsafePointer<Self>, _ count: Int) -> (Int64, Int64)
    /// Writes the differences from a reference, `width` bits each, and up to
    /// `CTRACER_PACK_SLACK` bytes behind them.
    static func pack(
        _ values: UnsafePointer<Self>, _ count: Int, _ reference: Int64, _ width: UInt32,
        _ target: UnsafeMutablePointer<UInt8>)
    /// Reads what `pack` writes, of which at least `(count × width + 7) / 8` bytes are readable,
    /// adds `addend`, which may be `values`, and writes `values`.
    static func unpack(
        _ source: UnsafePointer<UInt8>, _ readable: Int, _ count: Int, _ width: UInt32,
        _ reference: Int64, _ addend: UnsafePointer<Self>?, _ values: UnsafeMutablePointer<Self>)
}

extension Int64: PackedInteger {
    static func range(_ values: UnsafePointer<Int64>, _ count: Int) -> (Int64, Int64) {
        var range: (Int64, Int64) = (0, 0)
        ctracer_range_wide(values, count, &range.0, &range.1)
        return range
    }

    static func pack(
        _ values: UnsafePointer<Int64>, _ count: Int, _ reference: Int64, _ width: UInt32,
        _ target: UnsafeMutablePointer<UInt8>
    ) { ctracer_pack_wide(values, count, reference, width, target) }

    static func unpack(
        _ source: UnsafePointer<UInt8>, _ readable: Int, _ count: Int, _ width: UInt32,
        _ reference: Int64, _ addend: UnsafePointer<Int64>?, _ values: UnsafeMutablePointer<Int64>
    ) { ctracer_unpack_wide(source, readable, count, width, reference, addend, values) }
}

extension Int32: PackedInteger {
    static func range(_ values: UnsafePointer<Int32>, _ count: Int) -> (Int64, Int64) {
        var range: (Int64, Int64) = (0, 0)
        ctracer_range_narrow(values, count, &range.0, &range.1)
        return range
    }

    static func pack(
        _ values: UnsafePointer<Int32>, _ count: Int, _ reference: Int64, _ width: UInt32,
        _ target: UnsafeMutablePointer<UInt8>
    ) { ctracer_pack_narrow(values, count, reference, width, target) }

    static func unpack(
        _ source: UnsafePointer<UInt8>, _ readable: Int, _ count: Int, _ width: UInt32,
        _ reference: Int64, _ addend: UnsafePointer<Int32>?, _ values: UnsafeMutablePointer<Int32>
    ) { ctracer_unpack_narrow(source, readable, count, width, reference, addend, values) }
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

    /// Fills the planes, with `addend` added, and returns what was wrong.
    mutating func unpack<Value: PackedInteger>(
        into planes: UnsafeMutablePointer<Value>?, _ planeCount: Int, of planeSize: Int,
        addedTo addend: UnsafePointer<Value>?
    ) -> MalformedBytes? {
        guard planeSize > 0, let planes else { return nil }
        do throws(MalformedBytes) {
            for plane in 0..<planeCount {
                for block in stride(from: 0, to: planeSize, by: FilmTile.packedBlock) {
                    let count = min(FilmTile.packedBlock, planeSize - block)
                    let place = plane * planeSize + block
                    try unpackBlock(planes + place, count, addedTo: addend.map { $0 + place })
                }
            }
            return nil
        } catch {
            return error
        }
    }

    /// Goes over planes, and checks them.
    mutating func skip<Value: PackedInteger>(
        _: Value.Type, planes: Int, of planeSize: Int
    ) throws(MalformedBytes) {
        for _ in 0..<planes {
            for block in stride(from: 0, to: planeSize, by: FilmTile.packedBlock) {
                _ = try readHead(Value.self, min(FilmTile.packedBlock, planeSize - block))
            }
        }
    }

    /// Reads a block's minimum and width, and moves behind the block, which is all there.
    private mutating func readHead<Value: PackedInteger>(
        _: Value.Type, _ count: Int
    ) throws(MalformedBytes) -> (minimum: Value, width: Int, start: Int) {
        let minimum = Self.unzigzag(try readVarint())
        let width = Int(try readByte())
        guard width <= Value.bitWidth else { throw .invalid("bit width of a block") }
        guard let reference = Value(exactly: minimum) else {
            throw .invalid("minimum of a block")
        }
        let start = offset
        let size = (count * width + 7) / 8
        guard bytes.count - start >= size else { throw .truncated }
        offset += size
        return (reference, width, start)
    }

    /// Sums that wrap are values like others: a sum of hostile bytes is wrong, never a trap.
    @inline(__always)
    private mutating func unpackBlock<Value: PackedInteger>(
        _ values: UnsafeMutablePointer<Value>, _ count: Int, addedTo addend: UnsafePointer<Value>?
    ) throws(MalformedBytes) {
        let (minimum, width, start) = try readHead(Value.self, count)
        guard width > 0 else {
            guard let addend else { return values.update(repeating: minimum, count: count) }
            if minimum != 0 || addend != UnsafePointer(values) {
                for index in 0..<count { values[index] = addend[index] &+ minimum }
            }
            return
        }
        guard let base = bytes.baseAddress else { throw .truncated }
        Value.unpack(
            (base + start).assumingMemoryBound(to: UInt8.self), bytes.count - start, count,
            UInt32(truncatingIfNeeded: width), Int64(minimum), addend, values)
    }
}
