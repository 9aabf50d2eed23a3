// From what a scene file writes (a relative URI reference, RFC 3986) to the name of a file below
// the scene's folder. Nothing that a scene says reaches a file outside of it.

import Foundation

/// Names of files as scenes use them.
enum SceneFileName {
    /// The name that `uri`, written in the file `main`, stands for: relative to the same root as
    /// `main`, percent-decoded, without `.` and `..`.
    /// - Throws: ``SceneError/unsupported(file:feature:)`` for a URL with a scheme, and
    ///   ``SceneError/malformed(file:reason:)`` for a name outside the root, with control
    ///   characters or of absurd length.
    static func resolve(_ uri: String, beside main: String) throws(SceneError) -> String {
        if let scheme = scheme(of: uri) {
            throw .unsupported(
                file: main, feature: "'\(printable(uri))' by the scheme '\(printable(scheme)):'")
        }
        // Exporters that do not encode leave a '%' that decodes to nothing.
        let decoded = uri.removingPercentEncoding ?? uri
        var components = main.split(separator: "/").dropLast().map(String.init)
        if decoded.hasPrefix("/") {
            throw .malformed(
                file: main, reason: "'\(printable(uri))' is an absolute path, not a relative one")
        }
        for component in decoded.split(separator: "/") {
            if component == ".." {
                guard components.popLast() != nil else {
                    throw .malformed(
                        file: main, reason: "'\(printable(uri))' lies outside the scene's folder")
                }
            } else if component != "." {
                components.append(String(component))
            }
        }
        let name = components.joined(separator: "/")
        guard !name.isEmpty, printable(decoded) == decoded else {
            throw .malformed(file: main, reason: "'\(printable(uri))' is no file name")
        }
        return name
    }

    /// The scheme of a URI (RFC 3986 §3.1), nil for a relative reference.
    private static func scheme(of uri: String) -> String? {
        guard let colon = uri.firstIndex(of: ":"), let first = uri.first else { return nil }
        let scheme = uri[..<colon]
        let isScheme =
            first.isASCII && first.isLetter
            && scheme.allSatisfy {
                $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0))
            }
        return isScheme ? String(scheme) : nil
    }
}

/// Bytes written in the file itself (RFC 2397).
enum DataURI {
    static func isDataURI(_ uri: String) -> Bool {
        uri.utf8.prefix(5).elementsEqual("data:".utf8)
            || uri.prefix(5).lowercased() == "data:"
    }

    /// The bytes of a base64 data URI.
    static func bytes(of uri: String, what: String, file: String) throws(SceneError) -> [UInt8] {
        guard let comma = uri.utf8.firstIndex(of: UInt8(ascii: ",")) else {
            throw .malformed(file: file, reason: "\(what) has a data URI without a comma")
        }
        guard uri[..<comma].lowercased().hasSuffix(";base64") else {
            throw .unsupported(file: file, feature: "\(what) as a data URI that is not base64")
        }
        guard let data = Data(base64Encoded: String(uri[uri.utf8.index(after: comma)...])) else {
            throw .malformed(file: file, reason: "\(what) has a data URI that is not valid base64")
        }
        return Array(data)
    }
}
