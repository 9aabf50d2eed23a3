// Frame after frame on five real hosts while processes are killed and frozen and the network falls
// apart, the originator included. `make lab-soak FRAMES=… SEED=…` runs any number.

import Foundation
import ProgramTesting
import Testing

@Suite("Schedules of the soak")
struct SoakScheduleTests {
    @Test("A seed gives one schedule, and a hundred seeds contain every kind of fault")
    func variety() {
        var kinds: Set<String> = []
        for seed in UInt64(1)...100 {
            let schedule = SoakSchedule(seed: seed, hosts: 5, aloneSeconds: 3)
            let again = SoakSchedule(seed: seed, hosts: 5, aloneSeconds: 3)
            #expect(schedule.entries == again.entries)
            #expect(schedule.originators == again.originators)
            let wanting = schedule.originators.filter { schedule.absent.contains($0) }
            #expect(wanting == (schedule.isVisitor ? [schedule.originators[0]] : []))
            if schedule.originators.count > 1 { kinds.insert("two frames") }
            if schedule.isVisitor { kinds.insert("without a daemon") }
            for entry in schedule.entries { kinds.insert(Self.kind(entry, schedule)) }
        }
        let wanted: Set<String> = [
            "two frames", "without a daemon", "kill an originator", "kill another", "kill the root",
            "leave",
            "freeze an originator shortly", "freeze an originator long", "freeze another shortly",
            "freeze another long", "join", "join unknown", "cut", "apart", "unheard", "deaf",
            "loss", "abandon",
        ]
        #expect(kinds == wanted)
    }

    private static func kind(_ entry: SoakSchedule.Entry, _ schedule: SoakSchedule) -> String {
        func role(_ host: Int) -> String {
            schedule.originators.contains(host) ? "an originator" : "another"
        }
        switch entry.fault {
        case .kill(let host): return "kill \(role(host))"
        case .killRoot: return "kill the root"
        case .leave: return "leave"
        case .freeze(let host):
            return "freeze \(role(host)) \((entry.length ?? 0) < 5.5 ? "shortly" : "long")"
        case .join(_, let isFresh): return isFresh ? "join unknown" : "join"
        case .cut: return "cut"
        case .partition(_, let hear, let areHeard):
            return hear ? "unheard" : areHeard ? "deaf" : "apart"
        case .loss: return "loss"
        case .abandon: return "abandon"
        }
    }
}

/// How many frames a run of the tests renders, and from which seed on.
private enum SoakLength {
    static let frames = number("MESHD_SOAK_FRAMES") ?? 5
    /// The five from this one on have nearly every kind of fault, and little patience between them.
    static let firstSeed = UInt64(number("MESHD_SOAK_SEED") ?? 1_604)

    private static func number(_ variable: String) -> Int? {
        let value = ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
        return value.flatMap { $0 > 0 ? $0 : nil }
    }
}

@Suite(
    "The soak", .serialized,
    .enabled(if: Lab.absence == nil, Comment(rawValue: Lab.absence ?? "")),
    .timeLimit(.minutes((5 + SoakLength.frames) * Meshd.patience)))
struct SoakTests {
    /// Both processors of the smallest machine that runs the tests.
    private static let plans = [60, 45, 40, 30, 25].map { HostPlan(processorPercent: $0) }

    @Test("Whatever happens to hosts and network, every frame is the film of one machine")
    func soak() async throws {
        var alone = 0.0
        for frame in LabFrame.soak { alone = try await max(alone, frame.alone().wallSeconds) }
        var seed = SoakLength.firstSeed
        let end = seed + UInt64(SoakLength.frames)
        // After a failure the next frame gets a new lab.
        while seed < end {
            try await Lab.with(Self.plans) { lab in
                var soak = try await Soak(lab)
                while seed < end {
                    let schedule = SoakSchedule(
                        seed: seed, hosts: lab.hosts.count, aloneSeconds: min(8, max(1, alone)))
                    seed += 1
                    do {
                        try await soak.render(schedule)
                        Self.say(soak.summary(schedule))
                    } catch {
                        let report = soak.report(schedule, error)
                        Self.say(report)
                        Issue.record(Comment(rawValue: report))
                        return
                    }
                }
            }
        }
    }

    /// Prints a line at once, for who watches a long run.
    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}
