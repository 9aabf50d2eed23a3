// Light from infinity as a light source: what comes from a direction, and directions drawn in
// proportion to it.
//
// The image is filtered bilinearly. Its texels are chosen by the mean of the filtered luminance
// over each of them (so that no texel that shines has probability zero) times the sine of the
// polar angle, by inverting the marginal distribution of rows and then the row's own; inside a
// texel the point is uniform. The pdf is computed from the very numbers that are inverted. A
// constant environment is sampled uniformly over the sphere.
//
// API: `EnvironmentLight(environment)`; on `light.view`: `radiance(direction)`, `pdf(direction)`,
// both at once by `evaluate(direction)`, `sample(u, v)`; `light.meanLuminance`. Directions are
// mapped as ``Environment`` says.

/// Owns the image and its distributions: 18 to 20 bytes a texel.
final class EnvironmentLight: @unchecked Sendable {
    // Unchecked because of the pointers: their memory is written by `init` only.

    /// The mean luminance over the sphere; times 4π the power through a unit area's sphere.
    let meanLuminance: Float
    let isConstant: Bool
    /// Texels.
    let width: Int
    let height: Int
    /// `height × width × 3`.
    private let pixels: UnsafeMutablePointer<Float>
    /// `height × (width + 1)`: the share of a row left of each texel, from 0 to 1.
    private let columns: UnsafeMutablePointer<Float>
    /// `height + 1`: the share of the image above each row, from 0 to 1.
    private let rows: UnsafeMutablePointer<Float>
    /// The guides of both; see ``GuidedInversion``.
    private let columnGuides: UnsafeMutablePointer<Int32>
    private let rowGuide: UnsafeMutablePointer<Int32>

    /// The largest radiance kept: what exceeds it, infinities included, is cut to it.
    static let radianceMax: Float = 4_194_304

    /// Negative values and what is not a number count as zero.
    /// - Throws: `SceneError.malformed` when the pixels don't fit the size, `.tooLarge` above
    ///   2²⁹ texels, which 32-bit indices would not reach.
    init(_ environment: Environment) throws(SceneError) {
        let width = environment.width
        let height = environment.height
        let (count, overflow) = width.multipliedReportingOverflow(by: height)
        guard !overflow, count <= 1 << 29 else {
            throw .tooLarge("the environment has more than 2^29 texels")
        }
        guard width > 0, height > 0, environment.pixels.count == 3 * count else {
            throw .malformed(file: "environment", reason: "its size is not its content's")
        }
        self.width = width
        self.height = height
        let pixels = UnsafeMutablePointer<Float>.allocate(capacity: 3 * count)
        var isConstant = true
        for index in 0..<3 * count {
            let value = environment.pixels[index]
            pixels[index] = value > 0 ? min(value, Self.radianceMax) : 0
            if pixels[index] != pixels[index % 3] { isConstant = false }
        }
        self.pixels = pixels
        self.isConstant = isConstant
        columns = .allocate(capacity: height * (width + 1))
        rows = .allocate(capacity: height + 1)
        let columnCells = GuidedInversion.cells(for: width)
        columnGuides = .allocate(capacity: height * (columnCells + 1))
        rowGuide = .allocate(capacity: GuidedInversion.cells(for: height) + 1)
        if isConstant {
            meanLuminance = Self.luminance(pixels)
            columns.update(repeating: 0, count: height * (width + 1))
            rows.update(repeating: 0, count: height + 1)
        } else {
            meanLuminance = Self.buildDistributions(
                pixels, width: width, height: height, columns: columns, rows: rows)
            GuidedInversion.fill(rowGuide, table: rows, count: height)
            for y in 0..<height {
                GuidedInversion.fill(
                    columnGuides + y * (columnCells + 1), table: columns + y * (width + 1),
                    count: width)
            }
        }
    }

    deinit {
        pixels.deallocate()
        columns.deallocate()
        rows.deallocate()
        columnGuides.deallocate()
        rowGuide.deallocate()
    }

    /// What the shading stage holds: valid while the light lives.
    var view: EnvironmentView {
        EnvironmentView(
            pixels: pixels, columns: columns, rows: rows, columnGuides: columnGuides,
            rowGuide: rowGuide, width: Int32(width), height: Int32(height),
            columnCells: Int32(GuidedInversion.cells(for: width)),
            rowCells: Int32(GuidedInversion.cells(for: height)), isConstant: isConstant,
            isBlack: meanLuminance <= 0)
    }

    private static func luminance(_ pixel: UnsafePointer<Float>) -> Float {
        pixel[0] * 0.2126 + pixel[1] * 0.7152 + pixel[2] * 0.0722
    }

