// Several hosts on one machine: each a network namespace with a D-Bus and an Avahi of its own, on
// a bridge that has a namespace to itself, so that nothing of the machine's network is touched.
//
//     namespace PREFIX-switch          namespace PREFIX-h1      namespace PREFIX-h2 …
//     bridge ── port1, port2, … ────── eth0 10.77.0.1/24        eth0 10.77.0.2/24
//
// A guard process, started first, waits until the lab is closed or the test process is gone,
// however that ended, and then removes everything that carries the lab's prefix.

import Foundation
import Glibc
import ProgramTesting
import Synchronization

/// What a host of a lab is like.
struct HostPlan: Sendable {
    /// Percent of one processor; nil for all there is.
    var processorPercent: Int?
    /// Whether it runs D-Bus and an avahi-daemon.
    var hasAvahi = true
    /// Of the mesh that it is in; nil for none.
    var key: TestKey? = .shared
}

/// Several hosts on one network.
final class Lab: Sendable {
    let hosts: [LabHost]
    /// Everything of this lab carries this name, and a number no other lab of any process has.
    private let prefix: String
    private let folder: String
    /// The guard waits for the end of what comes out of this.
    private let guardPipe: Int32
    private let guardProcess: ChildProcess
    private static let counter = Atomic<Int>(0)

    /// Makes a lab, hands it to `body`, and removes it, whatever happens.
    static func with(_ plans: [HostPlan], _ body: (Lab) async throws -> Void) async throws {
        let lab = try Lab(plans)
        do {
            try await lab.start()
            try await body(lab)
        } catch {
            print(lab.report)
            await lab.close()
            throw error
        }
        await lab.close()
        let remains = lab.remains
        guard remains.isEmpty else { throw WaitedInVain("the lab left \(remains)") }
    }

