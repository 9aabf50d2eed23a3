// The first stage: a ray through a point of each pixel for each sample of a unit.

import CTracerSIMD
import MeshCore

/// A camera ready to make rays.
struct CameraFrame: Sendable {
    let origin: SIMD3<Float>
    /// The image plane's axes at distance one, scaled to half the image.
    let right: SIMD3<Float>
    let up: SIMD3<Float>
    let forward: SIMD3<Float>
    let isOrthographic: Bool
    /// Pixels.
    let width: Int
    let height: Int

    init(_ camera: Camera, width: Int, height: Int) {
        self.width = width
        self.height = height
        let transform = camera.transform
        func unit(_ v: SIMD3<Float>) -> SIMD3<Float> {
            let length = length3(v)
            return length > 0 ? v * (1 / length) : v
        }
        origin = transform.translation
        forward = -unit(transform.z)
        let halfHeight: Float
        switch camera.projection {
        case .perspective(let field):
            isOrthographic = false
            // tan(x) from our own sine and cosine: the same bits everywhere.
            let (sine, cosine) = IEEEMath.sineCosine(
                turns: Float8(repeating: field * 0.5 / (2 * IEEEMath.pi)))
            halfHeight = sine[0] / cosine[0]
        case .orthographic(let half):
            isOrthographic = true
            halfHeight = half
        }
        let aspect = Float(width) / Float(height)
        right = unit(transform.x) * (halfHeight * aspect)
        up = unit(transform.y) * halfHeight
    }

    /// Whether all rays are such as Embree takes: false for numbers that make no sense.
    var isUsable: Bool {
        let reach = isOrthographic ? abs3(right) + abs3(up) : SIMD3(repeating: 0)
        let corner = abs3(origin) + reach
        let spread = abs3(right) + abs3(up) + abs3(forward)
        let length = length3(spread)
        return corner.x < EmbreeScene.originMax && corner.y < EmbreeScene.originMax
            && corner.z < EmbreeScene.originMax && length > 0 && length < .infinity
    }

    /// Rays through points of the image, in pixels from the upper left corner.
    @inline(__always)
    func rays(x: Float8, y: Float8) -> (origin: Vector8, direction: Vector8) {
        let across = x * (2 / Float(width)) - 1
        let above = 1 - y * (2 / Float(height))
        let offset = Vector8(repeating: right) * across + Vector8(repeating: up) * above
        let forward = Vector8(repeating: forward)
        if isOrthographic { return (Vector8(repeating: origin) + offset, forward) }
        return (Vector8(repeating: origin), (offset + forward).normalised)
    }
}

private func abs3(_ v: SIMD3<Float>) -> SIMD3<Float> { SIMD3(abs(v.x), abs(v.y), abs(v.z)) }

/// The order in which a tile's pixels enter a wave: blocks of 8 × 8, in them blocks of 2 × 2, all
/// samples of a pixel together, so that packets of camera rays stay narrow.
struct PixelOrder {
    /// For each place in the order the pixel's row-major number in the tile.
    let pixel: [Int32]
    let rectangle: PixelRectangle
    private let columns: [Int32]
    private let rows: [Int32]

    init(_ rectangle: PixelRectangle) {
        self.rectangle = rectangle
        var pixel: [Int32] = []
        pixel.reserveCapacity(rectangle.area)
        let (width, height) = (rectangle.width, rectangle.height)
        for blockY in stride(from: 0, to: height, by: 8) {
            for blockX in stride(from: 0, to: width, by: 8) {
                for place in 0..<64 {
                    // 2 × 2 blocks within the 8 × 8 block, row by row.
                    let (block, inner) = (place / 4, place % 4)
                    let x = blockX + (block % 4) * 2 + inner % 2
                    let y = blockY + (block / 4) * 2 + inner / 2
                    if x < width, y < height { pixel.append(Int32(y * width + x)) }
                }
            }
        }
        self.pixel = pixel
        let across = Int32(rectangle.width)
        columns = pixel.map { Int32(rectangle.x) + $0 % across }
        rows = pixel.map { Int32(rectangle.y) + $0 / across }
    }

    /// Calls with the frame's column and row of each place.
    @inline(__always)
    fileprivate func withCoordinates(
        _ body: (_ columns: UnsafePointer<Int32>, _ rows: UnsafePointer<Int32>) -> Void
    ) {
        columns.withUnsafeBufferPointer { columns in
            rows.withUnsafeBufferPointer { rows in
                guard let columns = columns.baseAddress, let rows = rows.baseAddress else { return }
                body(columns, rows)
            }
        }
    }
}

