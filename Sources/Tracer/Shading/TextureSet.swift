// All textures of a scene in one block of memory, looked up for eight hits at a time whatever
// images the lanes use: the properties of each lane's texture are gathered like its texels.
//
// API: `TextureSet(images:)`; when materials are prepared, `slot(for: TextureReference?)` gives the
// number a lane carries (zero: no texture, everything one); in the shading stage, on `set.view`:
// `color(slot, s, t)` decodes sRGB, `data(slot, s, t)` does not, `alpha(slot, s, t)` is the fourth
// channel alone. Texture coordinates as in glTF: the origin is the upper left corner, t points down.

/// Owns copies of the images, 8 bits a channel, and the table of their uses.
final class TextureSet: @unchecked Sendable {
    // Unchecked because of the pointers: `slot(for:)` is called while one thread prepares the
    // scene; afterwards all memory is only read, and freed with the object.

    /// Integers a slot has: first texel, width, height, flags.
    fileprivate static let slotStride = 4
    /// All texels of a set, so that 32-bit indices reach each.
    static let texelsMax = Int(Int32.max)

    private let texels: UnsafeMutablePointer<Int32>
    private var slots: UnsafeMutablePointer<Int32>
    private var slotCapacity: Int
    private var slotCount = 1
    private let decoding: UnsafeMutablePointer<Float>
    /// First texel, width and height of each image.
    private let images: [(first: Int32, width: Int32, height: Int32)]
    private var slotOfReference: [TextureReference: Int32] = [:]

    /// Copies the images.
    /// - Throws: `SceneError.malformed` for an image whose pixels don't fit its size,
    ///   `SceneError.tooLarge` when there are more than ``texelsMax`` texels.
    init(images sources: [TextureImage]) throws(SceneError) {
        // Texel 0 is white: the image of slot 0, which stands for no texture.
        var total = 1
        var placed: [(first: Int32, width: Int32, height: Int32)] = []
        for (number, image) in sources.enumerated() {
            let (count, overflow) = image.width.multipliedReportingOverflow(by: image.height)
            guard image.width > 0, image.height > 0, !overflow, count <= Self.texelsMax,
                image.pixels.count == count * 4
            else {
                throw .malformed(file: "image \(number)", reason: "its size is not its content's")
            }
            guard total + count <= Self.texelsMax else {
                throw .tooLarge("the textures have more than \(Self.texelsMax) texels in all")
            }
            placed.append((Int32(total), Int32(image.width), Int32(image.height)))
            total += count
        }
        images = placed
        let memory = UnsafeMutablePointer<Int32>.allocate(capacity: total)
        memory[0] = -1
        for (image, place) in zip(sources, placed) {
            image.pixels.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(
                    start: memory + Int(place.first), count: bytes.count
                ).copyMemory(from: bytes)
            }
        }
        texels = memory
        slotCapacity = 16
        slots = .allocate(capacity: slotCapacity * Self.slotStride)
        slots[0] = 0
        slots[1] = 1
        slots[2] = 1
        slots[3] = 0
        // The first 256 entries decode sRGB, the others only scale.
        decoding = .allocate(capacity: 512)
        for code in 0..<256 {
            let encoded = Float(code) / 255
            decoding[code] = Self.decodeSRGB(encoded)
            decoding[256 + code] = encoded
        }
    }

    deinit {
        texels.deallocate()
        slots.deallocate()
        decoding.deallocate()
    }

    /// Linear from sRGB-encoded, IEC 61966-2-1, both 0 … 1.
    static func decodeSRGB(_ encoded: Float) -> Float {
        if encoded <= 0.04045 { return encoded / 12.92 }
        return encoded >= 1 ? 1 : IEEEMath.power((encoded + 0.055) / 1.055, 2.4)
    }

    /// The number by which lanes name a texture; equal references have equal numbers, none is 0.
    ///
    /// Call it while the scene is prepared, before any ``view`` is taken.
    /// - Precondition: the image exists (checked on import).
    func slot(for reference: TextureReference?) -> Int32 {
        guard let reference else { return 0 }
        if let known = slotOfReference[reference] { return known }
        if slotCount == slotCapacity {
            let larger = UnsafeMutablePointer<Int32>.allocate(
                capacity: 2 * slotCapacity * Self.slotStride)
            larger.update(from: slots, count: slotCount * Self.slotStride)
            slots.deallocate()
            slots = larger
            slotCapacity *= 2
        }
        let image = images[reference.image]
        let slot = slots + slotCount * Self.slotStride
        slot[0] = image.first
        slot[1] = image.width
        slot[2] = image.height
        slot[3] =
            Self.code(reference.wrapS) | Self.code(reference.wrapT) << 2
            | (reference.isNearest ? 16 : 0)
        slotOfReference[reference] = Int32(slotCount)
        slotCount += 1
        return Int32(slotCount - 1)
    }

    private static func code(_ wrap: TextureReference.Wrap) -> Int32 {
        switch wrap {
        case .repeat: 0
        case .mirroredRepeat: 1
        case .clampToEdge: 2
        }
    }

    /// What the shading stage holds: valid while the set lives and no slot is added.
    var view: TextureView {
        TextureView(texels: texels, slots: slots, decoding: decoding)
    }
}

