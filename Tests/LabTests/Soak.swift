// Frames on a mesh that is maltreated: performs a schedule on a lab, then mends everything and
// checks that all who can have the film have it, and that it is the film of one machine.

import Foundation
import ProgramTesting

/// A lab with a daemon on each host, and what is the matter with them.
struct Soak {
    let lab: Lab
    /// Nil on a host whose daemon was killed or sent away.
    private var daemons: [RunningProgram?]
    private var frozen: Set<Int> = []
    private var network = SoakNetwork()
    private var commands: [SoakCommand] = []
    /// The daemons that ended in this frame.
    private var past: [(host: Int, program: RunningProgram)] = []
    /// Whom the entries of a schedule have hit, where it does not say it.
    private var victims: [Int: Int] = [:]
    /// What happened, and when.
    private var record: [String] = []
    private var start = ContinuousClock.now

    /// No frame takes longer, on however slow a machine.
    private static let limitSeconds = 150.0
    /// How long a kill waits until the frame would survive it.
    private static let mercy = Duration.seconds(3)

    /// Starts all daemons.
    init(_ lab: Lab) async throws {
        self.lab = lab
        daemons = []
        for host in lab.hosts { daemons.append(try await host.startDaemon()) }
    }

    /// Renders a frame, or two, while the schedule is performed.
    /// - Throws: ``WaitedInVain`` when something does not come out as promised.
    mutating func render(_ schedule: SoakSchedule) async throws {
        record = []
        victims = [:]
        commands = []
        past = []
        start = .now
        try await assemble(schedule)
        start = .now
        for (number, host) in schedule.originators.enumerated() {
            // The first frame of every other seed is adaptive.
            let isAdaptive = number == 0 && schedule.seed % 2 == 1
            let frame = isAdaptive ? LabFrame.adaptive : LabFrame.soak[number]
            let label = "soak-\(schedule.seed)-\(number)"
            commands.append(
                SoakCommand(
                    host: host, frame: frame, label: label,
                    program: try frame.start(on: lab.hosts[host], label: label)))
        }
        if schedule.isVisitor {
            commands[0].isVisitor = true
            daemons[commands[0].host] = commands[0].program
        }
        try await perform(schedule)
        note("all frames are over")
        try await mend()
        try await check()
        note("checked")
    }

    /// What is to be known of a frame that failed.
    func report(_ schedule: SoakSchedule, _ error: any Error) -> String {
        var lines = [
            "the frame of seed \(schedule.seed) failed: \(error)", "--- schedule", "\(schedule)",
            "--- what happened",
        ]
        lines += record
        for command in commands { lines.append("--- \(command.program)") }
        for (host, program) in past {
            lines.append("--- h\(host + 1), ended: \(program.errors.suffix(2_500))")
        }
        for (host, program) in zip(lab.hosts, daemons) {
            lines.append("--- \(host.name): \(program?.errors.suffix(2_500) ?? "no daemon")")
        }
        lines.append("--- replay: make lab-soak SEED=\(schedule.seed) FRAMES=1")
        return lines.joined(separator: "\n")
    }

    /// What is worth reading of a frame that went well.
    func summary(_ schedule: SoakSchedule) -> String {
        let fetched = commands.count { $0.hasLostDaemon && $0.ending != .exit(0) }
        let events = record.map { $0.trimmingCharacters(in: .whitespaces) }
        return "soak \(schedule.seed): right after \(SoakSchedule.text(seconds)) s, "
            + "\(fetched) of \(commands.count) fetched elsewhere\n    "
            + events.joined(separator: "; ")
    }

    // MARK: - Before the frame

    /// All hosts but those that will join are one mesh.
    private mutating func assemble(_ schedule: SoakSchedule) async throws {
        for index in schedule.absent {
            dismiss(index, SIGTERM)
            try await restartable(index)
        }
        for case .join(let index, isFresh: true) in schedule.entries.map(\.fault) {
            try lab.hosts[index].startAfresh()
        }
        past = []
        let present = lab.hosts.indices.filter { !schedule.absent.contains($0) }
            .map { lab.hosts[$0] }
        for host in present { try await host.sees(present) }
    }

    // MARK: - The frame

    private var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

    private mutating func note(_ text: String) {
        record.append("  \(SoakSchedule.text(seconds)) s  \(text)")
    }

