// The tiles and units of a frame: every pixel and every sample once.

@testable import MeshCore
import Testing

@Suite("TileGrid and WorkSpace")
struct WorkSpaceTests {
    static let sizes: [SIMD3<Int>] = [
        SIMD3(1, 1, 32), SIMD3(31, 33, 32), SIMD3(640, 360, 32), SIMD3(1_000, 8, 8),
        SIMD3(7, 999, 16), SIMD3(512, 512, 32), SIMD3(1_920, 1_080, 32), SIMD3(5, 5, 64),
    ]

    @Test("Every pixel lies in exactly one tile", arguments: sizes)
    func tiling(size: SIMD3<Int>) throws {
        let grid = try #require(TileGrid(width: size.x, height: size.y, tileSize: size.z))
        var hits = [UInt8](repeating: 0, count: size.x * size.y)
        for tile in 0..<grid.count {
            let block = grid.rectangle(ofTile: tile)
            #expect(block.width > 0 && block.height > 0)
            #expect(block.width <= size.z && block.height <= size.z)
            for y in block.y..<(block.y + block.height) {
                for x in block.x..<(block.x + block.width) { hits[y * size.x + x] += 1 }
            }
        }
        #expect(hits.allSatisfy { $0 == 1 })
    }

    @Test("In a square of a power of two, one tile follows the next across an edge")
    func neighbours() throws {
        let grid = try #require(TileGrid(width: 512, height: 512))
        for tile in 1..<grid.count {
            let a = grid.rectangle(ofTile: tile - 1)
            let b = grid.rectangle(ofTile: tile)
            #expect(abs(a.x - b.x) + abs(a.y - b.y) == 32)
        }
    }

    @Test("In other frames, runs of tiles stay compact", arguments: [SIMD2(1_920, 1_080)])
    func compactness(size: SIMD2<Int>) throws {
        let grid = try #require(TileGrid(width: size.x, height: size.y))
        var steps = 0
        for tile in 1..<grid.count {
            let a = grid.rectangle(ofTile: tile - 1)
            let b = grid.rectangle(ofTile: tile)
            steps += (abs(a.x - b.x) + abs(a.y - b.y)) / 32
        }
        // Row by row it would be about two steps a tile, the jumps back counted.
        #expect(Double(steps) < 1.1 * Double(grid.count))
    }

    @Test("The longest and narrowest frame has its tiles and no others")
    func narrow() throws {
        let grid = try #require(TileGrid(width: 65_536, height: 9, tileSize: 8))
        #expect(grid.count == 8_192 * 2)
        let columns = Set((0..<grid.count).map { grid.rectangle(ofTile: $0).x })
        #expect(columns.count == 8_192)
    }

    @Test(
        "Empty and absurd frames are refused",
        arguments: [
            SIMD3(0, 5, 32), SIMD3(5, 0, 32), SIMD3(-1, 5, 32), SIMD3(65_537, 1, 32),
            SIMD3(65_536, 65_536, 32), SIMD3(8, 8, 7), SIMD3(8, 8, 0), SIMD3(8, 8, 65_537),
            SIMD3(Int.max, Int.max, 32),
        ])
    func refused(size: SIMD3<Int>) {
        #expect(TileGrid(width: size.x, height: size.y, tileSize: size.z) == nil)
    }

