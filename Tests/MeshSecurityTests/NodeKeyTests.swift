// Who a node is, and who can't say so.

import MeshCore
import Testing

@testable import MeshSecurity

@Suite("Node keys")
struct NodeKeyTests {
    private let key = NodeKey()
    private let binding = (0..<32).map { UInt8($0) }

    @Test("A proof is good for one end of one session, and for nobody else")
    func proof() throws {
        let proof = key.proof(binding: binding, as: .client)
        #expect(proof.node(binding: binding, of: .client) == key.node)
        #expect(proof.node(binding: binding, of: .server) == nil)
        #expect(proof.node(binding: binding.reversed(), of: .client) == nil)
        #expect(proof.node(binding: [], of: .client) == nil)
        #expect(proof.node(binding: binding + [0], of: .client) == nil)
        let read = try #require(NodeProof(bytes: proof.bytes))
        #expect(read == proof && proof.bytes.count == NodeProof.byteCount)
        // Another's signature under this node's key.
        let other = NodeKey().proof(binding: binding, as: .client)
        let stolen = NodeProof(publicKey: key.publicKey, signature: other.signature)
        #expect(stolen.node(binding: binding, of: .client) == nil)
    }

    @Test("No bit of a proof can be changed")
    func tampering() throws {
        let bytes = key.proof(binding: binding, as: .server).bytes
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= 1 << UInt8(place % 8)
            let proof = try #require(NodeProof(bytes: changed))
            #expect(proof.node(binding: binding, of: .server) == nil, "byte \(place)")
        }
        #expect(NodeProof(bytes: Array(bytes.dropLast())) == nil)
        #expect(NodeProof(bytes: bytes + [0]) == nil)
    }

    @Test("A key is kept as text and is no part of what is printed of it")
    func text() throws {
        #expect(NodeKey(hexadecimal: key.hexadecimal) == key)
        #expect(NodeKey(hexadecimal: key.hexadecimal)?.node == key.node)
        for text in ["", "00", key.hexadecimal + "0", String(key.hexadecimal.dropLast()) + "g"] {
            #expect(NodeKey(hexadecimal: text) == nil)
        }
        var dumped = ""
        dump(key, to: &dumped)
        let secret = key.hexadecimal.prefix(8)
        #expect(!"\(key) \(String(reflecting: key)) \(dumped)".contains(secret))
    }

    /// RFC 8032 §7.1, test 1.
    @Test("The public key is that of the standard")
    func vector() throws {
        let key = try #require(
            NodeKey(
                hexadecimal: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
        #expect(
            Hexadecimal.text(of: key.publicKey)
                == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    }
}
