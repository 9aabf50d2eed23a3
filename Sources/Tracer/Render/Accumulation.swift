// The last stage: the samples of a wave become integers and enter the sums of their pixels.

import CTracerSIMD

extension SlotTable {
    /// Adds the wave's samples to the tile: see ``FilmTile`` for the steps of each channel.
    ///
    /// The slots of a pixel are neighbours: its sums stay in registers.
    /// - Parameter samples: those of the wave, as a part of each pixel's sequence.
    func accumulate(order: PixelOrder, samples: Range<Int>, into tile: inout FilmTile) {
        let pixels = tile.pixelCount
        let samplesPerPixel = samples.count
        var nonFinite: Int64 = 0
        tile.wide.withUnsafeMutableBufferPointer { wide in
            tile.narrow.withUnsafeMutableBufferPointer { narrow in
                guard let wide = wide.baseAddress, let narrow = narrow.baseAddress else { return }
                for (place, number) in order.pixel.enumerated() {
                    let pixel = Int(number)
                    let first = place * samplesPerPixel
                    for slot in first..<(first + samplesPerPixel) {
                        let sample = radiance[slot]
                        let isFinite =
                            sample.x.isFinite && sample.y.isFinite && sample.z.isFinite
                        guard isFinite else {
                            nonFinite += 1
                            continue
                        }
                        wide[pixel] &+= Self.beauty(sample.x)
                        wide[pixels + pixel] &+= Self.beauty(sample.y)
                        wide[2 * pixels + pixel] &+= Self.beauty(sample.z)
                    }
                    for slot in first..<(first + samplesPerPixel) where depth[slot] > 0 {
                        wide[3 * pixels + pixel] &+= Self.distance(depth[slot])
                        narrow[pixel] &+= 1
                        narrow[pixels + pixel] &+= Self.unit(albedoX[slot])
                        narrow[2 * pixels + pixel] &+= Self.unit(albedoY[slot])
                        narrow[3 * pixels + pixel] &+= Self.unit(albedoZ[slot])
                        narrow[4 * pixels + pixel] &+= Self.signed(normalX[slot])
                        narrow[5 * pixels + pixel] &+= Self.signed(normalY[slot])
                        narrow[6 * pixels + pixel] &+= Self.signed(normalZ[slot])
                    }
                }
            }
        }
        tile.nonFiniteSamples &+= nonFinite
        if tile.isAdaptive { accumulateControl(order: order, samples: samples, into: &tile) }
    }

    /// Adds the luminance of the control samples to its plane.
    private func accumulateControl(
        order: PixelOrder, samples: Range<Int>, into tile: inout FilmTile
    ) {
        let start = FilmTile.widePlanes(isAdaptive: false) * tile.pixelCount
        let chosen = samples.filter(ControlSamples.contains).map { $0 - samples.lowerBound }
        guard !chosen.isEmpty else { return }
        tile.wide.withUnsafeMutableBufferPointer { wide in
            for (place, number) in order.pixel.enumerated() {
                var sum: Int64 = 0
                for offset in chosen {
                    let sample = radiance[place * samples.count + offset]
                    guard sample.x.isFinite, sample.y.isFinite, sample.z.isFinite else { continue }
                    sum &+= ControlSamples.luminance(
                        Self.beauty(sample.x), Self.beauty(sample.y), Self.beauty(sample.z))
                }
                wide[start + Int(number)] &+= sum
            }
        }
    }

    @inline(__always)
    private static func beauty(_ value: Float) -> Int64 {
        let clamped = min(max(value, 0), FilmTile.beautySampleMax)
        let scale = Float(1 << FilmTile.beautyFractionBits)
        return Int64((clamped * scale).rounded(.toNearestOrEven))
    }

    @inline(__always)
    private static func distance(_ value: Float) -> Int64 {
        let scale = Float(1 << FilmTile.depthFractionBits)
        return Int64((min(value, FilmTile.depthSampleMax) * scale).rounded(.toNearestOrEven))
    }

    @inline(__always)
    private static func unit(_ value: Float) -> Int32 { signed(max(value, 0)) }

    /// What is not a number counts as zero; the beauty reports such samples.
    @inline(__always)
    private static func signed(_ value: Float) -> Int32 {
        let clamped = value.isNaN ? 0 : max(-1, min(1, value))
        let scale = Float(1 << FilmTile.narrowFractionBits)
        // Adding 1.5·2²³ leaves the nearest integer, ties to even, in the lowest digits.
        let shifted = clamped * scale + 12_582_912
        return Int32(bitPattern: shifted.bitPattern) &- 0x4b40_0000
    }
}
