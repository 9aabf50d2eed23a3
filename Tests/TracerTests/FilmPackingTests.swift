// Packing is exact for every value, and bytes from outside never trap.

import CTracerSIMD
import MeshCore
import Testing

@testable import Tracer

@Suite("Film packing")
struct FilmPackingTests {
    /// Packs a tile behind other bytes, checks the bound, and unpacks it again.
    private func roundTrip(_ tile: FilmTile) throws -> FilmTile {
        var bytes: [UInt8] = [1, 2, 3]
        tile.pack(into: &bytes)
        #expect(bytes.prefix(3) == [1, 2, 3])
        let most = FilmTile.packedSizeMax(
            pixelCount: tile.pixelCount, isAdaptive: tile.isAdaptive)
        #expect(bytes.count - 3 <= most)
        return try FilmTile.unpack(
            from: Array(bytes.dropFirst(3)), pixelCount: tile.pixelCount,
            isAdaptive: tile.isAdaptive)
    }

    @Test(
        "A tile of any number of pixels comes back as it was", arguments: [1, 7, 255, 256, 1_024])
    func sizes(pixels: Int) throws {
        var random = RandomNumbers(seed: UInt64(pixels))
        for _ in 0..<5 {
            let tile = randomTile(pixels: pixels, from: &random)
            #expect(try roundTrip(tile) == tile)
        }
    }

    @Test("Every bit width comes back as it was", arguments: 0...64)
    func widths(width: Int) throws {
        var random = RandomNumbers(seed: 100 + UInt64(width))
        var tile = FilmTile(pixelCount: 300)
        for index in tile.wide.indices {
            let bits = width == 0 ? 0 : random.next() >> UInt64(64 - width)
            tile.wide[index] = Int64(bitPattern: bits) &- 12_345
        }
        for index in tile.narrow.indices {
            let bits = width == 0 ? 0 : random.next() >> UInt64(64 - min(width, 32))
            tile.narrow[index] = Int32(truncatingIfNeeded: bits) &+ 54_321
        }
        tile.nonFiniteSamples = -Int64(width)
        #expect(try roundTrip(tile) == tile)
    }

