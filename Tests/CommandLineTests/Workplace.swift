// A folder for one test: scenes, pictures, the state of its node; gone with the test, and with it
// every program that still runs there.

import Foundation
import ProgramTesting
import Synchronization

/// A temporary folder in which the program runs.
final class Workplace: Sendable {
    let folder: String
    private let children = Mutex<[ChildProcess]>([])

    init() throws {
        folder = NSTemporaryDirectory() + "meshd-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder + "/output", withIntermediateDirectories: true)
        try write(SceneFixture.room(), to: "room.glb")
    }

    deinit {
        for child in children.withLock({ $0 }) { child.signal(SIGKILL) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func write(_ data: Data, to name: String) throws {
        try data.write(to: URL(fileURLWithPath: path(name)))
    }

    func contents(of name: String) -> Data? { FileManager.default.contents(atPath: path(name)) }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    /// Starts the program in the folder, with a state folder that no other test uses.
    func start(_ arguments: [String]) throws -> RunningProgram {
        let program = try RunningProgram(
            [Meshd.path] + arguments,
            environment: ["MESHD_STATE": path("state"), "HOME": folder],
            folder: path("output"), directory: folder, keeping: self)
        children.withLock { $0.append(program.child) }
        return program
    }

    /// Runs the program to its end.
    func meshd(
        _ arguments: [String], within limit: Duration = .seconds(60)
    ) async throws -> ProgramResult {
        try await start(arguments).result(within: limit)
    }
}

/// Bytes of a PNG.
enum PNG {
    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    /// A file of these dimensions that ends after its header.
    static func header(width: UInt32, height: UInt32) -> Data {
        let size = [width, height].flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }
        }
        let chunk = Array("IHDR".utf8) + size + [8, 6, 0, 0, 0]
        var crc: UInt32 = .max
        for byte in chunk {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
        }
        crc = ~crc
        let check = (0..<4).map { UInt8(truncatingIfNeeded: crc >> UInt32(24 - 8 * $0)) }
        return Data(signature + [0, 0, 0, 13] + chunk + check)
    }

    /// Whether a file has a begin and an end; half a file has none.
    static func isWhole(_ data: Data) -> Bool {
        data.starts(with: signature) && data.suffix(8).starts(with: Array("IEND".utf8))
    }

    /// Width and height in pixels, of a file that is whole.
    static func size(of data: Data) -> [Int] {
        let bytes = [UInt8](data)
        return [16, 20].map { at in
            bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
        }
    }
}
