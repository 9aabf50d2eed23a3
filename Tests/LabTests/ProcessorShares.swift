// Hosts of unequal speed: control groups with a quota of processor time, in version 1 or 2 of
// them, whichever this machine has mounted and lets us write.

import Foundation

/// How processor time is limited on this machine.
struct ProcessorShares: Sendable {
    enum Version: Sendable {
        case one
        case two
    }
    let version: Version
    /// Groups are made in this folder.
    let folder: String

    /// Nil when this machine allows no limits.
    static let hierarchy: ProcessorShares? = {
        for candidate in candidates where candidate.works { return candidate }
        return nil
    }()

    /// Why hosts cannot be of unequal speed here; nil when they can.
    static var absence: String? {
        if let absence = Lab.absence { return absence }
        return hierarchy == nil
            ? "no control group for processor time can be made here (neither version 1 nor 2)"
            : nil
    }

    /// Makes a group. Even without a limit its processes share the machine as one host: a
    /// daemon's low priority counts only among them, not against whatever else runs here.
    /// - Parameter percent: of one processor; nil for no limit.
    /// - Returns: the file to which a process writes its id to join.
    /// - Throws: when the group can't be made or limited.
    func makeGroup(_ name: String, percent: Int?) throws -> String {
        let group = "\(folder)/\(name)"
        try FileManager.default.createDirectory(
            atPath: group, withIntermediateDirectories: false)
        guard let percent else { return "\(group)/cgroup.procs" }
        let period = 20_000
        let quota = period * percent / 100
        switch version {
        case .one:
            try Self.write("\(period)", to: "\(group)/cpu.cfs_period_us")
            try Self.write("\(quota)", to: "\(group)/cpu.cfs_quota_us")
        case .two:
            try Self.write("\(quota) \(period)", to: "\(group)/cpu.max")
        }
        return "\(group)/cgroup.procs"
    }

    private var works: Bool {
        if version == .two {
            // Children get the controller only when their parent passes it on.
            try? Self.write("+cpu", to: "\(folder)/cgroup.subtree_control")
        }
        let name = "meshd-lab-probe-\(ProcessInfo.processInfo.processIdentifier)"
        defer { rmdir("\(folder)/\(name)") }
        return (try? makeGroup(name, percent: 50)) != nil
    }

    /// This process's own group and those above it, in each hierarchy with processor time.
    private static var candidates: [ProcessorShares] {
        let mounts = text("/proc/self/mountinfo").split(separator: "\n")
        let groups = text("/proc/self/cgroup").split(separator: "\n")
        var found: [ProcessorShares] = []
        for mount in mounts {
            // 30 25 0:26 ROOT MOUNT-POINT OPTIONS … - TYPE SOURCE SUPER-OPTIONS
            let halves = mount.components(separatedBy: " - ")
            guard halves.count == 2 else { continue }
            let place = halves[0].split(separator: " ")
            let kind = halves[1].split(separator: " ")
            guard place.count > 4, kind.count > 2 else { continue }
            let version: Version
            switch kind[0] {
            case "cgroup" where kind[2].split(separator: ",").contains("cpu"): version = .one
            case "cgroup2": version = .two
            default: continue
            }
            let own = groups.lazy.map { $0.split(separator: ":", omittingEmptySubsequences: false) }
                .first { line in
                    guard line.count == 3 else { return false }
                    return version == .two
                        ? line[0] == "0" : line[1].split(separator: ",").contains("cpu")
                }
            var path = own.map { String($0[2]) } ?? "/"
            while true {
                let below = path == "/" ? "" : path
                found.append(ProcessorShares(version: version, folder: "\(place[4])\(below)"))
                guard path != "/", path.hasPrefix("/") else { break }
                path = (path as NSString).deletingLastPathComponent
            }
        }
        return found
    }

    private static func text(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }

    /// Writes at once, as control groups want it.
    private static func write(_ text: String, to path: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }
}
