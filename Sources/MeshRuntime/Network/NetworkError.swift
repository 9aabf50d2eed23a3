// The one door through which libuv's return codes become errors: a code, what was attempted, and
// words for both. Everything in this folder calls libuv through `check`.

import CLibuv

/// A libuv or operating system call that failed.
public struct NetworkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The negative code that libuv returned.
    public let code: Int32
    /// What was attempted, as it reads after "cannot".
    public let operation: String

    public init(code: Int32, operation: String) {
        self.code = code
        self.operation = operation
    }

    /// The symbolic name of the code, such as `ECONNREFUSED`.
    public var name: String {
        var buffer = [CChar](repeating: 0, count: 64)
        uv_err_name_r(code, &buffer, buffer.count)
        return Self.text(of: buffer)
    }

    /// Whether somebody else has the address or the socket file.
    public var isAddressInUse: Bool { code == UV_EADDRINUSE.rawValue }
    /// Whether what was attempted makes no sense, now or later.
    public var isInvalidArgument: Bool { code == UV_EINVAL.rawValue }
    /// Whether the system forbids it to this user.
    public var isForbidden: Bool {
        [UV_EACCES, UV_EPERM].contains { $0.rawValue == code }
    }
    /// Whether the peer's machine answered that nobody listens there.
    public var isConnectionRefused: Bool { code == UV_ECONNREFUSED.rawValue }
    /// Whether the network or the host cannot be reached now; this may heal by itself.
    public var isUnreachable: Bool {
        [UV_ENETUNREACH, UV_EHOSTUNREACH, UV_ENETDOWN].contains { $0.rawValue == code }
    }

    public var description: String {
        var buffer = [CChar](repeating: 0, count: 128)
        uv_strerror_r(code, &buffer, buffer.count)
        return "cannot \(operation): \(Self.text(of: buffer)) (\(name))"
    }

    private static func text(of buffer: [CChar]) -> String {
        String(
            decoding: buffer.prefix { $0 != 0 }.lazy.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Passes a libuv result on, or throws when it is an error.
/// - Returns: `code`, zero or positive.
/// - Throws: `NetworkError` with the code and the operation.
@discardableResult
func check(
    _ code: Int32, _ operation: @autoclosure () -> String
) throws(NetworkError) -> Int32 {
    if code < 0 { throw NetworkError(code: code, operation: operation()) }
    return code
}
