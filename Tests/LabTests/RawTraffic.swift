// What no node would send: bytes without meaning at a node's ports, and connections that say
// nothing or stop in the middle.

import Foundation
import ProgramTesting

/// Garbage from one host to another's ports.
enum RawTraffic {
    /// At least this many of ``pester(_:from:)``'s datagrams and connections are no messages.
    static let countedMin = payloads.count

    /// From nothing to the largest datagram, and texts of other protocols.
    private static let payloads: [(name: String, bytes: [UInt8])] = {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func noise(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
        }
        return [
            ("one", [0]),
            ("zeros", [UInt8](repeating: 0, count: 64)),
            ("ones", [UInt8](repeating: 0xFF, count: 1_200)),
            ("noise", noise(512)),
            ("large", noise(60_000)),
            ("http", Array("GET / HTTP/1.1\r\nHost: mesh\r\n\r\n".utf8)),
            ("tls", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03] + noise(507)),
        ]
    }()

    /// Sends every kind of garbage to both ports of a host, ten of each to UDP, and leaves
    /// connections open that say nothing or half a thing.
    /// - Returns: what holds the open connections.
    static func pester(_ victim: LabHost, from host: LabHost) async throws -> [RunningProgram] {
        let place = "\(victim.address)/\(LabHost.meshPort)"
        for payload in payloads {
            let path = "\(host.folder)/garbage-\(payload.name)"
            try Data(payload.bytes).write(to: URL(fileURLWithPath: path))
            let sent = try await host.spawn([
                "/bin/bash", "-c",
                """
                for turn in 1 2 3 4 5 6 7 8 9 10; do cat "\(path)" >/dev/udp/\(place); done
                cat "\(path)" >/dev/tcp/\(place)
                exit 0
                """,
            ]).result(within: .seconds(20))
            guard sent.ending == .exit(0) else { throw WaitedInVain("garbage not sent: \(sent)") }
        }
        return try [
            "exec 3<>/dev/tcp/\(place); exec sleep 600",
            "exec 3<>/dev/tcp/\(place); printf 'm' >&3; exec sleep 600",
        ].map { try host.spawn(["/bin/bash", "-c", $0]) }
    }
}
