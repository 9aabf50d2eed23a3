// The file store as a guest on somebody's disk: a budget, what goes first, what stays, and a disk
// that is full.

import Dispatch
import Foundation
import Glibc
import MeshCore
import MeshSecurity
import Synchronization
import Testing

@testable import MeshRuntime

@Suite("The file store's budget")
struct FileStoreBudgetTests {
    /// Different bytes for each number.
    private static func file(_ number: Int, size: Int = 1_000) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number &* 7 &+ $0 >> 8) }
    }

    private static func digest(_ number: Int, size: Int = 1_000) -> Digest {
        Digest(hashing: file(number, size: size))
    }

    private static func insert(_ numbers: Int..., into store: FileStore) throws {
        for number in numbers { try store.insert(file(number), as: digest(number)) }
    }

    /// Which of the files 0 … 9 are there.
    private static func present(in store: FileStore) -> [Int] {
        (0..<10).filter { store.contains(digest($0)) }
    }

    /// Gives a file of the folder another time of use, seconds since 1970.
    private static func age(_ number: Int, in folder: String, to seconds: Int) {
        let time = timespec(tv_sec: seconds, tv_nsec: 0)
        #expect(utimensat(AT_FDCWD, "\(folder)/\(digest(number))", [time, time], 0) == 0)
    }

    @Test("Files that fill the budget to the byte stay; one byte more costs the oldest")
    func exact() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 3_000)
        try Self.insert(0, 1, 2, into: store)
        #expect(store.usedBytes == 3_000)
        #expect(Self.present(in: store) == [0, 1, 2])
        try store.insert([7], as: Digest(hashing: [7]))
        #expect(Self.present(in: store) == [1, 2])
        #expect(store.usedBytes == 2_001)
    }

    @Test("Reading a file, giving it to a peer and putting it in again are uses of it")
    func uses() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 4_000)
        try Self.insert(0, 1, 2, 3, into: store)
        #expect(store.contents(of: Self.digest(0)) != nil)
        #expect(store.open(Self.digest(1)) != nil)
        try Self.insert(2, into: store)
        // To ask whether a file is there is none.
        #expect(store.contains(Self.digest(3)))
        try Self.insert(4, into: store)
        #expect(Self.present(in: store) == [0, 1, 2, 4])
        try Self.insert(5, into: store)
        #expect(Self.present(in: store) == [1, 2, 4, 5])
    }

    @Test("Files of a frame in progress stay, those that come later as well")
    func held() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 3_000)
        let hold = store.hold([Self.digest(0), Self.digest(5)])
        let second = store.hold([Self.digest(0)])
        try Self.insert(0, 1, 5, 2, into: store)
        #expect(Self.present(in: store) == [0, 2, 5])
        hold.add(Self.digest(2))
        // Nothing goes in vain.
        let error = #expect(throws: FileStoreError.self) { try Self.insert(3, into: store) }
        #expect(error?.description.contains("no room") == true)
        #expect(Self.present(in: store) == [0, 2, 5])
        #expect(store.usedBytes == 3_000)
        hold.release()
        hold.release()
        try Self.insert(3, 4, into: store)
        #expect(Self.present(in: store) == [0, 3, 4], "somebody else still wants 0")
        second.release()
        try Self.insert(6, into: store)
        #expect(Self.present(in: store) == [3, 4, 6])
    }

    @Test("A hold that nobody has any more holds nothing")
    func droppedHold() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 1_000)
        do {
            let hold = store.hold([Self.digest(0)])
            try Self.insert(0, into: store)
            #expect(throws: FileStoreError.self) { try Self.insert(1, into: store) }
            withExtendedLifetime(hold) {}
        }
        try Self.insert(1, into: store)
        #expect(Self.present(in: store) == [1])
    }

    @Test("A file larger than the budget stays out, and costs nothing")
    func tooLarge() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 2_500)
        try Self.insert(0, 1, into: store)
        let large = Self.file(2, size: 2_501)
        #expect(throws: FileStoreError.self) { try store.insert(large, as: Digest(hashing: large)) }
        #expect(Self.present(in: store) == [0, 1])
        let fitting = Self.file(2, size: 2_500)
        try store.insert(fitting, as: Digest(hashing: fitting))
        #expect(Self.present(in: store) == [])
        #expect(store.usedBytes == 2_500)
    }

    @Test("The order of use outlives the process, and a smaller budget is kept from the start")
    func restart() throws {
        let folder = try TemporaryFolder()
        let first = try FileStore(folder: folder.path, budgetBytes: 5_000)
        try Self.insert(0, 1, 2, 3, 4, into: first)
        _ = first.contents(of: Self.digest(1))
        // Nothing is written at the end of a process, so a kill changes nothing.
        let second = try FileStore(folder: folder.path, budgetBytes: 3_000)
        #expect(Self.present(in: second) == [1, 3, 4])
        #expect(second.usedBytes == 3_000)
        try Self.insert(5, into: second)
        #expect(Self.present(in: second) == [1, 4, 5])
    }

    @Test("A clock that went back does not make what is used now the oldest")
    func clock() throws {
        let folder = try TemporaryFolder()
        let before = try FileStore(folder: folder.path, budgetBytes: 3_000)
        try Self.insert(0, 1, into: before)
        let future = Int(Date().timeIntervalSince1970) + 1_000_000
        Self.age(0, in: folder.path, to: future)
        Self.age(1, in: folder.path, to: future + 1)
        let store = try FileStore(folder: folder.path, budgetBytes: 3_000)
        try Self.insert(2, 3, into: store)
        #expect(Self.present(in: store) == [1, 2, 3])
        let again = try FileStore(folder: folder.path, budgetBytes: 2_000)
        #expect(Self.present(in: again) == [2, 3])
    }

    @Test("A file that somebody removed meanwhile counts no longer")
    func removed() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 2_000)
        try Self.insert(0, 1, into: store)
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(Self.digest(1))")
        #expect(!store.contains(Self.digest(1)))
        #expect(store.usedBytes == 1_000)
        try Self.insert(2, into: store)
        #expect(Self.present(in: store) == [0, 2])
    }

    @Test("Many threads write and read beyond the budget: what is read is whole, or absent")
    func concurrent() throws {
        let folder = try TemporaryFolder()
        let store = try FileStore(folder: folder.path, budgetBytes: 100_000)
        let faults = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 1_000) { turn in
            let number = turn % 150
            do {
                try store.insert(Self.file(number), as: Self.digest(number))
            } catch {
                faults.withLock { $0.append("\(number): \(error)") }
            }
            let other = (turn * 7) % 150
            if let bytes = store.contents(of: Self.digest(other)), bytes != Self.file(other) {
                faults.withLock { $0.append("\(other) is not what it was") }
            }
            let used = store.usedBytes
            // What is being written counts before it is there, never after it is gone.
            if used > 100_000 { faults.withLock { $0.append("\(used) bytes") } }
        }
        #expect(faults.withLock { $0 } == [])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names.count == store.usedBytes / 1_000)
        #expect(names.allSatisfy { Digest(hexadecimal: $0) != nil }, "\(names)")
    }

    @Test("Without being told, a store takes 20 GiB or a tenth of the disk, whichever is less")
    func standard() throws {
        let folder = try TemporaryFolder()
        let disk = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
        let size = try #require(disk[.systemSize] as? NSNumber).int64Value
        let expected = min(20 << 30, Int(size) / 10)
        let budget = try FileStore(folder: folder.path).budgetBytes
        #expect(abs(budget - expected) <= 1 << 20, "\(budget), not \(expected)")
        #expect(FileStore.defaultBudget(folder: "/nowhere") == 20 << 30)
    }

    @Test(
        "On a full disk the reason is told and nothing half is left; what is not in use makes room",
        .enabled(if: geteuid() == 0, "needs root, to mount a small disk"))
    func fullDisk() throws {
        let folder = try TemporaryFolder()
        guard mount("none", folder.path, "tmpfs", 0, "size=256k") == 0 else {
            // A container may be root and mount nothing all the same.
            return
        }
        defer { umount2(folder.path, Int32(MNT_DETACH)) }
        let store = try FileStore(folder: folder.path + "/files", budgetBytes: 1 << 30)
        let size = 150_000
        func insert(_ number: Int) throws {
            try store.insert(Self.file(number, size: size), as: Self.digest(number, size: size))
        }
        let hold = store.hold([Self.digest(0, size: size)])
        try insert(0)
        let error = #expect(throws: FileStoreError.self) { try insert(1) }
        #expect(error?.description.contains("No space left on device") == true)
        let names = { try FileManager.default.contentsOfDirectory(atPath: store.folder) }
        #expect(try names() == ["\(Self.digest(0, size: size))"])
        #expect(store.contents(of: Self.digest(0, size: size)) == Self.file(0, size: size))
        #expect(store.usedBytes == size)
        hold.release()
        try insert(1)
        #expect(try names() == ["\(Self.digest(1, size: size))"])
        #expect(store.contents(of: Self.digest(1, size: size)) == Self.file(1, size: size))
    }

    @Test("A digest is a name in the folder, whatever its bytes spell")
    func paths() throws {
        let folder = try TemporaryFolder()
        try folder.write("secret", to: "secret")
        let store = try FileStore(folder: folder.path + "/files")
        let hostile = ["../secret", "/etc/passwd", "..", ".new-1", "\0", "*"]
        for text in hostile {
            let bytes = Array(Array(text.utf8) + [UInt8](repeating: 0x2f, count: 32)).prefix(32)
            let digest = try #require(Digest(bytes: Array(bytes)))
            let name = store.path(of: digest).dropFirst(store.folder.count + 1)
            #expect(name.utf8.count == 64 && name.allSatisfy(\.isHexDigit), "\(name)")
            #expect(store.open(digest) == nil && store.contents(of: digest) == nil)
            #expect(throws: FileStoreError.self) { try store.insert([1], as: digest) }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder) == [])
        // A link in the folder is no file of the store.
        let digest = Self.digest(0)
        symlink(folder.path + "/secret", store.path(of: digest))
        #expect(!store.contains(digest))
        try Self.insert(0, into: store)
        #expect(store.contents(of: digest) == Self.file(0))
        #expect(
            FileManager.default.contents(atPath: folder.path + "/secret") == Data("secret".utf8))
    }
}