/// What the wave knows of each slot besides its path.
struct SlotTable {
    /// The sample sequence's state: see ``PixelSequence8``.
    let sequenceKey: UnsafeMutablePointer<UInt32>
    let sequenceIndex: UnsafeMutablePointer<UInt32>
    /// The sum of the light found so far.
    let radiance: UnsafeMutablePointer<SIMD4<Float>>
    /// The first hit: distance (zero: none), albedo, shading normal.
    let depth: UnsafeMutablePointer<Float>
    let albedoX, albedoY, albedoZ: UnsafeMutablePointer<Float>
    let normalX, normalY, normalZ: UnsafeMutablePointer<Float>

    static func memorySize(capacity: Int) -> Int { 13 * (capacity + 64) }

    init(memory: UnsafeMutablePointer<Float>, capacity: Int) {
        func array(_ index: Int) -> UnsafeMutablePointer<Float> { memory + index * (capacity + 64) }
        radiance = UnsafeMutableRawPointer(array(0)).assumingMemoryBound(to: SIMD4<Float>.self)
        sequenceKey = UnsafeMutableRawPointer(array(4)).assumingMemoryBound(to: UInt32.self)
        sequenceIndex = UnsafeMutableRawPointer(array(5)).assumingMemoryBound(to: UInt32.self)
        depth = array(6)
        (albedoX, albedoY, albedoZ) = (array(7), array(8), array(9))
        (normalX, normalY, normalZ) = (array(10), array(11), array(12))
    }

    /// The random numbers of eight slots.
    @inline(__always)
    func sequence(_ slot: UInt32x8) -> PixelSequence8 {
        let index = slot.signed
        let key = UnsafeRawPointer(sequenceKey).assumingMemoryBound(to: Int32.self)
        let sample = UnsafeRawPointer(sequenceIndex).assumingMemoryBound(to: Int32.self)
        return PixelSequence8(
            key: gather(key, index).unsigned, reversedIndex: gather(sample, index).unsigned)
    }
}

extension PixelSequence8 {
    /// A sequence that was made before, from its two words.
    @inline(__always)
    fileprivate init(key: UInt32x8, reversedIndex: UInt32x8) {
        self.key = key
        self.reversedIndex = reversedIndex
    }
}

extension SlotTable {
    /// Fills the queue and the table with the rays of `samples` for the pixels of `order`; the
    /// slot of a path is its place. Returns how many there are.
    func generate(
        camera: CameraFrame, order: PixelOrder, samples: Range<Int>, seed: UInt32,
        into paths: PathQueue
    ) -> Int {
        let perPixel = samples.count
        let count = order.pixel.count * perPixel
        let width = Int32(truncatingIfNeeded: camera.width)
        let firstSample = Int32(truncatingIfNeeded: samples.lowerBound)
        let scale = Float(perPixel)
        // Lanes behind the end repeat the last pixel.
        let last = Int32x8(repeating: Int32(truncatingIfNeeded: order.pixel.count - 1))
        order.withCoordinates { columns, rows in
            for start in stride(from: 0, to: count, by: 8) {
                let slot = laneNumbers &+ Int32(truncatingIfNeeded: start)
                // The half keeps the quotient away from integers: exact for any wave.
                let quotient = Int32x8(truncating: (Float8(converting: slot) + 0.5) / scale)
                let place = minimum(quotient, last)
                let sample = slot &- quotient &* Int32(truncatingIfNeeded: perPixel)
                let x = gather(columns, place)
                let y = gather(rows, place)
                let sequence = PixelSequence8(
                    pixel: (y &* width &+ x).unsigned, sample: (sample &+ firstSample).unsigned,
                    seed: seed)
                store8(sequenceKey, start, sequence.key)
                store8(sequenceIndex, start, sequence.reversedIndex)
                let jitter = sequence.pair(SampleBlock.camera)
                let ray = camera.rays(
                    x: Float8(converting: x) + jitter.x, y: Float8(converting: y) + jitter.y)
                store8(paths.near, start, Float8(repeating: 0))
                _ = paths.append(
                    at: start, keep: 0xff, origin: ray.origin, direction: ray.direction,
                    throughput: Vector8(gray: Float8(repeating: 1)),
                    density: Float8(repeating: 0), slot: slot.unsigned)
            }
        }
        radiance.update(repeating: SIMD4(repeating: 0), count: count + 8)
        return count
    }
}

/// How the blocks of the sample sequence are used; other uses, other blocks.
enum SampleBlock {
    static var camera: UInt32 { 0 }
    /// The point on a light, at the vertex of a depth (from zero).
    static func light(_ depth: Int) -> UInt32 { UInt32(truncatingIfNeeded: 4 * depth + 1) }
    /// The scattered direction.
    static func scattering(_ depth: Int) -> UInt32 { light(depth) + 1 }
    /// Which light.
    static func choice(_ depth: Int) -> UInt32 { light(depth) + 2 }
    /// Whether a transparent surface stops the ray; the further layers hash it.
    static func transparency(_ depth: Int) -> UInt32 { light(depth) + 3 }
}
