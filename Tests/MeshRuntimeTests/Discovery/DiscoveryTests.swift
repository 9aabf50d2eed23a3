// Discovery: what is kept of the services seen, and real mDNS between responders of this process.

import MeshCore
import MeshSecurity
import ProgramTesting
import Testing

@testable import MeshRuntime

private let ring = Keyring(key: MeshKey(), created: "now")
private let one = NodeAddress(10, 0, 0, 1, port: 7_000)
private let two = NodeAddress(10, 0, 0, 2, port: 7_000)
private let local = NodeAddress(127, 0, 0, 1, port: 7_000)

private func key(_ interface: Int32, _ name: String) -> ServiceKey {
    ServiceKey(interface: interface, name: name)
}

@Suite("Discovered nodes")
struct DiscoveredNodesTests {
    @Test("A node on several interfaces is one node, lost when its last service goes")
    func severalInterfaces() {
        var nodes = DiscoveredNodes(ownNode: NodeID(1))
        #expect(nodes.appeared(key(1, "a"), node: NodeID(2), address: local).found == [local])
        #expect(nodes.appeared(key(2, "a"), node: NodeID(2), address: one).found == [one, local])
        #expect(nodes.appeared(key(2, "a"), node: NodeID(2), address: one).found == nil)
        #expect(nodes.appeared(key(3, "a"), node: NodeID(2), address: one).found == nil)
        #expect(nodes.vanished(key(1, "a")) == nil)
        #expect(nodes.vanished(key(2, "a")) == nil)
        #expect(nodes.vanished(key(3, "a")) == NodeID(2))
        #expect(nodes.vanished(key(3, "a")) == nil)
    }

    @Test("A service that moves to another address or node is reported anew; oneself never")
    func changes() {
        var nodes = DiscoveredNodes(ownNode: NodeID(1))
        #expect(nodes.appeared(key(1, "me"), node: NodeID(1), address: one).found == nil)
        #expect(nodes.appeared(key(1, "a"), node: NodeID(2), address: one).found == [one])
        #expect(nodes.appeared(key(1, "a"), node: NodeID(2), address: two).found == [two])
        let moved = nodes.appeared(key(1, "a"), node: NodeID(3), address: two)
        #expect(moved.found == [two] && moved.lost == NodeID(2))
    }

    @Test("A flood of services is bounded")
    func bounded() {
        var nodes = DiscoveredNodes(ownNode: NodeID(1))
        var found = 0
        for number in 0..<DiscoveredNodes.servicesMax + 100 {
            let node = NodeID(UInt64(number) / 10 + 2)
            let seen = nodes.appeared(key(1, "\(number)"), node: node, address: one)
            if seen.found != nil { found += 1 }
        }
        #expect(found == (DiscoveredNodes.servicesMax + 9) / 10)
        #expect(nodes.vanished(key(1, "\(DiscoveredNodes.servicesMax)")) == nil)
        var one = DiscoveredNodes(ownNode: NodeID(1))
        var addresses = 0
        for port in 1...1_000 {
            let address = NodeAddress(10, 0, 0, 1, port: UInt16(port))
            let seen = one.appeared(key(1, "\(port)"), node: NodeID(2), address: address)
            addresses = max(addresses, seen.found?.count ?? 0)
        }
        #expect(addresses == DiscoveredNodes.servicesPerNodeMax)
    }

    @Test("A record's text names the node, foreign texts name none, a long name is cut")
    func records() {
        let record = DiscoveryRecord(
            node: NodeID(0xabcdef), mesh: MeshTag(of: ring.current), protocolVersion: 1,
            instanceName: String(repeating: "ä", count: 100), address: one)
        #expect(DiscoveryRecord.node(inText: record.text) == NodeID(0xabcdef))
        #expect(record.text.allSatisfy { $0.utf8.count <= 255 })
        #expect(record.instanceName == String(repeating: "ä", count: 31))
        for text in [[], ["id="], ["id=xyz"], ["v=1", "t=2"], ["id=00000000000000001"]] {
            #expect(DiscoveryRecord.node(inText: text) == nil)
        }
        #expect(DiscoveryRecord.meshes(inText: record.text).first?.belongs(to: ring) == true)
        let other = Keyring(key: MeshKey(), created: "now")
        #expect(DiscoveryRecord.meshes(inText: record.text).first?.belongs(to: other) == false)
        let zero = String(repeating: "0", count: 16)
        for text in [[], ["t="], ["t=\(zero)"], ["t=\(zero).\(zero)0"], ["t=\(zero).xyz"]] {
            #expect(DiscoveryRecord.meshes(inText: text).isEmpty)
        }
        // Two nodes of a mesh look like nodes of two.
        #expect(MeshTag(of: ring.current) != MeshTag(of: ring.current))
    }
}

/// Whether mDNS can work here: on a network, or at least on loopback with multicast.
private func hasNetwork() -> Bool {
    ((try? LocalAddresses.all()) ?? []).contains { !$0.address.isIPv6 && !$0.isLoopback }
}

@Suite(
    "Discovery", .serialized,
    .disabled(if: Meshd.isSanitized, "no sanitizer lets the responder be loaded"))
@EventLoop
struct DiscoveryTests {
    private func record(_ number: UInt64, name: String) -> DiscoveryRecord {
        DiscoveryRecord(
            node: NodeID(0x1234_5600 + number), mesh: MeshTag(of: ring.current), protocolVersion: 1,
            instanceName: name,
            address: NodeAddress(0, 0, 0, 0, port: UInt16(41_000 + number)))
    }

    @Test(
        "Two responders of one machine with the same name find each other, and notice one leave",
        .enabled(if: hasNetwork(), "needs a network interface with an IPv4 address"))
    func responders() async {
        let records = [record(1, name: "meshd test"), record(2, name: "meshd test")]
        var found: [Set<NodeID>] = [[], []]
        var addresses: [NodeAddress] = []
        var lost: Set<NodeID> = []
        let discoveries = records.map {
            MeshDiscovery(record: $0, keyring: ring, sources: .inProcess)
        }
        for (index, discovery) in discoveries.enumerated() {
            discovery.onFound = { node, all in
                found[index].insert(node)
                if node == records[1].node { addresses = all }
            }
            discovery.onLost = { lost.insert($0) }
            discovery.start()
            #expect(discovery.mode == .inProcess)
        }
        #expect(await Loop.until { found[0].contains(records[1].node) })
        #expect(await Loop.until { found[1].contains(records[0].node) })
        #expect(!found[0].contains(records[0].node))
        let reachable = ((try? LocalAddresses.all()) ?? []).map { $0.address.with(port: 41_002) }
        #expect(!addresses.isEmpty && addresses.allSatisfy(reachable.contains))
        discoveries[1].close()
        #expect(await Loop.until { lost.contains(records[1].node) })
        discoveries[0].close()
    }

    @Test("A closed discovery frees its sockets and can be followed by another")
    func reopening() async {
        for number in 3..<6 {
            let discovery = MeshDiscovery(
                record: record(UInt64(number), name: "meshd again"), keyring: ring,
                sources: .inProcess)
            discovery.start()
            await Loop.pause(.milliseconds(5))
            discovery.close()
            #expect(discovery.mode == .off)
        }
    }
}
