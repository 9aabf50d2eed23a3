import Foundation
import MeshCore
import Testing

@testable import Tracer

// Texture lookups against one-texel-at-a-time arithmetic in double precision.

@Suite("Textures")
struct ShadingTextureTests {
    private static func image(_ width: Int, _ height: Int, seed: UInt64) -> TextureImage {
        var random = RandomNumbers(seed: seed)
        return TextureImage(
            width: width, height: height,
            pixels: (0..<4 * width * height).map { _ in UInt8(random.below(256)) })
    }

    /// The texel at any integer position, as the wrap mode continues the image.
    private func texel(_ index: Int, _ size: Int, _ wrap: TextureReference.Wrap) -> Int {
        switch wrap {
        case .clampToEdge: return min(max(index, 0), size - 1)
        case .repeat: return ((index % size) + size) % size
        case .mirroredRepeat:
            let folded = ((index % (2 * size)) + 2 * size) % (2 * size)
            return folded < size ? folded : 2 * size - 1 - folded
        }
    }

    private func decode(_ code: UInt8, isColor: Bool) -> Double {
        let x = Double(code) / 255
        guard isColor else { return x }
        return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4)
    }

    /// One channel of one lookup.
    private func reference(
        _ image: TextureImage, _ use: TextureReference, _ s: Float, _ t: Float, channel: Int,
        isColor: Bool
    ) -> Double {
        func value(_ x: Int, _ y: Int) -> Double {
            let column = texel(x, image.width, use.wrapS)
            let row = texel(y, image.height, use.wrapT)
            return decode(
                image.pixels[4 * (row * image.width + column) + channel],
                isColor: isColor && channel < 3)
        }
        let x = Double(s) * Double(image.width) - (use.isNearest ? 0 : 0.5)
        let y = Double(t) * Double(image.height) - (use.isNearest ? 0 : 0.5)
        let column = Int(x.rounded(.down))
        let row = Int(y.rounded(.down))
        if use.isNearest { return value(column, row) }
        let fx = x - Double(column)
        let fy = y - Double(row)
        return (value(column, row) * (1 - fx) + value(column + 1, row) * fx) * (1 - fy)
            + (value(column, row + 1) * (1 - fx) + value(column + 1, row + 1) * fx) * fy
    }

    @Test("Lanes with different images, wraps and filters give what each gives alone")
    func lookups() throws {
        let images = [
            Self.image(8, 4, seed: 1), Self.image(1, 1, seed: 2), Self.image(5, 7, seed: 3),
            Self.image(64, 32, seed: 4),
        ]
        let set = try TextureSet(images: images)
        var uses: [TextureReference] = []
        for image in 0..<images.count {
            for wrapS in [TextureReference.Wrap.repeat, .mirroredRepeat, .clampToEdge] {
                for wrapT in [TextureReference.Wrap.repeat, .mirroredRepeat, .clampToEdge] {
                    var use = TextureReference(image: image)
                    use.wrapS = wrapS
                    use.wrapT = wrapT
                    uses.append(use)
                    use.isNearest = true
                    uses.append(use)
                }
            }
        }
        let slots = uses.map { set.slot(for: $0) }
        #expect(Set(slots).count == uses.count && !slots.contains(0))
        #expect(uses.map { set.slot(for: $0) } == slots)
        let view = set.view
        var random = RandomLanes(seed: 6)
        var choice = RandomNumbers(seed: 7)
        for _ in 0..<300 {
            let s = random.unit() * 7 - 3
            let t = random.unit() * 7 - 3
            var lanes = Int32x8(repeating: 0)
            let chosen = (0..<8).map { _ in choice.below(uses.count) }
            for lane in 0..<8 { lanes[lane] = slots[chosen[lane]] }
            let color = view.color(lanes, s, t)
            let data = view.data(lanes, s, t)
            let alpha = view.alpha(lanes, s, t)
            for lane in 0..<8 {
                let use = uses[chosen[lane]]
                func expected(_ channel: Int, _ isColor: Bool) -> Double {
                    reference(
                        images[use.image], use, s[lane], t[lane], channel: channel,
                        isColor: isColor)
                }
                for channel in 0..<3 {
                    let error = Double(color.color[lane][channel]) - expected(channel, true)
                    #expect(abs(error) < 1e-4)
                    let plain = Double(data.color[lane][channel]) - expected(channel, false)
                    #expect(abs(plain) < 1e-4)
                }
                #expect(abs(Double(alpha[lane]) - expected(3, false)) < 1e-4)
                #expect(alpha[lane] == color.alpha[lane])
            }
        }
    }

    @Test("No texture is white, and coordinates that are no numbers stay inside the image")
    func edgeCases() throws {
        let set = try TextureSet(images: [Self.image(8, 4, seed: 1)])
        let slot = set.slot(for: TextureReference(image: 0))
        #expect(set.slot(for: nil) == 0)
        let wild = Float8(.nan, .infinity, -.infinity, 1e30, -1e30, 0, 1, 0x1p31)
        let none = set.view.color(Int32x8(repeating: 0), wild, wild)
        #expect(none.color.x == .init(repeating: 1) && none.alpha == .init(repeating: 1))
        let some = set.view.color(Int32x8(repeating: slot), wild, wild).color
        for lane in 0..<8 {
            #expect(some[lane].min() >= 0 && some[lane].max() <= 1)
        }
    }

    @Test("The sRGB table is within 1e-6 of the standard's formula")
    func decoding() {
        for code in UInt8.min...UInt8.max {
            let exact = decode(code, isColor: true)
            #expect(abs(Double(TextureSet.decodeSRGB(Float(code) / 255)) - exact) < 1e-6)
        }
        #expect(TextureSet.decodeSRGB(0) == 0 && TextureSet.decodeSRGB(1) == 1)
    }

    @Test("An image whose pixels don't fit its size is refused")
    func malformed() {
        for (width, height, bytes) in [(2, 2, 15), (0, 4, 0), (-1, -1, 4), (Int.max, 3, 12)] {
            #expect(throws: SceneError.self) {
                try TextureSet(images: [
                    TextureImage(
                        width: width, height: height,
                        pixels: [UInt8](repeating: 0, count: bytes))
                ])
            }
        }
    }
}
