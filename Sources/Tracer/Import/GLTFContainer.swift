// The outer form of a glTF file: plain JSON, or the binary container (specification §4.4): a
// header of 12 bytes, a chunk of JSON and at most one of binary data.

import Foundation

/// A glTF file's JSON and the binary chunk beside it.
struct GLTFContainer: Sendable {
    let document: GLTFDocument
    /// The BIN chunk of a .glb.
    let binary: [UInt8]?

    private static let magic: UInt32 = 0x4654_6c67
    private static let jsonChunk: UInt32 = 0x4e4f_534a
    private static let binaryChunk: UInt32 = 0x004e_4942
    private static let headerSize = 12

    /// - Throws: ``SceneError`` when the bytes are no glTF 2.0 or need what is not supported.
    init(_ bytes: [UInt8], file: String) throws(SceneError) {
        let shown = printable(file)
        if Self.word(bytes, at: 0) == Self.magic {
            let chunks = try Self.chunks(of: bytes, file: shown)
            document = try Self.decode(Data(bytes[chunks.json]), file: shown)
            binary = chunks.binary.map { Array(bytes[$0]) }
        } else {
            document = try Self.decode(Data(bytes), file: shown)
            binary = nil
        }
        try Self.checkVersion(of: document, file: shown)
        for name in document.extensionsRequired ?? []
        where !GLTFDocument.supportedExtensions.contains(name) {
            throw .unsupported(file: shown, feature: "the extension \(printable(name))")
        }
    }

    /// A little-endian word; nil behind the end.
    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32? {
        guard offset >= 0, bytes.count >= 4, offset <= bytes.count - 4 else { return nil }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    /// Where the chunks of a .glb are.
    private static func chunks(
        of bytes: [UInt8], file: String
    ) throws(SceneError) -> (json: Range<Int>, binary: Range<Int>?) {
        guard let version = word(bytes, at: 4), let length = word(bytes, at: 8) else {
            throw .malformed(file: file, reason: "it ends within its header")
        }
        guard version == 2 else {
            throw .unsupported(file: file, feature: "version \(version) of the .glb container")
        }
        let end = Int(length)
        guard end <= bytes.count else {
            throw .malformed(
                file: file, reason: "it is truncated: \(bytes.count) of \(end) bytes are there")
        }
        var json: Range<Int>?
        var binary: Range<Int>?
        var offset = headerSize
        while offset + 8 <= end, let size = word(bytes, at: offset),
            let kind = word(bytes, at: offset + 4)
        {
            let start = offset + 8
            guard Int(size) <= end - start else {
                throw .malformed(file: file, reason: "a chunk reaches behind the end of the file")
            }
            if json == nil, kind == jsonChunk { json = start..<(start + Int(size)) }
            if binary == nil, kind == binaryChunk { binary = start..<(start + Int(size)) }
            offset = start + Int(size)
        }
        guard let json else { throw .malformed(file: file, reason: "it has no chunk of JSON") }
        return (json, binary)
    }

    private static func decode(_ data: Data, file: String) throws(SceneError) -> GLTFDocument {
        do {
            return try JSONDecoder().decode(GLTFDocument.self, from: data)
        } catch let error as DecodingError {
            throw .malformed(file: file, reason: reason(for: error))
        } catch {
            throw .malformed(file: file, reason: "it is not valid JSON")
        }
    }

    private static func checkVersion(
        of document: GLTFDocument, file: String
    ) throws(SceneError) {
        let version = document.asset.version
        guard version == "2" || version.hasPrefix("2.") else {
            throw .unsupported(file: file, feature: "glTF version '\(printable(version))'")
        }
        if let minimum = document.asset.minVersion, minimum != "2.0" {
            throw .unsupported(file: file, feature: "glTF version '\(printable(minimum))'")
        }
    }

    /// What the JSON decoder found, in one line.
    private static func reason(for error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context) where context.codingPath.isEmpty:
            return "it has no '\(key.stringValue)': it is not glTF"
        case .keyNotFound(let key, let context):
            return "\(place(context.codingPath)) has no '\(printable(key.stringValue))'"
        case .typeMismatch(_, let context) where context.codingPath.isEmpty:
            return "it is not a JSON object: it is not glTF"
        case .typeMismatch(let type, let context):
            return "\(place(context.codingPath)) is not \(described(type))"
        case .valueNotFound(let type, let context):
            return "\(place(context.codingPath)) is null, not \(described(type))"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            return "\(place(context.codingPath)) has a value out of range"
        default:
            return "it is not valid JSON"
        }
    }

    private static func described(_ type: any Any.Type) -> String {
        if type == Int.self { return "a whole number" }
        if type == Float.self || type == Double.self { return "a number" }
        if type == String.self { return "a string" }
        if type == Bool.self { return "true or false" }
        return type is any Collection.Type ? "an array or object as glTF has it" : "an object"
    }

    /// A coding path as one writes it: `nodes[3].mesh`.
    private static func place(_ path: [any CodingKey]) -> String {
        var text = ""
        for key in path {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : "." + key.stringValue
            }
        }
        return printable(text)
    }
}
