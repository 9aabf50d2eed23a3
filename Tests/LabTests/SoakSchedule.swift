// What happens to a mesh while it renders one frame: drawn from a seed, so that it can be printed
// and replayed. Nothing here runs anything; SoakFrame does.

import MeshCore

/// Something that happens to hosts. Hosts are numbered from 0.
enum SoakFault: Hashable, Sendable, CustomStringConvertible {
    /// The daemon gets SIGKILL; at the end of the fault it is started again on its state folder.
    case kill(Int)
    /// Whoever leads the first frame at that moment gets SIGKILL.
    case killRoot
    /// The daemon is asked to leave the mesh, and started again.
    case leave(Int)
    /// The daemon gets SIGSTOP, then SIGCONT.
    case freeze(Int)
    /// The host has had no daemon since before the frame; now it gets one. A fresh one has an
    /// empty state folder: it is a node that nobody knows.
    case join(Int, isFresh: Bool)
    /// Its cable is pulled, and put back.
    case cut(Int)
    /// These hosts and the others don't reach each other, or only one way.
    case partition([Int], hear: Bool, areHeard: Bool)
    /// The host receives so many packets in a hundred less.
    case loss(Int, percent: Int)
    /// The command that asked for the second frame gets SIGKILL.
    case abandon

    var description: String {
        func name(_ host: Int) -> String { "h\(host + 1)" }
        switch self {
        case .kill(let host): return "kill \(name(host))"
        case .killRoot: return "kill the root"
        case .leave(let host): return "\(name(host)) leaves"
        case .freeze(let host): return "freeze \(name(host))"
        case .join(let host, let isFresh):
            return "\(name(host)) joins\(isFresh ? ", unknown so far" : "")"
        case .cut(let host): return "cut \(name(host)) off"
        case .partition(let side, let hear, let areHeard):
            let names = side.map(name).joined(separator: ", ")
            if hear { return "nobody hears \(names)" }
            return areHeard ? "\(names) hear nobody" : "\(names) apart from the others"
        case .loss(let host, let percent): return "\(name(host)) loses \(percent) % of its packets"
        case .abandon: return "kill the second frame's command"
        }
    }
}

/// All that happens to one frame, or two at once.
struct SoakSchedule: Sendable, CustomStringConvertible {
    struct Entry: Hashable, Sendable {
        var fault: SoakFault
        /// From the begin of the frame, in seconds.
        var begin: Double
        /// In seconds; nil for the rest of the frame.
        var length: Double?
    }
    let seed: UInt64
    /// The hosts that ask for a frame each, at the same time.
    let originators: [Int]
    /// Whether the first of them has no daemon: the command is the node, and what happens to the
    /// host's daemon happens to it.
    let isVisitor: Bool
    /// By begin.
    let entries: [Entry]

    /// The hosts without a daemon as the frame begins.
    var absent: [Int] {
        let joining = entries.compactMap { entry in
            if case .join(let host, _) = entry.fault { host } else { nil }
        }
        return isVisitor ? joining + [originators[0]] : joining
    }

    /// - Parameter aloneSeconds: how long one machine takes for the frame. When things happen is
    ///   a share of that; how long they last is not, since it is to be shorter or longer than the
    ///   protocol's own times: a silent node is given up after 5.5 s to 11 s.
    init(seed: UInt64, hosts: Int, aloneSeconds: Double) {
        var draw = Draw(random: RandomNumbers(seed: seed), scale: aloneSeconds)
        var others = Array(0..<hosts)
        draw.random.shuffle(&others)
        let originator = others.removeFirst()
        self.seed = seed
        isVisitor = draw.chance(0.2)
        if draw.chance(0.2) {
            originators = [originator]
            entries = draw.calamity(of: [originator] + others).sorted { $0.begin < $1.begin }
            return
        }
        var originators = [originator]
        var entries = draw.faults(ofOriginator: originator, mayLeave: !isVisitor)
        if draw.chance(0.25) {
            originators.append(others[0])
            if draw.chance(0.3) {
                entries.append(Entry(fault: .abandon, begin: draw.moment(), length: nil))
            }
        }
        let count = 1 + draw.random.below(3)
        for (index, host) in others.prefix(count).enumerated() {
            let isOriginator = originators.contains(host)
            entries += draw.faults(of: host, mayBeAbsent: !isOriginator && index > 0)
        }
        if draw.chance(0.3) {
            let entry = draw.partition(of: [originator] + others)
            entries.append(entry)
        }
        self.originators = originators
        self.entries = entries.sorted { $0.begin < $1.begin }
    }

    var description: String {
        var lines = originators.map { "  h\($0 + 1) asks for a frame" }
        if isVisitor { lines[0] += ", without a daemon" }
        for entry in entries {
            let length = entry.length.map { " for \(Self.text($0)) s" } ?? ""
            lines.append("  \(Self.text(entry.begin)) s  \(entry.fault)\(length)")
        }
        return lines.joined(separator: "\n")
    }

