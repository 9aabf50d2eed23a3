// Making a mesh, joining and leaving it, as a user does.

import Foundation
import ProgramTesting
import Testing

@Suite(
    "Membership", .enabled(if: Meshd.absence == nil, Comment(rawValue: Meshd.absence ?? "")),
    .timeLimit(.minutes(2 * Meshd.patience)))
struct MembershipTests {
    /// Runs the program for one of several machines.
    private func meshd(
        _ arguments: [String], on machine: String, in place: Workplace
    ) async throws -> ProgramResult {
        try await place.meshd(arguments + ["--state", place.path(machine)])
    }

    private func madeMesh(on machine: String, in place: Workplace) async throws -> String {
        let made = try await meshd(["init"], on: machine, in: place)
        try #require(made.ending == .exit(0), "\(made)")
        return made.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test("A code is printed, shown again, kept for its owner, and not replaced by accident")
    func making() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        #expect(code.wholeMatch(of: /([0-9A-HJKMNP-TV-Z]{6}-){10}[0-9A-HJKMNP-TV-Z]{6}/) != nil)
        let shown = try await meshd(["key", "show"], on: "a", in: place)
        #expect(shown.output == code + "\n")
        let attributes = try FileManager.default.attributesOfItem(
            atPath: place.path("a/mesh-key"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)

        let again = try await meshd(["init"], on: "a", in: place)
        #expect(again.ending == .exit(70) && again.errors.contains("--force"), "\(again)")
        #expect(again.output.isEmpty)
        let forced = try await meshd(["init", "--force"], on: "a", in: place)
        #expect(forced.ending == .exit(0) && forced.output != code + "\n", "\(forced)")
    }

    @Test("On a terminal a code is shown as a QR code as well")
    func picture() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        // `script` (util-linux) gives the program a terminal.
        let shown = try await run(
            [
                "/usr/bin/script", "-qec", "\(Meshd.path) key show --state \(place.path("a"))",
                "/dev/null",
            ], environment: ["TERM": "xterm"], folder: place.path("output"),
            directory: place.folder)
        #expect(shown.ending == .exit(0) && shown.output.contains(code), "\(shown)")
        let rows = shown.output.split(whereSeparator: \.isNewline).filter {
            $0.contains("[30;107m")
        }
        .map { row in
            Array(row.filter { " ▀▄█".contains($0) })
        }
        // Two rows of modules a line.
        var modules: [[Bool]] = []
        for row in rows {
            modules.append(row.map { $0 == "▀" || $0 == "█" })
            modules.append(row.map { $0 == "▄" || $0 == "█" })
        }
        let width = try #require(modules.first?.count) - 8
        // Version 1 has 21 modules a side, each next one four more.
        #expect(width >= 21 && (width - 21) % 4 == 0 && modules.count >= width + 8)
        for (top, left) in [(4, 4), (4, width + 4 - 7), (width + 4 - 7, 4)] {
            // A finder pattern: a dark square in a light ring in a dark ring.
            for row in 0..<7 {
                for column in 0..<7 {
                    let ring = max(abs(row - 3), abs(column - 3))
                    #expect(modules[top + row][left + column] == (ring != 2))
                }
            }
        }
        // What is no terminal gets none.
        let plain = try await meshd(["key", "show"], on: "a", in: place)
        #expect(plain.output == code + "\n" && plain.errors.isEmpty)
    }

