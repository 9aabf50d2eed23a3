// The bytes of a membership datagram (docs/WIRE.md): one byte of magic and version, the sender,
// then records of kind, length and content to the end. Unknown kinds and unknown bytes at the end
// of a record are skipped, so that later versions can add to both.

public import MeshCore

extension GossipMessage {
    /// The version of the datagrams; members of another version are not understood.
    public static let protocolVersion: UInt8 = 1
    private static let magic: UInt8 = 0xe0

    fileprivate enum Kind: UInt8 {
        case ping = 1
        case ack = 2
        case indirectPing = 3
        case nack = 4
        case join = 5
        case digest = 6
        case pull = 7
        case page = 8
        case update = 16
    }

    /// The datagram, at most ``datagramSizeMax`` bytes if ``Membership`` made the message.
    public func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.magic | Self.protocolVersion)
        writer.write(sender)
        var content = ByteWriter()
        if let kind = body.write(to: &content) { writer.writeRecord(kind.rawValue, content) }
        for update in updates {
            var content = ByteWriter()
            update.write(to: &content)
            writer.writeRecord(Kind.update.rawValue, content)
        }
        return writer.bytes
    }

    /// Reads a datagram. Any bytes are safe.
    /// - Throws: ``MalformedBytes`` for another version and for values out of bounds.
    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        guard bytes.count <= Self.datagramSizeMax else { throw .invalid("datagram size") }
        var reader = ByteReader(bytes)
        let first = try reader.read(UInt8.self)
        guard first & 0xf0 == Self.magic else { throw .invalid("magic byte") }
        guard first & 0x0f == Self.protocolVersion else { throw .invalid("protocol version") }
        sender = try reader.readParticipant()
        var body: Body?
        updates = []
        while reader.remaining > 0 {
            let number = try reader.read(UInt8.self)
            let length = try reader.readCount("record length", atMost: Self.datagramSizeMax)
            var content = ByteReader(try reader.readBytes(length))
            guard let kind = Kind(rawValue: number) else { continue }
            if kind == .update {
                guard updates.count < Self.updatesMax else { throw .invalid("updates") }
                updates.append(try MemberUpdate(from: &content))
            } else {
                guard body == nil else { throw .invalid("second body") }
                body = try Body(kind, from: &content)
            }
        }
        self.body = body ?? .gossip
    }
}

extension GossipMessage.Body {
    /// Writes the content and returns its kind; nil for mere gossip, which has no record.
    fileprivate func write(to writer: inout ByteWriter) -> GossipMessage.Kind? {
        switch self {
        case .gossip: return nil
        case .ping(let ping):
            writer.writeVarint(UInt64(ping.sequence))
            return .ping
        case .ack(let ack):
            writer.writeVarint(UInt64(ack.sequence))
            if let subject = ack.subject { writer.write(subject) }
            return .ack
        case .indirectPing(let request):
            writer.writeVarint(UInt64(request.sequence))
            writer.write(request.target)
            writer.write(request.address)
            return .indirectPing
        case .nack(let nack):
            writer.writeVarint(UInt64(nack.sequence))
            return .nack
        case .join(let join):
            join.record.write(to: &writer)
            return .join
        case .digest(let digest):
            writer.write(UInt8(digest.wantsReply ? 1 : 0))
            writer.write(UInt8(digest.digests.count))
            for word in digest.digests { writer.write(word) }
            if let observed = digest.observed { writer.write(observed) }
            return .digest
        case .pull(let pull):
            writer.writeVarint(UInt64(pull.sequence))
            writer.write(pull.buckets)
            if let after = pull.after { writer.write(after.rawValue) }
            return .pull
        case .page(let page):
            writer.writeVarint(UInt64(page.sequence))
            writer.write(UInt8(page.next == nil ? 0 : 1))
            if let next = page.next { writer.write(next.rawValue) }
            writer.writeVarint(UInt64(page.records.count))
            for record in page.records {
                var content = ByteWriter()
                record.write(to: &content)
                writer.writeVarint(UInt64(content.bytes.count))
                writer.write(contentsOf: content.bytes)
            }
            return .page
        }
    }

    fileprivate init(
        _ kind: GossipMessage.Kind, from reader: inout ByteReader
    ) throws(MalformedBytes) {
        switch kind {
        case .ping: self = .ping(.init(sequence: try reader.readSequence()))
        case .ack:
            let sequence = try reader.readSequence()
            let subject = reader.remaining > 0 ? try reader.readParticipant() : nil
            self = .ack(.init(sequence: sequence, subject: subject))
        case .indirectPing:
            self = .indirectPing(
                .init(
                    sequence: try reader.readSequence(), target: try reader.readParticipant(),
                    address: try reader.readAddress()))
        case .nack: self = .nack(.init(sequence: try reader.readSequence()))
        case .join:
            let record = try MemberUpdate(from: &reader)
            guard record.profile != nil, record.status == .alive else { throw .invalid("join") }
            self = .join(.init(record: record))
        case .digest: self = .digest(try .init(from: &reader))
        case .pull:
            let sequence = try reader.readSequence()
            let buckets = try reader.read(UInt64.self)
            let after = reader.remaining > 0 ? NodeID(try reader.read(UInt64.self)) : nil
            self = .pull(.init(sequence: sequence, buckets: buckets, after: after))
        case .page: self = .page(try .init(from: &reader))
        case .update: throw .invalid("body")
        }
    }
}