    static func text(_ seconds: Double) -> String {
        let hundredths = Int((seconds * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

/// Draws faults; each call takes numbers from the generator in a fixed order.
private struct Draw {
    var random: RandomNumbers
    let scale: Double

    mutating func chance(_ share: Double) -> Bool { random.unit() < share }

    /// From `low` to `high`, the short ones more often.
    mutating func seconds(_ low: Double, _ high: Double) -> Double {
        let unit = random.unit()
        return low + (high - low) * unit * unit
    }

    /// Some time in the frame, from its begin to its tail.
    mutating func moment() -> Double { (0.02 + 0.85 * random.unit()) * scale }

    /// Half of them shorter than any suspicion, half longer than most.
    private mutating func freezeLength() -> Double {
        chance(0.6) ? seconds(0.3, 4.5) : 6 + 6 * random.unit()
    }

    /// What happens to the host that asked, and to those that follow it.
    /// - Parameter mayLeave: false for a command, which ends its frame when it is asked to go.
    mutating func faults(ofOriginator host: Int, mayLeave: Bool) -> [SoakSchedule.Entry] {
        let begin = moment()
        switch random.below(10) {
        case 0...3:
            let length = chance(0.6) ? seconds(0.2, 6) : nil
            let leaves = chance(0.15) && mayLeave
            var entries = [
                SoakSchedule.Entry(
                    fault: leaves ? .leave(host) : .kill(host), begin: begin, length: length)
            ]
            if chance(0.5) {
                let again = begin + 1.2 + seconds(0, 5)
                entries.append(.init(fault: .killRoot, begin: again, length: seconds(0.2, 6)))
            }
            return entries
        case 4...6:
            return [.init(fault: .freeze(host), begin: begin, length: freezeLength())]
        case 7:
            return [.init(fault: .cut(host), begin: begin, length: seconds(0.3, 9))]
        case 8:
            return [partition(sideOf: host, begin: begin)]
        default:
            return flaps(of: host, begin: begin)
        }
    }

    /// What happens to another host.
    mutating func faults(of host: Int, mayBeAbsent: Bool) -> [SoakSchedule.Entry] {
        let begin = moment()
        switch random.below(10) {
        case 0, 1:
            let length = chance(0.7) ? seconds(0.2, 6) : nil
            return [.init(fault: .kill(host), begin: begin, length: length)]
        case 2, 3:
            return [.init(fault: .freeze(host), begin: begin, length: freezeLength())]
        case 4:
            return [.init(fault: .cut(host), begin: begin, length: seconds(0.3, 9))]
        case 5:
            return [partition(sideOf: host, begin: begin)]
        case 6:
            return flaps(of: host, begin: begin)
        case 7:
            let percent = 3 + random.below(28)
            return [.init(fault: .loss(host, percent: percent), begin: begin, length: nil)]
        case 8 where mayBeAbsent, 9 where mayBeAbsent:
            return [.init(fault: .join(host, isFresh: chance(0.5)), begin: begin, length: nil)]
        default:
            return [.init(fault: .leave(host), begin: begin, length: seconds(0.2, 4))]
        }
    }

    /// One host against all, more often one way than both: its cable does that as well.
    private mutating func partition(sideOf host: Int, begin: Double) -> SoakSchedule.Entry {
        let way = random.below(5)
        return .init(
            fault: .partition([host], hear: way < 2, areHeard: way == 2 || way == 3),
            begin: begin, length: seconds(0.5, 9))
    }

    /// The same happens to all at about the same time.
    mutating func calamity(of hosts: [Int]) -> [SoakSchedule.Entry] {
        let begin = moment()
        let kind = random.below(3)
        let length = kind == 2 ? seconds(0.2, 3) : seconds(1, 13)
        return hosts.map { host in
            let fault: SoakFault =
                switch kind {
                case 0: .freeze(host)
                case 1: .cut(host)
                default: .kill(host)
                }
            return .init(fault: fault, begin: begin + 0.2 * random.unit(), length: length)
        }
    }

    /// Two sides of at least two.
    mutating func partition(of hosts: [Int]) -> SoakSchedule.Entry {
        var side = hosts
        random.shuffle(&side)
        side = side.prefix(2 + random.below(max(1, hosts.count - 3))).sorted()
        let way = random.below(4)
        return .init(
            fault: .partition(side, hear: way == 0, areHeard: way == 1), begin: moment(),
            length: seconds(0.5, 8))
    }

    private mutating func flaps(of host: Int, begin: Double) -> [SoakSchedule.Entry] {
        var entries: [SoakSchedule.Entry] = []
        var at = begin
        for _ in 0..<(2 + random.below(5)) {
            let down = 0.1 + 0.6 * random.unit()
            entries.append(.init(fault: .cut(host), begin: at, length: down))
            at += down + 0.1 + 0.6 * random.unit()
        }
        return entries
    }
}