    @Test("A code is taken from the command line, a file and standard input, and forgotten again")
    func joining() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        try place.write(Data((code.lowercased() + "\n").utf8), to: "note")
        let ways: [(machine: String, arguments: [String])] = [
            ("b", [code]), ("c", ["--file", place.path("note")]),
        ]
        for way in ways {
            let joined = try await meshd(["join"] + way.arguments, on: way.machine, in: place)
            #expect(joined.ending == .exit(0), "\(joined)")
        }
        let piped = try await run(
            ["/bin/sh", "-c", "\(Meshd.path) join - --state \(place.path("d")) <note"],
            folder: place.path("output"), directory: place.folder)
        #expect(piped.ending == .exit(0), "\(piped)")
        for machine in ["b", "c", "d"] {
            let shown = try await meshd(["key", "show"], on: machine, in: place)
            #expect(shown.output == code + "\n")
        }
        #expect(try await meshd(["leave"], on: "b", in: place).ending == .exit(0))
        let gone = try await meshd(["key", "show"], on: "b", in: place)
        #expect(gone.ending == .exit(69) && gone.errors.contains("meshd join"), "\(gone)")
        #expect(try await meshd(["leave"], on: "b", in: place).ending == .exit(69))
    }

    @Test("A mistyped code is told from what is none")
    func mistyping() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        var letters = Array(code)
        letters[15] = letters[15] == "7" ? "8" : "7"
        let mistyped = try await meshd(["join", String(letters)], on: "b", in: place)
        #expect(mistyped.ending == .exit(64), "\(mistyped)")
        #expect(mistyped.errors.contains("group 3"), "\(mistyped)")
        let nonsense = try await meshd(["join", "192.168.1.7:4874"], on: "b", in: place)
        #expect(nonsense.ending == .exit(64), "\(nonsense)")
        #expect(nonsense.errors.contains("no join code"), "\(nonsense)")
        #expect(!place.exists("b/mesh-key"))
    }

    @Test("A running daemon goes over to the mesh that its machine joins, and out of it again")
    func running() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        let first = try await start("a", in: place, peer: nil)
        let status = try await meshd(["status", "--json"], on: "a", in: place)
        let state = try JSONDecoder().decode(DaemonState.self, from: Data(status.output.utf8))
        let second = try await start("b", in: place, peer: state.address)
        try await eventually("the private mesh's line", within: .seconds(10)) {
            second.errors.contains("meshd key show") && second.errors.contains("does not talk")
        }
        #expect(try await alive("a", in: place) == ["a"])
        #expect(try await alive("b", in: place) == ["b"])

        let joined = try await meshd(["join", code], on: "b", in: place)
        #expect(joined.ending == .exit(0), "\(joined)")
        for machine in ["a", "b"] {
            try await eventually("\(machine) sees both", within: .seconds(20)) {
                try await alive(machine, in: place) == ["a", "b"]
            }
        }
        #expect(try await meshd(["leave"], on: "b", in: place).ending == .exit(0))
        try await eventually("a is alone again", within: .seconds(20)) {
            try await alive("a", in: place) == ["a"]
        }
        #expect(first.isRunning && second.isRunning)
    }

    @Test("Without a daemon a key is changed at once, an old one revoked only by force")
    func rotationAlone() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        #expect(try await meshd(["join", code], on: "b", in: place).ending == .exit(0))
        let early = try await meshd(["key", "revoke-old", "--force"], on: "b", in: place)
        #expect(early.ending == .exit(70) && early.errors.contains("no old key"), "\(early)")
        let rotated = try await meshd(["key", "rotate"], on: "b", in: place)
        #expect(rotated.ending == .exit(0) && rotated.output != code + "\n", "\(rotated)")
        let asked = try await meshd(["key", "revoke-old"], on: "b", in: place)
        #expect(asked.ending == .exit(70) && asked.errors.contains("--force"), "\(asked)")
        #expect(asked.errors.contains("no daemon runs here"), "\(asked)")
        let former = try await meshd(["join", code], on: "b", in: place)
        #expect(former.ending == .exit(0) && former.errors.contains("former code"), "\(former)")
        let forced = try await meshd(["key", "revoke-old", "--force"], on: "b", in: place)
        #expect(forced.ending == .exit(0), "\(forced)")
        let gone = try await meshd(["join", code], on: "b", in: place)
        #expect(gone.ending == .exit(64) && gone.errors.contains("revoked"), "\(gone)")
        #expect(
            try await meshd(["key", "show"], on: "b", in: place).output == rotated.output)
    }

    @Test("A rotation reaches all daemons, they render on, and who was off must join anew")
    func rotation() async throws {
        let place = try Workplace()
        let code = try await madeMesh(on: "a", in: place)
        for machine in ["b", "c", "d"] {
            #expect(try await meshd(["join", code], on: machine, in: place).ending == .exit(0))
        }
        let first = try await start("a", in: place, peer: nil)
        let status = try await meshd(["status", "--json"], on: "a", in: place)
        let peer = try JSONDecoder().decode(DaemonState.self, from: Data(status.output.utf8))
            .address
        let others = [
            try await start("b", in: place, peer: peer),
            try await start("c", in: place, peer: peer),
        ]
        let daemons = ["a", "b", "c"]
        for machine in daemons {
            try await eventually("\(machine) sees all", within: .seconds(20)) {
                try await alive(machine, in: place) == daemons
            }
        }

        let rotated = try await meshd(["key", "rotate"], on: "b", in: place)
        #expect(rotated.ending == .exit(0) && rotated.output != code + "\n", "\(rotated)")
        for machine in daemons {
            try await eventually("\(machine) has the new key", within: .seconds(20)) {
                try await meshd(["key", "show"], on: machine, in: place).output == rotated.output
            }
        }
        let attributes = try FileManager.default.attributesOfItem(
            atPath: place.path("c/mesh-key"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let rendered = try await meshd(
            [
                "render", place.path("room.glb"), "--size", "64x64", "--spp", "16",
                "-o", place.path("room.png"),
            ], on: "c", in: place)
        #expect(rendered.ending == .exit(0), "\(rendered)")
        #expect(place.exists("room.png"))

        try await eventually("all have shown the new key", within: .seconds(20)) {
            try await meshd(["key", "revoke-old"], on: "a", in: place).ending == .exit(0)
        }
        for machine in daemons {
            try await eventually("\(machine) has revoked the old key", within: .seconds(20)) {
                try String(contentsOfFile: place.path("\(machine)/mesh-key"), encoding: .utf8)
                    .contains("revoked ")
            }
            #expect(try await alive(machine, in: place) == daemons)
        }
        let late = try await start("d", in: place, peer: peer)
        try await eventually("the line to who was off", within: .seconds(20)) {
            late.errors.contains("join anew") && first.errors.contains("must join anew")
        }
        #expect(try await alive("d", in: place) == ["d"])
        let again = try await meshd(["join", code], on: "a", in: place)
        #expect(again.ending == .exit(64) && again.errors.contains("revoked"), "\(again)")
        let code2 = rotated.output.trimmingCharacters(in: .newlines)
        #expect(try await meshd(["join", code2], on: "d", in: place).ending == .exit(0))
        try await eventually("all four", within: .seconds(20)) {
            try await alive("d", in: place) == ["a", "b", "c", "d"]
        }
        #expect(others.allSatisfy(\.isRunning) && late.isRunning)
    }

    private func start(
        _ name: String, in place: Workplace, peer: String?
    ) async throws -> RunningProgram {
        let daemon = try place.start(
            ["up", "--name", name, "--listen", "127.0.0.1:0", "--no-mdns", "--threads", "1"]
                + ["--state", place.path(name)] + (peer.map { ["--peer", $0] } ?? []))
        try await eventually("the daemon \(name)", within: .seconds(20)) {
            try #require(daemon.isRunning, "\(daemon)")
            return try await meshd(["status"], on: name, in: place).ending == .exit(0)
        }
        return daemon
    }

    /// The names of the members that a machine's daemon lists as alive; none while it starts anew.
    private func alive(_ machine: String, in place: Workplace) async throws -> [String] {
        let listed = try await meshd(["nodes", "--json"], on: machine, in: place)
        guard listed.ending == .exit(0) else { return [] }
        let nodes = try JSONDecoder().decode([ListedNode].self, from: Data(listed.output.utf8))
        return nodes.filter { $0.status == "alive" }.map(\.name).sorted()
    }
}
