// Keys, what comes from them, join codes and keyrings.

import Testing

@testable import MeshSecurity

private let key = MeshKey(bytes: (0..<32).map { UInt8($0) }) ?? MeshKey()

@Suite("Mesh keys")
struct MeshKeyTests {
    @Test("HKDF gives the bytes of RFC 5869, test case 3")
    func derivation() {
        let result = KeyDerivation.derive(
            from: [UInt8](repeating: 0x0b, count: 22), info: "", byteCount: 42)
        #expect(
            Hexadecimal.text(of: result)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                + "9d201395faa4b61a96c8")
    }

    @Test("A key has 32 bytes, and each new one others")
    func bytes() {
        #expect(MeshKey(bytes: [1, 2, 3]) == nil)
        #expect(MeshKey().bytes.count == 32)
        #expect(MeshKey() != MeshKey())
    }

    @Test("The key of each purpose is another one, and so is that of each salt")
    func purposes() {
        let derived: Set<[UInt8]> = [
            key.bytes, key.derived(for: .gossip), key.derived(for: .stream),
            key.derived(for: .tag), key.derived(for: .gossip, salt: [1]),
        ]
        #expect(derived.count == 5)
        #expect(key.tag(salt: [1]) != key.tag(salt: [2]))
        #expect(key.tag(salt: [1]).count == 8)
    }

    @Test("No description shows the key")
    func descriptions() {
        let ring = Keyring(key: key, created: "today")
        let code = JoinCode(key: key)
        for text in [
            "\(key)", String(reflecting: key), "\(ring)", String(reflecting: ring), "\(code)",
            String(reflecting: code), dumped(key), dumped(ring), dumped(code),
        ] {
            #expect(!text.contains("0, 1, 2"), "\(text)")
            #expect(!text.contains("00010203"), "\(text)")
            #expect(!text.contains(code.text), "\(text)")
            #expect(text.contains("\(key.id)"), "\(text)")
        }
    }

    private func dumped(_ value: some Any) -> String {
        var text = ""
        dump(value, to: &text)
        return text
    }
}

@Suite("Keyrings")
struct KeyringTests {
    @Test("A former key is accepted until it is revoked, and then known as revoked")
    func rotation() throws {
        let (first, second) = (MeshKey(), MeshKey())
        var ring = Keyring(key: first, created: "then")
        try ring.rotate(to: second)
        #expect(ring.accepted == [second, first])
        #expect(ring.key(first.id) == first)
        ring.revokeFormer()
        #expect(ring.accepted == [second])
        #expect(ring.revoked == [first.id])
    }

    @Test("A key is used once: there is no way back to one that was present before")
    func back() throws {
        let (first, second) = (MeshKey(), MeshKey())
        var ring = Keyring(key: first, created: "then")
        try ring.rotate(to: second)
        for key in [first, second] {
            #expect(throws: KeyringError.self) { try ring.rotate(to: key) }
        }
        ring.revokeFormer()
        #expect(throws: KeyringError.self) { try ring.rotate(to: first) }
        #expect(ring.accepted == [second] && ring.revoked == [first.id])
    }

    @Test("A key of the last number is not followed by another, and that is said")
    func lastNumber() throws {
        var ring = Keyring(key: MeshKey(), created: "then")
        let last = KeyGeneration(number: Keyring.numberMax, id: ring.current.id)
        ring.merge(KeyState(newest: last, floor: ring.state.floor))
        let before = ring
        let error = #expect(throws: KeyringError.self) { try ring.rotate(to: MeshKey()) }
        #expect(error?.description.contains("can't be changed any more") == true)
        #expect(ring == before)
    }

    @Test("Former and revoked keys are bounded")
    func bounds() throws {
        var ring = Keyring(key: MeshKey(), created: "then")
        for _ in 0..<100 { try ring.rotate(to: MeshKey()) }
        #expect(ring.former.count == Keyring.formerKeysMax)
        for _ in 0..<100 {
            try ring.rotate(to: MeshKey())
            ring.revokeFormer()
        }
        #expect(ring.revoked.count == Keyring.revokedMax)
    }