    private mutating func perform(_ schedule: SoakSchedule) async throws {
        var events: [(at: Double, entry: Int, isEnd: Bool)] = []
        for (index, entry) in schedule.entries.enumerated() {
            events.append((entry.begin, index, false))
            if let length = entry.length { events.append((entry.begin + length, index, true)) }
        }
        events.sort { ($0.at, $0.entry) < ($1.at, $1.entry) }
        while try await !areAllOver() {
            guard seconds < Self.limitSeconds else { throw WaitedInVain("the frame has no end") }
            if let event = events.first, event.at <= seconds {
                events.removeFirst()
                let fault = schedule.entries[event.entry].fault
                if event.isEnd {
                    try await end(fault, event.entry)
                } else {
                    try await begin(fault, event.entry)
                }
            } else {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private mutating func begin(_ fault: SoakFault, _ entry: Int) async throws {
        switch fault {
        case .kill(let index): try await kill(index, SIGKILL, entry)
        case .leave(let index): try await kill(index, SIGTERM, entry)
        case .killRoot:
            guard let root = try await root() else { return note("spared: no root to be seen") }
            try await kill(root, SIGKILL, entry)
        case .freeze(let index):
            guard let daemon = daemons[index] else { return note("spared: \(fault)") }
            daemon.signal(SIGSTOP)
            frozen.insert(index)
        case .join(let index, _): daemons[index] = try lab.hosts[index].launchDaemon()
        case .cut(let index): try await lab.hosts[index].cut()
        case .partition, .loss: try await network.set(fault, entry, in: lab)
        case .abandon:
            guard commands[1].program.isRunning else { return }
            commands[1].program.signal(SIGKILL)
            commands[1].isAbandoned = true
        }
        switch fault {
        case .kill, .leave, .killRoot: break
        default: note("\(fault)")
        }
    }

    private mutating func end(_ fault: SoakFault, _ entry: Int) async throws {
        switch fault {
        case .kill, .leave, .killRoot:
            guard let index = victims[entry] else { return }
            try await restartable(index)
            daemons[index] = try lab.hosts[index].launchDaemon()
            note("h\(index + 1) is started again")
            return
        case .freeze(let index):
            guard frozen.remove(index) != nil else { return }
            daemons[index]?.signal(SIGCONT)
        case .cut(let index): try await lab.hosts[index].heal()
        case .partition, .loss: try await network.set(nil, entry, in: lab)
        case .join, .abandon: return
        }
        note("the end of: \(fault)")
    }

    /// Ends a daemon, if that does not take the last copy of a frame: a frame dies with the last
    /// node that has its scene.
    private mutating func kill(_ index: Int, _ signal: Int32, _ entry: Int) async throws {
        guard daemons[index] != nil else { return note("spared: h\(index + 1) is dead") }
        let end = ContinuousClock.now + Self.mercy
        while try await !survives(index) {
            guard ContinuousClock.now < end else {
                return note("spared: only h\(index + 1) has the frame")
            }
            try await Task.sleep(for: .milliseconds(150))
        }
        dismiss(index, signal)
        victims[entry] = index
        note("h\(index + 1) gets signal \(signal)")
    }

    private mutating func dismiss(_ index: Int, _ signal: Int32) {
        guard let daemon = daemons[index] else { return }
        for number in commands.indices where commands[number].host == index {
            if commands[number].program.isRunning { commands[number].hasLostDaemon = true }
        }
        daemon.signal(signal)
        past.append((index, daemon))
        daemons[index] = nil
        frozen.remove(index)
    }

    /// Waits until the state folder is free.
    private func restartable(_ index: Int) async throws {
        for (host, program) in past where host == index {
            program.signal(SIGCONT)
            _ = try await program.result(within: .seconds(20))
        }
    }

    /// Whether each frame is held by somebody without this host, as far as can be seen now.
    private func survives(_ index: Int) async throws -> Bool {
        let states = await self.states(without: index)
        return commands.allSatisfy { command in
            let isNeeded = command.program.isRunning || command.hasLostDaemon
            if !isNeeded || command.isAbandoned { return true }
            if command.host != index, !command.hasLostDaemon { return true }
            guard let id = command.frameID else { return false }
            return states.contains { state in
                state.value.frames.contains { $0.id == id && $0.stage == "active" }
            }
        }
    }

    /// The host that leads the first frame.
    private func root() async throws -> Int? {
        guard let id = commands[0].frameID else { return nil }
        return await states().filter { state in
            state.value.frames.contains { $0.id == id && $0.isRoot }
        }.keys.min()
    }

    /// What those daemons say that can answer.
    private func states(without excluded: Int? = nil) async -> [Int: DaemonState] {
        var result: [Int: DaemonState] = [:]
        for index in lab.hosts.indices
        where index != excluded && daemons[index] != nil && !frozen.contains(index) {
            result[index] = try? await lab.hosts[index].status()
        }
        return result
    }

    /// Whether each frame has come to an end: its command's, or, when that has lost its daemon,
    /// a complete film anywhere.
    private mutating func areAllOver() async throws -> Bool {
        for command in commands where !command.isAbandoned {
            guard !command.program.isRunning else { return false }
            guard let ending = command.ending, ending != .exit(0) else { continue }
            guard command.hasLostDaemon, let id = command.frameID else {
                throw WaitedInVain("the command on h\(command.host + 1) ended in \(ending)")
            }
            let isComplete = await states().values.contains { state in
                state.frames.contains { $0.id == id && $0.committed >= 1 }
            }
            guard isComplete else { return false }
        }
        return true
    }

    // MARK: - After the frame

    /// Everything as before.
    private mutating func mend() async throws {
        for index in frozen { daemons[index]?.signal(SIGCONT) }
        frozen = []
        try await network.heal(lab)
        for command in commands where command.isVisitor && !command.hasLostDaemon {
            daemons[command.host] = nil
        }
        for (index, host) in lab.hosts.enumerated() {
            try await host.heal()
            guard daemons[index] == nil else { continue }
            try await restartable(index)
            daemons[index] = try host.launchDaemon()
        }
    }

    private func check() async throws {
        var ended: [String] = []
        for command in commands {
            let result = try await command.program.result()
            if result.ending == .exit(0) {
                try await command.check("\(command.label).json", on: lab.hosts[command.host])
            } else if command.hasLostDaemon, !command.isAbandoned {
                try await command.checkOrphan(result, on: lab.hosts)
            }
            if !command.hasLostDaemon, let id = command.frameID { ended.append(id) }
        }
        for (index, host) in lab.hosts.enumerated() {
            try await eventually(
                "the end of the frames at \(host.name)", within: .seconds(30),
                every: .milliseconds(200)
            ) {
                guard daemons[index]?.isRunning == true else {
                    throw WaitedInVain("the daemon of \(host.name) has ended by itself")
                }
                // A daemon that was just started may not answer yet.
                guard let state = try? await host.status() else { return false }
                return !state.frames.contains { ended.contains($0.id) }
            }
        }
        for host in lab.hosts { try await host.sees(lab.hosts) }
    }
}

/// A `meshd render` of a soak.
struct SoakCommand: Sendable {
    let host: Int
    let frame: LabFrame
    let label: String
    let program: RunningProgram
    /// Whether the daemon that it talked to was killed or sent away.
    var hasLostDaemon = false
    /// Whether it was killed itself.
    var isAbandoned = false
    /// Whether it is the node itself; then that counts as its daemon.
    var isVisitor = false

    /// The frame's id, once it was told.
    var frameID: String? {
        program.errors.firstMatch(of: /(?m)^frame (\S+)$/).map { String($0.1) }
    }

    var ending: ChildProcess.Ending? { program.ending }

    /// The figures on a host are those of the film that one machine makes.
    func check(_ file: String, on host: LabHost) async throws {
        let statistics = try Statistics(contentsOf: "\(host.folder)/\(file)")
        let alone = try await frame.alone()
        guard statistics.complete, statistics.filmHash == alone.filmHash else {
            throw WaitedInVain(
                "\(host.name) has another film (\(file)): \(statistics.filmHash), "
                    + "complete: \(statistics.complete), and alone it is \(alone.filmHash)")
        }
    }

    /// The command has said what to do, and that works on every host.
    func checkOrphan(_ result: ProgramResult, on hosts: [LabHost]) async throws {
        guard let id = frameID,
            isVisitor
                || result.ending == .exit(70)
                    && result.errors.contains("'meshd fetch \(id) -o FILE'")
        else { throw WaitedInVain("who lost its daemon must say how to go on: \(result)") }
        try await withThrowingTaskGroup { group in
            for host in hosts {
                group.addTask {
                    try await eventually(
                        "the film of \(id) at \(host.name)", within: .seconds(60),
                        every: .milliseconds(300)
                    ) {
                        try await host.meshd([
                            "fetch", id, "-o", "\(host.folder)/\(label)-fetched.exr", "--stats",
                            "\(host.folder)/\(label)-fetched.json",
                        ]).ending == .exit(0)
                    }
                    try await check("\(label)-fetched.json", on: host)
                }
            }
            try await group.waitForAll()
        }
    }
}
