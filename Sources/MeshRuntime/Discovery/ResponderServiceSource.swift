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
    private var name: String
    private var server: OpaquePointer?
    private var group: OpaquePointer?
    private var browsing: ServiceBrowsing?
    private var addressTimer: LoopTimer?
    private var published: [LocalAddresses.Entry]?

    /// Starts the responder.
    /// - Throws: `DiscoveryError`, for instance without any network at all.
    init(record: DiscoveryRecord, sink: ServiceSink) throws(DiscoveryError) {
        core = try AvahiCore.functions()
        self.record = record
        self.sink = sink
        name = record.instanceName
        var configuration = AvahiServerConfig()
        _ = core.server_config_init(&configuration)
        defer { core.server_config_free(&configuration) }
        configuration.host_name = avahi_strdup("meshd-\(record.node)-\(record.boot)")
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
        // Frees the group too, which withdraws the service.
        if let server { core.server_free(server) }
        server = nil
        group = nil
    }

    fileprivate func changed(_ state: AvahiServerState, _ address: UInt) {
        guard let reporting = OpaquePointer(bitPattern: address) else { return }
        server = reporting
        do throws(DiscoveryError) {
            switch state {
            case AVAHI_SERVER_RUNNING:
                try publish()
                try browse(reporting)
            case AVAHI_SERVER_COLLISION:
                guard let other = avahi_alternative_host_name(core.server_get_host_name(reporting))
                else { return }
                defer { avahi_free(other) }
                try Avahi.check(core.server_set_host_name(reporting, other), "rename the host")
            case AVAHI_SERVER_REGISTERING:
                if let group { core.s_entry_group_reset(group) }
            case AVAHI_SERVER_FAILURE: throw lastError("keep the mDNS responder")
            default: break
            }
        } catch {
            sink.failed(error)
        }
    }

    private func lastError(_ operation: String) -> DiscoveryError {
        DiscoveryError(code: server.map { core.server_errno($0) } ?? 0, operation: operation)
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
        do throws(DiscoveryError) {
            try publish()
        } catch {
            sink.failed(error)
        }
    }

    private func publish() throws(DiscoveryError) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        guard let group = group ?? core.s_entry_group_new(server, groupReported, context) else {
            throw lastError("publish")
        }
        self.group = group
        core.s_entry_group_reset(group)
        let addresses = localAddresses()
        published = addresses
        guard !addresses.isEmpty else { return }
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
        var code: Int32
        repeat {
            code = Avahi.withText(record.text) {
                core.server_add_service_strlst(
                    server, group, Avahi.anyInterface, Avahi.ipv4, AvahiPublishFlags(0), name,
                    DiscoveryRecord.serviceType, nil, nil, record.address.port, $0)
            }
            if code == AVAHI_ERR_COLLISION { name = Avahi.alternative(to: name) }
        } while code == AVAHI_ERR_COLLISION
        try Avahi.check(code, "publish \(name)")
        try Avahi.check(core.s_entry_group_commit(group), "publish \(name)")
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

private func serverReported(
    _ server: OpaquePointer?, _ state: AvahiServerState, _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    let source = Unmanaged<ResponderServiceSource>.fromOpaque(context).takeUnretainedValue()
    let address = UInt(bitPattern: server)
    EventLoop.assumeIsolated { source.changed(state, address) }
}

private func groupReported(
    _ server: OpaquePointer?, _ group: OpaquePointer?, _ state: AvahiEntryGroupState,
    _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    let source = Unmanaged<ResponderServiceSource>.fromOpaque(context).takeUnretainedValue()
    EventLoop.assumeIsolated { source.changed(state) }
}