    @Test(
        "The passes of a pixel cover its samples once",
        arguments: [1, 2, 3, 7, 16, 64, 100, 65_536])
    func samples(count: Int) throws {
        let grid = try #require(TileGrid(width: 70, height: 40))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: count))
        var next = 0
        for pass in 0..<space.passCount {
            let units = space.units(ofPass: pass)
            #expect(units.count == grid.count)
            let first = space.unit(units.lowerBound)
            #expect(
                first.tile == 0 && first.samples.lowerBound == next && first.samples.count <= 16)
            #expect(space.unit(units.upperBound - 1).samples == first.samples)
            #expect(space.unit(units.upperBound - 1).tile == grid.count - 1)
            next = first.samples.upperBound
        }
        #expect(next == count)
        #expect(space.all == SampleRange(0, space.passCount * grid.count))
        #expect(space.sampleCount(of: IntervalSet(space.all)) == 70 * 40 * count)
    }

    @Test("Passes begin with 1, 1, 2, 4, 8 and go on with 16 samples")
    func passSizes() throws {
        let grid = try #require(TileGrid(width: 32, height: 32))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: 50))
        let sizes = (0..<space.passCount).map { space.unit($0).samples.count }
        #expect(sizes == [1, 1, 2, 4, 8, 16, 16, 2])
    }

    @Test(
        "Sample counts of any coverage are the sums over its units", arguments: [UInt64(1), 2, 3])
    func sampleCounts(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let grid = try #require(TileGrid(width: 100, height: 70))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: 20))
        for _ in 0..<200 {
            var coverage = IntervalSet()
            for _ in 0..<random.below(6) {
                let lower = random.below(space.count)
                coverage.insert(
                    SampleRange(lower, min(lower + random.below(40), space.count)))
            }
            var sum = 0
            for range in coverage.ranges {
                for unit in range.lowerBound..<range.upperBound {
                    let piece = space.unit(unit)
                    sum += piece.samples.count * grid.rectangle(ofTile: piece.tile).area
                }
            }
            #expect(space.sampleCount(of: coverage) == sum, "seed \(seed)")
        }
    }

    private func adaptive(_ samplesPerPixel: Int) throws -> WorkSpace {
        let grid = try #require(TileGrid(width: 100, height: 70))
        return try #require(
            WorkSpace(grid: grid, samplesPerPixel: samplesPerPixel, isAdaptive: true))
    }

    @Test("Stages of an adaptive frame add half of what was there")
    func stageSizes() throws {
        let space = try adaptive(300)
        let ends = (0..<space.stageCount).map { stage in
            space.samples(below: space.units(ofStage: stage).upperBound) / 7_000
        }
        #expect(ends == [16, 32, 48, 64, 96, 144, 208, 300])
        #expect(try adaptive(16).stageCount == 1)
        #expect(try adaptive(1).stageCount == 1)
        #expect(try adaptive(65_536).stageCount == 22)
    }

    @Test(
        "The units of an adaptive frame are each pixel's samples once, a tile's stage one range",
        arguments: [1, 16, 17, 100, 300])
    func adaptiveUnits(count: Int) throws {
        let space = try adaptive(count)
        var next = [Int](repeating: 0, count: space.grid.count)
        for unit in 0..<space.count {
            let piece = space.unit(unit)
            #expect(piece.samples.lowerBound == next[piece.tile])
            next[piece.tile] = piece.samples.upperBound
            let stage = space.stage(ofUnit: unit)
            #expect(space.units(ofStage: stage).contains(unit))
            if stage > 0 {
                #expect(space.units(ofTile: piece.tile, inStage: stage).contains(unit))
            }
        }
        #expect(next.allSatisfy { $0 == count })
    }

    @Test(
        "Sample counts and runs of an adaptive frame are the sums over its units",
        arguments: [UInt64(1), 2, 3])
    func adaptiveSampleCounts(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try adaptive(150)
        for _ in 0..<300 {
            let lower = random.below(space.count)
            let range = SampleRange(lower, min(lower + random.below(70), space.count))
            var sum = 0
            var perTile = [Int](repeating: 0, count: space.grid.count)
            for unit in range.lowerBound..<range.upperBound {
                let piece = space.unit(unit)
                sum += piece.samples.count * space.grid.rectangle(ofTile: piece.tile).area
                perTile[piece.tile] += piece.samples.count
            }
            #expect(space.sampleCount(of: IntervalSet(range)) == sum, "seed \(seed)")
            space.forEachRun(of: range) { tiles, samples in
                for tile in tiles { perTile[tile] -= samples }
            }
            #expect(perTile.allSatisfy { $0 == 0 }, "seed \(seed)")
        }
    }

    @Test("Sample counts out of bounds are refused", arguments: [0, -1, 65_537])
    func refusedSamples(count: Int) throws {
        let grid = try #require(TileGrid(width: 8, height: 8))
        #expect(WorkSpace(grid: grid, samplesPerPixel: count) == nil)
    }
}