    /// Fills both tables and returns the mean luminance over the sphere. Sums are in double
    /// precision and in a fixed order.
    private static func buildDistributions(
        _ pixels: UnsafePointer<Float>, width: Int, height: Int,
        columns: UnsafeMutablePointer<Float>, rows: UnsafeMutablePointer<Float>
    ) -> Float {
        // The mean of a bilinearly filtered row or column over one texel weighs the texel and its
        // neighbours 1 : 6 : 1; columns wrap around, rows end.
        var weights = [Double](repeating: 0, count: width)
        var rowWeights = [Double](repeating: 0, count: height)
        var sineSum = 0.0
        for y in 0..<height {
            let above = max(y - 1, 0) * width
            let below = min(y + 1, height - 1) * width
            func filtered(_ x: Int) -> Double {
                let upper = Double(luminance(pixels + 3 * (above + x)))
                let middle = Double(luminance(pixels + 3 * (y * width + x)))
                return upper + 6 * middle + Double(luminance(pixels + 3 * (below + x)))
            }
            for x in 0..<width {
                let left = filtered(x == 0 ? width - 1 : x - 1)
                let right = filtered(x == width - 1 ? 0 : x + 1)
                weights[x] = (left + 6 * filtered(x) + right) / 64
            }
            let total = cumulate(weights, into: columns + y * (width + 1))
            let turns = Float8(repeating: (Float(y) + 0.5) / Float(2 * height))
            let sine = Double(IEEEMath.sineCosine(turns: turns).sine[0])
            rowWeights[y] = total / Double(width) * sine
            sineSum += sine
        }
        return Float(cumulate(rowWeights, into: rows) / sineSum)
    }

    /// Writes the running sum over the sum, from 0 to 1, and returns the sum; uniform if it is 0.
    private static func cumulate(
        _ weights: [Double], into table: UnsafeMutablePointer<Float>
    ) -> Double {
        let total = weights.reduce(0, +)
        var running = 0.0
        table[0] = 0
        for index in 0..<weights.count {
            running += weights[index]
            let share = total > 0 ? running / total : Double(index + 1) / Double(weights.count)
            table[index + 1] = Float(min(share, 1))
        }
        table[weights.count] = 1
        return total
    }
}

/// Eight directions towards an environment.
struct EnvironmentSample8: Sendable {
    /// Unit length, world.
    var direction: Vector8
    var radiance: Vector8
    /// Per steradian; zero where nothing can be sampled.
    var pdf: Float8
}

/// Pointers into an ``EnvironmentLight``.
struct EnvironmentView: @unchecked Sendable {
    // Unchecked because of the pointers: all they reach is only read; see EnvironmentLight.
    fileprivate let pixels: UnsafePointer<Float>
    fileprivate let columns: UnsafePointer<Float>
    fileprivate let rows: UnsafePointer<Float>
    fileprivate let columnGuides: UnsafePointer<Int32>
    fileprivate let rowGuide: UnsafePointer<Int32>
    fileprivate let width: Int32
    fileprivate let height: Int32
    fileprivate let columnCells: Int32
    fileprivate let rowCells: Int32
    fileprivate let isConstant: Bool
    fileprivate let isBlack: Bool

    /// Radiance from directions of unit length.
    @inline(__always)
    func radiance(_ direction: Vector8) -> Vector8 {
        if isConstant { return constant }
        let (u, v) = Self.coordinates(direction)
        return filtered(u, v)
    }

    /// The pdf per steradian with which ``sample(_:_:)`` gives a direction.
    @inline(__always)
    func pdf(_ direction: Vector8) -> Float8 {
        if isBlack { return Float8(repeating: 0) }
        if isConstant { return Float8(repeating: Self.uniformPdf) }
        let (u, v) = Self.coordinates(direction)
        return imagePdf(u, v, sine: Self.sine(direction))
    }

    /// Radiance and pdf of directions that were sampled otherwise.
    @inline(__always)
    func evaluate(_ direction: Vector8) -> (radiance: Vector8, pdf: Float8) {
        if isBlack { return (.zero, Float8(repeating: 0)) }
        if isConstant { return (constant, Float8(repeating: Self.uniformPdf)) }
        let (u, v) = Self.coordinates(direction)
        return (filtered(u, v), imagePdf(u, v, sine: Self.sine(direction)))
    }

