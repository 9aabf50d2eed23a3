// How fast the nodes of a simulated mesh are, relative to each other: a list, or chance.

import MeshCore

/// Relative speeds, as `meshd sim --speeds` has them.
public enum SpeedDistribution: Hashable, Sendable {
    /// In turn, from the first again when there are more nodes.
    case list([Double])
    /// All alike.
    case equal
    /// Evenly distributed.
    case uniform(ClosedRange<Double>)
    /// exp(σ·z), z standard normal.
    case lognormal(sigma: Double)
    /// A power of two below 2 to this, each as likely.
    case powers(Int)

    /// Reads `1,1,2,4`, `equal`, `uniform:LOW..HIGH`, `lognormal:SIGMA` or `powers:COUNT`; nil when
    /// it is none of them, or a number is out of bounds (1e-6 to 1e6, 10,000 in a list).
    public init?(_ text: String) {
        func number(_ text: some StringProtocol) -> Double? {
            Double(text).flatMap { (1e-6...1e6).contains($0) ? $0 : nil }
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("equal", 1):
            self = .equal
        case ("uniform", 2):
            let bounds = parts[1].split(separator: ".", omittingEmptySubsequences: true)
            guard let dots = parts[1].firstRange(of: ".."), bounds.count >= 2,
                let low = number(parts[1][..<dots.lowerBound]),
                let high = number(parts[1][dots.upperBound...]), low <= high
            else { return nil }
            self = .uniform(low...high)
        case ("lognormal", 2):
            guard let sigma = number(parts[1]), sigma <= 4 else { return nil }
            self = .lognormal(sigma: sigma)
        case ("powers", 2):
            guard let count = Int(parts[1]), (1...20).contains(count) else { return nil }
            self = .powers(count)
        default:
            let list = text.split(separator: ",", omittingEmptySubsequences: false).map(number)
            let speeds = list.compactMap(\.self)
            guard parts.count == 1, speeds.count == list.count, !speeds.isEmpty,
                speeds.count <= 10_000
            else { return nil }
            self = .list(speeds)
        }
    }

    /// How many nodes a list names.
    public var listCount: Int? {
        if case .list(let speeds) = self { speeds.count } else { nil }
    }

    /// Speeds of so many nodes.
    func draw(_ count: Int, using random: inout RandomNumbers) -> [Double] {
        (0..<count).map { index in
            switch self {
            case .list(let speeds): speeds[index % speeds.count]
            case .equal: 1
            case .uniform(let bounds):
                bounds.lowerBound + (bounds.upperBound - bounds.lowerBound) * random.unit()
            case .lognormal(let sigma): Chance.lognormal(sigma, using: &random)
            case .powers(let powers): Double(1 << random.below(powers))
            }
        }
    }
}
