// Which members there is news about, and how often it was passed on. The queue holds names only:
// what is sent is always the newest that is known, so one entry per member is enough.

import MeshCore

/// News waiting to be piggybacked, least often sent first (SWIM §4.1).
struct BroadcastQueue: Sendable {
    struct Entry: Hashable, Sendable {
        let node: NodeID
        /// Only address or metadata changed: sent after changes of status and less often.
        var isProfileOnly: Bool
        /// Whether metadata goes along even if the member is not alive.
        var carriesProfile: Bool
        var transmissions = 0
    }

    /// In the order of sending.
    private(set) var entries: [Entry] = []
    private let entriesMax: Int

    init(max: Int) { entriesMax = max }

    var isEmpty: Bool { entries.isEmpty }

    /// Notes a change; its transmissions start anew. A pending change of status stays one.
    mutating func add(_ node: NodeID, isProfileOnly: Bool) {
        var entry = Entry(
            node: node, isProfileOnly: isProfileOnly, carriesProfile: isProfileOnly)
        if let index = entries.firstIndex(where: { $0.node == node }) {
            let old = entries.remove(at: index)
            entry.isProfileOnly = isProfileOnly && old.isProfileOnly
            entry.carriesProfile = isProfileOnly || old.carriesProfile
        } else if entries.count >= entriesMax {
            entries.removeLast()
        }
        insert(entry)
    }

    mutating func remove(_ node: NodeID) { entries.removeAll { $0.node == node } }

    /// Takes entries in order while `take` accepts them; one that does not fit is left for later.
    /// An accepted entry goes back behind others until it was sent `limit` times.
    mutating func select(limit: (Entry) -> Int, take: (Entry) -> Selection) {
        var sent: [Entry] = []
        var kept: [Entry] = []
        var index = 0
        scan: while index < entries.count {
            switch take(entries[index]) {
            case .taken:
                entries[index].transmissions += 1
                sent.append(entries[index])
            case .skipped: kept.append(entries[index])
            case .dropped: break
            case .full: break scan
            }
            index += 1
        }
        entries.replaceSubrange(..<index, with: kept)
        for entry in sent where entry.transmissions < limit(entry) { insert(entry) }
    }

    enum Selection { case taken, skipped, dropped, full }

    /// Keeps the order: by transmissions, changes of status before changes of metadata, and
    /// first come, first sent.
    private mutating func insert(_ entry: Entry) {
        func key(_ entry: Entry) -> Int { entry.transmissions * 2 + (entry.isProfileOnly ? 1 : 0) }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if key(entries[middle]) <= key(entry) { low = middle + 1 } else { high = middle }
        }
        entries.insert(entry, at: low)
    }
}
