// Where a node is reached: an IP address and a port as a plain value, so that the state machines
// can hold and compare addresses without knowing of sockets. Text forms follow RFC 4291 §2.2 and
// RFC 5952.

/// An IPv4 or IPv6 address with a port. IPv4 sorts before IPv6.
public struct NodeAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The address, big-endian: IPv4 in the low 32 bits of `low`.
    private let high: UInt64
    private let low: UInt64
    public let port: UInt16
    public let isIPv6: Bool

    /// Takes 4 bytes of IPv4 or 16 of IPv6, in network order; nil for any other number of bytes.
    public init?(host: some Collection<UInt8>, port: UInt16) {
        guard host.count == 4 || host.count == 16 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in host {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        self.high = high
        self.low = low
        self.port = port
        isIPv6 = host.count == 16
    }

    /// An IPv4 address, first byte first.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, port: UInt16) {
        high = 0
        low = UInt64(a) << 24 | UInt64(b) << 16 | UInt64(c) << 8 | UInt64(d)
        self.port = port
        isIPv6 = false
    }

    private init(high: UInt64, low: UInt64, isIPv6: Bool, port: UInt16) {
        self.high = high
        self.low = low
        self.isIPv6 = isIPv6
        self.port = port
    }

    /// The address in network order: 4 or 16 bytes.
    public var host: [UInt8] {
        let all = [high, low].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
        return isIPv6 ? all : Array(all[12...])
    }

    /// The host as a number, the first byte of its address the highest; nil for IPv6.
    package var ipv4: UInt32? { isIPv6 ? nil : UInt32(truncatingIfNeeded: low) }

    /// Whether the host is 0.0.0.0 or ::, which names no machine.
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// The same host with another port.
    public func with(port: UInt16) -> NodeAddress {
        NodeAddress(high: high, low: low, isIPv6: isIPv6, port: port)
    }

    public static func < (a: NodeAddress, b: NodeAddress) -> Bool {
        if a.isIPv6 != b.isIPv6 { return b.isIPv6 }
        return (a.high, a.low, a.port) < (b.high, b.low, b.port)
    }

    /// `10.0.0.1:4040` or `[fe80::1]:4040`.
    public var description: String {
        isIPv6 ? "[\(hostDescription)]:\(port)" : "\(hostDescription):\(port)"
    }

    /// The host alone: `10.0.0.1` or `fe80::1`.
    public var hostDescription: String {
        guard isIPv6 else { return host.map { String($0) }.joined(separator: ".") }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index % 4)))
        }
        let text = groups.map { String($0, radix: 16) }
        // The longest run of two or more zero groups becomes "::", the first of equals.
        var best = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start > max(best.count, 1) { best = start..<index }
            start = index + 1
        }
        guard !best.isEmpty else { return text.joined(separator: ":") }
        return text[..<best.lowerBound].joined(separator: ":") + "::"
            + text[best.upperBound...].joined(separator: ":")
    }

    /// Reads what `description` writes, and every other standard form of an IPv6 host in
    /// brackets; nil for names, zones and anything else.
    public init?(_ description: String) {
        guard let colon = description.lastIndex(of: ":"),
            let port = Self.decimal(description[description.index(after: colon)...], max: 65_535)
        else { return nil }
        let host = description[..<colon]
        if host.first == "[" {
            guard host.last == "]", host.count >= 2,
                let bytes = Self.ipv6(host.dropFirst().dropLast())
            else { return nil }
            self.init(host: bytes, port: UInt16(port))
        } else {
            guard let bytes = Self.ipv4(host) else { return nil }
            self.init(host: bytes, port: UInt16(port))
        }
    }

    private static func ipv4(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { decimal($0, max: 255) }
        return parts.count == 4 && numbers.count == 4 ? numbers.map { UInt8($0) } : nil
    }

    private static func ipv6(_ text: Substring) -> [UInt8]? {
        var rest = text
        var tail: [UInt8] = []
        // A dotted IPv4 address may stand for the last 32 bits.
        if text.contains(".") {
            guard let colon = text.lastIndex(of: ":"),
                let bytes = ipv4(text[text.index(after: colon)...])
            else { return nil }
            tail = bytes
            rest = text[...colon]
            if !rest.hasSuffix("::") { rest = rest.dropLast() }
        }
        let room = 16 - tail.count
        guard let gap = rest.firstRange(of: "::") else {
            guard let bytes = groups(rest), bytes.count == room else { return nil }
            return bytes + tail
        }
        let front = rest[..<gap.lowerBound]
        let back = rest[gap.upperBound...]
        guard let first = front.isEmpty ? [] : groups(front),
            let last = back.isEmpty ? [] : groups(back), first.count + last.count <= room - 2
        else { return nil }
        let zeros = [UInt8](repeating: 0, count: room - first.count - last.count)
        return first + zeros + last + tail
    }

    /// Groups of one to four hexadecimal digits, as bytes.
    private static func groups(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        for group in text.split(separator: ":", omittingEmptySubsequences: false) {
            guard (1...4).contains(group.utf8.count), group.allSatisfy(\.isHexDigit),
                let value = UInt16(group, radix: 16)
            else { return nil }
            bytes += [UInt8(value >> 8), UInt8(value & 0xff)]
        }
        return bytes
    }

    /// One to five decimal digits, no sign and no leading zero.
    private static func decimal(_ text: Substring, max: Int) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            text.utf8.count == 1 || text.first != "0", let value = Int(text), value <= max
        else { return nil }
        return value
    }
}
