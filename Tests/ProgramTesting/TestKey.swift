// The mesh that the nodes of a test are in: each has the key in its state folder before it starts,
// as `meshd join` would have put it there.

import Foundation
import Glibc

/// The key of a mesh of a test's nodes.
public struct TestKey: Sendable {
    /// 64 hexadecimal digits.
    private let key: String

    /// The one that tests use unless they need several.
    public static let shared = TestKey()

    public init() {
        key = (0..<64).map { _ in String(Int.random(in: 0..<16), radix: 16) }.joined()
    }

    /// Puts the node of a state folder into the mesh.
    public func admit(state: String) throws {
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let file = "meshd keyring 1\ncreated for a test\nkey \(key)\n"
        let path = state + "/mesh-key"
        try file.write(toFile: path, atomically: true, encoding: .utf8)
        guard chmod(path, 0o600) == 0 else { throw CocoaError(.fileWriteNoPermission) }
    }
}
