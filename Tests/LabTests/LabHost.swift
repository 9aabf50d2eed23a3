// One host of a lab: what runs on it, what it says of the mesh, and what can happen to its network.

import Foundation
import ProgramTesting
import Synchronization

/// One host of a lab.
final class LabHost: Sendable {
    /// `h1`, `h2`, …
    let name: String
    let address: String
    let namespace: String
    /// Its end of the cable in the switch's namespace.
    let port: String
    let plan: HostPlan
    /// Programs write their output and tests their pictures here.
    let folder: String
    private let labPrefix: String
    private let programs = Mutex<[RunningProgram]>([])
    private let groupFile = Mutex<String?>(nil)
    private var avahiLog: String { folder + "/avahi.log" }

    /// The port that ``startDaemon(_:)`` listens on, UDP and TCP.
    static let meshPort = 7_700

    init(_ plan: HostPlan, number: Int, labPrefix: String, labFolder: String) {
        self.plan = plan
        self.labPrefix = labPrefix
        name = "h\(number)"
        address = "10.77.0.\(number)"
        namespace = "\(labPrefix)-\(name)"
        port = "port\(number)"
        folder = "\(labFolder)/\(name)"
    }

    // MARK: - Services

    func prepareFolder() throws {
        try FileManager.default.createDirectory(
            atPath: folder + "/services", withIntermediateDirectories: true)
        try plan.key?.admit(state: folder + "/state")
        if let shares = ProcessorShares.hierarchy {
            let file = try shares.makeGroup(namespace, percent: plan.processorPercent)
            groupFile.withLock { $0 = file }
        }
        try Self.busConfiguration(socket: folder + "/bus")
            .write(toFile: folder + "/dbus.conf", atomically: true, encoding: .utf8)
        try Self.avahiConfiguration(hostName: name)
            .write(toFile: folder + "/avahi.conf", atomically: true, encoding: .utf8)
    }

    /// Makes this host one that nobody knows, and that has the mesh's key.
    func startAfresh() throws {
        try FileManager.default.removeItem(atPath: folder + "/state")
        try plan.key?.admit(state: folder + "/state")
    }

    /// Starts D-Bus, if this host has it.
    func startServices() async throws {
        guard plan.hasAvahi else { return }
        _ = try spawn(
            [
                "dbus-daemon", "--config-file=\(folder)/dbus.conf", "--nofork", "--nopidfile",
                "--nosyslog",
            ], limited: false)
    }

    /// Waits for D-Bus, starts Avahi and waits for that.
    func servicesAreUp() async throws {
        guard plan.hasAvahi else { return }
        try await eventually("D-Bus on \(name)", within: .seconds(10)) {
            FileManager.default.fileExists(atPath: folder + "/bus")
        }
        // Avahi's place in /run is fixed; `ip netns exec` gives each program mounts of its own,
        // so another /run is seen by this Avahi only.
        _ = try spawn(
            [
                "/bin/sh", "-c",
                """
                mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon &&
                mount --bind \(folder)/services /etc/avahi/services &&
                exec avahi-daemon -f \(folder)/avahi.conf --no-drop-root --no-chroot --no-rlimits \
                2>\(avahiLog)
                """,
            ], limited: false)
        try await eventually("Avahi on \(name)", within: .seconds(10)) {
            let log = FileManager.default.contents(atPath: avahiLog) ?? Data()
            return String(decoding: log, as: UTF8.self).contains("Server startup complete")
        }
    }

    // MARK: - Programs

    /// Starts any program on this host.
    /// - Parameter limited: whether it shares the host's quota of processor time.
    func spawn(_ command: [String], limited: Bool = true) throws -> RunningProgram {
        var line = ["ip", "netns", "exec", namespace] + command
        if limited, let file = groupFile.withLock({ $0 }) {
            // Joins before it enters the namespace, which has another /sys.
            line = ["/bin/sh", "-c", "echo $$ >\"$0\" && exec \"$@\"", file] + line
        }
        let bus = plan.hasAvahi ? folder + "/bus" : folder + "/no-bus"
        return try RunningProgram(
            line,
            environment: [
                "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(bus)",
                "MESHD_STATE": folder + "/state",
                "HOME": folder,
                "PATH": Lab.path,
            ], folder: folder)
    }

    /// Starts meshd on this host.
    func spawnMeshd(_ arguments: [String]) throws -> RunningProgram {
        let program = try spawn([Meshd.path] + arguments)
        if ["up", "render"].contains(arguments.first) { programs.withLock { $0.append(program) } }
        return program
    }