    private init(_ plans: [HostPlan]) throws {
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        let prefix = "meshd-lab-\(ProcessInfo.processInfo.processIdentifier)-\(number)"
        // Short, since a socket's path has 108 bytes at most.
        let folder = "/tmp/\(prefix)"
        self.prefix = prefix
        self.folder = folder
        hosts = plans.enumerated().map { index, plan in
            LabHost(plan, number: index + 1, labPrefix: prefix, labFolder: folder)
        }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw WaitedInVain("no pipe: \(errno)") }
        // Were a child to inherit it, the guard would wait for that child, too.
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        defer { Glibc.close(ends[0]) }
        guardPipe = ends[1]
        guardProcess = try ChildProcess(
            [
                "/bin/bash", "-c", "cat >/dev/null\n" + Self.cleaning, "bash", prefix,
                ProcessorShares.hierarchy?.folder ?? "",
            ], input: "", inputDescriptor: ends[0], output: "/dev/null", errors: "/dev/null")
    }

    private func start() async throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        for host in hosts { try host.prepareFolder() }
        try await shell(networkScript)
        for host in hosts { try await host.startServices() }
        for host in hosts { try await host.servicesAreUp() }
    }

    /// The namespace of the bridge.
    var hub: String { "\(prefix)-switch" }

    private var networkScript: String {
        var lines = [
            "ip netns add \(hub)",
            "ip -n \(hub) link add bridge type bridge mcast_snooping 0",
            "ip -n \(hub) link set bridge up",
        ]
        for host in hosts {
            lines += [
                "ip netns add \(host.namespace)",
                "ip -n \(host.namespace) link set lo up",
                "ip -n \(hub) link add \(host.port) type veth peer name eth0 "
                    + "netns \(host.namespace)",
                "ip -n \(hub) link set \(host.port) master bridge up",
                "ip -n \(host.namespace) addr add \(host.address)/24 dev eth0",
                "ip -n \(host.namespace) link set eth0 up",
                // Multicast goes where no route is, too.
                "ip -n \(host.namespace) route add default dev eth0",
            ]
        }
        return lines.joined(separator: "\n")
    }

    /// What all programs of the lab have said, for a failed test.
    private var report: String {
        hosts.map { host in "=== \(host.name)\n\(host.programReport)" }.joined(separator: "\n")
    }

    private func close() async {
        Glibc.close(guardPipe)
        try? await eventually("the lab's end", within: .seconds(20)) { !guardProcess.isRunning }
    }

    /// The namespaces and processes of this lab that are still there.
    private var remains: [String] {
        let files = FileManager.default
        let namespaces = (try? files.contentsOfDirectory(atPath: "/run/netns")) ?? []
        let mark = Data("MESHD_STATE=\(folder)/".utf8)
        let processes = ((try? files.contentsOfDirectory(atPath: "/proc")) ?? []).filter {
            Int($0) != nil && files.contents(atPath: "/proc/\($0)/environ")?.range(of: mark) != nil
        }
        return namespaces.filter { $0.hasPrefix("\(prefix)-") } + processes.map { "process \($0)" }
    }

    /// Starts `tools/lab-wire.py` where all cables end, and waits until it listens.
    func startAtTheWire(_ arguments: [String]) async throws -> RunningProgram {
        let program = try RunningProgram(
            ["ip", "netns", "exec", hub, "python3", Self.wireTool] + arguments,
            environment: ["MESHD_STATE": folder + "/wire", "PATH": Self.path], folder: folder)
        try await eventually("somebody at the wire", within: .seconds(10)) {
            guard program.isRunning else { throw WaitedInVain("ended: \(program)") }
            return program.output.hasPrefix("ready")
        }
        return program
    }

    /// Puts somebody between the first two hosts in place of the switch.
    func interpose(seed: Int) async throws -> RunningProgram {
        let ends = hosts.prefix(2)
        let lines = ends.flatMap { host in
            [
                "ip netns exec \(host.namespace) python3 '\(Self.wireTool)' plain eth0",
                "ip -n \(hub) link set \(host.port) nomaster",
            ]
        }
        try await shell(lines.joined(separator: "\n"))
        return try await startAtTheWire(["between"] + ends.map(\.port) + ["\(seed)"])
    }

    /// Where a lab's programs are looked for.
    static let path =
        (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"

    private static let wireTool = Meshd.packageRoot + "/tools/lab-wire.py"

    /// Runs a script in the lab's folder.
    func shell(_ script: String) async throws {
        try await labShell(script, folder: folder)
    }

    /// Kills and removes everything whose name begins with `$1`; `$2` is the folder of control
    /// groups, or empty.
    private static let cleaning = """
        export PATH=$PATH:/usr/sbin:/sbin
        for namespace in $(ip netns list | awk -v p="$1-" 'index($1, p) == 1 { print $1 }'); do
            pids=$(ip netns pids "$namespace")
            [ -z "$pids" ] || kill -9 $pids 2>/dev/null
            ip netns del "$namespace"
        done
        for attempt in $(seq 50); do
            [ -z "$2" ] || rmdir "$2/$1"-* 2>/dev/null
            ls -d "$2/$1"-* >/dev/null 2>&1 || break
            sleep 0.05
        done
        [ -n "$MESHD_LAB_KEEP" ] || rm -rf "/tmp/$1"
        """

    /// Why no lab can be made on this machine; nil when it can.
    static let absence: String? = {
        if let absence = Meshd.absence { return absence }
        guard geteuid() == 0 else { return "a lab of network namespaces needs root" }
        let tools = ["ip", "nft", "tc", "avahi-daemon", "dbus-daemon", "bash", "python3"]
        let folders = path.split(separator: ":").map(String.init)
        for tool in tools
        where !folders.contains(where: {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)")
        }) {
            return "a lab needs the program '\(tool)': run tools/setup.sh"
        }
        let probe = "meshd-lab-probe-\(ProcessInfo.processInfo.processIdentifier)"
        let script = """
            PATH=$PATH:/usr/sbin:/sbin
            ip netns add \(probe) && ip -n \(probe) link add probe0 type veth peer name probe1
            made=$?
            ip netns del \(probe)
            exit $made
            """
        let process = try? ChildProcess(
            ["/bin/bash", "-c", script], input: "/dev/null", output: "/dev/null",
            errors: "/dev/null")
        while let process, process.isRunning { usleep(10_000) }
        return process?.ending == .exit(0)
            ? nil : "this machine does not allow network namespaces"
    }()
}

/// Runs a script, which must succeed.
/// - Throws: ``WaitedInVain`` with what it wrote.
func labShell(_ script: String, folder: String) async throws {
    let result = try await run(
        ["/bin/bash", "-euc", "PATH=$PATH:/usr/sbin:/sbin\n" + script], folder: folder)
    guard result.ending == .exit(0) else { throw WaitedInVain("a lab's script failed: \(result)") }
}
