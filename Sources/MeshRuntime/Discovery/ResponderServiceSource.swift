// mDNS without a daemon: libavahi-core as a responder in this process. It works beside a daemon
// and beside other such responders of the machine, because it claims a host name of its own and
// publishes no reverse records, which would contradict theirs.

import CAvahi
import Glibc
import MeshCore

/// Publishes and browses with a responder of our own.
@EventLoop
final class ResponderServiceSource: ServiceSource {
    /// How often the machine's addresses are compared with those published: links come and go.
    private static let addressCheckInterval = Duration.seconds(5)

    private let core: meshd_avahi_core
    private let record: DiscoveryRecord
    private let sink: ServiceSink
    private var server: OpaquePointer?
    private var publication: ServicePublication?
    private var browsing: ServiceBrowsing?
    private var addressTimer: LoopTimer?
    private var published: [LocalAddresses.Entry]?

    /// Starts the responder.
    /// - Throws: `DiscoveryError`, for instance without any network at all.
    init(record: DiscoveryRecord, sink: ServiceSink) throws(DiscoveryError) {
        core = try AvahiCore.functions()
        self.record = record
        self.sink = sink
        var configuration = AvahiServerConfig()
        _ = core.server_config_init(&configuration)
        defer { core.server_config_free(&configuration) }
        // No other start of any node has this name.
        let host = "meshd-\(record.node)-\(record.mesh.description.prefix(16))"
        configuration.host_name = avahi_strdup(host)
        configuration.use_ipv4 = 1
        configuration.use_ipv6 = 0
        configuration.publish_hinfo = 0
        configuration.publish_addresses = 0
        configuration.publish_workstation = 0
        configuration.publish_domain = 0
        configuration.enable_wide_area = 0
        var code: Int32 = 0
        let created = core.server_new(
            AvahiLoop.poll, &configuration, serverReported,
            Unmanaged.passUnretained(self).toOpaque(), &code)
        guard let created else {
            throw DiscoveryError(code: code, operation: "start an mDNS responder")
        }
        server = created
        let timer = LoopTimer { [weak self] in self?.checkAddresses() }
        addressTimer = timer
        timer.start(after: Self.addressCheckInterval)
    }

    func close() {
        addressTimer?.close()
        addressTimer = nil
        browsing?.close()
        browsing = nil
        // Frees the publication's group too, which withdraws the service.
        if let server { core.server_free(server) }
        server = nil
        publication = nil
    }

    fileprivate func changed(_ state: AvahiServerState, _ address: UInt) {
        guard let reporting = OpaquePointer(bitPattern: address) else { return }
        server = reporting
        sink.attempt { () throws(DiscoveryError) in
            switch state {
            case AVAHI_SERVER_RUNNING:
                try publish(reporting)
                try browse(reporting)
            case AVAHI_SERVER_COLLISION:
                guard let other = avahi_alternative_host_name(core.server_get_host_name(reporting))
                else { return }
                defer { avahi_free(other) }
                try Avahi.check(core.server_set_host_name(reporting, other), "rename the host")
            case AVAHI_SERVER_REGISTERING: publication?.withdraw()
            case AVAHI_SERVER_FAILURE:
                throw DiscoveryError(
                    code: core.server_errno(reporting), operation: "keep the mDNS responder")
            default: break
            }
        }
    }

    /// The addresses to publish: those that the node listens on. Loopback serves the nodes of
    /// this machine only, where there is nothing else.
    private func localAddresses() -> [LocalAddresses.Entry] {
        let all = ((try? LocalAddresses.all()) ?? []).filter { !$0.address.isIPv6 }
        if !record.address.isUnspecified {
            return all.filter { $0.address.host == record.address.host }
        }
        let reachable = all.filter { !$0.isLoopback }
        return reachable.isEmpty ? all : reachable
    }

    private func checkAddresses() {
        addressTimer?.start(after: Self.addressCheckInterval)
        guard let server, published != nil, localAddresses() != published,
            core.server_get_state(server) == AVAHI_SERVER_RUNNING
        else { return }
        sink.attempt { () throws(DiscoveryError) in try publish(server) }
    }

    private func publish(_ server: OpaquePointer) throws(DiscoveryError) {
        let (core, port) = (core, record.address.port)
        let publication =
            publication
            ?? ServicePublication(
                record: record, sink: sink,
                calls: ServicePublication.Calls(
                    groupNew: { core.s_entry_group_new(server, groupReported, $0) },
                    groupReset: { core.s_entry_group_reset($0) },
                    addAddresses: { [weak self] group throws(DiscoveryError) in
                        try self?.addAddresses(to: group, of: server) ?? false
                    },
                    addService: { group, name, text in
                        core.server_add_service_strlst(
                            server, group, Avahi.anyInterface, Avahi.ipv4, AvahiPublishFlags(0),
                            name, DiscoveryRecord.serviceType, nil, nil, port, text)
                    },
                    groupCommit: { core.s_entry_group_commit($0) },
                    lastError: { core.server_errno(server) }))
        self.publication = publication
        try publication.publish()
    }

    /// Adds the addresses of our own host name. Returns false when the machine has none.
    private func addAddresses(
        to group: OpaquePointer, of server: OpaquePointer
    ) throws(DiscoveryError) -> Bool {
        let addresses = localAddresses()
        published = addresses
        for entry in addresses {
            var address = AvahiAddress()
            address.proto = Avahi.ipv4
            withUnsafeMutableBytes(of: &address.data.ipv4.address) {
                $0.copyBytes(from: entry.address.host)
            }
            // Each interface tells its own address only.
            let interface = Int32(bitPattern: if_nametoindex(entry.interface))
            try Avahi.check(
                core.server_add_address(
                    server, group, interface, Avahi.anyProtocol, AVAHI_PUBLISH_NO_REVERSE, nil,
                    &address), "publish \(entry.address.hostDescription)")
        }
        return !addresses.isEmpty
    }

    private func browse(_ server: OpaquePointer) throws(DiscoveryError) {
        guard browsing == nil else { return }
        let core = core
        let browsing = ServiceBrowsing(
            sink: sink,
            calls: ServiceBrowsing.Calls(
                browserNew: { callback, context in
                    core.s_service_browser_new(
                        server, Avahi.anyInterface, Avahi.ipv4, DiscoveryRecord.serviceType, nil,
                        AvahiLookupFlags(0), callback, context)
                },
                browserFree: { core.s_service_browser_free($0) },
                resolverNew: { service, callback, context in
                    core.s_service_resolver_new(
                        server, service.interface, service.networkProtocol, service.name,
                        service.type, service.domain, Avahi.ipv4, AvahiLookupFlags(0), callback,
                        context)
                },
                resolverFree: { core.s_service_resolver_free($0) },
                lastError: { core.server_errno(server) }))
        self.browsing = browsing
        try browsing.start()
    }
}

private func serverReported(
    _ server: OpaquePointer?, _ state: AvahiServerState, _ context: UnsafeMutableRawPointer?
) {
    let address = UInt(bitPattern: server)
    Avahi.enter(context, as: ResponderServiceSource.self) { $0.changed(state, address) }
}

private func groupReported(
    _ server: OpaquePointer?, _ group: OpaquePointer?, _ state: AvahiEntryGroupState,
    _ context: UnsafeMutableRawPointer?
) {
    ServicePublication.groupChanged(context, state)
}
