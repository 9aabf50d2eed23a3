// libavahi-core, loaded when first needed: a machine without it lacks only the responder. Why it
// is loaded and not linked is told in CAvahi's shim.h.

import CAvahi

/// The library's functions.
@EventLoop
enum AvahiCore {
    static func functions() throws(DiscoveryError) -> meshd_avahi_core {
        guard let loaded else {
            throw DiscoveryError(
                code: Int32(AVAHI_ERR_NOT_FOUND), operation: "load libavahi-core.so.7")
        }
        return loaded
    }

    private static let loaded: meshd_avahi_core? = {
        let memory = UnsafeMutablePointer<meshd_avahi_core>.allocate(capacity: 1)
        defer { memory.deallocate() }
        guard meshd_avahi_core_load(memory) == 0 else { return nil }
        let functions = memory.pointee
        // It would write to stderr, which is the program's own; failures come back as codes.
        functions.set_log_function(ignoreLog)
        return functions
    }()
}

private func ignoreLog(_ level: AvahiLogLevel, _ text: UnsafePointer<CChar>?) {}
