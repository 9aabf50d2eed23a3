// What happened in a run, for a picture of it: who rendered which unit when, rounds at their
// roots, steals, faults. Written in the Trace Event Format of Chrome, which Perfetto opens.

import MeshCore
import WorkStealing

/// The spans and instants of one run.
public struct Timeline: Sendable {
    private let speeds: [[Double]]
    private var units: [Unit] = []
    private var steals: [Steal] = []
    private var rounds: [Round] = []
    private var marks: [Mark] = []
    /// Rounds under way, by root.
    private var openRounds: [(root: Int, round: RoundID, since: Instant)] = []

    private struct Unit: Sendable {
        let node: Int
        let device: Int
        let number: Int
        let from: Instant
        let to: Instant
    }
    private struct Steal: Sendable {
        let thief: Int
        let victim: Int
        let at: Instant
    }
    private struct Round: Sendable {
        let root: Int
        let name: String
        let units: Int
        let isCommitted: Bool
        let from: Instant
        let to: Instant
    }
    private struct Mark: Sendable {
        let name: String
        /// Nil: of no node.
        let node: Int?
        let at: Instant
        /// How long it lasts, if it does.
        var length = Duration.zero
    }

    init(speeds: [[Double]]) { self.speeds = speeds }

    mutating func addUnit(
        _ unit: Int, of frame: FrameID, node: Int, device: Int, from: Instant, to: Instant
    ) {
        units.append(Unit(node: node, device: device, number: unit, from: from, to: to))
    }

    mutating func addSteal(by thief: Int, from victim: Int, at now: Instant) {
        steals.append(Steal(thief: thief, victim: victim, at: now))
    }

    mutating func addSubmission(of frame: FrameID, at now: Instant) {
        marks.append(Mark(name: "submitted", node: nil, at: now))
    }

    mutating func addCompletion(of frame: FrameID, node: Int, at now: Instant) {
        marks.append(Mark(name: "complete", node: node, at: now))
    }

    mutating func addFault(_ fault: ScheduledFault.Fault, at now: Instant) {
        var length = fault.duration
        if case .crash = fault { length = .zero }
        marks.append(Mark(name: fault.name, node: fault.node, at: now, length: length))
    }

    /// The root tells its contributors what to send: a data phase begins.
    mutating func beginRound(_ round: RoundID, root: Int, at now: Instant) {
        openRounds.removeAll { $0.root == root }
        openRounds.append((root, round, now))
    }

    mutating func endRound(
        _ round: RoundID, of frame: FrameID, units: Int, isCommitted: Bool, at now: Instant
    ) {
        guard let index = openRounds.firstIndex(where: { $0.round == round }) else { return }
        let open = openRounds.remove(at: index)
        rounds.append(
            Round(
                root: open.root, name: "round \(round.number)", units: units,
                isCommitted: isCommitted, from: open.since, to: now))
    }

    // MARK: Writing

    /// The run as JSON of the Trace Event Format: a process for each node with a thread for each
    /// of its devices and one for rounds; times in microseconds.
    public func chromeTrace() -> String {
        var events: [String] = []
        for (node, devices) in speeds.enumerated() {
            let speed = Int(devices.reduce(0, +))
            events.append(
                #"{"ph":"M","pid":\#(node),"name":"process_name","args":{"name":"node \#(node), "#
                    + #"\#(speed) samples/s"}}"#)
            events.append(
                #"{"ph":"M","pid":\#(node),"name":"process_sort_index","#
                    + #""args":{"sort_index":\#(node)}}"#)
            for device in devices.indices {
                events.append(
                    #"{"ph":"M","pid":\#(node),"tid":\#(device),"name":"thread_name","#
                        + #""args":{"name":"device \#(device)"}}"#)
            }
            events.append(
                #"{"ph":"M","pid":\#(node),"tid":\#(Self.roundThread),"name":"thread_name","#
                    + #""args":{"name":"rounds"}}"#)
            events.append(
                #"{"ph":"M","pid":\#(node),"tid":\#(Self.faultThread),"name":"thread_name","#
                    + #""args":{"name":"faults"}}"#)
        }
        for unit in units {
            events.append(
                #"{"ph":"X","pid":\#(unit.node),"tid":\#(unit.device),"name":"unit","#
                    + Self.span(unit.from, unit.to) + #","args":{"unit":\#(unit.number)}}"#)
        }
        for round in rounds {
            let end = round.isCommitted ? "" : " abandoned"
            events.append(
                #"{"ph":"X","pid":\#(round.root),"tid":\#(Self.roundThread),"#
                    + #""name":"\#(round.name)\#(end)","# + Self.span(round.from, round.to)
                    + #","args":{"ledgerUnits":\#(round.units)}}"#)
        }
        for (number, steal) in steals.enumerated() {
            let time = Self.microseconds(steal.at)
            let both = #""cat":"steal","name":"steal","id":\#(number),"ts":\#(time)"#
            events.append(#"{"ph":"s","pid":\#(steal.victim),"tid":0,\#(both)}"#)
            events.append(#"{"ph":"f","bp":"e","pid":\#(steal.thief),"tid":0,\#(both)}"#)
        }
        for (number, mark) in marks.enumerated() {
            let place = mark.node.map { #""pid":\#($0),"s":"p""# } ?? #""pid":0,"s":"g""#
            events.append(
                #"{"ph":"i","tid":0,\#(place),"name":"\#(mark.name)","#
                    + #""ts":\#(Self.microseconds(mark.at))}"#)
            guard mark.length > .zero else { continue }
            // Spans of one row must nest: one that overlaps another is async.
            let both =
                #""cat":"fault","pid":\#(mark.node ?? 0),"tid":\#(Self.faultThread),"#
                + #""name":"\#(mark.name)","id":\#(number),"#
            events.append(#"{"ph":"b",\#(both)"ts":\#(Self.microseconds(mark.at))}"#)
            events.append(
                #"{"ph":"e",\#(both)"ts":\#(Self.microseconds(mark.at + mark.length))}"#)
        }
        return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
            + events.joined(separator: ",\n") + "\n]}\n"
    }

    /// The thread that shows rounds, beyond all devices.
    private static let roundThread = 1_000
    private static let faultThread = 1_001

    private static func microseconds(_ instant: Instant) -> String {
        let whole = instant.nanoseconds / 1_000
        let rest = String(instant.nanoseconds % 1_000)
        return "\(whole)." + String(repeating: "0", count: 3 - rest.count) + rest
    }

    private static func span(_ from: Instant, _ to: Instant) -> String {
        let length = Instant(nanoseconds: to.nanoseconds - from.nanoseconds)
        return #""ts":\#(microseconds(from)),"dur":\#(microseconds(length))"#
    }
}