    /// Runs meshd on this host to its end.
    func meshd(
        _ arguments: [String], within limit: Duration = .seconds(120)
    ) async throws -> ProgramResult {
        try await spawnMeshd(arguments).result(within: limit)
    }

    /// Starts `meshd up` and waits until it answers.
    func startDaemon(_ arguments: [String] = []) async throws -> RunningProgram {
        let daemon = try launchDaemon(arguments)
        try await eventually(
            "the daemon on \(name)", within: .seconds(30), every: .milliseconds(100)
        ) {
            guard daemon.isRunning else { throw WaitedInVain("the daemon ended: \(daemon)") }
            return try await meshd(["status", "--json"]).ending == .exit(0)
        }
        return daemon
    }

    /// Starts `meshd up` and does not wait.
    func launchDaemon(_ arguments: [String] = []) throws -> RunningProgram {
        try spawnMeshd(
            ["up", "--name", name, "--listen", "\(address):\(Self.meshPort)"] + arguments)
    }

    /// The members of the mesh as this host's daemon lists them.
    func nodes() async throws -> [ListedNode] {
        try await answer("nodes")
    }

    /// What this host's daemon says of itself.
    func status() async throws -> DaemonState {
        try await answer("status")
    }

    /// Waits until this host's daemon lists exactly these hosts, and others only as gone.
    func sees(_ hosts: [LabHost], within limit: Duration = .seconds(30)) async throws {
        let wanted = hosts.map(\.name).sorted()
        var listed: [ListedNode] = []
        do {
            try await eventually("the mesh", within: limit, every: .milliseconds(200)) {
                listed = try await nodes()
                return listed.filter { $0.status == "alive" }.map(\.name).sorted() == wanted
            }
        } catch {
            throw WaitedInVain("\(name) should see \(wanted), and lists \(listed): \(error)")
        }
    }

    private func answer<Answer: Decodable>(_ command: String) async throws -> Answer {
        let result = try await meshd([command, "--json"])
        guard result.ending == .exit(0) else { throw WaitedInVain("no answer: \(result)") }
        return try JSONDecoder().decode(Answer.self, from: Data(result.output.utf8))
    }

    /// What the daemons and renderings of this host have said.
    var programReport: String {
        programs.withLock { $0 }.map(\.description).joined(separator: "\n")
    }

    // MARK: - The network

    /// Pulls the cable.
    func cut() async throws { try await setPort("down") }

    /// Puts it back.
    func heal() async throws { try await setPort("up") }

    private func setPort(_ state: String) async throws {
        try await labShell(
            "ip -n \(labPrefix)-switch link set \(port) \(state)", folder: folder)
    }

    /// Limits what the host sends and receives.
    func limitRate(megabits: Int) async throws {
        let shape = "root tbf rate \(megabits)mbit burst 64k latency 50ms"
        try await labShell(
            """
            ip netns exec \(namespace) tc qdisc replace dev eth0 \(shape)
            ip netns exec \(labPrefix)-switch tc qdisc replace dev \(port) \(shape)
            """, folder: folder)
    }

    /// Drops this share of the packets that the host receives.
    func lose(percent: Int) async throws {
        try await filter("iifname eth0 numgen random mod 100 < \(percent) drop")
    }

    /// Replaces the rules for what the host receives; one a line.
    func filter(_ rules: String) async throws {
        try await labShell(
            """
            ip netns exec \(namespace) nft -f - <<RULES
            add table inet lab
            delete table inet lab
            table inet lab {
                chain input {
                    type filter hook input priority 0;
                    \(rules)
                }
            }
            RULES
            """, folder: folder)
    }

    // MARK: - Configurations

    private static func busConfiguration(socket: String) -> String {
        """
        <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
         "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
        <busconfig>
          <type>system</type>
          <listen>unix:path=\(socket)</listen>
          <auth>EXTERNAL</auth>
          <policy context="default">
            <allow user="*"/><allow own="*"/>
            <allow send_destination="*"/><allow receive_sender="*"/>
          </policy>
        </busconfig>
        """
    }

    private static func avahiConfiguration(hostName: String) -> String {
        """
        [server]
        host-name=\(hostName)
        use-ipv4=yes
        use-ipv6=no
        allow-interfaces=eth0
        ratelimit-interval-usec=1000000
        ratelimit-burst=1000
        [publish]
        publish-hinfo=no
        publish-workstation=no
        """
    }
}
