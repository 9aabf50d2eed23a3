// The keys of one mesh that a node knows: the one it uses, and those before it that others may
// still use. The text in which it is kept (a file that only its owner reads) is made here; the
// file is the caller's.

/// A key's place in the succession of a mesh's keys. The later one is greater; of two that were made
/// at once in different places all nodes take the same for the later.
public struct KeyGeneration: Hashable, Sendable, Comparable {
    /// How many rotations were before it, as far as who says so knows.
    public var number: UInt32
    public var id: KeyID

    public static func < (left: KeyGeneration, right: KeyGeneration) -> Bool {
        (left.number, left.id) < (right.number, right.id)
    }
}

/// What a node knows of its mesh's keys, without the keys: every packet tells it to others.
public struct KeyState: Hashable, Sendable {
    /// The key that its node would use with everybody.
    public let newest: KeyGeneration
    /// Keys before this one are revoked.
    public let floor: KeyGeneration

    static let byteCount = 16

    var bytes: [UInt8] {
        [newest, floor].flatMap { generation in
            withUnsafeBytes(of: generation.number.bigEndian) { Array($0) } + generation.id.bytes
        }
    }

    init(newest: KeyGeneration, floor: KeyGeneration) {
        self.newest = newest
        self.floor = floor
    }

    init?(bytes: some RandomAccessCollection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        let words = (0..<4).map { word in
            bytes.dropFirst(4 * word).prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        newest = KeyGeneration(number: words[0], id: KeyID(rawValue: words[1]))
        floor = KeyGeneration(number: words[2], id: KeyID(rawValue: words[3]))
    }
}

/// What a node keeps of the mesh it is in.
public struct Keyring: Hashable, Sendable {
    /// The most former keys that are accepted at a time.
    public static let formerKeysMax = 8
    /// The most revoked keys whose names are remembered, the last ones.
    public static let revokedMax = 64
    /// No mesh changes its key so often; a greater number is not believed.
    public static let numberMax: UInt32 = 1 << 30

    /// Before all keys: none is revoked.
    private static let noFloor = KeyGeneration(number: 0, id: KeyID(rawValue: 0))

    private struct Entry: Hashable, Sendable {
        var number: UInt32
        var key: MeshKey
        var generation: KeyGeneration { KeyGeneration(number: number, id: key.id) }
    }

    /// The accepted keys but the present one, the latest first.
    private var others: [Entry] = []
    private var present: Entry
    /// Keys before this one are revoked.
    private var floor: KeyGeneration
    /// Keys that are accepted no more, by name, the newest first: to tell their users so.
    public private(set) var revoked: [KeyID] = []
    /// When this node came into the mesh, as its user reads it.
    public let created: String

    /// - Parameter created: one line.
    public init(key: MeshKey, created: String) {
        present = Entry(number: 0, key: key)
        floor = Self.noFloor
        self.created = created.filter { !$0.isNewline }
    }

    /// What is sealed here is sealed with this key, for those who have it.
    public var current: MeshKey { present.key }
    /// Former keys that are accepted still, the newest first.
    public var former: [MeshKey] { others.map(\.key) }
    /// The keys that are accepted, the present one first.
    public var accepted: [MeshKey] { [current] + former }
    /// What others are told of this keyring.
    public var state: KeyState { KeyState(newest: present.generation, floor: floor) }

    /// The accepted key of a name.
    public func key(_ id: KeyID) -> MeshKey? { accepted.first { $0.id == id } }

    /// Goes over to another key; the present one is accepted until it is revoked.
    public mutating func rotate(to key: MeshKey) {
        guard key != current else { return }
        revoked.removeAll { $0 == key.id }
        let next = Entry(number: min(present.number, Self.numberMax - 1) + 1, key: key)
        settle([next, present] + others)
    }

    /// Accepts the present key only, from now on.
    public mutating func revokeFormer() {
        guard !others.isEmpty else { return }
        floor = present.generation
        settle([present] + others)
    }

    /// Puts entries in order: each key once, the latest first, none before the floor.
    private mutating func settle(_ entries: [Entry]) {
        var latest: [MeshKey: UInt32] = [:]
        for entry in entries { latest[entry.key] = max(entry.number, latest[entry.key] ?? 0) }
        let all = latest.map { Entry(number: $0.value, key: $0.key) }
            .sorted { $0.generation > $1.generation }
        guard let first = all.first else { return }
        let accepted = all.filter { $0.generation >= floor || $0 == first }
        let dropped = all.filter { $0.generation < floor && $0 != first }.map(\.key.id)
        present = first
        others = Array(accepted.dropFirst().prefix(Self.formerKeysMax))
        note(revoked: dropped)
    }

