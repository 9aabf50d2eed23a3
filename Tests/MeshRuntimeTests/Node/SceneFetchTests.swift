// Files between two stores over real streams.

import Foundation
import MeshCore
import MeshNode
import MeshSecurity
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Fetching a scene's files")
@EventLoop
struct SceneFetchTests {
    private static let settings = FrameSettings(
        width: 64, height: 64, samplesPerPixel: 1, maxDepth: 4, seed: 0, cameraName: nil)

    private static func job(_ files: [(name: String, bytes: [UInt8])]) -> FrameJob {
        FrameJob(
            settings: settings, main: files[0].name, environment: nil,
            files: files.map {
                .init(
                    name: $0.name, digest: "\(Digest(hashing: $0.bytes))",
                    sizeBytes: $0.bytes.count)
            })
    }

    /// Peers that answer for files; and what a fetch from them ends with.
    private func fetch(
        _ job: FrameJob, into store: FileStore,
        from answers: [@EventLoop (Digest, StreamConnection) -> Void]
    ) async throws -> (failure: String?, bytes: Int) {
        let peers = try answers.indices.map { try StreamPeer(UInt64($0 + 2)) }
        for (peer, answer) in zip(peers, answers) {
            peer.onOpening = { opening, stream in
                if case .file(let digest) = opening { answer(digest, stream) }
            }
        }
        var results: [String?] = []
        let fetch = SceneFetch(
            job: job, store: store,
            sources: peers.map { PeerReference(participant: $0.identity, address: $0.address) },
            stallLimit: .milliseconds(300),
            connect: { address, _ in
                StreamConnection.connect(
                    to: address, preamble: MeshProtocol.meshPreamble, security: TestMesh.security)
            },
            onFinished: { results.append($0) })
        #expect(await Loop.until { !results.isEmpty })
        await Loop.pause(.milliseconds(5))
        #expect(results.count == 1, "finished more than once")
        for peer in peers { peer.listener.close() }
        return (results.first ?? "never", fetch.bytesReceived)
    }

