// Adaptive frames on one machine: which units are given out, and the film that comes of them.

import MeshCore
import MeshNode
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Adaptive frames")
struct AdaptiveTests {
    /// Renders a frame unit by unit, of those given out one by chance, by the rule that a mesh has:
    /// a tile is judged on the film of exactly its stages so far, and waived once it needs no more.
    private func film(
        _ prepared: PreparedJob, noiseTarget: Float, from random: inout RandomNumbers
    ) throws -> Film {
        let space = prepared.workSpace
        let renderer = UnitRenderer(scene: prepared.scene, workSpace: space)
        var film = Film(workSpace: space)
        for unit in space.units(ofStage: 0).lowerBound..<space.units(ofStage: 0).upperBound {
            try film.add(unit: unit, renderer.render(space.unit(unit)))
        }
        var tiles = Array(0..<space.grid.count)
        while !tiles.isEmpty {
            let tile = tiles.remove(at: random.below(tiles.count))
            for stage in 1..<space.stageCount {
                let units = space.units(ofTile: tile, inStage: stage)
                guard film.wantsMore(tile: tile, noiseTarget: noiseTarget) else {
                    let rest = (stage..<space.stageCount).map {
                        space.units(ofTile: tile, inStage: $0)
                    }
                    try film.waive(IntervalSet(rest))
                    break
                }
                for unit in units.lowerBound..<units.upperBound {
                    try film.add(unit: unit, renderer.render(space.unit(unit)))
                }
            }
        }
        return film
    }

    @Test("Rendered here alone a frame has the film that the rule gives, on any number of threads")
    func local() async throws {
        let target: Float = 0.06
        let frame = try SmallFrame(size: 96, samples: 200, noiseTarget: target)
        let prepared = try frame.prepared()
        #expect(prepared.workSpace.isAdaptive)
        var random = RandomNumbers(seed: 1)
        let expected = try film(prepared, noiseTarget: target, from: &random)
        #expect(expected.isComplete)
        for threads in [1, 3] {
            let render = await LocalRender(
                prepared, threads: threads, niceness: 0, requested: EventLoop.now)
            let end = try #require(await Updates.end(render.updates))
            #expect(end.statistics.complete)
            #expect(end.film == expected)
            #expect(end.statistics.filmHash == expected.hash)
            let share = try #require(end.statistics.waivedShare)
            let mean = try #require(end.statistics.meanSamplesPerPixel)
            #expect(share > 0 && share < 1)
            #expect(abs(mean - 200 * (1 - share)) < 1e-9 * mean)
        }
        // Some tiles got more than others; each ended because it was good enough, or had all.
        let samples = FilmImage(expected).samples
        #expect(Set(samples).count > 1)
        for tile in 0..<prepared.workSpace.grid.count {
            let place = prepared.workSpace.grid.rectangle(ofTile: tile)
            let noise = try #require(expected.noise(ofTile: tile))
            #expect(noise <= Double(target) || samples[place.y * 96 + place.x] == 200)
        }
    }

    @Test("Three nodes make the film of one, and spare the same tiles the same samples")
    @EventLoop
    func mesh() async throws {
        let frame = try SmallFrame(size: 192, samples: 200, noiseTarget: 0.05)
        let expected = try await frame.localHash()
        var nodes: [TestNode] = []
        for index in 0..<3 {
            let peers = nodes.first.map { [$0.runtime.address] } ?? []
            nodes.append(try TestNode("node-\(index)", peers: peers))
        }
        let mesh = nodes
        #expect(await Loop.until { mesh.allSatisfy { $0.aliveCount == 3 } })
        try mesh[0].store(frame)
        let session = mesh[0].runtime.submit(try frame.prepared(), requested: EventLoop.now)
        let end = try #require(await Updates.end(session.updates))
        #expect(end.statistics.complete && end.statistics.filmHash == expected)
        let share = try #require(end.statistics.waivedShare)
        #expect(share > 0 && share < 1)
        #expect(end.statistics.nodes.count { $0.units > 0 } == 3)
        for node in mesh { await node.runtime.stop() }
    }

    @Test("A frame whose description and job disagree on whether it is adaptive is not joined")
    @EventLoop
    func contradiction() async throws {
        let node = try TestNode("one")
        for (number, target) in ([nil, 0.1] as [Float?]).enumerated() {
            let job = try SmallFrame(noiseTarget: target).job
            for (offset, isAdaptive) in [target == nil, target != nil].enumerated() {
                let frame = FrameID(
                    originator: TestMesh.participant, number: UInt64(2 * number + offset))
                let description = JobDescription(
                    width: job.width, height: job.height, samplesPerPixel: job.samplesPerPixel,
                    isAdaptive: isAdaptive, payload: job.encoded())
                node.runtime.perform(.prepareScene(frame, description, sources: []))
                // Who joins makes a place for the films.
                #expect((node.runtime.frames[frame] != nil) == (isAdaptive == (target != nil)))
            }
        }
        await node.runtime.stop()
    }

    @Test("A target that nothing meets gives all samples, one that all meet the first stage")
    func extremes() async throws {
        let fine = try SmallFrame(samples: 40, noiseTarget: 1e-6)
        let all = try await fine.localFilm()
        #expect(all.isComplete && all.waived.isEmpty)
        // The same sums as without a target.
        let plain = try await SmallFrame(samples: 40).localFilm()
        #expect(FilmImage(all).values == FilmImage(plain).values)
        let coarse = try await SmallFrame(samples: 40, noiseTarget: 1).localFilm()
        #expect(coarse.isComplete)
        #expect(Set(FilmImage(coarse).samples) == [16])
        // A frame of no more samples than the first stage has nothing to waive.
        let short = try await SmallFrame(samples: 5, noiseTarget: 1).localFilm()
        #expect(short.isComplete && short.waived.isEmpty)
        #expect(Set(FilmImage(short).samples) == [5])
    }

    @Test(
        "Each unit is given out once, or waived, whatever order they come back in", arguments: 1...5
    )
    func work(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let space = try Films.space(samples: 150, isAdaptive: true)
        var work = LocalWork(workSpace: space, noiseTarget: 0.5)
        var film = Film(workSpace: space)
        var given: [Int] = []
        var seen: Set<Int> = []
        while true {
            while given.count < 8, let unit = work.next() {
                #expect(seen.insert(unit).inserted)
                given.append(unit)
            }
            guard !given.isEmpty else { break }
            let unit = given.remove(at: random.below(given.count))
            let tile = space.unit(unit).tile
            // Even tiles are without noise, odd ones are far from it.
            let area = space.grid.rectangle(ofTile: tile).area
            var sums = FilmTile(pixelCount: area, isAdaptive: true)
            if tile % 2 == 1 { for pixel in 0..<(3 * area) { sums.wide[pixel] = 1 << 30 } }
            try film.add(unit: unit, sums)
            try work.rendered(unit, in: &film)
        }
        #expect(film.isComplete)
        #expect(
            film.coverage.subtracting(film.waived)
                == IntervalSet(seen.map { SampleRange($0, $0 + 1) }))
        let counts = FilmImage(film)
        for tile in 0..<space.grid.count {
            let place = space.grid.rectangle(ofTile: tile)
            #expect(counts.samples[place.y * 70 + place.x] == (tile % 2 == 1 ? 150 : 16))
        }
        #expect(film.sampleCount == film.sampleCountMax)
    }
}

extension SmallFrame {
    fileprivate func localFilm() async throws -> Film {
        let render = await LocalRender(
            try prepared(), threads: 2, niceness: 0, requested: EventLoop.now)
        return try #require(await Updates.end(render.updates)).film
    }
}