extension GossipMessage.SyncDigest {
    fileprivate init(from reader: inout ByteReader) throws(MalformedBytes) {
        let flags = try reader.read(UInt8.self)
        let count = Int(try reader.read(UInt8.self))
        guard count == 1 || count == MemberTable.bucketCount else { throw .invalid("digests") }
        var digests: [UInt64] = []
        for _ in 0..<count { digests.append(try reader.read(UInt64.self)) }
        self.digests = digests
        wantsReply = flags & 1 == 1
        observed = reader.remaining > 0 ? try reader.readAddress() : nil
    }
}

extension GossipMessage.SyncPage {
    fileprivate init(from reader: inout ByteReader) throws(MalformedBytes) {
        sequence = try reader.readSequence()
        let hasNext = try reader.read(UInt8.self) & 1 == 1
        next = hasNext ? NodeID(try reader.read(UInt64.self)) : nil
        let count = try reader.readCount("records", atMost: GossipMessage.updatesMax)
        var records: [MemberUpdate] = []
        for _ in 0..<count {
            let length = try reader.readCount(
                "record length", atMost: GossipMessage.datagramSizeMax)
            var content = ByteReader(try reader.readBytes(length))
            records.append(try MemberUpdate(from: &content))
        }
        self.records = records
    }
}

extension MemberUpdate {
    /// The largest incarnation and metadata version that is believed: no node that lives a
    /// century with five changes a second reaches it.
    static let counterMax: UInt32 = 1 << 30

    /// The next value of an incarnation or a metadata version; the last one stays.
    static func counter(after value: UInt32) -> UInt32 { min(value, counterMax - 1) + 1 }

    /// Flags: status in bits 0 and 1, bit 2 says that a profile follows.
    func write(to writer: inout ByteWriter) {
        writer.write(status.rawValue | (profile == nil ? 0 : 4))
        writer.write(participant)
        writer.writeVarint(UInt64(incarnation))
        if let profile {
            writer.write(profile.address)
            writer.writeVarint(UInt64(profile.metadataVersion))
            writer.writeVarint(UInt64(profile.metadata.count))
            writer.write(contentsOf: profile.metadata)
        }
        if status == .suspect {
            writer.write(UInt8(witnesses.count | refusals.count << 4))
            for node in witnesses + refusals { writer.write(node.rawValue) }
        }
    }

    init(from reader: inout ByteReader) throws(MalformedBytes) {
        let flags = try reader.read(UInt8.self)
        guard let status = MemberStatus(rawValue: flags & 3) else { throw .invalid("status") }
        let participant = try reader.readParticipant()
        let incarnation = UInt32(try reader.readCount("incarnation", atMost: Int(Self.counterMax)))
        var profile: Profile?
        if flags & 4 != 0 {
            let address = try reader.readAddress()
            let version = UInt32(
                try reader.readCount("metadata version", atMost: Int(Self.counterMax)))
            let length = try reader.readCount(
                "metadata size", atMost: GossipMessage.metadataSizeMax)
            profile = Profile(
                address: address, metadataVersion: version,
                metadata: try reader.readBytes(length))
        }
        guard profile != nil || status != .alive else { throw .invalid("profile") }
        var witnesses: [NodeID] = []
        var refusals: [NodeID] = []
        if status == .suspect {
            let counts = try reader.read(UInt8.self)
            guard counts & 15 <= Self.witnessesMax, counts >> 4 <= Self.witnessesMax else {
                throw .invalid("witnesses")
            }
            for _ in 0..<(counts & 15) { witnesses.append(NodeID(try reader.read())) }
            for _ in 0..<(counts >> 4) { refusals.append(NodeID(try reader.read())) }
        }
        self.init(
            participant: participant, incarnation: incarnation, status: status,
            profile: profile, witnesses: witnesses, refusals: refusals)
    }
}

extension ByteWriter {
    fileprivate mutating func writeRecord(_ kind: UInt8, _ content: ByteWriter) {
        write(kind)
        writeVarint(UInt64(content.bytes.count))
        write(contentsOf: content.bytes)
    }

    fileprivate mutating func write(_ participant: ParticipantID) {
        write(participant.node.rawValue)
        writeVarint(participant.boot)
    }

    /// The number of host bytes, the host, the port.
    fileprivate mutating func write(_ address: NodeAddress) {
        write(UInt8(address.isIPv6 ? 16 : 4))
        write(contentsOf: address.host)
        write(address.port)
    }
}

extension ByteReader {
    fileprivate mutating func readParticipant() throws(MalformedBytes) -> ParticipantID {
        let node = NodeID(try read(UInt64.self))
        return ParticipantID(node: node, boot: try readVarint())
    }

    fileprivate mutating func readSequence() throws(MalformedBytes) -> UInt32 {
        UInt32(try readCount("sequence", atMost: Int(UInt32.max)))
    }

    fileprivate mutating func readAddress() throws(MalformedBytes) -> NodeAddress {
        let host = try readBytes(Int(try read(UInt8.self)))
        guard let address = NodeAddress(host: host, port: try read()) else {
            throw .invalid("address")
        }
        return address
    }
}