    @Test("All files arrive, large, small and empty, each once")
    func arrives() async throws {
        var random = RandomNumbers(seed: 1)
        let large = (0..<3_000_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let files: [(String, [UInt8])] = [
            ("a.gltf", [1, 2, 3]), ("large.bin", large), ("empty", []), ("copy", [1, 2, 3]),
        ]
        let (here, there) = (try TemporaryFolder(), try TemporaryFolder())
        let (store, source) = (
            try FileStore(folder: here.path), try FileStore(folder: there.path)
        )
        for (_, bytes) in files { try source.insert(bytes, as: Digest(hashing: bytes)) }
        let result = try await fetch(
            Self.job(files), into: store,
            from: [{ SceneFetch.answer($1, digest: $0, from: source) }])
        #expect(result.failure == nil)
        #expect(result.bytes == large.count + 3)
        for (_, bytes) in files { #expect(store.contents(of: Digest(hashing: bytes)) == bytes) }
    }

    @Test("A source that sends wrong, too many or no bytes is passed over")
    func wrongSources() async throws {
        let bytes = [UInt8]("the file".utf8)
        let (here, there) = (try TemporaryFolder(), try TemporaryFolder())
        let (store, source) = (
            try FileStore(folder: here.path), try FileStore(folder: there.path)
        )
        try source.insert(bytes, as: Digest(hashing: bytes))
        let result = try await fetch(
            Self.job([("a.glb", bytes)]), into: store,
            from: [
                { $1.send(kind: StreamKind.file, payload: [UInt8]("the fi1e".utf8)) },
                { $1.send(kind: StreamKind.file, payload: [UInt8](repeating: 0, count: 9)) },
                { $1.send(kind: StreamKind.file, payload: []) },
                { $1.send(kind: StreamKind.film, payload: bytes) },
                { _, stream in stream.abort() },
                { _, _ in },
                { SceneFetch.answer($1, digest: Digest(hashing: $0.bytes), from: source) },
                { SceneFetch.answer($1, digest: $0, from: source) },
            ])
        #expect(result.failure == nil)
        #expect(store.contents(of: Digest(hashing: bytes)) == bytes)
    }

    @Test("A file that nobody has is named")
    func nobody() async throws {
        let folder = try TemporaryFolder()
        let result = try await fetch(
            Self.job([("rare.glb", [1])]), into: try FileStore(folder: folder.path),
            from: [{ _, stream in stream.abort() }])
        #expect(result.failure?.contains("rare.glb") == true)
    }

    @Test("Whatever a job calls its files, they lie in the store under their hashes")
    func namesThatArePaths() async throws {
        let names = [
            "../../outside", "/tmp/meshd-outside", "a/../../outside", "file:///tmp/meshd-outside",
            "..", ".", "~/outside", "a\0b",
        ]
        let files = names.enumerated().map {
            (name: $1, bytes: [UInt8("x".utf8.first ?? 0), UInt8($0)])
        }
        let (here, there) = (try TemporaryFolder(), try TemporaryFolder())
        let (store, source) = (
            try FileStore(folder: here.path + "/state/files"), try FileStore(folder: there.path)
        )
        for file in files { try source.insert(file.bytes, as: Digest(hashing: file.bytes)) }
        // A node refuses such a job; the fetch does not rely on it.
        #expect(throws: MalformedBytes.self) { try FrameJob(decoding: Self.job(files).encoded()) }
        let result = try await fetch(
            Self.job(files), into: store,
            from: [{ SceneFetch.answer($1, digest: $0, from: source) }])
        #expect(result.failure == nil)
        let stored = try FileManager.default.contentsOfDirectory(atPath: store.folder)
        #expect(Set(stored) == Set(files.map { "\(Digest(hashing: $0.bytes))" }))
        #expect(try FileManager.default.contentsOfDirectory(atPath: here.path) == ["state"])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: here.path + "/state") == ["files"])
        #expect(!FileManager.default.fileExists(atPath: "/tmp/meshd-outside"))
    }

    @Test("A store without room is the reason, and no source is blamed")
    func noRoom() async throws {
        let (here, there) = (try TemporaryFolder(), try TemporaryFolder())
        let store = try FileStore(folder: here.path, budgetBytes: 5)
        let source = try FileStore(folder: there.path)
        try source.insert([1, 2, 3], as: Digest(hashing: [1, 2, 3]))
        try store.insert([4, 5, 6], as: Digest(hashing: [4, 5, 6]))
        let hold = store.hold([Digest(hashing: [4, 5, 6])])
        let result = try await fetch(
            Self.job([("a.glb", [1, 2, 3])]), into: store,
            from: [{ SceneFetch.answer($1, digest: $0, from: source) }])
        #expect(result.failure?.contains("no room") == true)
        hold.release()
        let again = try await fetch(
            Self.job([("a.glb", [1, 2, 3])]), into: store,
            from: [{ SceneFetch.answer($1, digest: $0, from: source) }])
        #expect(again.failure == nil)
        #expect(!store.contains(Digest(hashing: [4, 5, 6])))
    }

    @Test("A store that can't be written is the reason, and no source is blamed")
    func disk() async throws {
        let (here, there) = (try TemporaryFolder(), try TemporaryFolder())
        let store = try FileStore(folder: here.path + "/store")
        let source = try FileStore(folder: there.path)
        try source.insert([5], as: Digest(hashing: [5]))
        try FileManager.default.removeItem(atPath: store.folder)
        var asked = 0
        let result = try await fetch(
            Self.job([("a.glb", [5])]), into: store,
            from: Array(
                repeating: {
                    asked += 1
                    SceneFetch.answer($1, digest: $0, from: source)
                }, count: 2))
        #expect(result.failure?.contains("cannot write") == true)
        #expect(asked == 1)
    }
}

@Suite("Job descriptions from outside")
struct FrameJobTests {
    private static let digest = "\(Digest(hashing: [1]))"

    private static func json(
        _ changes: [String: Any] = [:], file: [String: Any] = [:]
    ) throws -> [UInt8] {
        var object: [String: Any] = [
            "width": 64, "height": 64, "samplesPerPixel": 4, "maxDepth": 4, "seed": 0,
            "main": "a.glb", "rendererVersion": FrameJob.currentRendererVersion,
        ]
        var entry: [String: Any] = ["name": "a.glb", "digest": digest, "sizeBytes": 5]
        entry.merge(file) { $1 }
        object["files"] = [entry]
        object.merge(changes) { $1 }
        return [UInt8](try JSONSerialization.data(withJSONObject: object))
    }

    @Test("What was encoded is decoded")
    func roundTrip() throws {
        let job = try FrameJob(decoding: Self.json())
        #expect(try FrameJob(decoding: job.encoded()) == job)
    }

    @Test(
        "Settings out of bounds are refused",
        arguments: [
            "width", "height", "samplesPerPixel", "maxDepth", "rendererVersion",
        ], [-1, 0, Int.max, Int.min, 1 << 40])
    func settings(key: String, value: Int) throws {
        let bytes = try Self.json([key: value])
        #expect(throws: MalformedBytes.self) { try FrameJob(decoding: bytes) }
    }

    @Test("A noise target makes the frame adaptive, and is refused out of bounds")
    func noiseTarget() throws {
        let version = FrameJob.adaptiveRendererVersion
        let changes: [String: Any] = ["noiseTarget": 0.03, "rendererVersion": version]
        let job = try FrameJob(decoding: Self.json(changes))
        #expect(job.settings.workSpace?.isAdaptive == true)
        #expect(job.settings.noiseTarget == 0.03)
        #expect(try FrameJob(decoding: job.encoded()) == job)
        for target in [0, -0.1, 1.001, 1e9] {
            let bytes = try Self.json(changes.merging(["noiseTarget": target]) { $1 })
            #expect(throws: MalformedBytes.self, "\(target)") { try FrameJob(decoding: bytes) }
        }
        // A program that knows nothing of noise targets refuses the version, and this one any
        // version that does not fit.
        #expect(version != FrameJob.currentRendererVersion)
        #expect(throws: MalformedBytes.self) {
            try FrameJob(decoding: Self.json(["noiseTarget": 0.03]))
        }
        #expect(throws: MalformedBytes.self) {
            try FrameJob(decoding: Self.json(["rendererVersion": version]))
        }
        let plain = try FrameJob(decoding: Self.json())
        #expect(!String(decoding: plain.encoded(), as: UTF8.self).contains("noise"))
    }

