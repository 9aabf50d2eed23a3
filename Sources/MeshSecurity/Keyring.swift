// The keys of one mesh that a node knows: the one it uses, and those before it that others may
// still use. Keyrings that meet become the same, in whatever order they do
// (docs/adr/0018-rotation.md).

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

/// What a node knows of its mesh's keys, without the keys: its packets tell it to others.
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
    static let noFloor = KeyGeneration(number: 0, id: KeyID(rawValue: 0))

    /// A key's place in the succession, whether the key itself is still known or not.
    struct Place: Hashable, Sendable {
        let id: KeyID
        /// At least so many rotations were before it.
        var number: UInt32
        /// The key that it took the place of, if that is known.
        var after: KeyID?
        var generation: KeyGeneration { KeyGeneration(number: number, id: id) }
    }

    /// All keys that are known at least by name, the latest first.
    private(set) var places: [Place] = []
    /// The keys that are accepted, the present one first.
    public private(set) var accepted: [MeshKey]
    /// Keys before this one are revoked.
    private(set) var floor: KeyGeneration
    /// Keys that are accepted no more, by name, the latest first: to tell their users so.
    public private(set) var revoked: [KeyID] = []
    /// When this node came into the mesh, as its user reads it.
    public let created: String

    /// - Parameter created: one line.
    public init(key: MeshKey, created: String) {
        accepted = [key]
        floor = Self.noFloor
        self.created = created.filter { !$0.isNewline }
        settle([Place(id: key.id, number: 0)], keys: [key], floors: [])
    }

    /// What is sealed here is sealed with this key, for those who have it.
    public var current: MeshKey { accepted[0] }
    /// Former keys that are accepted still, the newest first.
    public var former: [MeshKey] { Array(accepted.dropFirst()) }
    /// What others are told of this keyring.
    public var state: KeyState { KeyState(newest: generation(of: current.id), floor: floor) }

    /// The accepted key of a name.
    public func key(_ id: KeyID) -> MeshKey? { accepted.first { $0.id == id } }

    private func generation(of id: KeyID) -> KeyGeneration {
        places.first { $0.id == id }?.generation ?? KeyGeneration(number: 0, id: id)
    }

    /// Goes over to a new key; the present one is accepted until it is revoked.
    /// - Throws: ``KeyringError``: the key was used before, or no later one is possible.
    public mutating func rotate(to key: MeshKey) throws(KeyringError) {
        guard !places.contains(where: { $0.id == key.id }) else {
            throw KeyringError(description: "the key was used in this mesh before")
        }
        let present = state.newest
        guard present.number < Self.numberMax else {
            throw KeyringError(
                description: "the mesh's key can't be changed any more: its number is "
                    + "\(Self.numberMax) already; 'meshd init --force' makes a new mesh")
        }
        let next = Place(id: key.id, number: present.number + 1, after: present.id)
        settle([next] + places, keys: [key] + accepted, floors: [floor])
    }

    /// Accepts the present key only, from now on.
    public mutating func revokeFormer() {
        guard !former.isEmpty else { return }
        settle(places, keys: accepted, floors: [state.newest])
    }

    /// Puts in order what is known and what was told: each key once, the latest first, none that is
    /// accepted before the floor. The result is the same in whatever order things are told.
    mutating func settle(_ told: [Place], keys: [MeshKey], floors: [KeyGeneration]) {
        var known: [KeyID: Place] = [:]
        for place in told {
            var merged = known[place.id] ?? place
            merged.number = max(merged.number, place.number)
            merged.after = [merged.after, place.after].compactMap(\.self).max()
            known[place.id] = merged
        }
        for floor in floors {
            guard let number = known[floor.id]?.number else { continue }
            known[floor.id]?.number = max(number, floor.number)
        }
        let all = Self.linked(known).sorted { $0.generation > $1.generation }

        let secrets = Dictionary(keys.map { ($0.id, $0) }, uniquingKeysWith: MeshKey.either)
        let candidates = all.filter { secrets[$0.id] != nil }
        guard let latest = candidates.first?.generation else { return }
        // A floor keeps its key, whatever number that has by now. Of the present key it is never
        // ahead.
        let numbers = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0.generation) })
        floor = min(floors.map { numbers[$0.id] ?? $0 }.max() ?? Self.noFloor, latest)
        accepted = candidates.filter { $0.generation >= floor }.prefix(1 + Self.formerKeysMax)
            .compactMap { secrets[$0.id] }
        let names = Set(accepted.map(\.id))
        revoked = Array(all.map(\.id).filter { !names.contains($0) }.prefix(Self.revokedMax))
        let kept = names.union(revoked)
        places = all.filter { kept.contains($0.id) }
    }

    /// Keys that came one after the other keep their distance: who has joined a mesh and then changes
    /// its key does not know how many rotations were before, and learns it later. So whatever is told
    /// of one key's number is told of all that are linked with it.
    private static func linked(_ known: [KeyID: Place]) -> [Place] {
        var numbers: [KeyID: UInt32] = [:]
        let origins = known.mapValues { origin(of: $0, among: known) }
        for (id, origin) in origins {
            guard let origin, let told = known[id]?.number, told >= origin.steps else { continue }
            numbers[origin.key] = max(told - origin.steps, numbers[origin.key] ?? 0)
        }
        return known.values.map { place in
            guard case let origin?? = origins[place.id] else {
                return Place(id: place.id, number: place.number)
            }
            var place = place
            place.number = min((numbers[origin.key] ?? 0) + origin.steps, numberMax)
            return place
        }
    }

    /// The first key from which rotations have led to a place, and how many; nil for one in a circle,
    /// which no rotations make.
    private static func origin(
        of place: Place, among known: [KeyID: Place]
    ) -> (key: KeyID, steps: UInt32)? {
        var (key, steps) = (place.id, UInt32(0))
        var next = place.after
        while let before = next {
            steps += 1
            guard steps <= known.count else { return nil }
            key = before
            next = known[before]?.after
        }
        return (key, steps)
    }

    // MARK: - What other members know

    /// Takes over the keys of another member, which has proven that it is one.
    /// - Returns: whether anything has changed.
    @discardableResult
    public mutating func merge(_ other: Keyring) -> Bool {
        let before = self
        settle(
            places + other.places, keys: accepted + other.accepted, floors: [floor, other.floor])
        return self != before
    }

    /// Takes over what another member says of keys that are known here.
    /// - Returns: whether anything has changed.
    @discardableResult
    public mutating func merge(_ state: KeyState) -> Bool {
        guard key(state.newest.id) != nil, state.newest.number <= Self.numberMax,
            state.floor <= state.newest
        else { return false }
        let before = self
        let told = Place(id: state.newest.id, number: state.newest.number)
        settle(places + [told], keys: accepted, floors: [floor, state.floor])
        return self != before
    }

    /// Whether a member that says this of itself is to be told of the keys here.
    public func isNews(to state: KeyState) -> Bool {
        state.newest < self.state.newest && state.newest.id != current.id
    }

    /// Whether a public mesh tag is of this mesh.
    public func recognises(tag: [UInt8], salt: [UInt8]) -> Bool {
        accepted.contains { $0.tag(salt: salt) == tag }
    }
}

extension Keyring: CustomStringConvertible, CustomReflectable {
    public var description: String { "keyring of \(current)" }
    public var customMirror: Mirror { Mirror(self, children: ["current": current.id]) }
}
