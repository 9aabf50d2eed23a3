// What a film looks like now: its sums divided by its samples. A film that is not complete has a
// picture too, each tile by the samples that it has.

import MeshCore

/// The resolved planes of a film, scene-linear Float32.
public struct FilmImage: Sendable {
    /// A plane of the image.
    public enum Plane: Int, CaseIterable, Sendable {
        /// Mean radiance, linear Rec. 709.
        case red, green, blue
        /// The share of samples that hit something; zero where there are no samples.
        case alpha
        /// Mean reflectance of the first hits, a miss counting as zero.
        case albedoRed, albedoGreen, albedoBlue
        /// Mean world-space normal of the first hits, not normalised, a miss counting as zero.
        case normalX, normalY, normalZ
        /// Mean distance of the hits from the camera, metres; +∞ where nothing was hit, so that
        /// compositing by depth finds nothing there.
        case depth
    }

    /// Pixels.
    public let width: Int
    /// Pixels.
    public let height: Int
    /// `11 × height × width`: the planes of ``Plane`` in order, row-major, y downwards.
    public private(set) var values: [Float]
    /// `height × width`, row-major: the samples that each pixel has.
    public private(set) var samples: [UInt32]
    /// `height × width`, row-major: the estimated error of the block of 8 × 8 pixels that a pixel is
    /// in (``Film/noise(ofTile:)``), zero without samples. Nil unless the frame is adaptive.
    public private(set) var noise: [Float]?

    /// Resolves a film, complete or not; a pixel without samples is black and transparent.
    /// - Complexity: linear in pixels.
    public init(_ film: Film) {
        let grid = film.workSpace.grid
        width = grid.width
        height = grid.height
        let area = width * height
        values = [Float](repeating: 0, count: Plane.allCases.count * area)
        samples = [UInt32](repeating: 0, count: area)
        let depthStart = Plane.depth.rawValue * area
        for index in depthStart..<(depthStart + area) { values[index] = .infinity }
        let counts = film.workSpace.samplesPerPixel(ofTilesIn: film.extent)
        for index in 0..<grid.count {
            guard let tile = film.tile(index) else { continue }
            resolve(tile, samplesPerPixel: counts[index], in: grid.rectangle(ofTile: index))
        }
        if film.workSpace.isAdaptive { noise = Self.noise(of: film) }
    }

    private static func noise(of film: Film) -> [Float] {
        let grid = film.workSpace.grid
        var values = [Float](repeating: 0, count: grid.width * grid.height)
        for index in 0..<grid.count {
            let tile = grid.rectangle(ofTile: index)
            film.forEachNoiseBlock(ofTile: index) { block, noise in
                for row in 0..<block.height {
                    let start = (tile.y + block.y + row) * grid.width + tile.x + block.x
                    for x in 0..<block.width { values[start + x] = Float(noise) }
                }
            }
        }
        return values
    }

    /// The value of a plane at a pixel.
    /// - Precondition: the pixel is in the image.
    public func value(_ plane: Plane, x: Int, y: Int) -> Float {
        precondition(x >= 0 && x < width && y >= 0 && y < height)
        return values[(plane.rawValue * height + y) * width + x]
    }

    private mutating func resolve(
        _ tile: FilmTile, samplesPerPixel count: Int, in rectangle: PixelRectangle
    ) {
        let pixels = tile.pixelCount
        let samples = Double(count)
        // Powers of two: dividing by them is exact.
        let beauty = 1 / (samples * Double(1 << FilmTile.beautyFractionBits))
        let narrow = 1 / (samples * Double(1 << FilmTile.narrowFractionBits))
        let depthStep = 1 / Double(1 << FilmTile.depthFractionBits)
        let first = Plane.albedoRed.rawValue
        for row in 0..<rectangle.height {
            let source = row * rectangle.width
            let target = (rectangle.y + row) * width + rectangle.x
            for plane in 0..<3 {
                scale(tile.wide, plane * pixels + source, rectangle.width, beauty, plane, target)
            }
            scale(
                tile.narrow, source, rectangle.width, 1 / samples, Plane.alpha.rawValue, target)
            for plane in 0..<6 {
                let start = (plane + 1) * pixels + source
                scale(tile.narrow, start, rectangle.width, narrow, first + plane, target)
            }
            let depth = Plane.depth.rawValue * width * height + target
            for x in 0..<rectangle.width {
                self.samples[target + x] = UInt32(truncatingIfNeeded: count)
                let hits = tile.narrow[source + x]
                guard hits > 0 else { continue }
                let sum = Double(tile.wide[3 * pixels + source + x])
                values[depth + x] = Float(sum * depthStep / Double(hits))
            }
        }
    }

    /// Scales a run of sums into a plane.
    @inline(__always)
    private mutating func scale<Sum: BinaryInteger>(
        _ sums: [Sum], _ source: Int, _ count: Int, _ factor: Double, _ plane: Int, _ target: Int
    ) {
        let start = plane * width * height + target
        for x in 0..<count { values[start + x] = Float(Double(sums[source + x]) * factor) }
    }
}
