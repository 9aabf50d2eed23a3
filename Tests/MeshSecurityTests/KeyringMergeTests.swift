// Keyrings that meet: all nodes end with the same keys, in whatever order they hear of each other's,
// and a rotation counts however little its maker knew of those before.

import MeshCore
import Testing

@testable import MeshSecurity

/// A few nodes that join, rotate, revoke and hear of each other, by chance.
private struct KeySchedule {
    private(set) var rings: [Keyring]
    private var random: RandomNumbers

    /// - Parameter revokes: whether keys are revoked as well.
    init(seed: UInt64, revokes: Bool) throws {
        random = RandomNumbers(seed: seed)
        rings = [Keyring(key: try Self.key(&random), created: "first")]
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            try rings[0].rotate(to: Self.key(&random))
        }
        var rotationsLeft = 4
        for _ in 0..<24 {
            let (one, two) = (pick(), pick())
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1:
                let keys = rings[one].accepted
                let code = keys[Int.random(in: 0..<keys.count, using: &random)]
                rings.append(Keyring(key: code, created: "joined"))
            case 2 where rotationsLeft > 0:
                rotationsLeft -= 1
                try rings[one].rotate(to: Self.key(&random))
            case 3 where revokes: rings[one].revokeFormer()
            case 4, 5: rings[one].merge(rings[two].state)
            case 6 where canSpeak(one, two): rings[one].merge(rings[two])
            default: break
            }
        }
    }

    /// A key of the seed's.
    private static func key(_ random: inout RandomNumbers) throws -> MeshKey {
        let bytes = (0..<MeshKey.byteCount).map { _ in
            UInt8.random(in: .min ... .max, using: &random)
        }
        return try #require(MeshKey(bytes: bytes))
    }

    private mutating func pick() -> Int { Int.random(in: 0..<rings.count, using: &random) }

    private func canSpeak(_ one: Int, _ two: Int) -> Bool {
        rings[one].accepted.contains { rings[two].key($0.id) != nil }
    }

    /// Everybody tells everybody, in an order by chance, until there is no news.
    mutating func spread() -> Bool {
        for _ in 0..<32 {
            var isNews = false
            for one in rings.indices.shuffled(using: &random) {
                for two in rings.indices.shuffled(using: &random) where one != two {
                    if rings[one].merge(rings[two].state) { isNews = true }
                    if rings[one].merge(rings[two]) { isNews = true }
                }
            }
            if !isNews { return true }
        }
        return false
    }

    /// All keyrings told to one, in an order by chance; each once it has a key's name in common with
    /// what was told before, as members have.
    mutating func gathered() -> Keyring? {
        var waiting = rings.shuffled(using: &random)
        var result = waiting.removeLast()
        while !waiting.isEmpty {
            let names = Set(result.places.map(\.id))
            let next = waiting.firstIndex { $0.places.contains { names.contains($0.id) } }
            guard let next else { return nil }
            result.merge(waiting.remove(at: next))
        }
        return result
    }
}

@Suite("Keyrings that meet")
struct KeyringMergeTests {
    private func mesh(rotations: Int) throws -> Keyring {
        var ring = Keyring(key: MeshKey(), created: "then")
        for _ in 0..<rotations { try ring.rotate(to: MeshKey()) }
        return ring
    }

    @Test("Who has just joined and rotates is ahead of the mesh, whoever hears whom first")
    func rotationAfterJoining() throws {
        let member = try mesh(rotations: 5)
        var joined = Keyring(key: member.current, created: "now")
        try joined.rotate(to: MeshKey())
        try joined.rotate(to: MeshKey())

        var told = member
        told.merge(joined)
        var heard = joined
        heard.merge(member.state)
        var full = joined
        full.merge(member)
        for ring in [told, heard, full] {
            #expect(ring.current == joined.current && ring.state.newest.number == 7)
        }
        #expect(told.accepted == full.accepted && told.accepted.contains(member.current))
        // Both are asked to tell, and then nothing is left to say.
        #expect(member.isNews(to: joined.state) && heard.isNews(to: member.state))
        var again = (told, full)
        let news = [again.0.merge(full), again.1.merge(told), again.0.merge(full.state)]
        #expect(!news.contains(true))
        #expect(try Keyring(fileText: told.fileText) == told)
    }

    @Test("What is linked with a key only through revoked ones follows its number all the same")
    func revokedBetween() throws {
        let member = try mesh(rotations: 5)
        var joined = Keyring(key: member.current, created: "now")
        try joined.rotate(to: MeshKey())
        try joined.rotate(to: MeshKey())
        joined.revokeFormer()
        let kept = try Keyring(fileText: joined.fileText)
        #expect(kept == joined && kept.accepted.count == 1)
        var (one, two) = (member, kept)
        one.merge(kept)
        two.merge(member)
        #expect(one.accepted == [joined.current] && two.accepted == [joined.current])
        #expect(one.state == two.state && one.state.newest.number == 7)
        #expect(one.revoked == two.revoked && one.revoked.contains(member.current.id))
    }

    @Test("Rotations by two who have joined are at once: both keep them, and one is taken by both")
    func rotationsAtOnce() throws {
        let member = try mesh(rotations: 3)
        var rings = try (0..<2).map { _ in
            var ring = Keyring(key: member.current, created: "now")
            try ring.rotate(to: MeshKey())
            return ring
        }
        let made = rings.map(\.current)
        rings.append(member)
        for one in rings.indices { for ring in rings { rings[one].merge(ring) } }
        for ring in rings {
            #expect(ring.accepted.prefix(2).allSatisfy(made.contains))
            #expect(ring.accepted == rings[0].accepted && ring.state == rings[0].state)
            #expect(ring.former.dropFirst().first == member.current)
        }
    }

    @Test("All end with the same keyring, in whatever order they hear", arguments: [false, true])
    func convergence(revokes: Bool) throws {
        var compared = 0
        for seed in UInt64(0)..<200 {
            var one = try KeySchedule(seed: seed, revokes: revokes)
            var two = one
            let isQuiet = one.spread()
            #expect(isQuiet, "seed \(seed): there is always news")
            for ring in one.rings {
                #expect(
                    ring.accepted == one.rings[0].accepted && ring.state == one.rings[0].state
                        && ring.places == one.rings[0].places, "seed \(seed)")
                #expect(try Keyring(fileText: ring.fileText) == ring, "seed \(seed)")
            }
            let orders = (0..<4).compactMap { _ in two.gathered() }
            compared += orders.count
            for ring in orders {
                #expect(
                    ring.accepted == orders[0].accepted && ring.state == orders[0].state
                        && ring.places == orders[0].places, "seed \(seed)")
            }
        }
        #expect(compared > 600)
    }

    @Test("Links that no rotations make, in a circle, end nowhere and count for nothing")
    func circle() throws {
        let (one, two) = (MeshKey(), MeshKey())
        func text(_ first: MeshKey, _ second: MeshKey) -> String {
            "meshd keyring 1\nkey \(Hexadecimal.text(of: first.bytes)) 4\n"
                + "former \(Hexadecimal.text(of: second.bytes)) 2\n"
                + "order \(first.id) 4 \(second.id)\norder \(second.id) 2 \(first.id)\n"
        }
        let ring = try Keyring(fileText: text(one, two))
        #expect(ring.accepted == [one, two] && ring.state.newest.number == 4)
        #expect(try Keyring(fileText: ring.fileText) == ring)
        var merged = ring
        let isNews = merged.merge(try Keyring(fileText: text(one, two)))
        #expect(!isNews)
    }
}
