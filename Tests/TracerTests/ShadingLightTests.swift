import Foundation
import MeshCore
import Testing

@testable import Tracer

// Light tables: choice by power, and estimates that agree with analytic answers.

@Suite("Light tables")
struct ShadingLightTests {
    @Test("An alias table chooses in proportion, and says so exactly", arguments: [1, 2, 7, 5_000])
    func alias(count: Int) {
        var random = RandomNumbers(seed: 2)
        var weights = (0..<count).map { _ in random.unit() * random.unit() }
        if count > 2 {
            weights[1] = 0
            weights[count - 1] = 10
        }
        let table = AliasTable(weights: weights)
        let total = weights.reduce(0, +)
        var sum = 0.0
        for index in 0..<count {
            let probability = Double(table.probability(index))
            #expect(abs(probability - weights[index] / total) < 1e-6)
            if weights[index] == 0 { #expect(probability == 0) }
            sum += probability
        }
        #expect(abs(sum - 1) < 1e-5)
        // The whole range of numbers, evenly: the frequencies are the probabilities.
        var counts = [Double](repeating: 0, count: count)
        let steps = 1 << 15
        for step in 0..<steps {
            let bits =
                (UInt32x8(0, 1, 2, 3, 4, 5, 6, 7) &+ UInt32(8 * step)) &* UInt32(1 << 14)
                &+ 8_191
            let choice = table.view.choose(bits)
            for lane in 0..<8 {
                counts[Int(choice.index[lane])] += 1
                #expect(choice.rest[lane] >= 0 && choice.rest[lane] < 1)
                #expect(choice.probability[lane] > 0)
            }
        }
        for index in 0..<count {
            let share = counts[index] / Double(8 * steps)
            #expect(abs(share - Double(table.probability(index))) < 2e-5)
        }
    }

    @Test("What is left of the number is uniform for each entry")
    func aliasRest() {
        let table = AliasTable(weights: [1, 3, 0.2, 2])
        var random = RandomLanes(seed: 3)
        var sums = [Double](repeating: 0, count: 4)
        var squares = sums
        var counts = sums
        for _ in 0..<8_000 {
            let choice = table.view.choose(random.bits())
            for lane in 0..<8 {
                let index = Int(choice.index[lane])
                let rest = Double(choice.rest[lane])
                sums[index] += rest
                squares[index] += rest * rest
                counts[index] += 1
            }
        }
        for index in 0..<4 {
            #expect(abs(sums[index] / counts[index] - 0.5) < 0.03)
            #expect(abs(squares[index] / counts[index] - 1.0 / 3) < 0.03)
        }
    }

    private static let triangle = EmissiveTriangle(
        vertex: [-1, 2, -1], edge1: [2, 0, 0.5], edge2: [0.3, 0.4, 2], radiance: [3, 2, 1],
        isDoubleSided: true)

    /// Van Oosterom and Strackee 1983.
    private func solidAngle(_ triangle: EmissiveTriangle, from p: SIMD3<Float>) -> Double {
        let corners = [
            triangle.vertex, triangle.vertex + triangle.edge1, triangle.vertex + triangle.edge2,
        ].map { SIMD3<Double>($0 - p) }
        func dot(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double { (a * b).sum() }
        let (a, b, c) = (corners[0], corners[1], corners[2])
        let (la, lb, lc) = (
            dot(a, a).squareRoot(), dot(b, b).squareRoot(), dot(c, c).squareRoot()
        )
        let cross = SIMD3(
            b.y * c.z - b.z * c.y, b.z * c.x - b.x * c.z, b.x * c.y - b.y * c.x)
        let denominator = la * lb * lc + dot(a, b) * lc + dot(a, c) * lb + dot(b, c) * la
        return 2 * abs(Foundation.atan2(dot(a, cross), denominator))
    }

    /// Radiance over pdf, averaged: the sum of all light that arrives at a point.
    private func estimate(_ table: LightTable, at p: SIMD3<Float>, rounds: Int) -> SIMD3<Double> {
        var random = RandomLanes(seed: 9)
        var sum = SIMD3<Double>(0, 0, 0)
        let position = Vector8(repeating: p)
        for _ in 0..<rounds {
            let sample = table.view.sample(from: position, bits: random.bits(), random.unit())
            for lane in 0..<8 where sample.pdf[lane] > 0 {
                sum += SIMD3<Double>(sample.radiance[lane]) / Double(sample.pdf[lane])
            }
        }
        return sum / Double(8 * rounds)
    }

    @Test("A triangle's samples integrate to its solid angle, and its pdf is the one for hits")
    func triangle() {
        let table = LightTable(
            triangles: [Self.triangle], punctual: [], environment: nil, sceneRadius: 3)
        let point = SIMD3<Float>(0.2, 0.1, 0.3)
        let expected = solidAngle(Self.triangle, from: point)
        let mean = estimate(table, at: point, rounds: 4_000)
        #expect(abs(mean.x / (3 * expected) - 1) < 0.01)
        #expect(abs(mean.z / expected - 1) < 0.01)
        var random = RandomLanes(seed: 3)
        let position = Vector8(repeating: point)
        let n = cross(
            Vector8(repeating: Self.triangle.edge1), Vector8(repeating: Self.triangle.edge2)
        ).normalised
        for _ in 0..<100 {
            let sample = table.view.sample(from: position, bits: random.bits(), random.unit())
            let hit =
                Vector8(repeating: Self.triangle.vertex)
                + Vector8(repeating: Self.triangle.edge1) * sample.barycentric1
                + Vector8(repeating: Self.triangle.edge2) * sample.barycentric2
            let back = position + sample.direction * sample.distance - hit
            #expect(back.length.max() < 1e-5)
            let pdf = table.view.trianglePdf(
                sample.light, distanceSquared: sample.distance * sample.distance,
                cosine: magnitude(dot(n, sample.direction)))
            #expect(magnitude(pdf / sample.pdf - 1).max() < 1e-4)
            #expect(sample.isPunctual.isEmpty && sample.light == Int32x8(repeating: 0))
        }
    }

    @Test("A single-sided triangle shines to its front only")
    func singleSided() {
        var triangle = Self.triangle
        triangle.isDoubleSided = false
        let table = LightTable(
            triangles: [triangle], punctual: [], environment: nil, sceneRadius: 3)
        let below = estimate(table, at: [0, 0, 0], rounds: 100)
        let above = estimate(table, at: [0, 4, 0], rounds: 100)
        // Its edges turn clockwise seen from above, so the front looks down.
        #expect(below.x > 0 && above == SIMD3(0, 0, 0))
    }

    @Test("Punctual lights follow KHR_lights_punctual")
    func punctual() {
        func light(_ kind: PunctualLight.Kind, range: Float? = nil) -> LightTable {
            LightTable(
                triangles: [],
                punctual: [
                    PunctualLight(
                        kind: kind, intensity: [8, 4, 2], position: [0, 2, 0],
                        direction: [0, -1, 0], range: range)
                ], environment: nil, sceneRadius: 3)
        }
        #expect(abs(estimate(light(.point), at: [0, 0, 0], rounds: 1).x - 2) < 1e-5)
        #expect(abs(estimate(light(.directional), at: [5, 0, 0], rounds: 1).y - 4) < 1e-5)
        #expect(estimate(light(.point, range: 1.9), at: [0, 0, 0], rounds: 1).x == 0)
        let windowed = estimate(light(.point, range: 4), at: [0, 0, 0], rounds: 1).x
        #expect(abs(windowed - 2 * (1 - 1.0 / 16)) < 1e-5)
        let spot = light(.spot(innerCosine: 0.9, outerCosine: 0.6))
        #expect(abs(estimate(spot, at: [0, 0, 0], rounds: 1).x - 2) < 1e-5)
        #expect(estimate(spot, at: [3, 0, 0], rounds: 1).x == 0)
        // Half way between the cosines: a quarter of the intensity.
        let sine = (1 - 0.75 * 0.75 as Float).squareRoot()
        let edge = estimate(spot, at: [2 * sine, 2 - 2 * 0.75, 0], rounds: 1)
        #expect(abs(edge.x - 0.5) < 1e-4)
        var random = RandomLanes(seed: 1)
        let sample = spot.view.sample(from: .zero, bits: random.bits(), random.unit())
        #expect(sample.isPunctual.isFull && abs(sample.distance[2] - 2) < 1e-6)
        #expect(abs(sample.direction[5].y - 1) < 1e-6)
    }

    @Test("Lights of all kinds together give the sum of each")
    func mixture() throws {
        let sky = try EnvironmentLight(
            Tracer.Environment(width: 1, height: 1, pixels: [0.5, 0.25, 0.125]))
        var second = Self.triangle
        second.vertex = [1, -2, 0]
        second.radiance = [0.5, 5, 0.5]
        let sun = PunctualLight(
            kind: .directional, intensity: [1, 1, 1], position: [0, 0, 0],
            direction: [0, 0, 1])
        let lamp = PunctualLight(
            kind: .point, intensity: [2, 1, 4], position: [0, 1, 0], direction: [0, -1, 0])
        let table = LightTable(
            triangles: [Self.triangle, second], punctual: [sun, lamp], environment: sky,
            sceneRadius: 2)
        let point = SIMD3<Float>(0.2, 0, 0.1)
        let first = solidAngle(Self.triangle, from: point)
        let other = solidAngle(second, from: point)
        let distanceSquared = 0.04 + 1 + 0.01
        let expected = SIMD3<Double>(
            3 * first + 0.5 * other + 1 + 2 / distanceSquared + 0.5 * 4 * Double.pi,
            2 * first + 5 * other + 1 + 1 / distanceSquared + 0.25 * 4 * Double.pi,
            first + 0.5 * other + 1 + 4 / distanceSquared + 0.125 * 4 * Double.pi)
        let mean = estimate(table, at: point, rounds: 20_000)
        for channel in 0..<3 {
            #expect(abs(mean[channel] / expected[channel] - 1) < 0.02, "\(channel)")
        }
        // The environment's pdf for hits is the one its samples have.
        var random = RandomLanes(seed: 1)
        let sample = table.view.sample(
            from: .init(repeating: point), bits: random.bits(),
            Float8(0, 0.01, 0.05, 0.1, 0.15, 0.19, 0.9, 0.95))
        #expect(sample.light[0] == LightView.environmentIndex && sample.light[7] >= 0)
        #expect(sample.distance[0] == .infinity)
        #expect(sample.pdf[0] == table.view.environmentPdf(sample.direction)[0])
    }

    @Test("A scene without light has an empty table that gives nothing")
    func empty() {
        let table = LightTable(triangles: [], punctual: [], environment: nil, sceneRadius: 1)
        #expect(table.isEmpty)
        #expect(estimate(table, at: [0, 0, 0], rounds: 4) == SIMD3(0, 0, 0))
        let degenerate = LightTable(
            triangles: [
                EmissiveTriangle(
                    vertex: [0, 1, 0], edge1: [1, 0, 0], edge2: [2, 0, 0], radiance: [1, 1, 1],
                    isDoubleSided: false)
            ], punctual: [], environment: nil, sceneRadius: 1)
        #expect(degenerate.isEmpty)
        #expect(estimate(degenerate, at: [0, 0, 0], rounds: 4) == SIMD3(0, 0, 0))
    }

    @Test("Lights whose numbers make no sense are never chosen")
    func nonsense() {
        var triangle = Self.triangle
        triangle.radiance = [.nan, 1, 1]
        var huge = Self.triangle
        huge.edge1 = [.infinity, 0, 0]
        let lamp = PunctualLight(
            kind: .spot(innerCosine: .nan, outerCosine: 0.5), intensity: [1, 1, 1],
            position: [0, 1, 0], direction: [0, -1, 0])
        let good = PunctualLight(
            kind: .point, intensity: [1, 1, 1], position: [0, 1, 0], direction: [0, -1, 0])
        let table = LightTable(
            triangles: [triangle, huge], punctual: [lamp, good], environment: nil,
            sceneRadius: .infinity)
        let mean = estimate(table, at: [0, 0, 0], rounds: 100)
        for channel in 0..<3 { #expect(abs(mean[channel] - 1) < 1e-5) }
    }
}
