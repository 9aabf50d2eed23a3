// TLS from outside: bytes at either end of a handshake, a handshake that somebody in between
// changes, and records of every kind after one.

import MeshCore

@testable import MeshSecurity

/// The two ends of a stream.
struct FuzzedStream {
    let client = TLSSession(role: .client, keyring: FuzzedMesh.keyring)
    let server = TLSSession(role: .server, keyring: FuzzedMesh.keyring)

    /// What one end makes of some bytes that the other has sent, in pieces.
    static func receive(
        _ bytes: [UInt8], by session: TLSSession, pieceSize: Int
    ) throws(TLSError) -> [UInt8] {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: pieceSize) {
            let piece = bytes[start..<min(bytes.count, start + pieceSize)]
            // Allocated to the byte: address sanitizer sees what is read beyond.
            let input = UnsafeMutableRawBufferPointer.allocate(
                byteCount: piece.count, alignment: 1)
            defer { input.deallocate() }
            input.copyBytes(from: piece)
            let room = UnsafeMutableRawBufferPointer.allocate(
                byteCount: piece.count + TLSSession.receiveOverhead, alignment: 1)
            defer { room.deallocate() }
            let count = try session.receive(UnsafeRawBufferPointer(input), into: room)
            text += room[..<count]
        }
        return text
    }

    /// What an end sends of a text; nil when it does not any more.
    static func send(_ text: [UInt8], by session: TLSSession) -> [UInt8]? {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: TLSSession.sealedBytesMax(text.count), alignment: 1)
        defer { room.deallocate() }
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
        defer { input.deallocate() }
        input.copyBytes(from: text)
        guard let count = try? session.seal(UnsafeRawBufferPointer(input), into: room) else {
            return nil
        }
        return Array(room[..<count])
    }

    /// Carries the handshake's three flights.
    /// - Parameter edits: what somebody in between makes of each byte, by its number.
    func shakeHands(edits: [Int: UInt8] = [:]) {
        var number = 0
        for flight in 0..<3 {
            let (from, to) = flight == 1 ? (server, client) : (client, server)
            var bytes = from.takeReply()
            for place in bytes.indices {
                bytes[place] ^= edits[number] ?? 0
                number += 1
            }
            _ = try? Self.receive(bytes, by: to, pieceSize: .max >> 1)
        }
    }
}

extension FuzzTarget {
    /// The first byte: whether a server or a client is told the rest, or what somebody between the
    /// two changes; and in what pieces.
    static func handshake(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first else { return false }
        let rest = Array(bytes.dropFirst())
        switch first & 3 {
        case 0: return answer(to: rest, by: .server, pieceSize: Int(first >> 2) * 8 + 1)
        case 1: return answer(to: rest, by: .client, pieceSize: Int(first >> 2) * 8 + 1)
        default: return interfere(rest)
        }
    }

    /// - Returns: whether the bytes were TLS enough to be answered, be it by an alert.
    private static func answer(
        to bytes: [UInt8], by role: TLSSession.Role, pieceSize: Int
    ) -> Bool {
        let session = TLSSession(role: role, keyring: FuzzedMesh.keyring)
        // A client begins.
        _ = session.takeReply()
        let text = try? FuzzedStream.receive(bytes, by: session, pieceSize: pieceSize)
        require(text?.isEmpty ?? true, "no text comes from a stranger")
        require(!session.isEstablished, "a stranger does not get in")
        return !session.takeReply().isEmpty
    }

    /// Changes bytes of a handshake: each a place, two bytes, and what is changed of it.
    private static func interfere(_ bytes: [UInt8]) -> Bool {
        var reader = ByteReader(bytes)
        var edits: [Int: UInt8] = [:]
        while let place = try? reader.read(UInt16.self), let change = try? reader.read(UInt8.self) {
            edits[Int(place) % 1_024] = change
        }
        let stream = FuzzedStream()
        stream.shakeHands(edits: edits)
        let isUnchanged = edits.values.allSatisfy { $0 == 0 }
        let isOpen = stream.client.isEstablished && stream.server.isEstablished
        require(isOpen || !isUnchanged, "two members meet")
        guard isOpen, let sent = FuzzedStream.send([7], by: stream.client) else { return false }
        // What is left of a change goes for a version that no reader minds (RFC 8446 §5.1).
        let text = try? FuzzedStream.receive(sent, by: stream.server, pieceSize: sent.count)
        require(text == [7], "two that have met agree on the keys")
        return true
    }

    // MARK: - Records

    /// What happens on a stream that is established. A step is its kind, an argument, the length
    /// of its content.
    enum RecordStep: UInt8, CaseIterable {
        /// The client says its content, as often as the argument says, and once more.
        case text
        /// A record whose last byte is the first of the content, and that holds the others.
        case record
        /// A record that is changed in one place on the way.
        case damage
        /// Bytes that nobody has sealed.
        case bytes
        /// The last step's bytes again.
        case replay
        /// The server speaks.
        case answer
        case finish

