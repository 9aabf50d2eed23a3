// A mesh's key as text for a sticky note: eleven groups of six characters of Crockford's base 32
// (https://www.crockford.com/base32.html), which has no letters that look alike.
//
// The sixth character of a group checks the five before it and the group's place, so that a typing
// error can be shown where it is. It is a weighted sum over the field of 32 elements with weights
// that are all different and none zero: one wrong character, or two that changed places, always
// change it. What several errors in one group leave unseen, 15 bits of a hash over all find.

import COpenSSL

/// Why a text is no join code.
public enum JoinCodeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It does not look like one at all.
    case notACode
    /// Characters are missing or too many; the group from one on, when its ends are marked.
    case wrongLength(characters: Int, group: Int?)
    /// Somebody mistyped this group, counted from one.
    case typingError(group: Int)
    /// Each group is right by itself, but not all of them together.
    case wrongChecksum
    /// The code is of a later version of meshd.
    case otherVersion(Int)

    public var description: String {
        switch self {
        case .notACode:
            "this is no join code: one has \(JoinCode.groupCount) groups of "
                + "\(JoinCode.groupLength) letters and digits"
        case .wrongLength(let characters, let group):
            group.map { "group \($0) of the join code does not have \(JoinCode.groupLength) " }
                .map { $0 + "characters" }
                ?? "the join code has \(characters) characters, not \(JoinCode.characterCount)"
        case .typingError(let group): "there is a typing error in group \(group) of the join code"
        case .wrongChecksum: "the join code is not right: compare all of it"
        case .otherVersion(let version):
            "the join code is of version \(version), this meshd knows \(JoinCode.version): update "
                + "meshd"
        }
    }
}

/// The text form of a mesh key.
public struct JoinCode: Hashable, Sendable {
    /// The version of the form, four bits.
    static let version = 1
    static let groupCount = 11
    static let groupLength = 6
    static let characterCount = groupCount * groupLength
    /// More than any code with all its separators.
    private static let bytesMax = 1_024

    public let key: MeshKey

    public init(key: MeshKey) { self.key = key }

    // MARK: - Writing

    /// The code: capitals and digits, a dash between groups.
    public var text: String {
        let symbols = Self.symbols(of: key)
        let groups = (0..<Self.groupCount).map { group in
            let start = group * (Self.groupLength - 1)
            let data = Array(symbols[start..<(start + Self.groupLength - 1)])
            return String(
                decoding: (data + [Self.check(data, group: group)]).map {
                    Self.alphabet[Int($0)]
                }, as: UTF8.self)
        }
        return groups.joined(separator: "-")
    }

    /// 55 values of five bits: the version, the key, the first 15 bits of a hash of both.
    private static func symbols(of key: MeshKey) -> [UInt8] {
        var bits: [Bool] = []
        func append(_ byte: UInt8, _ count: Int) {
            for shift in (0..<count).reversed() { bits.append(byte >> UInt8(shift) & 1 == 1) }
        }
        append(UInt8(version), 4)
        for byte in key.bytes { append(byte, 8) }
        let sum = checksum(of: key)
        append(sum.0, 8)
        append(sum.1, 7)
        return stride(from: 0, to: bits.count, by: 5).map { start in
            bits[start..<(start + 5)].reduce(0) { $0 << 1 | ($1 ? 1 : 0) }
        }
    }

    /// 15 bits: eight, and seven.
    private static func checksum(of key: MeshKey) -> (UInt8, UInt8) {
        var hash = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        let input = Array("meshd join code ".utf8) + [UInt8(version)] + key.bytes
        SHA256(input, input.count, &hash)
        return (hash[0], hash[1] >> 1)
    }

    // MARK: - Reading

    /// Reads a code as people write it: small or capital letters, with or without spaces and
    /// dashes, O for 0, I and L for 1.
    /// - Throws: what is wrong with it.
    public init(_ text: String) throws(JoinCodeError) {
        guard text.utf8.count <= Self.bytesMax else { throw .notACode }
        let symbols = try Self.values(in: text)
        var data: [UInt8] = []
        for group in 0..<Self.groupCount {
            let start = group * Self.groupLength
            let values = Array(symbols[start..<(start + Self.groupLength - 1)])
            let check = symbols[start + Self.groupLength - 1]
            guard check == Self.check(values, group: group) else {
                throw .typingError(group: group + 1)
            }
            // The first group is right: what it says of the version can be believed.
            if group == 0, values[0] >> 1 != UInt8(Self.version) {
                throw .otherVersion(Int(values[0] >> 1))
            }
            data += values
        }
        let bits = data.flatMap { value in (0..<5).reversed().map { value >> UInt8($0) & 1 } }
        let bytes = stride(from: 4, to: 4 + 8 * MeshKey.byteCount, by: 8).map { start in
            bits[start..<(start + 8)].reduce(0) { $0 << 1 | $1 }
        }
        guard let key = MeshKey(bytes: bytes), Self.symbols(of: key) == data else {
            throw .wrongChecksum
        }
        self.key = key
    }

    /// The values of the characters, without what separates them.
    private static func values(in text: String) throws(JoinCodeError) -> [UInt8] {
        var values: [UInt8] = []
        var unknownAt: Int?
        var groups: [Int] = [0]
        for scalar in text.unicodeScalars {
            if scalar.properties.isWhitespace || "-–—_.".unicodeScalars.contains(scalar) {
                if groups.last != 0 { groups.append(0) }
                continue
            }
            groups[groups.count - 1] += 1
            guard let value = value(of: scalar) else {
                unknownAt = unknownAt ?? values.count
                values.append(0)
                continue
            }
            values.append(value)
        }
        if groups.last == 0 { groups.removeLast() }
        let isNear = abs(values.count - characterCount) <= groupLength
        guard isNear else { throw .notACode }
        if values.count != characterCount {
            let wrong =
                groups.count == groupCount ? groups.firstIndex { $0 != groupLength } : nil
            throw .wrongLength(characters: values.count, group: wrong.map { $0 + 1 })
        }
        if let unknownAt { throw .typingError(group: unknownAt / groupLength + 1) }
        return values
    }

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    private static func value(of scalar: Unicode.Scalar) -> UInt8? {
        guard scalar.isASCII else { return nil }
        var letter = UInt8(scalar.value)
        if (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter) { letter -= 32 }
        switch letter {
        case UInt8(ascii: "O"): letter = UInt8(ascii: "0")
        case UInt8(ascii: "I"), UInt8(ascii: "L"): letter = UInt8(ascii: "1")
        default: break
        }
        return alphabet.firstIndex(of: letter).map { UInt8($0) }
    }

    // MARK: - The check character

    /// Σ (place + 1) · value + the group's number, in the field GF(2)[x] / (x⁵ + x² + 1).
    static func check(_ values: [UInt8], group: Int) -> UInt8 {
        values.enumerated().reduce(UInt8(group + 1)) { sum, next in
            // The check character's own weight is one, so the others begin with two.
            sum ^ product(UInt8(next.offset + 2), next.element)
        }
    }

    private static func product(_ left: UInt8, _ right: UInt8) -> UInt8 {
        var (result, shifted, rest) = (UInt8(0), left, right)
        while rest > 0 {
            if rest & 1 == 1 { result ^= shifted }
            shifted <<= 1
            if shifted & 0x20 != 0 { shifted ^= 0b10_0101 }
            rest >>= 1
        }
        return result
    }
}

extension JoinCode: CustomStringConvertible, CustomReflectable {
    /// Without the key: the code itself is `text`.
    public var description: String { "join code of \(key)" }
    public var customMirror: Mirror { Mirror(self, children: ["key": key]) }
}
