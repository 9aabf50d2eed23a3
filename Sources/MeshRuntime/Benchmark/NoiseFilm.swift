// Partial films of a benchmark: what a path tracer's passes leave, noise with outliers around a
// smooth picture, from a seed, so that every node can say what the sum must be.

import Foundation
import MeshCore
import Tracer

/// Partial films of some nodes: each has one pass of 16 samples over the whole frame.
struct NoiseFilm {
    let workSpace: WorkSpace
    let nodes: Int
    /// Whether albedo, normal and depth are there as well, not only the beauty and its alpha.
    let hasAllPlanes: Bool
    /// Passes 0 to 4 hold 16 samples; those from there on, 16 each.
    private static let firstPass = 5
    private static let samples = 16

    /// Nil when the frame is out of bounds.
    init?(width: Int, height: Int, nodes: Int, hasAllPlanes: Bool) {
        guard let grid = TileGrid(width: width, height: height),
            let space = WorkSpace(grid: grid, samplesPerPixel: Self.samples * (nodes + 1))
        else { return nil }
        workSpace = space
        self.nodes = nodes
        self.hasAllPlanes = hasAllPlanes
    }

    /// The unit of a tile in a node's partial film.
    func unit(tile: Int, of rank: Int) -> Int {
        workSpace.units(ofPass: Self.firstPass + rank).lowerBound + tile
    }

    /// What the sum of all must be.
    func sum() -> Film {
        var sum = Film(workSpace: workSpace)
        for rank in 0..<nodes {
            for index in 0..<workSpace.grid.count {
                do {
                    try sum.add(unit: unit(tile: index, of: rank), tile(index, of: rank))
                } catch {
                    preconditionFailure("passes share no unit: \(error)")
                }
            }
        }
        return sum
    }

    /// Sums of 16 samples of each pixel: relative noise of a quarter, as of single samples that
    /// differ by their own size, and one outlier of up to 16 times as much in 4,096 pixels.
    func tile(_ index: Int, of rank: Int) -> FilmTile {
        var random = RandomNumbers(seed: UInt64(rank) << 32 | UInt64(index))
        let rectangle = workSpace.grid.rectangle(ofTile: index)
        let area = rectangle.area
        var tile = FilmTile(pixelCount: area)
        let one = Double(Self.samples) * Double(1 << FilmTile.beautyFractionBits)
        let columns = (0..<rectangle.width).map { column in
            (0..<3).map { sin(Double(rectangle.x + column) / 240 + Double($0)) }
        }
        let rows = (0..<rectangle.height).map { row in
            (0..<3).map { cos(Double(rectangle.y + row) / 270 - Double($0)) }
        }
        for pixel in 0..<area {
            let column = columns[pixel % rectangle.width]
            let row = rows[pixel / rectangle.width]
            let bits = random.next()
            var light = max(0, 1 + Self.normal(bits) / 4)
            if bits % 4_096 == 0 { light *= 16 * random.unit() }
            let detail = random.next()
            for channel in 0..<3 {
                let smooth = 0.3 + 0.28 * column[channel] * row[channel]
                let tint = 1 + Double((detail >> UInt64(16 * channel)) & 0xffff) * 0x1p-20
                tile.wide[channel * area + pixel] = Int64(smooth * light * tint * one)
            }
            // One pixel in eight lies at an edge, where some samples hit nothing.
            let hits = detail >> 61 == 0 ? Int32(detail >> 48 & 0xf) : Int32(Self.samples)
            tile.narrow[pixel] = hits
            guard hasAllPlanes else { continue }
            tile.wide[3 * area + pixel] = Int64((5 + column[0] + light) * one / 256)
            let guide = random.next()
            for plane in 1..<FilmTile.narrowPlanes {
                let value = Int32(truncatingIfNeeded: guide >> UInt64(8 * plane)) & 0xff
                tile.narrow[plane * area + pixel] = hits << 13 + value
            }
        }
        return tile
    }

    /// Nearly normal, mean 0, variance 1 (Irwin–Hall: the sum of four uniform numbers).
    private static func normal(_ bits: UInt64) -> Double {
        let sum = (0..<4).reduce(0) { $0 + Int(bits >> UInt64(16 * $1) & 0xffff) }
        return (Double(sum) - 2 * 65_535) / 65_535 * 3.0.squareRoot()
    }
}