        func write(_ argument: UInt8 = 0, _ content: [UInt8] = [], to writer: inout ByteWriter) {
            writer.write(rawValue)
            writer.write(argument)
            writer.write(UInt16(content.count))
            writer.write(contentsOf: content)
        }
    }

    /// The first byte says in what pieces the stream arrives; then steps.
    static func records(_ bytes: [UInt8]) -> Bool {
        var reader = ByteReader(bytes)
        guard let first = try? reader.read(UInt8.self) else { return false }
        var talk = FuzzedTalk(pieceSize: first == 255 ? 1 << 20 : Int(first) * 16 + 1)
        var stepCount = 0
        while stepCount < 24, let kind = try? reader.read(UInt8.self),
            let argument = try? reader.read(UInt8.self), let size = try? reader.read(UInt16.self),
            let content = try? reader.readBytes(min(Int(size), reader.remaining))
        {
            let steps = RecordStep.allCases
            talk.perform(steps[Int(kind) % steps.count], argument, content)
            stepCount += 1
        }
        talk.check()
        return talk.hasHeard
    }
}

/// Two members in conversation, and what the server must have heard of it.
private struct FuzzedTalk {
    private static let bytesMax = 17_000
    private static let recordTextMax = 16_384
    private let stream = FuzzedStream()
    private let pieceSize: Int
    private var last: [UInt8] = []
    private var expected: [UInt8] = []
    private var heard: [UInt8] = []
    /// Nothing more may come of the client, or of the server.
    private var isSpoilt = false
    private var isAnswerSpoilt = false

    var hasHeard: Bool { !heard.isEmpty }

    init(pieceSize: Int) {
        self.pieceSize = pieceSize
        stream.shakeHands()
        FuzzTarget.require(stream.server.isEstablished, "two members meet")
    }

    mutating func perform(
        _ step: FuzzTarget.RecordStep, _ argument: UInt8, _ content: [UInt8]
    ) {
        switch step {
        case .text:
            let text = Self.repeated(content, argument)
            guard let bytes = FuzzedStream.send(text, by: stream.client) else { return }
            if !isSpoilt { expected += text }
            deliver(bytes)
        case .record:
            let body = Self.repeated(Array(content.dropFirst()), argument)
            let type = content.first ?? 0
            foresee(body + [type])
            deliver(record(type, body))
        case .damage:
            var bytes = record(23, content)
            bytes[Int(argument) * 7 % bytes.count] ^= (content.first ?? 0) | 1
            isSpoilt = true
            deliver(bytes)
        case .bytes:
            isSpoilt = isSpoilt || !content.isEmpty
            deliver(content)
        case .replay:
            isSpoilt = isSpoilt || !last.isEmpty
            deliver(last)
        case .answer: answer(Self.repeated(content, argument))
        case .finish:
            stream.client.finish()
            isSpoilt = true
            deliver(stream.client.takeReply())
        }
    }

    func check() { FuzzTarget.require(heard == expected, "what is heard is what was said") }

    private static func repeated(_ content: [UInt8], _ argument: UInt8) -> [UInt8] {
        guard !content.isEmpty else { return [] }
        let count = min(content.count * (Int(argument) + 1), bytesMax)
        return (0..<count).map { content[$0 % content.count] }
    }

    private func record(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        var record = [UInt8](repeating: 0, count: body.count + RecordProtection.overhead)
        record.withUnsafeMutableBufferPointer { record in
            body.withUnsafeBytes { body in
                guard let base = record.baseAddress else { return }
                _ = stream.client.sealing?.seal(
                    type: type, head: UnsafeRawBufferPointer(start: nil, count: 0), body: body,
                    into: base)
            }
        }
        return record
    }

    /// What RFC 8446 §5.4 makes of a record's inside.
    private mutating func foresee(_ inside: [UInt8]) {
        guard !isSpoilt else { return }
        guard let type = inside.lastIndex(where: { $0 != 0 }), type <= Self.recordTextMax,
            inside[type] == 23, inside.count <= Self.recordTextMax + 256 - 16
        else {
            isSpoilt = true
            return
        }
        expected += inside[..<type]
    }

    private mutating func deliver(_ bytes: [UInt8]) {
        last = bytes
        for start in stride(from: 0, to: bytes.count, by: pieceSize) {
            let piece = Array(bytes[start..<min(bytes.count, start + pieceSize)])
            let text = try? FuzzedStream.receive(
                piece, by: stream.server, pieceSize: piece.count)
            heard += text ?? []
        }
    }

    private mutating func answer(_ text: [UInt8]) {
        let reply = stream.server.takeReply()
        if !reply.isEmpty {
            isAnswerSpoilt = true
            let heard = try? FuzzedStream.receive(
                reply, by: stream.client, pieceSize: pieceSize)
            FuzzTarget.require(heard?.isEmpty ?? true, "an alert is no text")
        }
        guard let bytes = FuzzedStream.send(text, by: stream.server) else { return }
        let heard = try? FuzzedStream.receive(bytes, by: stream.client, pieceSize: pieceSize)
        FuzzTarget.require(isAnswerSpoilt || heard == text, "what is heard is what was said")
    }
}
