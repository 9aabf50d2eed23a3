// What a node says of itself by mDNS (RFC 6763): a service of the type `_meshd._tcp` whose TXT
// strings name the node, and the mesh in a form that only its members recognise. It is a hint
// where to knock, never a proof of identity: whoever answers there must know the mesh's key.
// Sans-I/O.

public import MeshCore
public import MeshSecurity

/// A mesh as its members publish it: with another salt it looks like another one.
public struct MeshTag: Hashable, Sendable, CustomStringConvertible {
    static let saltBytes = 8
    static let tagBytes = 8
    let salt: [UInt8]
    let tag: [UInt8]

    /// A tag with a salt of its own.
    public init(of key: MeshKey) {
        salt = (0..<Self.saltBytes).map { _ in UInt8.random(in: .min ... .max) }
        tag = key.tag(salt: salt)
    }

    /// Reads what `description` writes.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let salt = Self.bytes(of: parts[0], Self.saltBytes),
            let tag = Self.bytes(of: parts[1], Self.tagBytes)
        else { return nil }
        self.salt = salt
        self.tag = tag
    }

    /// Salt and tag, 16 hexadecimal digits each.
    public var description: String { "\(Self.text(of: salt)).\(Self.text(of: tag))" }

    /// Whether it is a tag of the keyring's mesh.
    func belongs(to keyring: Keyring) -> Bool { keyring.recognises(tag: tag, salt: salt) }

    private static func text(of bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func bytes(of text: some StringProtocol, _ count: Int) -> [UInt8]? {
        let digits = text.compactMap { $0.isASCII ? $0.hexDigitValue : nil }
        guard digits.count == 2 * count, text.count == 2 * count else { return nil }
        return (0..<count).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
    }
}

/// A node as it is published.
public struct DiscoveryRecord: Hashable, Sendable {
    /// The DNS-SD type of the service.
    static let serviceType = "_meshd._tcp"
    /// The most bytes of an instance name (RFC 6763 §4.1.1).
    static let nameBytesMax = 63

    public let node: NodeID
    /// The mesh that the node is in.
    public let mesh: MeshTag
    /// The same by its former keys, for those who have not heard of a newer one.
    public let former: [MeshTag]
    /// The major version of the protocol.
    public let protocolVersion: UInt16
    /// What people see in a service browser; renamed when it is taken.
    public let instanceName: String
    /// Where the node listens. An unspecified host means all addresses of the machine.
    public let address: NodeAddress

    /// A name longer than DNS-SD allows is cut; an empty one becomes the node's identity.
    public init(
        node: NodeID, mesh: MeshTag, former: [MeshTag] = [], protocolVersion: UInt16,
        instanceName: String, address: NodeAddress
    ) {
        self.former = former
        self.node = node
        self.mesh = mesh
        self.protocolVersion = protocolVersion
        let name = instanceName.filter { $0 != "\0" && !$0.isNewline }
        self.instanceName = Self.cut(name.isEmpty ? "\(node)" : name, to: Self.nameBytesMax)
        self.address = address
    }

    private static func cut(_ name: String, to bytesMax: Int) -> String {
        var name = name
        while name.utf8.count > bytesMax { name.removeLast() }
        return name
    }

    /// Another name, for when the instance's is taken; by chance, since two who claim a name at
    /// once may both have to give it up: mDNS breaks the tie for each record (SRV, TXT) by its
    /// bytes, those in the TXT are random, and so each may lose one. Counting on, as Avahi
    /// proposes, both would meet again at the next number, and lose again in the same way.
    var alternativeName: String {
        let suffix = String(UInt32.random(in: 0x1000_0000 ... .max), radix: 16)
        return Self.cut(instanceName, to: Self.nameBytesMax - suffix.utf8.count - 1) + " " + suffix
    }

    /// The TXT strings; together far below what fits a packet.
    var text: [String] {
        ["id=\(node)", "v=\(protocolVersion)", "t=\(mesh)"]
            + former.prefix(Keyring.formerKeysMax).enumerated().map {
                "t\($0.offset + 1)=\($0.element)"
            }
    }

    /// Finds the node's identity in a service's TXT strings; nil when it is not one of ours.
    static func node(inText text: [String]) -> NodeID? {
        value("id=", in: text).flatMap { NodeID(String($0)) }
    }

    /// Finds the mesh that a service belongs to, by each of its keys; empty when it says none.
    static func meshes(inText text: [String]) -> [MeshTag] {
        (0...Keyring.formerKeysMax).compactMap { number in
            value(number == 0 ? "t=" : "t\(number)=", in: text).flatMap { MeshTag($0) }
        }
    }

    private static func value(_ name: String, in text: [String]) -> Substring? {
        text.first { $0.hasPrefix(name) }?.dropFirst(name.count)
    }
}

/// A service as one interface shows it: the same node has several.
struct ServiceKey: Hashable, Sendable {
    let interface: Int32
    let name: String
}

/// The nodes behind the services seen: one per identity, with all its addresses.
struct DiscoveredNodes {
    /// The most services remembered; a network that shows more is not a mesh but an attack.
    static let servicesMax = 8_192

    /// The most services of one node: interfaces of its machine, and leftovers of its restarts.
    static let servicesPerNodeMax = 64

    private let ownNode: NodeID
    private var owners: [ServiceKey: NodeID] = [:]
    private var services: [NodeID: [ServiceKey: NodeAddress]] = [:]

    init(ownNode: NodeID) { self.ownNode = ownNode }

    /// A service was resolved.
    /// - Returns: the node's addresses when they have changed, those that other machines can use
    ///   first; and the node that has lost its last service when this one changed hands.
    mutating func appeared(
        _ key: ServiceKey, node: NodeID, address: NodeAddress
    ) -> (found: [NodeAddress]?, lost: NodeID?) {
        let lost = owners[key].map { $0 != node } ?? false ? vanished(key) : nil
        guard node != ownNode, owners[key] != nil || owners.count < Self.servicesMax,
            owners[key] != nil || services[node]?.count ?? 0 < Self.servicesPerNodeMax
        else { return (nil, lost) }
        let before = addresses(of: node)
        owners[key] = node
        services[node, default: [:]][key] = address
        let after = addresses(of: node)
        return (after == before ? nil : after, lost)
    }

    /// A service has gone.
    /// - Returns: the node when this was its last service.
    mutating func vanished(_ key: ServiceKey) -> NodeID? {
        guard let node = owners.removeValue(forKey: key) else { return nil }
        services[node]?[key] = nil
        guard services[node]?.isEmpty ?? true else { return nil }
        services[node] = nil
        return node
    }

    private func addresses(of node: NodeID) -> [NodeAddress] {
        let all = Set((services[node] ?? [:]).values)
        return all.sorted { ($0.isLoopback ? 1 : 0, $0) < ($1.isLoopback ? 1 : 0, $1) }
    }
}
