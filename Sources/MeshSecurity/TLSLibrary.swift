// What all TLS sessions of the process share: OpenSSL's contexts for clients and servers, and the
// callbacks through which it asks a session for its key.

import COpenSSL

/// The contexts, made when first needed and never changed afterwards.
///
/// `@unchecked Sendable`: OpenSSL counts references to an SSL_CTX and a BIO_METHOD atomically, and
/// only reads the rest when sessions are made of them (SSL_CTX_new(3), "thread safety").
struct TLSLibrary: @unchecked Sendable {
    static let shared = TLSLibrary()

    let client: OpaquePointer
    let server: OpaquePointer
    let pipe: OpaquePointer

    /// Both with the hash that a key outside of a handshake is for, SHA-256 (RFC 8446 §4.2.11);
    /// the first is the fastest with AES in the processor.
    static let suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
    /// The first of them, which the key is tied to; either may be negotiated.
    private static let suite: [UInt8] = [0x13, 0x01]

    private init() {
        guard let client = SSL_CTX_new(TLS_client_method()),
            let server = SSL_CTX_new(TLS_server_method()), let pipe = meshd_pipe_method(),
            meshd_restrict(client, Self.suites) == 1, meshd_restrict(server, Self.suites) == 1
        else { preconditionFailure("OpenSSL has no TLS 1.3") }
        // A server's certificate would be no substitute for the key.
        SSL_CTX_set_verify(client, SSL_VERIFY_PEER, nil)
        SSL_CTX_set_psk_use_session_callback(client, offerKey)
        SSL_CTX_set_psk_find_session_callback(server, findKey)
        SSL_CTX_set_keylog_callback(client, noteSecret)
        SSL_CTX_set_keylog_callback(server, noteSecret)
        self.client = client
        self.server = server
        self.pipe = pipe
    }

    /// A key in the form in which OpenSSL takes one.
    static func session(for key: MeshKey, _ ssl: OpaquePointer?) -> OpaquePointer? {
        guard let cipher = SSL_CIPHER_find(ssl, suite), let session = SSL_SESSION_new() else {
            return nil
        }
        let secret = key.derived(for: .stream)
        guard SSL_SESSION_set1_master_key(session, secret, secret.count) == 1,
            SSL_SESSION_set_cipher(session, cipher) == 1,
            SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1
        else {
            SSL_SESSION_free(session)
            return nil
        }
        return session
    }
}

/// The session behind a callback.
private func owner(of ssl: OpaquePointer?) -> TLSSession? {
    guard let ssl, let context = SSL_get_ex_data(ssl, 0) else { return nil }
    return Unmanaged<TLSSession>.fromOpaque(context).takeUnretainedValue()
}

/// The client's question which key to offer.
private func offerKey(
    _ ssl: OpaquePointer?, _ hash: OpaquePointer?,
    _ name: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ nameLength: UnsafeMutablePointer<Int>?,
    _ result: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    guard let session = owner(of: ssl) else { return 0 }
    result?.pointee = TLSLibrary.session(for: session.ownKey, ssl)
    // OpenSSL copies the name, but only after this function is left.
    name?.pointee = UnsafePointer(session.keyName.baseAddress)
    nameLength?.pointee = session.keyName.count
    return 1
}

/// The server's question for the key that a client has named. None means that the handshake fails
/// for want of anything else to go on.
private func findKey(
    _ ssl: OpaquePointer?, _ name: UnsafePointer<UInt8>?, _ nameLength: Int,
    _ result: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    result?.pointee = nil
    guard let session = owner(of: ssl),
        let id = KeyID(bytes: UnsafeBufferPointer(start: name, count: nameLength))
    else { return 1 }
    session.offeredKey = id
    if let key = session.keyring.key(id) {
        result?.pointee = TLSLibrary.session(for: key, ssl)
    }
    return 1
}

/// The secrets of a connection as OpenSSL tells them: a label, the client's random bytes, a secret.
private func noteSecret(_ ssl: OpaquePointer?, _ line: UnsafePointer<CChar>?) {
    guard let session = owner(of: ssl), let line else { return }
    let words = String(cString: line).split(separator: " ")
    guard words.count == 3, let secret = Hexadecimal.bytes(of: words[2].lowercased()) else {
        return
    }
    switch words[0] {
    case "CLIENT_TRAFFIC_SECRET_0": session.clientSecret = secret
    case "SERVER_TRAFFIC_SECRET_0": session.serverSecret = secret
    default: break
    }
}