/// Pointers into a ``TextureSet``.
struct TextureView: @unchecked Sendable {
    // Unchecked because of the pointers: all they reach is only read; see TextureSet.
    fileprivate let texels: UnsafePointer<Int32>
    fileprivate let slots: UnsafePointer<Int32>
    fileprivate let decoding: UnsafePointer<Float>

    fileprivate init(
        texels: UnsafePointer<Int32>, slots: UnsafePointer<Int32>,
        decoding: UnsafePointer<Float>
    ) {
        self.texels = texels
        self.slots = slots
        self.decoding = decoding
    }

    /// Four texels and the weights to mix them by.
    private struct Footprint {
        var texel: (Int32x8, Int32x8, Int32x8, Int32x8)
        var weight: (Float8, Float8, Float8, Float8)
    }

    /// Linear colour and alpha of sRGB-encoded textures.
    @inline(__always)
    func color(_ slot: Int32x8, _ s: Float8, _ t: Float8) -> (color: Vector8, alpha: Float8) {
        fetch(footprint(slot, s, t), decoding)
    }

    /// The channels of textures that hold numbers, each 0 … 1.
    @inline(__always)
    func data(_ slot: Int32x8, _ s: Float8, _ t: Float8) -> (color: Vector8, alpha: Float8) {
        fetch(footprint(slot, s, t), decoding + 256)
    }

    /// The fourth channel, 0 … 1.
    @inline(__always)
    func alpha(_ slot: Int32x8, _ s: Float8, _ t: Float8) -> Float8 {
        mix(footprint(slot, s, t), shift: 24, decoding + 256)
    }

    @inline(__always)
    private func fetch(
        _ footprint: Footprint, _ table: UnsafePointer<Float>
    ) -> (color: Vector8, alpha: Float8) {
        let color = Vector8(
            mix(footprint, shift: 0, table), mix(footprint, shift: 8, table),
            mix(footprint, shift: 16, table))
        return (color, mix(footprint, shift: 24, decoding + 256))
    }

    /// One channel, decoded before it is filtered.
    @inline(__always)
    private func mix(
        _ footprint: Footprint, shift: Int32, _ table: UnsafePointer<Float>
    ) -> Float8 {
        @inline(__always)
        func channel(_ texel: Int32x8) -> Float8 {
            let code = (texel.unsigned &>> UInt32x8(repeating: UInt32(shift))) & 255
            return gather(table, code.signed)
        }
        let upper =
            channel(footprint.texel.0) * footprint.weight.0
            + channel(footprint.texel.1) * footprint.weight.1
        let lower =
            channel(footprint.texel.2) * footprint.weight.2
            + channel(footprint.texel.3) * footprint.weight.3
        return upper + lower
    }

    @inline(__always)
    private func footprint(_ slot: Int32x8, _ s: Float8, _ t: Float8) -> Footprint {
        let entry = slot &<< 2
        let first = gather(slots, entry)
        let width = gather(slots + 1, entry)
        let height = gather(slots + 2, entry)
        let flags = gather(slots + 3, entry)
        let isNearest = (flags & 16) .!= 0
        let column = Self.axis(s, size: width, wrap: flags & 3, isNearest: isNearest)
        let row = Self.axis(t, size: height, wrap: (flags &>> 2) & 3, isNearest: isNearest)
        let upper = first &+ row.lower &* width
        let lower = first &+ row.upper &* width
        let one = Float8(repeating: 1)
        return Footprint(
            texel: (
                gather(texels, upper &+ column.lower), gather(texels, upper &+ column.upper),
                gather(texels, lower &+ column.lower), gather(texels, lower &+ column.upper)
            ),
            weight: (
                (one - column.fraction) * (one - row.fraction),
                column.fraction * (one - row.fraction),
                (one - column.fraction) * row.fraction, column.fraction * row.fraction
            ))
    }

    /// The two texels of one coordinate, inside the image whatever the coordinate is, and where
    /// between their middles it lies.
    @inline(__always)
    private static func axis(
        _ coordinate: Float8, size: Int32x8, wrap: Int32x8, isNearest: Mask8
    ) -> (lower: Int32x8, upper: Int32x8, fraction: Float8) {
        let zero = Float8(repeating: 0)
        let one = Float8(repeating: 1)
        let isRepeat = wrap .== 0
        // The coordinate in 0 … 1: its fraction, its mirrored fraction, or clamped.
        let repeated = coordinate - floor8(coordinate)
        let folded = coordinate - 2 * floor8(coordinate * 0.5)
        let mirrored = minimum(folded, 2 - folded)
        let clamped = clamp(coordinate, zero, one)
        let wrapped = select(isRepeat, repeated, select(wrap .== 1, mirrored, clamped))
        // Texel middles lie at halves; nearest takes the texel the point is in.
        let scaled = wrapped * Float8(converting: size)
        let position = scaled - select(isNearest, zero, Float8(repeating: 0.5))
        let floored = floor8(position)
        let lower = Int32x8(truncating: floored)
        let upper = lower &+ 1
        let last = size &- 1
        let none = Int32x8(repeating: 0)
        // Across the edge: to the other side, or the edge's own texel again.
        let lowerWrapped = select(isRepeat .& (lower .< 0), last, lower)
        let upperWrapped = select(isRepeat .& (upper .> last), none, upper)
        return (
            minimum(maximum(lowerWrapped, none), last),
            minimum(maximum(upperWrapped, none), last),
            select(isNearest, zero, clamp(position - floored, zero, one))
        )
    }
}
