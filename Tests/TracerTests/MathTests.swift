import Foundation
import Testing

@testable import Tracer

// The eight-lane mathematics against the C library's double precision.

@Suite("Eight-lane mathematics")
struct MathTests {
    /// The largest error of `approximation` against `exact` over `count` points of a range.
    private func largestError(
        from low: Double, to high: Double, count: Int = 8_000, relative: Bool,
        _ approximation: (Float8) -> Float8, _ exact: (Double) -> Double
    ) -> Double {
        var worst = 0.0
        for start in stride(from: 0, to: count, by: 8) {
            var x = Float8(repeating: 0)
            for lane in 0..<8 {
                let t = Double(start + lane) / Double(count - 1)
                x[lane] = Float(low + (high - low) * t)
            }
            let y = approximation(x)
            for lane in 0..<8 {
                let truth = exact(Double(x[lane]))
                let error = abs(Double(y[lane]) - truth)
                worst = max(worst, relative ? error / abs(truth) : error)
            }
        }
        return worst
    }

    @Test("Sine and cosine of turns are within 1.5e-7")
    func sineCosine() {
        let sine = largestError(from: -4, to: 4, relative: false) {
            IEEEMath.sineCosine(turns: $0).sine
        } _: {
            sin($0 * 2 * Double.pi)
        }
        let cosine = largestError(from: -4, to: 4, relative: false) {
            IEEEMath.sineCosine(turns: $0).cosine
        } _: {
            cos($0 * 2 * Double.pi)
        }
        #expect(sine < 1.5e-7 && cosine < 1.5e-7, "\(sine) \(cosine)")
    }

    @Test("The arc cosine is within 4e-7 and clamps its argument")
    func arcCosine() {
        let error = largestError(from: -1, to: 1, relative: false, IEEEMath.acos) { acos($0) }
        #expect(error < 4e-7, "\(error)")
        let outside = IEEEMath.acos(Float8(-2, 2, -1, 1, 0, 1.000_001, 3, 4))
        #expect(abs(outside[0] - .pi) < 1e-6 && outside[1] == 0)
    }

    @Test("The angle of a vector is within 4e-7 in all quadrants")
    func angle() {
        var worst = 0.0
        for step in 0..<1_000 {
            let radius = Float(1 + step % 7) * 0.3
            var x = Float8(repeating: 0)
            var y = x
            for lane in 0..<8 {
                let angle = (Double(step) + Double(lane) / 8) / 1_000 * 2 * Double.pi
                x[lane] = Float(cos(angle)) * radius
                y[lane] = Float(sin(angle)) * radius
            }
            let result = IEEEMath.atan2(y, x)
            for lane in 0..<8 {
                let exact = Foundation.atan2(Double(y[lane]), Double(x[lane]))
                worst = max(worst, abs(Double(result[lane]) - exact))
            }
        }
        #expect(worst < 4e-7, "\(worst)")
        #expect(IEEEMath.atan2(.init(repeating: 0), .init(repeating: 0))[0] == 0)
    }

    @Test("Exponentials are within 2e-7 and go to zero and infinity at the ends")
    func exponentials() {
        let two = largestError(from: -125.9, to: 127.9, relative: true, IEEEMath.exp2) {
            Foundation.exp2($0)
        }
        let e = largestError(from: -87, to: 88, relative: true, IEEEMath.exp) {
            Foundation.exp($0)
        }
        #expect(two < 2e-7 && e < 2e-7, "\(two) \(e)")
        let ends = IEEEMath.exp2(Float8(-500, -127, 128, 400, 0, 1, -126, 127))
        #expect(ends == Float8(0, 0, .infinity, .infinity, 1, 2, 0x1p-126, 0x1p127))
        let naturalEnds = IEEEMath.exp(Float8(-500, -88, 89, 400, 0, 0, 0, 0))
        #expect(naturalEnds == Float8(0, 0, .infinity, .infinity, 1, 1, 1, 1))
    }