    /// Draws directions from two numbers in `0 ..< 1`.
    @inline(__always)
    func sample(_ u: Float8, _ v: Float8) -> EnvironmentSample8 {
        if isBlack {
            return EnvironmentSample8(
                direction: Vector8(repeating: SIMD3(0, 1, 0)), radiance: .zero,
                pdf: Float8(repeating: 0))
        }
        if isConstant { return sampleSphere(u, v) }
        // Row by the marginal distribution, column by the row's, the rest of both is uniform.
        let zero = Int32x8(repeating: 0)
        let row = GuidedInversion.invert(
            rows, base: zero, guide: rowGuide, guideBase: zero, cells: rowCells, v)
        let column = GuidedInversion.invert(
            columns, base: row.index &* Int32x8(repeating: width &+ 1), guide: columnGuides,
            guideBase: row.index &* Int32x8(repeating: columnCells &+ 1), cells: columnCells, u)
        let x = (Float8(converting: column.index) + column.fraction) / Float(width)
        let y = (Float8(converting: row.index) + row.fraction) / Float(height)
        let azimuth = IEEEMath.sineCosine(turns: x - 0.5)
        let polar = IEEEMath.sineCosine(turns: y * 0.5)
        let direction = Vector8(
            polar.sine * azimuth.sine, polar.cosine, -(polar.sine * azimuth.cosine))
        let density = row.share * column.share * (Float(width) * Float(height))
        return EnvironmentSample8(
            direction: direction, radiance: filtered(x, y),
            pdf: Self.perSteradian(density, sine: polar.sine))
    }

    private static var uniformPdf: Float { 0.25 / IEEEMath.pi }

    @inline(__always)
    private var constant: Vector8 {
        Vector8(repeating: SIMD3(pixels[0], pixels[1], pixels[2]))
    }

    @inline(__always)
    private func sampleSphere(_ u: Float8, _ v: Float8) -> EnvironmentSample8 {
        let height = 1 - v * 2
        let radius = squareRoot(maximum(1 - height * height, Float8(repeating: 0)))
        let azimuth = IEEEMath.sineCosine(turns: u)
        return EnvironmentSample8(
            direction: Vector8(radius * azimuth.sine, height, radius * azimuth.cosine),
            radiance: constant, pdf: Float8(repeating: Self.uniformPdf))
    }

    /// Where a direction lies in the image, 0 … 1 each.
    @inline(__always)
    private static func coordinates(_ d: Vector8) -> (u: Float8, v: Float8) {
        let azimuth = IEEEMath.atan2(d.x, -d.z) * (0.5 / IEEEMath.pi)
        // Not by the arc cosine, which can't tell directions near the poles apart.
        return (azimuth + 0.5, IEEEMath.atan2(sine(d), d.y) * (1 / IEEEMath.pi))
    }

    @inline(__always)
    private static func sine(_ d: Vector8) -> Float8 { squareRoot(d.x * d.x + d.z * d.z) }

    /// From per unit of the square of u and v to per steradian.
    @inline(__always)
    private static func perSteradian(_ density: Float8, sine: Float8) -> Float8 {
        let area = sine * (2 * IEEEMath.pi * IEEEMath.pi)
        return select(sine .> 1e-6, density / area, Float8(repeating: 0))
    }

    @inline(__always)
    private func imagePdf(_ u: Float8, _ v: Float8, sine: Float8) -> Float8 {
        let x = Self.texel(u, width)
        let y = Self.texel(v, height)
        let index = y &* Int32x8(repeating: width &+ 1) &+ x
        let column = gather(columns + 1, index) - gather(columns, index)
        let row = gather(rows + 1, y) - gather(rows, y)
        let density = row * column * (Float(width) * Float(height))
        return Self.perSteradian(density, sine: sine)
    }

    @inline(__always)
    private static func texel(_ x: Float8, _ count: Int32) -> Int32x8 {
        let last = Int32x8(repeating: count &- 1)
        let index = Int32x8(truncating: x * Float(count))
        return minimum(maximum(index, Int32x8(repeating: 0)), last)
    }

    /// Bilinear: columns wrap around, rows end at the poles.
    @inline(__always)
    private func filtered(_ u: Float8, _ v: Float8) -> Vector8 {
        let zero = Int32x8(repeating: 0)
        let lastX = Int32x8(repeating: width &- 1)
        let lastY = Int32x8(repeating: height &- 1)
        let x = u * Float(width) - 0.5
        let y = v * Float(height) - 0.5
        let floorX = floor8(x)
        let floorY = floor8(y)
        let fractionX = x - floorX
        let fractionY = y - floorY
        let left = Int32x8(truncating: floorX)
        let right = left &+ 1
        let leftWrapped = select(left .< 0, lastX, minimum(left, lastX))
        let rightWrapped = select(right .> lastX, zero, maximum(right, zero))
        let top = Int32x8(truncating: floorY)
        let upper = minimum(maximum(top, zero), lastY) &* Int32x8(repeating: width)
        let lower = minimum(maximum(top &+ 1, zero), lastY) &* Int32x8(repeating: width)
        @inline(__always)
        func pixel(_ index: Int32x8) -> Vector8 { gather3(pixels, index &* 3) }
        let above =
            pixel(upper &+ leftWrapped) * (1 - fractionX)
            + pixel(upper &+ rightWrapped) * fractionX
        let below =
            pixel(lower &+ leftWrapped) * (1 - fractionX)
            + pixel(lower &+ rightWrapped) * fractionX
        return above * (1 - fractionY) + below * fractionY
    }
}
