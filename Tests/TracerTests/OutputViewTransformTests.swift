// The view keeps order, greys and hues, and shows any number at all.

import MeshCore
import Testing

@testable import Tracer

@Suite("View transform")
struct OutputViewTransformTests {
    @Test("Greys stay grey, brighter light is never shown darker, and black and white are reached")
    func greys() {
        let view = ViewTransform()
        var last: Float = -1
        for step in stride(from: -14, through: 8, by: 0.125) {
            let light: Float = 0.18
            let shown = view.apply(SIMD3(repeating: light * powerOfTwo(step)))
            #expect(abs(shown.x - shown.y) < 0.004 && abs(shown.y - shown.z) < 0.004)
            #expect(shown.y >= last - 1e-4)
            last = shown.y
        }
        #expect(view.apply(SIMD3(repeating: 0)).max() < 0.01)
        #expect(last > 0.97)
        // Middle grey is shown near the middle of the screen's range.
        let grey = view.apply(SIMD3(repeating: 0.18)).y
        #expect(grey > 0.4 && grey < 0.55)
    }

    @Test("Exposure counts in stops", arguments: ViewTransform.Look.allCases)
    func exposure(look: ViewTransform.Look) {
        let light = SIMD3<Float>(0.3, 0.1, 0.05)
        let plain = ViewTransform(look: look).apply(light * 4)
        let exposed = ViewTransform(exposure: 2, look: look).apply(light)
        #expect((plain - exposed).max() < 1e-5 && (plain - exposed).min() > -1e-5)
    }

    @Test("The largest channel stays the largest, and bright colours run to white")
    func hues() {
        let view = ViewTransform()
        var random = RandomNumbers(seed: 1)
        for _ in 0..<1_000 {
            let light = SIMD3(Float(random.unit()), Float(random.unit()), Float(random.unit()))
            let shown = view.apply(light)
            let largest = (0..<3).max { light[$0] < light[$1] } ?? 0
            #expect(shown[largest] >= shown.max() - 0.01)
        }
        let red = view.apply(SIMD3(500, 5, 5))
        #expect(red.min() > 0.6)
    }

    @Test("No value traps or leaves the screen's range", arguments: ViewTransform.Look.allCases)
    func anyValue(look: ViewTransform.Look) {
        let values: [Float] = [
            0, -1, Float.leastNonzeroMagnitude, 1e38, .infinity, -.infinity, .nan,
            .greatestFiniteMagnitude,
        ]
        for red in values {
            for green in values {
                let shown = ViewTransform(look: look).apply(SIMD3(red, green, 0.5))
                for channel in 0..<3 {
                    #expect(shown[channel] >= 0 && shown[channel] <= 1.0001)
                }
            }
        }
    }

    @Test("Dither keeps the mean of a shade between two codes")
    func dither() throws {
        let space = try smallSpace(width: 256, height: 256)
        var film = Film(workSpace: space)
        for unit in 0..<space.grid.count {
            var tile = FilmTile(pixelCount: space.grid.rectangle(ofTile: unit).area)
            for index in 0..<(3 * tile.pixelCount) { tile.wide[index] = 3_000_000 }
            try film.add(unit: unit, tile)
        }
        let image = FilmImage(film)
        let bytes = ViewTransform().bytes(of: image)
        let exact =
            ViewTransform().apply(
                SIMD3(repeating: image.value(.red, x: 0, y: 0))) * 255
        for channel in 0..<3 {
            let codes = stride(from: channel, to: bytes.count, by: 3).map { Int(bytes[$0]) }
            let mean = Float(codes.reduce(0, +)) / Float(codes.count)
            #expect(abs(mean - exact[channel]) < 0.02)
            #expect(Set(codes).count <= 2)
        }
    }

    private func powerOfTwo(_ exponent: Double) -> Float {
        var result = Float(sign: .plus, exponent: Int(exponent.rounded(.down)), significand: 1)
        let fraction = exponent - exponent.rounded(.down)
        for eighth in 0..<8 where Double(eighth) < fraction * 8 { result *= 1.0905077 }
        return result
    }
}
