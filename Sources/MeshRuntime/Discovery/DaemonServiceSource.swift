// mDNS through the machine's avahi-daemon, by libavahi-client over the system's message bus.

import CAvahi
import MeshCore

/// Publishes and browses through avahi-daemon.
@EventLoop
final class DaemonServiceSource: ServiceSource {
    private let record: DiscoveryRecord
    private let sink: ServiceSink
    private var name: String
    private var client: OpaquePointer?
    private var group: OpaquePointer?
    private var browsing: ServiceBrowsing?

    /// Connects to the daemon.
    /// - Throws: `DiscoveryError`; `isNoDaemon` when there is none.
    init(record: DiscoveryRecord, sink: ServiceSink) throws(DiscoveryError) {
        self.record = record
        self.sink = sink
        name = record.instanceName
        var code: Int32 = 0
        // The first state is reported while this call runs.
        let created = avahi_client_new(
            AvahiLoop.poll, AvahiClientFlags(0), clientReported,
            Unmanaged.passUnretained(self).toOpaque(), &code)
        guard let created else {
            throw DiscoveryError(code: code, operation: "reach the avahi daemon")
        }
        client = created
    }

    func close() {
        browsing?.close()
        browsing = nil
        // Frees the group too, which withdraws the service.
        if let client { avahi_client_free(client) }
        client = nil
        group = nil
    }

    fileprivate func changed(_ state: AvahiClientState, _ address: UInt) {
        guard let reporting = OpaquePointer(bitPattern: address) else { return }
        client = reporting
        do throws(DiscoveryError) {
            switch state {
            case AVAHI_CLIENT_S_RUNNING:
                try publish()
                try browse(reporting)
            case AVAHI_CLIENT_S_COLLISION, AVAHI_CLIENT_S_REGISTERING:
                // The machine's host name changes: our service follows when it runs again.
                if let group { avahi_entry_group_reset(group) }
            case AVAHI_CLIENT_FAILURE:
                throw lastError("keep the avahi daemon")
            default: break
            }
        } catch {
            sink.failed(error)
        }
    }

    private func lastError(_ operation: String) -> DiscoveryError {
        DiscoveryError(code: client.map(avahi_client_errno) ?? 0, operation: operation)
    }

    private func publish() throws(DiscoveryError) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        guard let group = group ?? avahi_entry_group_new(client, groupReported, context) else {
            throw lastError("publish")
        }
        self.group = group
        avahi_entry_group_reset(group)
        var code: Int32
        repeat {
            code = Avahi.withText(record.text) {
                avahi_entry_group_add_service_strlst(
                    group, Avahi.anyInterface, Avahi.ipv4, AvahiPublishFlags(0), name,
                    DiscoveryRecord.serviceType, nil, nil, record.address.port, $0)
            }
            if code == AVAHI_ERR_COLLISION { name = Avahi.alternative(to: name) }
        } while code == AVAHI_ERR_COLLISION
        try Avahi.check(code, "publish \(name)")
        try Avahi.check(avahi_entry_group_commit(group), "publish \(name)")
    }

    private func browse(_ client: OpaquePointer) throws(DiscoveryError) {
        guard browsing == nil else { return }
        let browsing = ServiceBrowsing(
            sink: sink,
            calls: ServiceBrowsing.Calls(
                browserNew: { callback, context in
                    avahi_service_browser_new(
                        client, Avahi.anyInterface, Avahi.ipv4, DiscoveryRecord.serviceType, nil,
                        AvahiLookupFlags(0), callback, context)
                },
                browserFree: { avahi_service_browser_free($0) },
                resolverNew: { service, callback, context in
                    avahi_service_resolver_new(
                        client, service.interface, service.networkProtocol, service.name,
                        service.type, service.domain, Avahi.ipv4, AvahiLookupFlags(0), callback,
                        context)
                },
                resolverFree: { avahi_service_resolver_free($0) },
                lastError: { avahi_client_errno(client) }))
        self.browsing = browsing
        try browsing.start()
    }

    fileprivate func changed(_ state: AvahiEntryGroupState) {
        do throws(DiscoveryError) {
            switch state {
            case AVAHI_ENTRY_GROUP_COLLISION:
                name = Avahi.alternative(to: name)
                try publish()
            case AVAHI_ENTRY_GROUP_FAILURE: throw lastError("publish \(name)")
            default: break
            }
        } catch {
            sink.failed(error)
        }
    }
}

private func clientReported(
    _ client: OpaquePointer?, _ state: AvahiClientState, _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    let source = Unmanaged<DaemonServiceSource>.fromOpaque(context).takeUnretainedValue()
    let address = UInt(bitPattern: client)
    EventLoop.assumeIsolated { source.changed(state, address) }
}

private func groupReported(
    _ group: OpaquePointer?, _ state: AvahiEntryGroupState, _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    let source = Unmanaged<DaemonServiceSource>.fromOpaque(context).takeUnretainedValue()
    EventLoop.assumeIsolated { source.changed(state) }
}