    /// Items of so many bits, the lowest bits first.
    private func bits(of items: [UInt64], width: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (items.count * width + 7) / 8)
        for (index, item) in items.enumerated() {
            for bit in 0..<width where item >> UInt64(bit) & 1 == 1 {
                let place = index * width + bit
                bytes[place / 8] |= 1 << UInt8(place % 8)
            }
        }
        return bytes
    }

    /// Packs into memory with a guard behind what may be written, and takes what was to be.
    private func guarded(_ size: Int, _ pack: (UnsafeMutablePointer<UInt8>?) -> Void) -> [UInt8] {
        let room = size + Int(CTRACER_PACK_SLACK)
        var bytes = [UInt8](repeating: 0xa5, count: room + 64)
        bytes.withUnsafeMutableBufferPointer { pack($0.baseAddress) }
        #expect(bytes[room...].allSatisfy { $0 == 0xa5 })
        return Array(bytes[..<size])
    }

    @Test("A block of any count and width has its range and its bits", arguments: 1...64)
    func blocks(width: Int) {
        var random = RandomNumbers(seed: 400 + UInt64(width))
        let counts = [
            1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33, 40, 56, 64, 65, 128, 200, 248, 255, 256,
        ]
        for count in counts {
            for low in [0, -5, 1 << 40, .min, Int64.max] {
                // The smallest and the largest are among them when there are two or more.
                var items = (0..<count).map { _ in random.next() >> UInt64(64 - width) }
                items[random.below(count)] = 0
                let most = UInt64.max >> UInt64(64 - width)
                if count > 1, let index = items.indices.first(where: { items[$0] != 0 }) {
                    items[index] = most
                }
                let largest = items.max() ?? 0
                let base = low == .max ? Int64.max &- Int64(bitPattern: largest) : low
                // Values that wrap have another range.
                guard base <= base &+ Int64(bitPattern: largest) || width == 64 else { continue }
                let values = items.map { base &+ Int64(bitPattern: $0) }
                var range: (Int64, Int64) = (0, 0)
                ctracer_range_wide(values, count, &range.0, &range.1)
                #expect(range.0 == values.min() && range.1 == values.max())
                let size = (count * width + 7) / 8
                let packed = guarded(size) {
                    ctracer_pack_wide(values, count, base, UInt32(width), $0)
                }
                #expect(packed == bits(of: items, width: width), "\(count) values")
                guard width <= 32 else { continue }
                let narrow = items.map { Int32(truncatingIfNeeded: $0) &- 7 }
                let packedNarrow = guarded(size) {
                    ctracer_pack_narrow(narrow, count, -7, UInt32(width), $0)
                }
                #expect(packedNarrow == bits(of: items, width: width), "\(count) narrow values")
            }
        }
    }

    @Test("To add a packed tile is to add the tile", arguments: [1, 7, 255, 256, 1_000, 1_024])
    func adding(pixels: Int) throws {
        var random = RandomNumbers(seed: 200 + UInt64(pixels))
        for width in 0...64 {
            var tile = randomTile(pixels: pixels, from: &random)
            for index in tile.wide.indices {
                tile.wide[index] =
                    width == 0 ? 7 : Int64(bitPattern: random.next() >> UInt64(64 - width))
            }
            // A plane of zeros and one of equal sums among them.
            for pixel in 0..<pixels {
                tile.narrow[pixel] = 0
                tile.narrow[pixels + pixel] = -3
            }
            var bytes: [UInt8] = [9]
            tile.pack(into: &bytes)
            let packed = try PackedTile(checking: bytes[1...], pixelCount: pixels)
            #expect(packed.unpacked() == tile)
            var sum = randomTile(pixels: pixels, from: &random)
            var expected = sum
            expected.add(tile)
            #expect(packed.unpacked(addedTo: sum) == expected)
            sum.add(packed)
            #expect(sum == expected)
        }
    }

    @Test("What is checked is what can be unpacked", arguments: 1...20)
    func checking(seed: UInt64) throws {
        var random = RandomNumbers(seed: 300 + seed)
        let tile = randomTile(pixels: 300, from: &random)
        var good: [UInt8] = []
        tile.pack(into: &good)
        var refused = 0
        for _ in 0..<300 {
            var bytes = good
            for _ in 0...random.below(3) {
                bytes[random.below(bytes.count)] = UInt8(random.below(256))
            }
            if random.below(4) == 0 { bytes.removeLast(random.below(9)) }
            let unpacked = try? FilmTile.unpack(from: bytes, pixelCount: 300)
            let packed = try? PackedTile(checking: bytes[...], pixelCount: 300)
            #expect(packed?.unpacked() == unpacked)
            if unpacked == nil { refused += 1 }
        }
        #expect((1..<300).contains(refused))
    }

    @Test("The extreme integers come back as they were")
    func extremes() throws {
        var tile = FilmTile(pixelCount: 256)
        let wide: [Int64] = [.min, .max, 0, -1, 1]
        let narrow: [Int32] = [.min, .max, 0, -1, 1]
        for index in tile.wide.indices { tile.wide[index] = wide[index % wide.count] }
        for index in tile.narrow.indices { tile.narrow[index] = narrow[index % narrow.count] }
        tile.nonFiniteSamples = .min
        #expect(try roundTrip(tile) == tile)
    }

    @Test("A plane of equal sums costs two bytes a block, and sums of renders less than float32")
    func sizeOfPacked() throws {
        var bytes: [UInt8] = []
        FilmTile(pixelCount: 1_024).pack(into: &bytes)
        #expect(bytes.count == 1 + 11 * 4 * 2)
        // 22 bits of noise a value, as 16 samples of a lit wall give, against 32 of a float.
        var random = RandomNumbers(seed: 7)
        var tile = FilmTile(pixelCount: 1_024)
        for index in tile.wide.indices { tile.wide[index] = 1 << 28 + Int64(random.next() >> 42) }
        bytes = []
        tile.pack(into: &bytes)
        #expect(bytes.count < 4 * 4 * 1_024 * 3 / 4)
    }

    @Test("The bytes are as documented")
    func layout() {
        var tile = FilmTile(pixelCount: 3)
        tile.wide[0...2] = [-3, -2, 4]
        tile.nonFiniteSamples = 1
        var bytes: [UInt8] = []
        tile.pack(into: &bytes)
        // Zigzag of 1; minimum −3, width 3, differences 0, 1, 7 as 111 001 000.
        #expect(bytes.prefix(5) == [2, 5, 3, 0b1100_1000, 0b1])
        #expect(bytes.dropFirst(5) == ArraySlice(repeating: 0, count: 20))
    }

    @Test("A packed tile cut anywhere is refused")
    func truncated() throws {
        var random = RandomNumbers(seed: 8)
        let tile = randomTile(pixels: 40, from: &random)
        var bytes: [UInt8] = []
        tile.pack(into: &bytes)
        for length in 0..<bytes.count {
            #expect(throws: MalformedBytes.truncated) {
                try FilmTile.unpack(from: Array(bytes.prefix(length)), pixelCount: 40)
            }
        }
        #expect(throws: MalformedBytes.invalid("length of a packed tile")) {
            try FilmTile.unpack(from: bytes + [0], pixelCount: 40)
        }
    }

    @Test("Widths and minima out of bounds are refused")
    func bounds() {
        #expect(throws: MalformedBytes.invalid("bit width of a block")) {
            try FilmTile.unpack(from: [0, 0, 65] + [UInt8](repeating: 0, count: 99), pixelCount: 1)
        }
        let zeros = [UInt8](repeating: 0, count: 1 + 2 * 4)
        #expect(throws: MalformedBytes.invalid("bit width of a block")) {
            try FilmTile.unpack(
                from: zeros + [0, 33] + [UInt8](repeating: 0, count: 99), pixelCount: 1)
        }
        // The zigzag of 2³¹, which no Int32 holds.
        let minimum: [UInt8] = [0x80, 0x80, 0x80, 0x80, 0x10]
        #expect(throws: MalformedBytes.invalid("minimum of a block")) {
            try FilmTile.unpack(from: zeros + minimum + [0], pixelCount: 1)
        }
    }

    @Test("Random bytes never trap", arguments: 1...20)
    func garbage(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var refused = 0
        for _ in 0..<500 {
            var bytes = [UInt8](repeating: 0, count: random.below(600))
            for index in bytes.indices {
                bytes[index] = UInt8(random.below(random.below(3) == 0 ? 256 : 40))
            }
            let pixels = 1 + random.below(600)
            let tile = try? FilmTile.unpack(from: bytes, pixelCount: pixels)
            if tile == nil { refused += 1 }
        }
        #expect(refused > 450)
    }
}
