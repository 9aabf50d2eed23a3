// Bytes from outside, random numbers, identifiers and time.

import MeshCore
import Testing

@Suite("Bytes")
struct BytesTests {
    @Test("Integers of every width come back, little-endian")
    func integers() throws {
        var writer = ByteWriter()
        writer.write(UInt8(0xab))
        writer.write(UInt16(0x1234))
        writer.write(Int32(-5))
        writer.write(UInt64.max - 1)
        writer.write(Int64.min)
        #expect(writer.bytes[1] == 0x34 && writer.bytes[2] == 0x12)
        var reader = ByteReader(writer.bytes)
        #expect(try reader.read(UInt8.self) == 0xab)
        #expect(try reader.read(UInt16.self) == 0x1234)
        #expect(try reader.read(Int32.self) == -5)
        #expect(try reader.read(UInt64.self) == .max - 1)
        #expect(try reader.read(Int64.self) == .min)
        #expect(reader.remaining == 0)
        #expect(throws: MalformedBytes.truncated) { try reader.read(UInt8.self) }
    }

    @Test(
        "Varints come back", arguments: [0, 1, 127, 128, 16_383, 16_384, 1 << 62, .max] as [UInt64])
    func varints(value: UInt64) throws {
        var writer = ByteWriter()
        writer.writeVarint(value)
        var reader = ByteReader(writer.bytes)
        #expect(try reader.readVarint() == value && reader.remaining == 0)
        var short = ByteReader(writer.bytes.dropLast())
        #expect(throws: MalformedBytes.truncated) { try short.readVarint() }
    }

    @Test("A varint of more than 64 bits is refused")
    func longVarint() {
        var over = ByteReader([UInt8](repeating: 0xff, count: 9) + [2])
        #expect(throws: MalformedBytes.invalid("varint")) { try over.readVarint() }
        var endless = ByteReader([UInt8](repeating: 0x80, count: 30))
        #expect(throws: MalformedBytes.invalid("varint")) { try endless.readVarint() }
    }

    @Test("Counts are bounded and blocks are checked")
    func counts() throws {
        var reader = ByteReader([5, 1, 2, 3])
        #expect(throws: MalformedBytes.invalid("things")) {
            try reader.readCount("things", atMost: 4)
        }
        var block = ByteReader([1, 2, 3])
        #expect(throws: MalformedBytes.truncated) { try block.readBytes(4) }
        #expect(throws: MalformedBytes.truncated) { try block.readBytes(-1) }
        #expect(try block.readBytes(2) == [1, 2])
        #expect(block.offset == 2 && block.remaining == 1)
    }
}

@Suite("RandomNumbers")
struct RandomNumbersTests {
    @Test("The sequence of a seed is fixed for ever")
    func sequence() {
        // SplitMix64 of seed 0 starts with these words (Vigna's reference code).
        var random = RandomNumbers(seed: 0)
        let words: (UInt64, UInt64) = (0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4)
        let expected = ((words.1 &* 5) << 7 | (words.1 &* 5) >> 57) &* 9
        #expect(random.next() == expected)
        var again = RandomNumbers(seed: 0)
        _ = again.next()
        for _ in 0..<100 { #expect(random.next() == again.next()) }
        #expect(words.0 != words.1)
    }

    @Test("Numbers below a bound are evenly spread", arguments: [1, 2, 7, 1_000])
    func below(bound: Int) {
        var random = RandomNumbers(seed: UInt64(bound))
        var counts = [Int](repeating: 0, count: bound)
        let draws = 200 * bound
        for _ in 0..<draws { counts[random.below(bound)] += 1 }
        // Chi squared with bound − 1 degrees of freedom: mean bound − 1, deviation √(2·(bound − 1)).
        let chi = counts.reduce(0.0) { $0 + Double(($1 - 200) * ($1 - 200)) / 200 }
        let freedom = Double(bound - 1)
        #expect(chi <= freedom + 5 * (2 * freedom).squareRoot())
    }

    @Test("Units lie in 0 ..< 1 with mean one half, durations below their bound")
    func units() {
        var random = RandomNumbers(seed: 8)
        var sum = 0.0
        for _ in 0..<10_000 {
            let value = random.unit()
            #expect(value >= 0 && value < 1)
            sum += value
            let duration = random.duration(below: .seconds(2))
            #expect(duration >= .zero && duration < .seconds(2))
        }
        #expect(abs(sum / 10_000 - 0.5) < 0.02)
        #expect(random.duration(below: .zero) == .zero)
    }

    @Test("A shuffle keeps the elements and reaches every order")
    func shuffle() {
        var random = RandomNumbers(seed: 4)
        var orders: Set<[Int]> = []
        for _ in 0..<600 {
            var elements = [1, 2, 3, 4]
            random.shuffle(&elements)
            #expect(elements.sorted() == [1, 2, 3, 4])
            orders.insert(elements)
        }
        #expect(orders.count == 24)
        var none: [Int] = []
        random.shuffle(&none)
        #expect(none.isEmpty)
    }
}

@Suite("Instant")
struct InstantTests {
    @Test("Instants and durations add up, far values do not trap")
    func arithmetic() {
        let start = Instant(nanoseconds: 5)
        #expect(start + .seconds(2) - start == .seconds(2))
        #expect(start - .nanoseconds(5) == .zero)
        #expect(Duration.milliseconds(1_500).seconds == 1.5)
        #expect(Duration.milliseconds(-250).nanoseconds == -250_000_000)
        #expect(Duration.seconds(Int64.max / 2).nanoseconds == .max)
        #expect(Duration(seconds: -.infinity) == .zero && Duration(seconds: .nan) == .zero)
        #expect(Duration(seconds: 1e300) == .seconds(1_000_000_000))
        #expect(Duration(seconds: 1.25) == .milliseconds(1_250))
    }
}

@Suite("Identifiers")
struct IdentifierTests {
    @Test("A node id is sixteen digits and comes back")
    func nodeID() {
        let id = NodeID(0x0123_4567_89ab_cdef)
        #expect(id.description == "0123456789abcdef" && NodeID(id.description) == id)
        #expect(NodeID("123") == nil && NodeID("0123456789abcdeg") == nil)
        #expect(NodeID("+123456789abcdef") == nil)
    }

    @Test("Terms of equal number are ordered by their roots")
    func terms() {
        let a = ParticipantID(node: NodeID(1), boot: 9)
        let b = ParticipantID(node: NodeID(2), boot: 1)
        #expect(Term(number: 1, root: a) < Term(number: 1, root: b))
        #expect(Term(number: 1, root: b) < Term(number: 2, root: a))
        #expect(ParticipantID(node: NodeID(1), boot: 8) < a && a < b)
    }

    @Test("A digest keeps its bytes and their order")
    func digest() throws {
        let bytes = (0..<32).map { UInt8($0 * 7 % 256) }
        let digest = try #require(Digest(bytes: bytes))
        #expect(digest.bytes == bytes && digest.description.count == 64)
        #expect(digest.description.hasPrefix("00070e15"))
        #expect(Digest(bytes: bytes.dropLast()) == nil)
        var higher = bytes
        higher[31] += 1
        #expect(try digest < #require(Digest(bytes: higher)))
    }
}