    @Test("Members that tell each other agree, whoever speaks first, and of two new keys on one")
    func agreement() throws {
        let first = MeshKey()
        var (alice, bob) = (
            Keyring(key: first, created: "then"), Keyring(key: first, created: "later")
        )
        try alice.rotate(to: MeshKey())
        try bob.rotate(to: MeshKey())
        var (one, two) = (alice, bob)
        one.merge(bob)
        two.merge(alice)
        #expect(one.state == two.state && one.accepted == two.accepted)
        #expect(one.accepted.count == 3 && one.former.last == first)
        #expect([alice.current, bob.current].contains(one.current))
        let again = one.merge(two)
        #expect(!again)

        // A further rotation wins, whatever the names.
        var third = one
        try third.rotate(to: MeshKey())
        one.merge(third)
        #expect(one.current == third.current)
        #expect(third.isNews(to: two.state) && !two.isNews(to: third.state))
        #expect(!third.isNews(to: one.state))
    }

    @Test("Who knows the present key hears of a revocation without a key being sent")
    func revocation() throws {
        let first = MeshKey()
        var (alice, bob) = (
            Keyring(key: first, created: "then"), Keyring(key: first, created: "then")
        )
        try alice.rotate(to: MeshKey())
        let early = alice.state
        let learned = bob.merge(early)
        #expect(!learned && bob.current == first)
        bob.merge(alice)
        alice.revokeFormer()
        let heard = bob.merge(try #require(KeyState(bytes: alice.state.bytes)))
        #expect(heard && bob.accepted == [alice.current] && bob.revoked == [first.id])
        // What others still say does not bring it back.
        let back = bob.merge(Keyring(key: first, created: "then"))
        #expect(!back && bob.accepted == [alice.current])
        #expect(try Keyring(fileText: bob.fileText) == bob)

        // Who has joined with the new code, and does not know how often the key was changed.
        var joined = Keyring(key: alice.current, created: "now")
        #expect(!alice.isNews(to: joined.state) && !joined.isNews(to: alice.state))
        joined.merge(alice.state)
        #expect(joined.state == alice.state)
    }

    @Test("A keyring's file gives the same keyring")
    func file() throws {
        var ring = Keyring(key: MeshKey(), created: "2026-11-21T23:52:00Z on a machine\n")
        try ring.rotate(to: MeshKey())
        ring.revokeFormer()
        try ring.rotate(to: MeshKey())
        #expect(try Keyring(fileText: ring.fileText) == ring)
        #expect(try Keyring(fileText: ring.fileText + "later what\n") == ring)
    }

    @Test(
        "A broken file is refused without showing what is in it",
        arguments: [
            "", "meshd keyring 2\n", "meshd keyring 1\n", "meshd keyring 1\nkey 5ec2e7\n",
            "meshd keyring 1\nkey\n", "meshd keyring 1\nkey zz\nformer 1\n",
        ])
    func broken(text: String) {
        let error = #expect(throws: KeyringError.self) { try Keyring(fileText: text) }
        #expect(error?.description.contains("5ec2e7") == false)
    }

    @Test("Each accepted key's tag is recognised, no other")
    func tags() throws {
        let (first, second) = (MeshKey(), MeshKey())
        var ring = Keyring(key: first, created: "then")
        try ring.rotate(to: second)
        let salt: [UInt8] = [1, 2, 3, 4]
        #expect(ring.recognises(tag: first.tag(salt: salt), salt: salt))
        #expect(ring.recognises(tag: second.tag(salt: salt), salt: salt))
        #expect(!ring.recognises(tag: second.tag(salt: salt), salt: [1]))
        #expect(!ring.recognises(tag: MeshKey().tag(salt: salt), salt: salt))
    }
}
