// What people do to a code between the sticky note and the keyboard.

import Testing

@testable import MeshSecurity

@Suite("Join codes")
struct JoinCodeTests {
    private static let letters = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    private let key =
        MeshKey(bytes: (0..<32).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }) ?? MeshKey()
    private var code: String { JoinCode(key: key).text }
    /// The code's characters without dashes.
    private var characters: [Character] { code.filter { $0 != "-" } }

    @Test("A code gives its key, and looks as promised")
    func roundTrip() throws {
        for _ in 0..<200 {
            let key = MeshKey()
            #expect(try JoinCode(JoinCode(key: key).text).key == key)
        }
        let groups = code.split(separator: "-")
        #expect(groups.count == 11)
        #expect(groups.allSatisfy { $0.count == 6 && $0.allSatisfy(Self.letters.contains) })
    }

    @Test("A code of another day is read for ever")
    func known() throws {
        #expect(code == Self.knownCode)
    }

    @Test("Small letters, spaces, no dashes, and O, I, L in place of 0 and 1")
    func tolerance() throws {
        let misread = code.lowercased().map { $0 == "0" ? "o" : $0 == "1" ? "l" : $0 }
        for text in [
            code.lowercased(), String(characters), code.replacing("-", with: " "),
            "  " + code.replacing("-", with: " - ") + "\n", String(misread),
            String(misread).replacing("l", with: "I"), code.replacing("-", with: "–"),
        ] {
            #expect(try JoinCode(text).key == key, "\(text)")
        }
    }

    @Test("Any one wrong character is found in its group")
    func singleErrors() {
        for (place, right) in characters.enumerated() {
            for wrong in Self.letters + ["U", "é", "*"] where wrong != right {
                var text = characters
                text[place] = wrong
                #expect(throws: JoinCodeError.typingError(group: place / 6 + 1)) {
                    try JoinCode(String(text))
                }
            }
        }
    }

    @Test("Any two exchanged characters of a group are found in it")
    func swaps() {
        for first in 0..<66 {
            for second in (first + 1)..<min(66, (first / 6 + 1) * 6 + 1)
            where characters[first] != characters[second] {
                var text = characters
                text.swapAt(first, second)
                let error = #expect(throws: JoinCodeError.self) { try JoinCode(String(text)) }
                #expect(error == .typingError(group: first / 6 + 1))
            }
        }
    }

    @Test("Any two exchanged groups are found")
    func groupSwaps() {
        let groups = code.split(separator: "-")
        for first in 0..<11 {
            for second in (first + 1)..<11 {
                var text = groups
                text.swapAt(first, second)
                #expect(throws: JoinCodeError.typingError(group: first + 1)) {
                    try JoinCode(text.joined(separator: "-"))
                }
            }
        }
    }

    @Test("What the groups' characters let through, the code's checksum finds")
    func checksum() {
        // Another value with the right check character, in one group after another.
        for group in 1..<10 {
            var text = characters
            let place = group * 6
            let old = text[place..<(place + 5)].compactMap { Self.letters.firstIndex(of: $0) }
            let new = [UInt8(old[0] ^ 1)] + old.dropFirst().map { UInt8($0) }
            text[place] = Self.letters[Int(new[0])]
            text[place + 5] = Self.letters[Int(JoinCode.check(new, group: group))]
            #expect(throws: JoinCodeError.wrongChecksum) { try JoinCode(String(text)) }
        }
    }

    @Test("A code of a later version is named so")
    func versions() {
        var text = characters
        let values = text[0..<5].compactMap { Self.letters.firstIndex(of: $0).map { UInt8($0) } }
        let changed = [values[0] & 1 | 7 << 1] + values.dropFirst()
        text[0] = Self.letters[Int(changed[0])]
        text[5] = Self.letters[Int(JoinCode.check(changed, group: 0))]
        #expect(throws: JoinCodeError.otherVersion(7)) { try JoinCode(String(text)) }
    }

    @Test("A missing or doubled character is told with its group")
    func lengths() {
        let groups = code.split(separator: "-").map(String.init)
        var short = groups
        short[4].removeLast()
        #expect(throws: JoinCodeError.wrongLength(characters: 65, group: 5)) {
            try JoinCode(short.joined(separator: "-"))
        }
        var long = groups
        long[9] += "7"
        #expect(throws: JoinCodeError.wrongLength(characters: 67, group: 10)) {
            try JoinCode(long.joined(separator: " "))
        }
        #expect(throws: JoinCodeError.wrongLength(characters: 65, group: nil)) {
            try JoinCode(String(characters.dropLast()))
        }
    }

    @Test(
        "What is no code at all is called so",
        arguments: [
            "", " ", "hello", "-----", "https://example.com/join", "192.168.1.7:4874",
            String(repeating: "A", count: 200), String(repeating: "-", count: 5_000),
        ])
    func nonsense(text: String) {
        #expect(throws: JoinCodeError.notACode) { try JoinCode(text) }
    }

    private static let knownCode =
        "22SGAB-NX9ZHB-791RSS-NGZD2X-RZP12F-DJVG2T-JWNVRV-M75F8V-7A6DYK-8BKRRC-C6VJ0A"
}
