// What nobody outside of a mesh may learn, and the search for it in what somebody has seen.

import Foundation
import ProgramTesting

/// Secrets, each with a name that may be told.
struct Secrets {
    /// The bytes that a search compares first; no secret is shorter.
    private static let beginBytes = 8
    /// The pieces of a file that are looked for.
    private static let windowBytes = 16

    private struct Secret {
        let name: String
        let bytes: [UInt8]
    }

    private var secrets: [UInt64: [Secret]] = [:]
    /// A bit for each hash of a secret's begin.
    private var begins = [Bool](repeating: false, count: 1 << 16)
    private(set) var names: Set<String> = []

    /// Adds a secret; several may have one name.
    mutating func add(_ name: String, _ bytes: [UInt8]) {
        precondition(bytes.count >= Self.beginBytes, "\(name) could be anywhere by chance")
        let begin = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        secrets[begin, default: []].append(Secret(name: name, bytes: bytes))
        begins[Self.hash(begin)] = true
        names.insert(name)
    }

    mutating func add(_ name: String, _ text: String) { add(name, Array(text.utf8)) }

    /// Adds each run of 16 bytes of a file, but those of few values, as zeros or ones in a row of
    /// numbers: they are on every wire.
    mutating func add(_ name: String, fileOf data: Data) {
        let bytes = [UInt8](data)
        for start in 0...(bytes.count - Self.windowBytes) {
            let window = Array(bytes[start..<start + Self.windowBytes])
            if Set(window).count > Self.windowBytes / 2 { add(name, window) }
        }
    }

    private static func hash(_ begin: UInt64) -> Int {
        Int((begin &* 0x9E37_79B9_7F4A_7C15) >> 48)
    }

    /// The names of the secrets that are in some bytes.
    func found(in data: Data) -> Set<String> {
        var found: Set<String> = []
        data.withUnsafeBytes { bytes in
            guard bytes.count >= Self.beginBytes else { return }
            for place in 0...(bytes.count - Self.beginBytes) {
                let begin = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                guard begins[Self.hash(begin)], let candidates = secrets[begin] else { continue }
                for secret in candidates where bytes[place...].starts(with: secret.bytes) {
                    found.insert(secret.name)
                }
            }
        }
        return found
    }

    /// The names of the secrets that are in the files of a folder.
    func found(inFolder folder: String) throws -> Set<String> {
        let files = FileManager.default
        return try files.subpathsOfDirectory(atPath: folder).reduce(into: []) { found, path in
            found.formUnion(self.found(in: files.contents(atPath: "\(folder)/\(path)") ?? Data()))
        }
    }
}

/// What a program of `tools/lab-wire.py` has done.
struct WireReport {
    let counts: [String: Int]

    /// Ends the program, and reads what it says.
    init(ending program: RunningProgram) async throws {
        program.signal(SIGTERM)
        let result = try await program.result(within: .seconds(20))
        let line = result.output.split(separator: "\n").last ?? ""
        do {
            counts = try JSONDecoder().decode([String: Int].self, from: Data(line.utf8))
        } catch {
            throw WaitedInVain("no report: \(result)")
        }
    }
}