    @Test("Logarithms are within 2e-7")
    func logarithms() {
        for (low, high) in [(1e-30, 1e-20), (1e-3, 0.7), (1.4, 90.0), (1e10, 1e30)] {
            let two = largestError(from: low, to: high, relative: true, IEEEMath.log2) {
                Foundation.log2($0)
            }
            let e = largestError(from: low, to: high, relative: true, IEEEMath.log) {
                Foundation.log($0)
            }
            #expect(two < 2e-7 && e < 2e-7, "\(low): \(two) \(e)")
        }
        let near = largestError(from: 0.7, to: 1.4, relative: false, IEEEMath.log2) {
            Foundation.log2($0)
        }
        #expect(near < 2e-7, "\(near)")
        #expect(IEEEMath.log2(.init(repeating: 0))[0] == -.infinity)
    }

    @Test("Powers stay within their bound", arguments: [0.41666, 1, 2.4, 5.5])
    func powers(exponent: Double) {
        var worst = 0.0
        for step in 1...2_000 {
            let x = Float(step) / 1_000
            let exact = Foundation.pow(Double(x), Double(Float(exponent)))
            let error = abs(Double(IEEEMath.power(x, Float(exponent))) - exact) / exact
            worst = max(worst, error / (1 + abs(Foundation.log2(exact))))
        }
        #expect(worst < 2e-7, "\(worst)")
    }

    @Test("Bases are orthonormal, right-handed and keep the normal, at the poles too")
    func bases() {
        var random = RandomLanes(seed: 5)
        for round in 0..<200 {
            var n = random.direction()
            if round == 0 { n[0] = [0, 0, -1] }
            if round == 0 { n[1] = [0, 0, 1] }
            let basis = Basis8(normal: n)
            let errors = [
                dot(basis.tangent, basis.bitangent), dot(basis.tangent, n),
                dot(basis.bitangent, n), basis.tangent.lengthSquared - 1,
                basis.bitangent.lengthSquared - 1,
                dot(cross(basis.tangent, basis.bitangent), n) - 1,
            ]
            for error in errors { #expect(magnitude(error).max() < 2e-6) }
            let back = basis.world(basis.local(n))
            #expect((back - n).length.max() < 2e-6)
        }
    }

    @Test("Gathers, selections, conversions and bit reversal do what their scalar forms do")
    func laneOperations() {
        let table = (0..<64).map { Float($0 * $0) }
        let index = Int32x8(3, 0, 63, 7, 7, 1, 40, 22)
        table.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let values = gather(base, index)
            for lane in 0..<8 { #expect(values[lane] == table[Int(index[lane])]) }
        }
        let a = Float8(-1.5, 2.5, 3.49, -0.0, 8, 7.99, -7.01, 0.5)
        #expect(floor8(a) == a.rounded(.down) && nearest8(a) == a.rounded(.toNearestOrEven))
        #expect(Int32x8(truncating: a) == Int32x8(-1, 2, 3, 0, 8, 7, -7, 0))
        #expect(select(a .> 1, index, Int32x8(repeating: -1))[0] == -1)
        #expect((a .> 1).bits == 0b0011_0110)
        let bits = UInt32x8(1, 2, 0x8000_0000, 0xdead_beef, 0x1234_5678, 0, .max, 0x00ff_ff00)
        for lane in 0..<8 {
            var reversed: UInt32 = 0
            for bit in 0..<32 where bits[lane] >> UInt32(bit) & 1 == 1 {
                reversed |= 1 << UInt32(31 - bit)
            }
            #expect(reverseBits(bits)[lane] == reversed)
            let product = UInt64(bits[lane]) * 0xfedc_ba98
            let high = multiplyHigh(bits, UInt32x8(repeating: 0xfedc_ba98))
            #expect(high[lane] == UInt32(product >> 32))
        }
        #expect((Int32x8(1, 2, 3, 4, 5, 6, 7, 8) .>= 4).bits == 0b1111_1000)
    }
}
