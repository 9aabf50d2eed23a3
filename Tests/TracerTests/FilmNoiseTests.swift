// The error that a film estimates of itself is its error, and tiles that are good enough want no
// more samples.

import MeshCore
import Testing

@testable import Tracer

@Suite("The noise of films")
struct FilmNoiseTests {
    /// Adds one tile's samples, each of a luminance that is drawn.
    private func film(
        _ space: WorkSpace, passes: Range<Int>, _ luminance: (_ pixel: Int) -> Double
    ) throws -> Film {
        var film = Film(workSpace: space)
        let area = space.grid.rectangle(ofTile: 0).area
        for pass in passes {
            var tile = FilmTile(pixelCount: area, isAdaptive: true)
            for sample in space.unit(pass).samples {
                for pixel in 0..<area {
                    let value = Int64((luminance(pixel) * 0x1p24).rounded())
                    for plane in 0..<3 { tile.wide[plane * area + pixel] += value }
                    guard ControlSamples.contains(sample) else { continue }
                    tile.wide[4 * area + pixel] += ControlSamples.luminance(value, value, value)
                }
            }
            try film.add(unit: pass, tile)
        }
        return film
    }

    /// A number of mean zero and deviation one: the sum of twelve uniform ones.
    private func gaussian(_ random: inout RandomNumbers) -> Double {
        (0..<12).reduce(-6.0) { sum, _ in sum + Double(random.next() >> 11) * 0x1p-53 }
    }

    /// A frame of one tile.
    private func space(samples: Int = 64) throws -> WorkSpace {
        try smallSpace(samples: samples, width: 32, height: 32, isAdaptive: true)
    }

    @Test(
        "Of samples of a known deviation the estimate is their standard error",
        arguments: [(0.5, 0.1), (4, 1), (0.02, 0.004)])
    func synthetic(mean: Double, sigma: Double) throws {
        var random = RandomNumbers(seed: 7)
        let space = try space()
        let passes = space.units(ofStage: 0).count
        for (count, samples) in [(passes, 16.0), (space.count, 64.0)] {
            let film = try film(space, passes: 0..<count) { _ in
                mean + sigma * gaussian(&random)
            }
            let expected = sigma / samples.squareRoot() / (mean + 1e-4).squareRoot()
            var squares = 0.0
            film.forEachNoiseBlock(ofTile: 0) { _, noise in squares += noise * noise }
            let ratio = (squares / 16).squareRoot() / expected
            #expect(abs(ratio - 1) < 0.08, "\(samples) samples: \(ratio)")
            let worst = try #require(film.noise(ofTile: 0)) / expected
            #expect(worst > 1 && worst < 1.4, "\(samples) samples: \(worst)")
        }
    }

    @Test("A small noisy spot is a noisy tile")
    func spot() throws {
        var random = RandomNumbers(seed: 8)
        let space = try space()
        let film = try film(space, passes: 0..<space.units(ofStage: 0).count) { pixel in
            let isInBlock = pixel % 32 / 8 == 2 && pixel / 32 / 8 == 1
            return 0.5 + (isInBlock ? 0.2 * gaussian(&random) : 0)
        }
        var noisy: [PixelRectangle] = []
        film.forEachNoiseBlock(ofTile: 0) { block, noise in if noise > 1e-3 { noisy.append(block) }
        }
        #expect(noisy == [PixelRectangle(x: 16, y: 8, width: 8, height: 8)])
        let noise = try #require(film.noise(ofTile: 0))
        #expect(abs(noise / (0.05 / 0.5.squareRoot()) - 1) < 0.3)
        #expect(film.wantsMore(tile: 0, noiseTarget: 0.05))
        #expect(!film.wantsMore(tile: 0, noiseTarget: 0.11))
    }

    @Test("A tile wants more until it is good enough, has all, or was waived")
    func wantsMore() throws {
        var random = RandomNumbers(seed: 9)
        let space = try space()
        let empty = Film(workSpace: space)
        #expect(empty.noise(ofTile: 0) == nil)
        #expect(empty.wantsMore(tile: 0, noiseTarget: 1))
        func noisy(_ count: Int) throws -> Film {
            try film(space, passes: 0..<count) { _ in 0.5 + 0.2 * gaussian(&random) }
        }
        var first = try noisy(space.units(ofStage: 0).count)
        #expect(first.wantsMore(tile: 0, noiseTarget: 0.01))
        try first.waive(IntervalSet(space.units(ofTile: 0, inStage: 2)))
        #expect(!first.wantsMore(tile: 0, noiseTarget: 0.01))
        #expect(try !noisy(space.count).wantsMore(tile: 0, noiseTarget: 0.01))
        let plain = Film(workSpace: try smallSpace())
        #expect(plain.noise(ofTile: 0) == nil)
    }

    private func scene() -> SceneDescription {
        RenderScene.make(
            [RenderScene.sphere(), RenderScene.quad(side: 6, z: -1)],
            materials: [RenderScene.diffuse(0.7)], environment: 0.8)
    }

    /// A part of a rendered frame: its first samples.
    private func rendered(_ samples: Int) throws -> Film {
        var settings = RenderScene.settings(samples: samples)
        settings.noiseTarget = 0.01
        return try RenderScene.film(scene(), settings)
    }

    @Test(
        "On a rendered scene the estimate is the error against a reference, and twice the samples divide it by about √2"
    )
    func renderedNoise() throws {
        let reference = FilmImage(try rendered(4_096))
        func luminance(_ image: FilmImage, _ x: Int, _ y: Int) -> Double {
            let red = Double(image.value(.red, x: x, y: y))
            let green = Double(image.value(.green, x: x, y: y))
            return 0.2126 * red + 0.7152 * green + 0.0722 * Double(image.value(.blue, x: x, y: y))
        }
        var estimates: [Double] = []
        for samples in [16, 32, 64, 128] {
            let film = try rendered(samples)
            let image = FilmImage(film)
            var estimate = 0.0
            film.forEachNoiseBlock(ofTile: 0) { _, noise in estimate += noise * noise / 16 }
            var error = 0.0
            for y in 0..<32 {
                for x in 0..<32 {
                    let wanted = luminance(reference, x, y)
                    let difference = luminance(image, x, y) - wanted
                    error += difference * difference / (wanted + 1e-4) / 1_024
                }
            }
            let ratio = (estimate / error).squareRoot()
            // It promises less than it keeps, but not much less.
            #expect(ratio > 1 && ratio < 2, "\(samples) samples: \(ratio)")
            estimates.append(estimate.squareRoot())
        }
        for (few, many) in zip(estimates, estimates.dropFirst()) {
            #expect(few / many > 1.2 && few / many < 2, "\(estimates)")
        }
    }

    @Test("An adaptive frame's samples are those of a frame that is not")
    func samePicture() throws {
        let adaptive = try rendered(32)
        let plain = try RenderScene.film(scene(), RenderScene.settings(samples: 32))
        let (left, right) = (FilmImage(adaptive), FilmImage(plain))
        #expect(left.values == right.values && left.samples == right.samples)
        #expect(left.noise != nil && right.noise == nil)
    }
}
