// The text in which a keyring is kept, in a file that only its owner reads, and in which members
// tell each other of keys, over TLS. The file is the caller's.

/// Why a text is no keyring, or why a key can't be changed.
public struct KeyringError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

extension Keyring {
    private static let title = "meshd keyring 1"
    /// More than any keyring's lines.
    private static let linesMax = 1_024

    /// The keyring as a file: a title, then lines of a word and values. Behind a key is its number;
    /// behind `order` a key's name, its number and the key that it came after. It holds the secrets.
    public var fileText: String {
        var lines = [Self.title, "created \(created)"]
        for place in places {
            guard let key = key(place.id) else { continue }
            let word = key == current ? "key" : "former"
            lines.append("\(word) \(Hexadecimal.text(of: key.bytes)) \(place.number)")
        }
        if floor != Self.noFloor { lines.append("floor \(floor.id) \(floor.number)") }
        lines += revoked.map { "revoked \($0)" }
        for place in places where place.after != nil || revoked.contains(place.id) {
            lines.append(
                "order \(place.id) \(place.number)" + (place.after.map { " \($0)" } ?? ""))
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Reads what `fileText` wrote; lines of later versions are passed over.
    /// - Throws: ``KeyringError`` with the line at fault, which is not shown: it may be a secret.
    public init(fileText: String) throws(KeyringError) {
        let lines = fileText.split(separator: "\n", omittingEmptySubsequences: true)
        guard lines.first.map(String.init) == Self.title, lines.count <= Self.linesMax else {
            throw KeyringError(description: "it does not begin with '\(Self.title)'")
        }
        var present: (key: MeshKey, number: UInt32)?
        var keys: [MeshKey] = []
        var places: [Place] = []
        var created = ""
        var floor = Self.noFloor
        for (number, line) in lines.enumerated().dropFirst() {
            let words = line.split(separator: " ", maxSplits: 1)
            let value = words.count == 2 ? words[1] : ""
            // A line may be of spaces only.
            switch words.first ?? "" {
            case "created": created = String(value)
            case "key", "former":
                guard let (bytes, count) = Self.numbered(value), let key = MeshKey(bytes: bytes)
                else { throw Self.malformed(number) }
                if words.first == "key", present == nil { present = (key, count) }
                keys.append(key)
                places.append(Place(id: key.id, number: count))
            case "floor":
                guard let (bytes, count) = Self.numbered(value), let id = KeyID(bytes: bytes)
                else { throw Self.malformed(number) }
                floor = KeyGeneration(number: count, id: id)
            case "revoked":
                guard let id = Self.name(value) else { throw Self.malformed(number) }
                places.append(Place(id: id, number: 0))
            case "order":
                guard let place = Self.place(value) else { throw Self.malformed(number) }
                places.append(place)
            default: continue
            }
        }
        guard let present else { throw KeyringError(description: "it has no key") }
        let names = Set(keys.map(\.id))
        let accepted = places.filter { names.contains($0.id) }
        // The floor is always a key that was present once, and accepted by who set it.
        guard accepted.contains(where: { $0.generation >= floor }),
            accepted.allSatisfy({ $0.number <= present.number })
        else { throw KeyringError(description: "its keys are out of order") }
        self.init(key: present.key, created: created)
        settle(places, keys: keys, floors: [floor])
    }

    private static func name(_ text: Substring) -> KeyID? {
        Hexadecimal.bytes(of: text).flatMap { KeyID(bytes: $0) }
    }

    /// A key's name, its number, and the name of the key before it, if that is known.
    private static func place(_ text: Substring) -> Place? {
        let words = text.split(separator: " ")
        guard (2...3).contains(words.count), let id = name(words[0]),
            let number = UInt32(words[1]), number <= numberMax
        else { return nil }
        guard words.count == 3 else { return Place(id: id, number: number) }
        guard let after = name(words[2]) else { return nil }
        return Place(id: id, number: number, after: after)
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
