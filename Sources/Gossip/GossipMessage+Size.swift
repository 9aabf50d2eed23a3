// How many bytes a message takes, without writing it: each send fills what is left of a datagram,
// and simulations count the bytes of millions.

import MeshCore

extension GossipMessage {
    /// The number of bytes that `encode()` gives.
    public var encodedSize: Int {
        var size = 1 + sender.encodedSize
        if let content = body.contentSize { size += recordSize(content) }
        for update in updates { size += recordSize(update.contentSize) }
        return size
    }
}

extension GossipMessage.Body {
    /// Without kind and length; nil for mere gossip, which has no record.
    fileprivate var contentSize: Int? {
        switch self {
        case .gossip: return nil
        case .ping(let ping): return varintSize(UInt64(ping.sequence))
        case .ack(let ack):
            return varintSize(UInt64(ack.sequence)) + (ack.subject?.encodedSize ?? 0)
        case .indirectPing(let request):
            return varintSize(UInt64(request.sequence)) + request.target.encodedSize
                + request.address.encodedSize
        case .nack(let nack): return varintSize(UInt64(nack.sequence))
        case .join(let join): return join.record.contentSize
        case .digest(let digest):
            return 2 + 8 * digest.digests.count + (digest.observed?.encodedSize ?? 0)
        case .pull(let pull):
            return varintSize(UInt64(pull.sequence)) + 8 + (pull.after == nil ? 0 : 8)
        case .page(let page):
            var size = varintSize(UInt64(page.sequence)) + 1 + (page.next == nil ? 0 : 8)
            size += varintSize(UInt64(page.records.count))
            for record in page.records {
                let content = record.contentSize
                size += varintSize(UInt64(content)) + content
            }
            return size
        }
    }
}

extension MemberUpdate {
    /// The most bytes of the statement as a record.
    var encodedSize: Int { contentSize + 3 }

    /// The bytes of the statement itself.
    fileprivate var contentSize: Int {
        var size = 1 + participant.encodedSize + varintSize(UInt64(incarnation))
        if let profile {
            size += profile.address.encodedSize + varintSize(UInt64(profile.metadataVersion))
            size += varintSize(UInt64(profile.metadata.count)) + profile.metadata.count
        }
        if status == .suspect { size += 1 + 8 * (witnesses.count + refusals.count) }
        return size
    }
}

extension ParticipantID {
    fileprivate var encodedSize: Int { 8 + varintSize(boot) }
}

extension NodeAddress {
    fileprivate var encodedSize: Int { isIPv6 ? 19 : 7 }
}

/// Of a record with a content of so many bytes.
private func recordSize(_ content: Int) -> Int { 1 + varintSize(UInt64(content)) + content }

/// Seven bits a byte.
private func varintSize(_ value: UInt64) -> Int {
    value == 0 ? 1 : (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7
}
