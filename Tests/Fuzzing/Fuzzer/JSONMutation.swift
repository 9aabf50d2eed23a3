// Changes of JSON that leave it JSON: a decoder refuses nearly everything that flipped bits make of
// a text, and what is behind it would never be reached. Half of the changes are libFuzzer's own.

import MeshCore

/// One change of a JSON text.
struct JSONMutation {
    private var random: RandomNumbers

    /// Numbers at the edges of what readers of JSON hold.
    private static let numbers = [
        "0", "-1", "1", "2", "3", "4", "5", "7", "8", "16", "255", "256", "1023", "65535", "65536",
        "2147483647", "2147483648", "4294967295", "4294967296", "9007199254740993",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e-45", "1e-38",
        "1e-10", "0.5", "-0.0", "1e9", "1e19", "3.4e38", "1e300", "-3.4e38", "5120", "5121",
        "5123", "5125", "5126", "null", "true", "\"\"", "[]", "{}",
    ]

    init(seed: UInt64) { random = RandomNumbers(seed: seed) }

    /// The text with one to four changes.
    mutating func apply(to text: [UInt8]) -> [UInt8] {
        var tokens = Self.tokens(of: text)
        for _ in 0...random.below(4) where !tokens.isEmpty { change(&tokens) }
        return Array(tokens.joined())
    }

    /// Strings, numbers and words whole, each other byte for itself.
    private static func tokens(of text: [UInt8]) -> [ArraySlice<UInt8>] {
        var tokens: [ArraySlice<UInt8>] = []
        var start = text.startIndex
        while start < text.endIndex {
            var end = start + 1
            if text[start] == UInt8(ascii: "\"") {
                while end < text.endIndex, text[end] != UInt8(ascii: "\"") {
                    end += text[end] == UInt8(ascii: "\\") ? 2 : 1
                }
                end = min(end + 1, text.endIndex)
            } else if isWord(text[start]) {
                while end < text.endIndex, isWord(text[end]) { end += 1 }
            }
            tokens.append(text[start..<end])
            start = end
        }
        return tokens
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: "+"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private mutating func change(_ tokens: inout [ArraySlice<UInt8>]) {
        let words = tokens.indices.filter {
            Self.isWord(tokens[$0][tokens[$0].startIndex])
                || tokens[$0].first == UInt8(ascii: "\"")
        }
        let place = words.isEmpty ? 0 : words[random.below(words.count)]
        switch random.below(8) {
        case 0...2:
            tokens[place] = Array(Self.numbers[random.below(Self.numbers.count)].utf8)[...]
        case 3:
            tokens[place] = tokens[words.isEmpty ? 0 : words[random.below(words.count)]]
        case 4: removeValue(at: place, from: &tokens)
        case 5: repeatValue(at: place, in: &tokens)
        case 6:
            // A number a little larger or smaller.
            let text = String(decoding: tokens[place], as: UTF8.self)
            guard let number = Int(text) else { return }
            tokens[place] = Array("\(number &+ random.below(7) &- 3)".utf8)[...]
        default:
            let other = words.isEmpty ? 0 : words[random.below(words.count)]
            tokens.swapAt(place, other)
        }
    }

    /// From a token to where what belongs to it ends: the comma behind it, or the bracket before.
    private func extent(at place: Int, in tokens: [ArraySlice<UInt8>]) -> Range<Int> {
        var depth = 0
        var end = place
        while end < tokens.count {
            switch tokens[end].first {
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if depth == 0 { return place..<end }
                depth -= 1
            case UInt8(ascii: ","):
                if depth == 0 { return place..<(end + 1) }
            default: break
            }
            end += 1
        }
        return place..<tokens.count
    }

    private func removeValue(at place: Int, from tokens: inout [ArraySlice<UInt8>]) {
        tokens.removeSubrange(extent(at: place, in: tokens))
        // No comma before a closing bracket.
        if place < tokens.count, place > 0, tokens[place - 1].first == UInt8(ascii: ","),
            [UInt8(ascii: "]"), UInt8(ascii: "}")].contains(tokens[place].first)
        {
            tokens.remove(at: place - 1)
        }
    }

    private func repeatValue(at place: Int, in tokens: inout [ArraySlice<UInt8>]) {
        var copy = Array(tokens[extent(at: place, in: tokens)])
        guard copy.count < 400 else { return }
        if copy.last?.first != UInt8(ascii: ",") { copy.append([UInt8(ascii: ",")]) }
        tokens.insert(contentsOf: copy, at: place)
    }
}
