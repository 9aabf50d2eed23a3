// mDNS through the machine's avahi-daemon, by libavahi-client over the system's message bus.

import CAvahi
import MeshCore

/// Publishes and browses through avahi-daemon.
@EventLoop
final class DaemonServiceSource: ServiceSource {
    private let record: DiscoveryRecord
    private let sink: ServiceSink
    private var client: OpaquePointer?
    private var publication: ServicePublication?
    private var browsing: ServiceBrowsing?

    /// Connects to the daemon.
    /// - Throws: `DiscoveryError`; `isNoDaemon` when there is none.
    init(record: DiscoveryRecord, sink: ServiceSink) throws(DiscoveryError) {
        self.record = record
        self.sink = sink
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
        // Frees the publication's group too, which withdraws the service.
        if let client { avahi_client_free(client) }
        client = nil
        publication = nil
    }

    fileprivate func changed(_ state: AvahiClientState, _ address: UInt) {
        guard let reporting = OpaquePointer(bitPattern: address) else { return }
        client = reporting
        sink.attempt { () throws(DiscoveryError) in
            switch state {
            case AVAHI_CLIENT_S_RUNNING:
                try publish(reporting)
                try browse(reporting)
            case AVAHI_CLIENT_S_COLLISION, AVAHI_CLIENT_S_REGISTERING:
                // The machine's host name changes: our service follows when it runs again.
                publication?.withdraw()
            case AVAHI_CLIENT_FAILURE:
                throw DiscoveryError(
                    code: avahi_client_errno(reporting), operation: "keep the avahi daemon")
            default: break
            }
        }
    }

    private func publish(_ client: OpaquePointer) throws(DiscoveryError) {
        let port = record.address.port
        let publication =
            publication
            ?? ServicePublication(
                record: record, sink: sink,
                calls: ServicePublication.Calls(
                    groupNew: { avahi_entry_group_new(client, groupReported, $0) },
                    groupReset: { avahi_entry_group_reset($0) },
                    // The daemon publishes the machine's own.
                    addAddresses: { _ in true },
                    addService: { group, name, text in
                        avahi_entry_group_add_service_strlst(
                            group, Avahi.anyInterface, Avahi.ipv4, AvahiPublishFlags(0), name,
                            DiscoveryRecord.serviceType, nil, nil, port, text)
                    },
                    groupCommit: { avahi_entry_group_commit($0) },
                    lastError: { avahi_client_errno(client) }))
        self.publication = publication
        try publication.publish()
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
}

private func clientReported(
    _ client: OpaquePointer?, _ state: AvahiClientState, _ context: UnsafeMutableRawPointer?
) {
    let address = UInt(bitPattern: client)
    Avahi.enter(context, as: DaemonServiceSource.self) { $0.changed(state, address) }
}

private func groupReported(
    _ group: OpaquePointer?, _ state: AvahiEntryGroupState, _ context: UnsafeMutableRawPointer?
) {
    ServicePublication.groupChanged(context, state)
}
