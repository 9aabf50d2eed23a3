// Publishing: this node's service in a group of entries of its own, renamed until its name is
// free. libavahi-client and libavahi-core have the same calls for it under other names.

import CAvahi
import MeshCore

/// The service of this node, over either library.
@EventLoop
final class ServicePublication {
    /// The library's calls, bound to its client or server.
    struct Calls {
        /// Makes a group whose callback passes the pointer on to `groupChanged`.
        let groupNew: (UnsafeMutableRawPointer) -> OpaquePointer?
        let groupReset: (OpaquePointer) -> Void
        /// Adds what the service cannot do without. Returns false when there is nothing to
        /// publish now.
        let addAddresses: @EventLoop (OpaquePointer) throws(DiscoveryError) -> Bool
        /// Adds the service under a name, with its TXT strings.
        let addService: (OpaquePointer, String, UnsafeMutablePointer<AvahiStringList>?) -> Int32
        let groupCommit: (OpaquePointer) -> Int32
        /// The code of the last failure.
        let lastError: () -> Int32
    }

    /// So many services of one name on one machine are a fault, not a choice.
    private static let renamesMax = 1_000

    private let record: DiscoveryRecord
    private let sink: ServiceSink
    private let calls: Calls
    private var name: String
    /// Freed with the client or server that it belongs to.
    private var group: OpaquePointer?
    private var renames = 0

    init(record: DiscoveryRecord, sink: ServiceSink, calls: Calls) {
        self.record = record
        self.sink = sink
        self.calls = calls
        name = record.instanceName
    }

    /// Publishes the service, in place of what was published before.
    func publish() throws(DiscoveryError) {
        // The library's pointers to this object end with its client or server.
        let context = Unmanaged.passUnretained(self).toOpaque()
        guard let group = group ?? calls.groupNew(context) else { throw failure }
        self.group = group
        calls.groupReset(group)
        guard try calls.addAddresses(group) else { return }
        var code: Int32
        repeat {
            code = Avahi.withText(record.text) { calls.addService(group, name, $0) }
        } while code == AVAHI_ERR_COLLISION && rename()
        try Avahi.check(code, "publish \(name)")
        try Avahi.check(calls.groupCommit(group), "publish \(name)")
    }

    /// Takes the service back until it is published again.
    func withdraw() {
        if let group { calls.groupReset(group) }
    }

    private var failure: DiscoveryError {
        DiscoveryError(code: calls.lastError(), operation: "publish \(name)")
    }

    /// Takes the next name. Returns false when enough were tried.
    private func rename() -> Bool {
        guard renames < Self.renamesMax else { return false }
        renames += 1
        name = record.alternativeName
        return true
    }

    private func changed(_ state: AvahiEntryGroupState) {
        sink.attempt { () throws(DiscoveryError) in
            switch state {
            case AVAHI_ENTRY_GROUP_COLLISION:
                guard rename() else { throw failure }
                try publish()
            case AVAHI_ENTRY_GROUP_FAILURE: throw failure
            default: break
            }
        }
    }

    /// What the library says of a group, to be called by its callback.
    nonisolated static func groupChanged(
        _ context: UnsafeMutableRawPointer?, _ state: AvahiEntryGroupState
    ) {
        Avahi.enter(context, as: ServicePublication.self) { $0.changed(state) }
    }
}