    private mutating func note(revoked ids: [KeyID]) {
        let accepted = Set(accepted.map(\.id))
        var seen: Set<KeyID> = []
        revoked = Array(
            (ids + revoked).filter { !accepted.contains($0) && seen.insert($0).inserted }
                .prefix(Self.revokedMax))
    }

    // MARK: - What other members know

    /// Takes over the keys of another member, which has proven that it is one.
    /// - Returns: whether anything has changed.
    @discardableResult
    public mutating func merge(_ other: Keyring) -> Bool {
        let before = self
        floor = max(floor, other.floor)
        settle([present, other.present] + others + other.others)
        note(revoked: other.revoked)
        return self != before
    }

    /// Takes over what another member says of keys that are known here.
    /// - Returns: whether anything has changed.
    @discardableResult
    public mutating func merge(_ state: KeyState) -> Bool {
        let before = self
        var entries = [present] + others
        guard let known = entries.firstIndex(where: { $0.key.id == state.newest.id }),
            state.newest.number <= Self.numberMax, state.floor <= state.newest
        else { return false }
        entries[known].number = max(entries[known].number, state.newest.number)
        floor = max(floor, state.floor)
        settle(entries)
        return self != before
    }

    /// Whether a member that says this of itself is to be told of the keys here.
    public func isNews(to state: KeyState) -> Bool {
        state.newest < present.generation && state.newest.id != current.id
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
    /// More than any keyring's lines.
    private static let linesMax = 1_024

    /// The keyring as a file: a title, then lines of a word and a value; behind a key its number.
    /// It holds the secrets.
    public var fileText: String {
        var lines = [
            Self.title, "created \(created)",
            "key \(Hexadecimal.text(of: current.bytes)) \(present.number)",
        ]
        lines += others.map { "former \(Hexadecimal.text(of: $0.key.bytes)) \($0.number)" }
        if floor != Self.noFloor { lines.append("floor \(floor.id) \(floor.number)") }
        lines += revoked.map { "revoked \($0)" }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Reads what `fileText` wrote; lines of later versions are passed over.
    /// - Throws: ``KeyringError`` with the line at fault, which is not shown: it may be a secret.
    public init(fileText: String) throws(KeyringError) {
        let lines = fileText.split(separator: "\n", omittingEmptySubsequences: true)
        guard lines.first.map(String.init) == Self.title, lines.count <= Self.linesMax else {
            throw KeyringError(description: "it does not begin with '\(Self.title)'")
        }
        var entries: [(isPresent: Bool, number: UInt32, key: MeshKey)] = []
        var created = ""
        var floor = Self.noFloor
        var revoked: [KeyID] = []
        for (number, line) in lines.enumerated().dropFirst() {
            let words = line.split(separator: " ", maxSplits: 1)
            let value = words.count == 2 ? words[1] : ""
            // A line may be of spaces only.
            switch words.first ?? "" {
            case "created": created = String(value)
            case "key", "former":
                guard let (bytes, count) = Self.numbered(value), let key = MeshKey(bytes: bytes)
                else { throw Self.malformed(number) }
                entries.append((words.first == "key", count, key))
            case "floor":
                guard let (bytes, count) = Self.numbered(value), let id = KeyID(bytes: bytes)
                else { throw Self.malformed(number) }
                floor = KeyGeneration(number: count, id: id)
            case "revoked":
                guard let id = Hexadecimal.bytes(of: value).flatMap({ KeyID(bytes: $0) }) else {
                    throw Self.malformed(number)
                }
                revoked.append(id)
            default: continue
            }
        }
        guard let first = entries.first(where: \.isPresent) else {
            throw KeyringError(description: "it has no key")
        }
        self.init(key: first.key, created: created)
        let all = entries.map { Entry(number: $0.number, key: $0.key) }
        // The floor is always a key that was present once, and accepted by who set it.
        guard all.contains(where: { $0.generation >= floor }),
            all.allSatisfy({ $0.number <= first.number })
        else { throw KeyringError(description: "its keys are out of order") }
        self.floor = floor
        self.revoked = Array(revoked.prefix(Self.revokedMax))
        settle(all)
    }

    /// Bytes in hexadecimal digits, and a number behind a space; without one it is zero.
    private static func numbered(_ text: Substring) -> ([UInt8], UInt32)? {
        let words = text.split(separator: " ")
        guard (1...2).contains(words.count), let bytes = Hexadecimal.bytes(of: words[0]) else {
            return nil
        }
        guard words.count == 2 else { return (bytes, 0) }
        guard let number = UInt32(words[1]), number <= numberMax else { return nil }
        return (bytes, number)
    }

    private static func malformed(_ line: Int) -> KeyringError {
        KeyringError(description: "line \(line + 1) is malformed")
    }
}

extension Keyring: CustomStringConvertible, CustomReflectable {
    public var description: String { "keyring of \(current)" }
    public var customMirror: Mirror { Mirror(self, children: ["current": current.id]) }
}