    @Test("Lists of files that are none, absurd or do not fit are refused")
    func files() throws {
        let entry: [String: Any] = ["name": "a.glb", "digest": Self.digest, "sizeBytes": 4 << 30]
        let hostile: [[UInt8]] = [
            try Self.json(["files": [Any]()]),
            try Self.json(["main": "b.glb"]),
            try Self.json(file: ["digest": "../../etc/passwd"]),
            try Self.json(file: ["digest": "+" + Self.digest.dropFirst()]),
            try Self.json(["main": "../a.glb"], file: ["name": "../a.glb"]),
            try Self.json(["main": "b/../../a.glb"], file: ["name": "b/../../a.glb"]),
            try Self.json(["main": "/a.glb"], file: ["name": "/a.glb"]),
            try Self.json(["main": "a\u{1b}[2J"], file: ["name": "a\u{1b}[2J"]),
            try Self.json(["main": ""], file: ["name": ""]),
            try Self.json(file: ["sizeBytes": -1]),
            try Self.json(file: ["sizeBytes": Int.max]),
            try Self.json(["files": Array(repeating: entry, count: 5)]),
            try Self.json(["files": Array(repeating: entry, count: 5_000)]),
            try Self.json(["width": 1.5]),
            try Self.json(["width": "64"]),
            [], [0], [UInt8]("null".utf8), [UInt8]("{}".utf8),
            [UInt8](repeating: UInt8(ascii: "["), count: 100_000),
            [UInt8](repeating: UInt8(ascii: " "), count: FrameJob.encodedBytesMax + 1),
        ]
        for bytes in hostile {
            let start = String(decoding: bytes.prefix(300), as: UTF8.self)
            #expect(throws: MalformedBytes.self, "\(start)") { try FrameJob(decoding: bytes) }
        }
    }
}
