// How the cost of a sample differs from tile to tile: by chance for each tile alone, or as a smooth
// field over the image, as costs in real pictures do. No libm, so that a run is the same anywhere.

import MeshCore

/// Relative costs of tiles, as `meshd sim --cost-distribution` has them.
public enum CostDistribution: Hashable, Sendable, CustomStringConvertible {
    /// exp(σ·z), z standard normal, each tile for itself; zero: all alike.
    case lognormal(sigma: Double)
    /// u^(−1/α), u uniform, each tile for itself: the smaller α, the heavier the tail. Its mean is
    /// finite above 1, its variance above 2.
    case pareto(alpha: Double)
    /// exp(σ·z) with a smooth random field z over the image of unit variance.
    /// `length`: how far similar costs reach, as a share of the image's longer side.
    case field(sigma: Double, length: Double)

    /// Reads `lognormal:SIGMA`, `pareto:ALPHA`, `field:SIGMA` or `field:SIGMA:LENGTH`; nil when it
    /// is none of them or out of bounds (sigma 0 to 4, alpha 0.5 to 100, length 0.01 to 10).
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.dropFirst().compactMap { Double($0) }
        guard numbers.count == parts.count - 1, let first = numbers.first else { return nil }
        switch (parts[0], numbers.count) {
        case ("lognormal", 1) where (0...4).contains(first):
            self = .lognormal(sigma: first)
        case ("pareto", 1) where (0.5...100).contains(first):
            self = .pareto(alpha: first)
        case ("field", 1...2) where (0...4).contains(first):
            let length = numbers.count == 2 ? numbers[1] : Self.usualLength
            guard (0.01...10).contains(length) else { return nil }
            self = .field(sigma: first, length: length)
        default: return nil
        }
    }

    /// A quarter of the image: a face, a tree, a bright window.
    static let usualLength = 0.25

    /// As it is read.
    public var description: String {
        switch self {
        case .lognormal(let sigma): "lognormal:\(sigma)"
        case .pareto(let alpha): "pareto:\(alpha)"
        case .field(let sigma, let length): "field:\(sigma):\(length)"
        }
    }

    /// The costs of `width × height` pixels in a grid of tiles, by tile; not yet of mean one.
    func draw(_ grid: TileGrid, using random: inout RandomNumbers) -> [Double] {
        switch self {
        case .lognormal(let sigma):
            return (0..<grid.count).map { _ in Chance.lognormal(sigma, using: &random) }
        case .pareto(let alpha):
            return (0..<grid.count).map { _ in
                Chance.exponential(-Chance.logarithm(1 - random.unit()) / alpha)
            }
        case .field(let sigma, let length):
            let field = SmoothField(seed: random.next())
            let scale = 1 / (length * Double(max(grid.width, grid.height)))
            let values = (0..<grid.count).map { tile in
                let place = grid.rectangle(ofTile: tile)
                return field.value(
                    x: (Double(place.x) + Double(place.width) / 2) * scale,
                    y: (Double(place.y) + Double(place.height) / 2) * scale)
            }
            return values.map { Chance.exponential(sigma * $0) }
        }
    }
}

/// A random field: normal values at the points of a lattice, with smooth steps between them, and a
/// second lattice of half the spacing and half the height on top.
struct SmoothField {
    let seed: UInt64

    /// Of about unit variance.
    func value(x: Double, y: Double) -> Double {
        // The variance of smooth interpolation in two dimensions is 0.55 of its points' in the
        // mean; that of both octaves 1.25 of it.
        (octave(x: x, y: y, salt: 1) + octave(x: 2 * x, y: 2 * y, salt: 2) / 2) / 0.83
    }

    private func octave(x: Double, y: Double, salt: UInt64) -> Double {
        let column = x.rounded(.down)
        let row = y.rounded(.down)
        let across = Self.smooth(x - column)
        let down = Self.smooth(y - row)
        func at(_ dx: Double, _ dy: Double) -> Double {
            let place =
                UInt64(bitPattern: Int64(column + dx)) << 32
                ^ UInt64(bitPattern: Int64(row + dy))
            var random = RandomNumbers(seed: seed ^ (place &* 0x9e37_79b9_7f4a_7c15) &+ salt)
            return Chance.normal(using: &random)
        }
        let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * across
        let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * across
        return upper + (lower - upper) * down
    }

    private static func smooth(_ t: Double) -> Double { t * t * (3 - 2 * t) }
}

/// Functions of chance that give the same bits on every machine.
enum Chance {
    /// Standard normal: a sum of twelve uniforms.
    static func normal(using random: inout RandomNumbers) -> Double {
        (0..<12).reduce(-6.0) { z, _ in z + random.unit() }
    }

    /// exp(σ·z) with z standard normal.
    static func lognormal(_ sigma: Double, using random: inout RandomNumbers) -> Double {
        exponential(sigma * normal(using: &random))
    }

    /// e to the x.
    static func exponential(_ x: Double) -> Double {
        var term = 1.0
        var sum = 1.0
        let y = x / 64
        for n in 1..<16 {
            term *= y / Double(n)
            sum += term
        }
        for _ in 0..<6 { sum *= sum }
        return sum
    }

    /// The natural logarithm of a positive number: of its significand m, 2·artanh((m − 1)/(m + 1)),
    /// and of its power of two.
    static func logarithm(_ x: Double) -> Double {
        let ratio = (x.significand - 1) / (x.significand + 1)
        var power = ratio
        var sum = 0.0
        for n in stride(from: 1, to: 40, by: 2) {
            sum += power / Double(n)
            power *= ratio * ratio
        }
        return 2 * sum + Double(x.exponent) * 0.693_147_180_559_945_3
    }
}
