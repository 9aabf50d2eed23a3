// The keys of one mesh that a node knows: the one it uses, and those before it that others may
// still use. The text in which it is kept (a file that only its owner reads) is made here; the
// file is the caller's.

/// What a node keeps of the mesh it is in.
public struct Keyring: Hashable, Sendable {
    /// The most former keys that are accepted at a time.
    public static let formerKeysMax = 8
    /// The most revoked keys whose names are remembered, the last ones.
    public static let revokedMax = 64

    /// What is sealed here is sealed with this key.
    public private(set) var current: MeshKey
    /// Former keys that are accepted still, the newest first.
    public private(set) var former: [MeshKey] = []
    /// Keys that are accepted no more, by name, the newest first: to tell their users so.
    public private(set) var revoked: [KeyID] = []
    /// When this node came into the mesh, as its user reads it.
    public let created: String

    /// - Parameter created: one line.
    public init(key: MeshKey, created: String) {
        current = key
        self.created = created.filter { !$0.isNewline }
    }

    /// The keys that are accepted, the present one first.
    public var accepted: [MeshKey] { [current] + former }

    /// The accepted key of a name.
    public func key(_ id: KeyID) -> MeshKey? { accepted.first { $0.id == id } }

    /// Goes over to another key; the present one is accepted until it is revoked.
    public mutating func rotate(to key: MeshKey) {
        guard key != current else { return }
        former = Array(([current] + former).filter { $0 != key }.prefix(Self.formerKeysMax))
        revoked.removeAll { $0 == key.id }
        current = key
    }

    /// Accepts the present key only, from now on.
    public mutating func revokeFormer() {
        revoked = Array((former.map(\.id) + revoked).prefix(Self.revokedMax))
        former = []
    }

    /// Whether a public mesh tag is of this mesh.
    public func recognises(tag: [UInt8], salt: [UInt8]) -> Bool {
        accepted.contains { $0.tag(salt: salt) == tag }
    }
}

/// Why a text is no keyring.
public struct KeyringError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

extension Keyring {
    private static let title = "meshd keyring 1"

    /// The keyring as a file: a title, then lines of a word and a value. It holds the secrets.
    public var fileText: String {
        var lines = [
            Self.title, "created \(created)", "key \(Hexadecimal.text(of: current.bytes))",
        ]
        lines += former.map { "former \(Hexadecimal.text(of: $0.bytes))" }
        lines += revoked.map { "revoked \($0)" }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Reads what `fileText` wrote; lines of later versions are passed over.
    /// - Throws: ``KeyringError`` with the line at fault, which is not shown: it may be a secret.
    public init(fileText: String) throws(KeyringError) {
        let lines = fileText.split(separator: "\n", omittingEmptySubsequences: true)
        guard lines.first.map(String.init) == Self.title, lines.count <= 1_024 else {
            throw KeyringError(description: "it does not begin with '\(Self.title)'")
        }
        var present: MeshKey?
        var created = ""
        for (number, line) in lines.enumerated().dropFirst() {
            let words = line.split(separator: " ", maxSplits: 1)
            let value = words.count == 2 ? words[1] : ""
            switch words[0] {
            case "created": created = String(value)
            case "key":
                present = Hexadecimal.bytes(of: value).flatMap { MeshKey(bytes: $0) }
                guard present != nil else { throw Self.malformed(number) }
            case "former":
                guard let key = Hexadecimal.bytes(of: value).flatMap({ MeshKey(bytes: $0) }) else {
                    throw Self.malformed(number)
                }
                former.append(key)
            case "revoked":
                guard let id = Hexadecimal.bytes(of: value).flatMap({ KeyID(bytes: $0) }) else {
                    throw Self.malformed(number)
                }
                revoked.append(id)
            default: continue
            }
        }
        guard let present else { throw KeyringError(description: "it has no key") }
        guard former.count <= Self.formerKeysMax, revoked.count <= Self.revokedMax else {
            throw KeyringError(description: "it has too many keys")
        }
        current = present
        self.created = created
    }

    private static func malformed(_ line: Int) -> KeyringError {
        KeyringError(description: "line \(line + 1) is malformed")
    }
}

extension Keyring: CustomStringConvertible, CustomReflectable {
    public var description: String { "keyring of \(current)" }
    public var customMirror: Mirror { Mirror(self, children: ["current": current.id]) }
}
