// What is kept on disk: the node's identity, and files by their hash.

import Dispatch
import Foundation
import MeshCore
import MeshSecurity
import Synchronization
import Testing

@testable import MeshRuntime

/// A folder of one test's own.
final class TemporaryFolder: Sendable {
    let path = FileManager.default.temporaryDirectory.path + "/meshd-test-\(UUID().uuidString)"
    init() throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
    }
}

@Suite("The state folder")
struct StateFolderTests {
    @Test("Each start is a new participant of the same node")
    func starts() throws {
        let folder = try TemporaryFolder()
        let first = try StateFolder(path: folder.path).identity
        let second = try StateFolder(path: folder.path).identity
        #expect(first.node == second.node)
        #expect(second.boot == first.boot + 1)
    }

    @Test("A folder that is in use is refused, and says what to do")
    func locked() throws {
        let folder = try TemporaryFolder()
        let holder = try StateFolder(path: folder.path)
        let error = #expect(throws: StateError.self) { try StateFolder(path: folder.path) }
        #expect(error?.description.contains("--state") == true)
        #expect(holder.path == folder.path)
    }

    @Test(
        "A node that can't tell how often it was started is a new node",
        arguments: ["", "-1", "x", "18446744073709551615", "99999999999999999999"])
    func damagedCount(text: String) throws {
        let folder = try TemporaryFolder()
        let first = try StateFolder(path: folder.path).identity
        try folder.write(text, to: "boot")
        let second = try StateFolder(path: folder.path).identity
        #expect(first.node != second.node)
        #expect(second.boot == 1)
        #expect(try StateFolder(path: folder.path).identity.boot == 2)
    }

    @Test("A damaged name gives a new one", arguments: ["", "+00000000000000f", "zz"])
    func damagedName(text: String) throws {
        let folder = try TemporaryFolder()
        _ = try StateFolder(path: folder.path)
        try folder.write(text, to: "node-key")
        let identity = try StateFolder(path: folder.path).identity
        #expect(identity.boot == 1)
        #expect(try StateFolder(path: folder.path).identity.node == identity.node)
    }

    @Test("A folder that can't be made is an error with its path")
    func impossible() throws {
        let folder = try TemporaryFolder()
        try folder.write("", to: "file")
        let error = #expect(throws: StateError.self) {
            try StateFolder(path: folder.path + "/file/state")
        }
        #expect(error?.description.contains(folder.path) == true)
    }

    @Test("Peers are remembered; lines that are no addresses are skipped")
    func peers() throws {
        let folder = try TemporaryFolder()
        let state = try StateFolder(path: folder.path)
        let peers = (1...70).map { NodeAddress(10, 0, 0, UInt8($0), port: 4_874) }
        state.remember(peers)
        #expect(state.rememberedPeers == Array(peers.prefix(64)))
        try folder.write("nonsense\n10.0.0.9:99999\n\(peers[3])\n", to: "peers")
        #expect(state.rememberedPeers == [peers[3]])
    }
}

@Suite("The file store")
struct FileStoreTests {
    private let bytes = [UInt8]("some file".utf8)

    @Test("What was put in comes out")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path)
        let digest = Digest(hashing: bytes)
        #expect(!store.contains(digest))
        #expect(store.contents(of: digest) == nil)
        try store.insert(bytes, as: digest)
        #expect(store.contains(digest))
        #expect(store.contents(of: digest) == bytes)
    }

    @Test("Bytes of another hash stay out")
    func wrongHash() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path)
        let digest = Digest(hashing: [1])
        let error = #expect(throws: FileStoreError.self) {
            try store.insert(bytes, as: digest)
        }
        guard case .wrongHash(digest) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!store.contains(digest))
    }

    @Test("Many threads may put the same file in at once")
    func concurrent() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path)
        let large = [UInt8](repeating: 7, count: 1 << 20)
        let digest = Digest(hashing: large)
        let right = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            let isStored = (try? store.insert(large, as: digest)) != nil
            if isStored, store.contents(of: digest) == large { right.withLock { $0 += 1 } }
        }
        #expect(right.withLock { $0 } == 16)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names == ["\(digest)"])
    }

    @Test("What a killed process left half written is removed, whole files stay")
    func leftovers() throws {
        let folder = try TemporaryFolder()
        let digest = Digest(hashing: bytes)
        try FileStore(folder: folder.path).insert(bytes, as: digest)
        try folder.write("half", to: ".dat.nosync1234")
        let store = try FileStore(folder: folder.path)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names == ["\(digest)"])
        #expect(store.contains(digest))
    }

    @Test("A file that the disk has damaged is gone after it was read, to be fetched again")
    func damaged() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path)
        let digest = Digest(hashing: bytes)
        try store.insert(bytes, as: digest)
        try folder.write("some fil3", to: "\(digest)")
        #expect(store.contents(of: digest) == nil)
        #expect(!store.contains(digest))
    }

    @Test("A folder that is a file is an error with its path")
    func disk() throws {
        let folder = try TemporaryFolder()
        try folder.write("", to: "file")
        let error = #expect(throws: FileStoreError.self) {
            try FileStore(folder: folder.path + "/file")
        }
        #expect(error?.description.contains(folder.path) == true)
    }

    @Test("A digest is read from its own description only")
    func hexadecimal() {
        let digest = Digest(hashing: [])
        let text = "\(digest)"
        #expect(text == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest(hexadecimal: text) == digest)
        for wrong in [text.uppercased(), "+f" + text.dropFirst(2), text + "0", "", "é" + text] {
            #expect(Digest(hexadecimal: wrong) == nil, "\(wrong)")
        }
    }
}
