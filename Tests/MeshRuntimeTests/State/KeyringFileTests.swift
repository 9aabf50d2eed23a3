// The keyring on disk.

import Dispatch
import Foundation
import MeshSecurity
import ProgramTesting
import Testing

@testable import MeshRuntime

@Suite("Keyring files")
struct KeyringFileTests {
    @Test("A private mesh is made once, kept, and for its owner only")
    func making() throws {
        let folder = try TemporaryFolder()
        let state = folder.path + "/state"
        #expect(try KeyringFile.load(state: state) == nil)
        let first = try KeyringFile.loadOrMake(state: state)
        let second = try KeyringFile.loadOrMake(state: state)
        #expect(first.isNew && !second.isNew)
        #expect(first.keyring == second.keyring)
        let attributes = try FileManager.default.attributesOfItem(
            atPath: KeyringFile.path(inState: state))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try KeyringFile.remove(state: state))
        #expect(try !KeyringFile.remove(state: state))
        #expect(try KeyringFile.load(state: state) == nil)
    }

    @Test("A key that others may read, and a damaged one, are refused")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let path = KeyringFile.path(inState: folder.path)
        try KeyringFile.save(KeyringFile.newMesh(), state: folder.path)
        #expect(chmod(path, 0o640) == 0)
        let open = #expect(throws: StateError.self) { try KeyringFile.load(state: folder.path) }
        #expect(open?.description.contains("chmod 600") == true)
        try "meshd keyring 1\nkey 5ec2e7\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(chmod(path, 0o600) == 0)
        let damaged = #expect(throws: StateError.self) {
            try KeyringFile.load(state: folder.path)
        }
        #expect(damaged?.description.contains("5ec2e7") == false)
        #expect(throws: StateError.self) { try KeyringFile.loadOrMake(state: folder.path) }
    }
    @Test("What is no file, belongs to another user or is too large holds no key, and that is said")
    func otherFiles() throws {
        let folder = try TemporaryFolder()
        let path = KeyringFile.path(inState: folder.path)
        func reason() -> String? {
            let error = #expect(throws: StateError.self) {
                try KeyringFile.load(state: folder.path)
            }
            return error?.description
        }
        // Nobody writes to it: to open it as a file would wait for ever.
        #expect(mkfifo(path, 0o600) == 0)
        #expect(reason()?.contains("it is no file") == true)
        #expect(unlink(path) == 0 && mkdir(path, 0o700) == 0)
        #expect(reason()?.contains("it is no file") == true)
        #expect(rmdir(path) == 0)

        try KeyringFile.save(KeyringFile.newMesh(), state: folder.path)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.truncate(atOffset: UInt64(KeyringFile.bytesMax) + 1)
        #expect(reason()?.contains("more than \(KeyringFile.bytesMax)") == true)
        try file.truncate(atOffset: UInt64(text.utf8.count))
        #expect(try KeyringFile.load(state: folder.path) != nil)
        // Only root can give a file away.
        if geteuid() == 0 {
            #expect(chown(path, 12_345, 12_345) == 0)
            #expect(reason()?.contains("another user (12345)") == true)
        }
    }

    @Test("Processes that write at once do not mix what they write, and leave nothing behind")
    func writingAtOnce() throws {
        let folder = try TemporaryFolder()
        let rings = (0..<8).map { _ in KeyringFile.newMesh() }
        DispatchQueue.concurrentPerform(iterations: 200) { turn in
            do {
                try KeyringFile.save(rings[turn % rings.count], state: folder.path)
            } catch {
                Issue.record("\(error)")
            }
        }
        let kept = try #require(try KeyringFile.load(state: folder.path))
        #expect(rings.contains(kept))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["mesh-key"])
    }

    @Test("Of changes at once none is lost")
    func changesAtOnce() throws {
        let folder = try TemporaryFolder()
        try KeyringFile.save(KeyringFile.newMesh(), state: folder.path)
        let count = Keyring.formerKeysMax
        DispatchQueue.concurrentPerform(iterations: count) { _ in
            do {
                try KeyringFile.exclusively(state: folder.path) {
                    var ring = try #require(try KeyringFile.load(state: folder.path))
                    try ring.rotate(to: MeshKey())
                    try KeyringFile.save(ring, state: folder.path)
                }
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(try KeyringFile.load(state: folder.path)?.former.count == count)
    }
}
