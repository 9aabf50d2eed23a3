// Figures and schedules of a frame, against answers computed by hand.

import MeshCore
import MeshNode
import Testing
import Tracer

@testable import MeshRuntime

private func node(
    _ speed: Double, from begin: Double = 0, to end: Double, samples: Int = 0
) -> NodeContribution {
    NodeContribution(
        id: "", name: "", devices: [], samples: samples, units: 0, stealsAsked: 0,
        stealsGranted: 0, stealsRefused: 0, bytesSent: 0, bytesReceived: 0,
        samplesPerSecond: speed, presentFromSeconds: begin, presentToSeconds: end,
        peakMemoryBytes: 0)
}

@Suite("A frame's figures")
struct FiguresTests {
    private func ideal(_ samples: Int, _ nodes: NodeContribution...) -> Double {
        RenderStatistics.idealSeconds(samples: samples, nodes: nodes)
    }

    private func near(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-9 * max(1, abs(b)) }

    @Test("The ideal time is the work over the speed of those who were there")
    func idealTime() {
        // One node; two alike; one twice as fast.
        #expect(near(ideal(1_000, node(100, to: 12)), 10))
        #expect(near(ideal(1_000, node(100, to: 6), node(100, to: 6)), 5))
        #expect(near(ideal(900, node(100, to: 9), node(200, to: 9)), 3))
        // The second comes after 4 s: 400 alone, then 600 together at 200 a second.
        #expect(near(ideal(1_000, node(100, to: 9), node(100, from: 4, to: 9)), 7))
        // The second leaves after 2 s: 400 together, then 600 alone.
        #expect(near(ideal(1_000, node(100, to: 9), node(100, to: 2)), 8))
        // Presence that does not reach: 500 by the end at 5 s, the rest by who stayed.
        #expect(near(ideal(1_000, node(100, to: 5)), 10))
        #expect(near(ideal(1_000, node(100, to: 5), node(300, to: 1)), 7))
    }

    @Test("Without nodes, speed or work the ideal time is a number still")
    func degenerate() {
        #expect(ideal(1_000) == 0)
        #expect(near(ideal(1_000, node(0, to: 3)), 3))
        #expect(ideal(0, node(100, to: 3)) < 1e-9)
        #expect(ideal(10, node(100, from: 5, to: 3)).isFinite)
    }

    @Test("Figures of another node that no sum or JSON could hold are not taken")
    func plausible() {
        #expect(node(1, to: 1).isPlausible)
        for hostile in [
            node(.nan, to: 1), node(.infinity, to: 1), node(1e300, to: 1), node(-1, to: 1),
            node(1, to: .nan), node(1, to: -1), node(1, from: -.infinity, to: 1),
            node(1, to: 1, samples: .max), node(1, to: 1, samples: -1),
        ] {
            #expect(!hostile.isPlausible)
        }
        var long = node(1, to: 1)
        long.name = String(repeating: "x", count: 300)
        #expect(!long.isPlausible)
    }

    @Test("The first picture comes with the first pass, later ones at growing intervals")
    func pictures() throws {
        let space = try Films.space()
        var schedule = PictureSchedule(workSpace: space)
        let begin = Instant.zero
        func at(_ seconds: Double) -> Instant { begin + Duration(seconds: seconds) }
        let first = IntervalSet(space.units(ofPass: 0))
        var almost = first
        almost.remove(SampleRange(0, 1))
        almost.formUnion(IntervalSet(space.units(ofPass: 1)))
        var more = first
        more.formUnion(IntervalSet(SampleRange(first.count, first.count + 1)))
        let all = IntervalSet(space.all)
        // Nothing before the first pass is whole, nor without news, nor before half the age has
        // gone by since the last one.
        let moments: [(coverage: IntervalSet, seconds: Double, isDue: Bool)] = [
            (almost, 5, false), (first, 10, true), (first, 30, false), (more, 14, false),
            (more, 20, true), (all, 29, false), (all, 40, true),
        ]
        for moment in moments {
            let isDue = schedule.isDue(moment.coverage, begin: begin, now: at(moment.seconds))
            #expect(isDue == moment.isDue, "\(moment.seconds) s")
        }
    }

    @Test("The speed meter follows a device that changes its pace")
    func speed() throws {
        var meter = SpeedMeter()
        #expect(meter.samplesPerThreadSecond == nil)
        meter.add(samples: 0, duration: .zero)
        #expect(meter.samplesPerThreadSecond == nil)
        for _ in 0..<100 { meter.add(samples: 1_000, duration: .milliseconds(100)) }
        #expect(near(try #require(meter.samplesPerThreadSecond), 10_000))
        for _ in 0..<200 { meter.add(samples: 100, duration: .milliseconds(100)) }
        let slow = try #require(meter.samplesPerThreadSecond)
        #expect(abs(slow - 1_000) < 10, "\(slow)")
    }

    @Test("A rate counts the last seconds only")
    func rate() {
        var meter = RateMeter()
        #expect(meter.perSecond == 0)
        for second in 0...20 {
            meter.add(
                second <= 10 ? second * 100 : 1_000 + (second - 10) * 7,
                at: .zero + .seconds(second))
        }
        #expect(near(meter.perSecond, 7))
    }
}
