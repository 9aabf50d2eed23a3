// What both ways to speak mDNS, through the machine's daemon and in the process, have in common.

import CAvahi
import MeshCore

/// A way to publish this node and to see the others.
///
/// Reports go to the sink; after `close` none comes.
@EventLoop
protocol ServiceSource: AnyObject {
    /// Stops publishing and browsing, and frees everything.
    func close()
}

/// Where a service source reports.
@EventLoop
struct ServiceSink {
    /// A service was resolved: its TXT strings and address.
    let appeared: @EventLoop (ServiceKey, [String], NodeAddress) -> Void
    let vanished: @EventLoop (ServiceKey) -> Void
    /// The source is of no use any more and waits to be closed.
    let failed: @EventLoop (DiscoveryError) -> Void

    /// Does something in a callback of the library; a failure is reported.
    func attempt(_ body: () throws(DiscoveryError) -> Void) {
        do throws(DiscoveryError) {
            try body()
        } catch {
            failed(error)
        }
    }
}

/// A failure of Avahi.
public struct DiscoveryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Avahi's negative code.
    public let code: Int32
    /// What was attempted, as it reads after "cannot".
    public let operation: String

    /// Whether no mDNS daemon, or no message bus to reach it, runs on this machine.
    public var isNoDaemon: Bool {
        [AVAHI_ERR_NO_DAEMON, AVAHI_ERR_DBUS_ERROR].contains { $0 == code }
    }

    public var description: String {
        "cannot \(operation): \(String(cString: avahi_strerror(code))) (\(code))"
    }
}

/// The C objects and numbers that both sources exchange with Avahi.
enum Avahi {
    static let anyInterface = AvahiIfIndex(AVAHI_IF_UNSPEC)
    static let anyProtocol = AvahiProtocol(AVAHI_PROTO_UNSPEC)
    static let ipv4 = AvahiProtocol(AVAHI_PROTO_INET)

    /// Enters the event loop's isolation from a callback, with the object whose pointer the
    /// library was given.
    static func enter<Owner: AnyObject & Sendable>(
        _ context: UnsafeMutableRawPointer?, as _: Owner.Type, _ body: @EventLoop (Owner) -> Void
    ) {
        guard let context else { return }
        let owner = Unmanaged<Owner>.fromOpaque(context).takeUnretainedValue()
        EventLoop.assumeIsolated { body(owner) }
    }

    /// Passes a result on, or throws when it is an error.
    @discardableResult
    static func check(
        _ code: Int32, _ operation: String
    ) throws(DiscoveryError) -> Int32 {
        if code < 0 { throw DiscoveryError(code: code, operation: operation) }
        return code
    }

    /// Calls `body` with TXT strings in Avahi's form.
    static func withText<R>(
        _ text: [String], _ body: (UnsafeMutablePointer<AvahiStringList>?) -> R
    ) -> R {
        var list: UnsafeMutablePointer<AvahiStringList>?
        // The list grows at its front.
        for string in text.reversed() { list = avahi_string_list_add(list, string) }
        defer { avahi_string_list_free(list) }
        return body(list)
    }

    /// The strings of a TXT record.
    static func text(_ list: UnsafeMutablePointer<AvahiStringList>?) -> [String] {
        var strings: [String] = []
        var next = list
        while let element = next {
            let bytes = UnsafeBufferPointer(
                start: avahi_string_list_get_text(element),
                count: avahi_string_list_get_size(element))
            strings.append(String(decoding: bytes, as: UTF8.self))
            next = avahi_string_list_get_next(element)
        }
        return strings
    }

    /// An IPv4 address of Avahi's with a port; nil for any other family.
    static func address(_ address: UnsafePointer<AvahiAddress>?, port: UInt16) -> NodeAddress? {
        guard let address = address?.pointee, address.proto == ipv4 else { return nil }
        let host = withUnsafeBytes(of: address.data.ipv4.address) { Array($0) }
        return NodeAddress(host: host, port: port)
    }
}
