// The whole protocol of a frame, many machines together: right under any faults, finished after
// them, and balanced without them.

import Foundation
import MeshCore
import Testing

@testable import WorkStealing

@Suite struct FrameModelTests {
    /// 64 units: 16 tiles of 8 × 8 pixels, passes of 1, 1, 2 and 4 samples.
    static let smallSpace: WorkSpace? = TileGrid(width: 32, height: 32, tileSize: 8)
        .flatMap { WorkSpace(grid: $0, samplesPerPixel: 8) }

    static func wild(seed: UInt64) throws -> ModelSetting {
        let space = try #require(smallSpace)
        var random = RandomNumbers(seed: seed &* 7 &+ 1)
        let speeds = (0..<(2 + random.below(4))).map { index in
            index == 0 ? 1.0 : [1.0, 0.5, 0.2][random.below(3)]
        }
        var setting = ModelSetting(
            speeds: speeds, workSpace: space, secondsPerSample: 5e-4)
        setting.faults = 1 + random.below(7)
        setting.devicesMax = 2
        setting.ledgerOnlyShare = random.unit() < 0.3 ? 0.4 : 0
        setting.latencySpread = .milliseconds(Int64(1 + random.below(5)))
        return setting
    }

    /// Runs one seed; returns what is wrong, or nil.
    static func outcome(of setting: ModelSetting, seed: UInt64, tracing: Bool = false) -> String? {
        let model = FrameModel(setting, seed: seed)
        model.isTracing = tracing
        do {
            let limit = Instant.zero + .seconds(400)
            let finished = try model.run(until: limit) { $0.isFinished }
            if tracing { print(model.trace.joined(separator: "\n")) }
            return finished
                ? nil
                : "seed \(seed): not finished at \(model.now); "
                    + model.up.map {
                        "\($0.index): \($0.machine.term) film \($0.film.coverage.count) "
                            + "ledger \($0.machine.ledger.count) listed \($0.machine.isListed)"
                    }.joined(separator: ", ")
        } catch {
            if tracing { print(model.trace.joined(separator: "\n")) }
            return "\(error)"
        }
    }

    /// A soak names its seeds in FRAME_MODEL_SEEDS (FIRST..LAST), a replay with FRAME_MODEL_TRACE.
    static var seeds: ClosedRange<UInt64> {
        let text = ProcessInfo.processInfo.environment["FRAME_MODEL_SEEDS"] ?? ""
        let ends = text.components(separatedBy: "..").compactMap { UInt64($0) }
        return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : 1...200
    }

    @Test("Under any faults every film is true, and every frame completes once they have ended")
    func wildFaults() throws {
        let tracing = ProcessInfo.processInfo.environment["FRAME_MODEL_TRACE"] != nil
        for seed in Self.seeds {
            let setting = try Self.wild(seed: seed)
            if let problem = Self.outcome(of: setting, seed: seed, tracing: tracing) {
                Issue.record("\(problem); replay: FRAME_MODEL_SEEDS=\(seed)..\(seed)")
            }
        }
    }

    @Test("Nothing is lost, and hardly anything rendered twice, while all can speak to the root")
    func cutWays() throws {
        let space = try #require(Self.smallSpace)
        for seed in 1...60 as ClosedRange<UInt64> {
            var setting = ModelSetting(
                speeds: [1, 1, 0.5, 0.5, 0.2], workSpace: space, secondsPerSample: 3e-3)
            setting.faults = 6
            setting.kinds = [.way]
            setting.sparesOriginator = true
            let model = FrameModel(setting, seed: seed)
            let finished = try model.run(until: .zero + .seconds(100)) { $0.isFinished }
            let lost = model.nodes.reduce(0) { $0 + $1.machine.statistics.unitsLost }
            let rendered = model.nodes.reduce(0) { $0 + $1.machine.statistics.unitsRendered }
            #expect(finished && lost == 0, "seed \(seed): \(lost) lost")
            #expect(Double(rendered) < 1.5 * Double(model.units), "seed \(seed): \(rendered)")
        }
    }

    /// A frame of about `seconds` on all nodes together, units of 60 ms on a node of speed 1.
    static func balanced(speeds: [Double], seconds: Double) throws -> ModelSetting {
        let secondsPerSample = 60e-3 / Double(32 * 32 * 16)
        let sum = speeds.reduce(0, +)
        let side = 512
        let samples = Int(seconds * sum / secondsPerSample) / (side * side)
        let grid = try #require(TileGrid(width: side, height: side))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: samples))
        var setting = ModelSetting(
            speeds: speeds, workSpace: space, secondsPerSample: secondsPerSample)
        setting.checkInterval = 251
        return setting
    }

    /// The makespan over the ideal time, and the model after the run.
    static func makespanOverIdeal(
        _ setting: ModelSetting, seed: UInt64
    ) throws -> (ratio: Double, model: FrameModel) {
        let model = FrameModel(setting, seed: seed)
        let finished = try model.run(until: .zero + .seconds(300)) { $0.firstCompleteAt != nil }
        #expect(finished)
        let grid = setting.workSpace.grid
        let samples = grid.width * grid.height * setting.workSpace.samplesPerPixel
        let ideal =
            Double(samples) * setting.secondsPerSample / setting.speeds.reduce(0, +)
        return (model.now.nanoseconds == 0 ? .infinity : (model.now - .zero).seconds / ideal, model)
    }

    @Test(
        "Without faults unequal nodes finish together: makespan is at most 1.05 of the ideal",
        arguments: [
            [4, 2, 1, 1], [1, 1, 1, 2, 2, 2, 4, 4, 8, 8, 16, 32], [1, 32],
            [1, 1, 1, 1, 1, 1, 1, 1],
        ] as [[Double]])
    func balance(speeds: [Double]) throws {
        let setting = try Self.balanced(speeds: speeds, seconds: 20)
        let (ratio, model) = try Self.makespanOverIdeal(setting, seed: 3)
        let rendered = model.nodes.reduce(0) { $0 + $1.machine.statistics.unitsRendered }
        let first = model.firstCommitAt.map { ($0 - .zero).seconds } ?? .infinity
        #expect(ratio <= 1.05)
        #expect(Double(rendered) / Double(model.units) < 1.02)
        #expect(first < 0.5)
        // Nothing is lost where nothing goes wrong, whatever way the grants take.
        #expect(model.nodes.allSatisfy { $0.machine.statistics.unitsLost == 0 })
    }

    @Test("A node alone completes its frame, in hardly more than the time of its device")
    func meshOfOne() throws {
        let space = try #require(Self.smallSpace)
        var setting = ModelSetting(speeds: [1], workSpace: space, secondsPerSample: 5e-4)
        setting.costSpread = 0
        let model = FrameModel(setting, seed: 1)
        let finished = try model.run(until: .zero + .seconds(60)) { $0.isFinished }
        #expect(finished)
        let ideal = Double(32 * 32 * 8) * 5e-4
        #expect((model.now - .zero).seconds < ideal * 1.01)
    }
}
