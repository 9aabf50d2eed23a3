// Reading bytes that came from outside, and writing bytes that go there. The reader never trusts
// a length: every read is checked against what is left.

/// What is wrong with bytes from outside.
public enum MalformedBytes: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end before the value does.
    case truncated
    /// A value is outside its bound; the text names it.
    case invalid(String)

    public var description: String {
        switch self {
        case .truncated: "the bytes end too early"
        case .invalid(let what): "invalid \(what)"
        }
    }
}

/// Reads little-endian integers, varints and blocks from bytes.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    public private(set) var offset = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The number of bytes not read yet.
    public var remaining: Int { bytes.count - offset }

    /// Reads a fixed-width little-endian integer.
    public mutating func read<T: FixedWidthInteger>(
        _: T.Type = T.self
    ) throws(MalformedBytes) -> T {
        let size = T.bitWidth / 8
        guard remaining >= size else { throw .truncated }
        var value: T = 0
        for index in 0..<size {
            value |= T(truncatingIfNeeded: bytes[offset + index]) << T(index * 8)
        }
        offset += size
        return value
    }

    /// Reads an unsigned LEB128 integer of at most 64 bits.
    public mutating func readVarint() throws(MalformedBytes) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try read(UInt8.self)
            if shift == 63, byte > 1 { throw .invalid("varint") }
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
            shift += 7
        }
    }

    /// Reads a varint that must not exceed `limit`; `what` names it in the error.
    public mutating func readCount(
        _ what: StaticString, atMost limit: Int
    ) throws(MalformedBytes) -> Int {
        let value = try readVarint()
        guard value <= UInt64(limit) else { throw .invalid("\(what)") }
        return Int(value)
    }

    /// Reads `count` bytes.
    public mutating func readBytes(_ count: Int) throws(MalformedBytes) -> [UInt8] {
        guard count >= 0, remaining >= count else { throw .truncated }
        defer { offset += count }
        return Array(bytes[offset..<(offset + count)])
    }
}

/// Appends little-endian integers, varints and blocks to a buffer.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    public init() {}

    public mutating func write<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Writes an unsigned LEB128 integer.
    public mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    public mutating func write(contentsOf block: some Sequence<UInt8>) {
        bytes.append(contentsOf: block)
    }
}

extension IntervalSet {
    /// The most ranges that a set from outside may have.
    public static let rangesMax = 1 << 20

    /// Writes the number of ranges, then for each the gap before it and its length less one, all
    /// as varints.
    public func write(to writer: inout ByteWriter) {
        writer.writeVarint(UInt64(ranges.count))
        var end = 0
        for range in ranges {
            writer.writeVarint(UInt64(range.lowerBound - end))
            writer.writeVarint(UInt64(range.count - 1))
            end = range.upperBound
        }
    }

    /// Reads what `write(to:)` wrote.
    /// - Throws: ``MalformedBytes`` when the ranges are not canonical or pass 2⁴⁸ units.
    public init(from reader: inout ByteReader) throws(MalformedBytes) {
        let count = try reader.readCount("number of ranges", atMost: Self.rangesMax)
        var ranges: [SampleRange] = []
        var end = 0
        for index in 0..<count {
            let lower = end + (try reader.readCount("range", atMost: 1 << 48))
            let upper = lower + (try reader.readCount("range", atMost: 1 << 48)) + 1
            guard index == 0 || lower > end, upper <= 1 << 48 else { throw .invalid("range") }
            ranges.append(SampleRange(lower, upper))
            end = upper
        }
        guard let set = IntervalSet(canonical: ranges) else { throw .invalid("ranges") }
        self = set
    }
}
