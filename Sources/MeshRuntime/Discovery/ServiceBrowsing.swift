// Browsing: the services of our type on each interface, each asked for its address. libavahi-client
// and libavahi-core have the same calls for it under other names.

import CAvahi
import MeshCore

/// The browser and its resolvers, over either library.
@EventLoop
final class ServiceBrowsing {
    /// The library's calls, bound to its client or server.
    struct Calls {
        let browserNew: (AvahiServiceBrowserCallback, UnsafeMutableRawPointer) -> OpaquePointer?
        let browserFree: (OpaquePointer) -> Void
        let resolverNew:
            (Service, AvahiServiceResolverCallback, UnsafeMutableRawPointer) -> OpaquePointer?
        let resolverFree: (OpaquePointer) -> Void
        /// The code of the last failure.
        let lastError: () -> Int32
    }

    /// A service as the browser names it.
    struct Service: Hashable, Sendable {
        let interface: Int32
        let networkProtocol: Int32
        let name: String
        let type: String
        let domain: String
        var key: ServiceKey { ServiceKey(interface: interface, name: name) }
    }

    /// How often a service that was seen but did not answer is asked again, and how soon.
    private static let attemptsMax = 5
    private static let retryDelay = Duration.seconds(2)

    private let sink: ServiceSink
    private let calls: Calls
    private var browser: OpaquePointer?
    /// The services that are there, with the attempts to resolve them that have failed.
    private var present: [Service: Int] = [:]
    private var resolvers: [OpaquePointer: Service] = [:]

    init(sink: ServiceSink, calls: Calls) {
        self.sink = sink
        self.calls = calls
    }

    /// Pointers to this object end with `close`.
    private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    func start() throws(DiscoveryError) {
        browser = calls.browserNew(browserReported, context)
        if browser == nil { throw DiscoveryError(code: calls.lastError(), operation: "browse") }
    }

    func close() {
        for resolver in resolvers.keys { calls.resolverFree(resolver) }
        resolvers = [:]
        present = [:]
        if let browser { calls.browserFree(browser) }
        browser = nil
    }

    fileprivate func browsed(_ event: AvahiBrowserEvent, _ service: Service?) {
        switch event {
        case AVAHI_BROWSER_NEW:
            guard let service, present.count < DiscoveredNodes.servicesMax else { return }
            present[service] = 0
            resolve(service)
        case AVAHI_BROWSER_REMOVE:
            guard let service, present.removeValue(forKey: service) != nil else { return }
            // Only IPv4 is browsed, so that this was the interface's only sight of it.
            sink.vanished(service.key)
        case AVAHI_BROWSER_FAILURE:
            sink.failed(DiscoveryError(code: calls.lastError(), operation: "browse"))
        default: break
        }
    }

    private func resolve(_ service: Service) {
        guard let resolver = calls.resolverNew(service, resolverReported, context) else {
            resolveLater(service)
            return
        }
        resolvers[resolver] = service
    }

    private func resolveLater(_ service: Service) {
        guard browser != nil, let failures = present[service], failures < Self.attemptsMax
        else { return }
        present[service] = failures + 1
        EventLoop.schedule(after: Self.retryDelay) { [weak self] in
            guard let self, present[service] == failures + 1 else { return }
            resolve(service)
        }
    }

    fileprivate func resolved(_ resolver: UInt, text: [String], address: NodeAddress?) {
        guard let resolver = OpaquePointer(bitPattern: resolver),
            let service = resolvers.removeValue(forKey: resolver)
        else { return }
        calls.resolverFree(resolver)
        // It may have gone while it was asked.
        guard present[service] != nil else { return }
        if let address {
            sink.appeared(service.key, text, address)
        } else {
            resolveLater(service)
        }
    }
}

private func browserReported(
    _ browser: OpaquePointer?, _ interface: AvahiIfIndex, _ networkProtocol: AvahiProtocol,
    _ event: AvahiBrowserEvent, _ name: UnsafePointer<CChar>?, _ type: UnsafePointer<CChar>?,
    _ domain: UnsafePointer<CChar>?, _ flags: AvahiLookupResultFlags,
    _ context: UnsafeMutableRawPointer?
) {
    var service: ServiceBrowsing.Service?
    if let name, let type, let domain {
        service = ServiceBrowsing.Service(
            interface: interface, networkProtocol: networkProtocol, name: String(cString: name),
            type: String(cString: type), domain: String(cString: domain))
    }
    let found = service
    Avahi.enter(context, as: ServiceBrowsing.self) { $0.browsed(event, found) }
}

private func resolverReported(
    _ resolver: OpaquePointer?, _ interface: AvahiIfIndex, _ networkProtocol: AvahiProtocol,
    _ event: AvahiResolverEvent, _ name: UnsafePointer<CChar>?, _ type: UnsafePointer<CChar>?,
    _ domain: UnsafePointer<CChar>?, _ host: UnsafePointer<CChar>?,
    _ address: UnsafePointer<AvahiAddress>?, _ port: UInt16,
    _ text: UnsafeMutablePointer<AvahiStringList>?, _ flags: AvahiLookupResultFlags,
    _ context: UnsafeMutableRawPointer?
) {
    let identity = UInt(bitPattern: resolver)
    let found = event == AVAHI_RESOLVER_FOUND
    let nodeAddress = found ? Avahi.address(address, port: port) : nil
    let strings = found ? Avahi.text(text) : []
    Avahi.enter(context, as: ServiceBrowsing.self) {
        $0.resolved(identity, text: strings, address: nodeAddress)
    }
}
