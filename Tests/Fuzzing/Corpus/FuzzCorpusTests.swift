// Every file of the corpora, and every input that once broke something, goes through its target
// again. A target that traps ends the test process: then `make fuzz TARGET=name TIME=1` names the
// file, since libFuzzer begins with the corpus.

import Foundation
import Testing

/// The corpora in the source tree: one folder for each target.
enum FuzzCorpora {
    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("FuzzCorpora")

    /// A target's files, sorted by name.
    static func files(of target: FuzzTarget) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appendingPathComponent(target.rawValue), includingPropertiesForKeys: nil
        ).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }
}

@Suite("Fuzz corpora", .serialized)
struct FuzzCorpusTests {
    @Test("No file of a corpus harms its target", arguments: FuzzTarget.allCases)
    func replay(_ target: FuzzTarget) throws {
        let files = try FuzzCorpora.files(of: target)
        #expect(!files.isEmpty, "\(target) has no seeds")
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: file))
            #expect(bytes.count <= target.bytesMax, "the fuzzer would skip \(file.path)")
            let isUnderstood = target.run(bytes)
            // What the fuzzer begins with must lead it through the whole target.
            if file.lastPathComponent.hasPrefix("seed-") { #expect(isUnderstood, "\(file.path)") }
        }
    }

    @Test("Nothing and noise harm no target", arguments: FuzzTarget.allCases)
    func noise(_ target: FuzzTarget) {
        target.run([])
        for length in 1...64 {
            target.run((0..<length).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ length) })
        }
    }

    @Test("Each corpus has a target, and together they stay below 1 MB")
    func size() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: FuzzCorpora.folder.path)
        let names = Set(FuzzTarget.allCases.map(\.rawValue))
        #expect(Set(folders.filter { !$0.hasSuffix(".dict") }) == names)
        var size = 0
        for target in FuzzTarget.allCases {
            for file in try FuzzCorpora.files(of: target) {
                size += try Data(contentsOf: file).count
            }
        }
        #expect(size < 1_000_000)
    }

    /// Writes the seeds that encoders make, over those that are there. Other seeds are by
    /// `Tests/FuzzCorpora`'s own history.
    @Test(
        "Seeds are written on demand",
        .enabled(if: ProcessInfo.processInfo.environment["MESHD_WRITE_SEEDS"] != nil))
    func writeSeeds() throws {
        for (target, name, bytes) in try FuzzSeeds.all() {
            let folder = FuzzCorpora.folder.appendingPathComponent(target.rawValue)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data(bytes).write(to: folder.appendingPathComponent("seed-" + name))
            #expect(bytes.count <= target.bytesMax, "\(target) \(name): \(bytes.count)")
        }
    }
}
