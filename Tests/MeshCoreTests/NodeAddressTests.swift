// Addresses as bytes and as text.

import MeshCore
import Testing

@Suite("NodeAddress")
struct NodeAddressTests {
    @Test(
        "Text in its shortest form comes back",
        arguments: [
            "10.0.0.1:4040", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:1",
            "[fe80::1]:4040", "[2001:db8:0:1:1:1:1:1]:9", "[2001:db8::1:0:0:1]:9",
            "[1:2:3:4:5:6:7:8]:1", "[::ffff:a00:1]:2", "[1::]:3",
        ])
    func roundTrip(text: String) throws {
        let address = try #require(NodeAddress(text))
        #expect(address.description == text)
        #expect(NodeAddress(host: address.host, port: address.port) == address)
        #expect(address.isIPv6 == text.hasPrefix("["))
        #expect(address.host.count == (address.isIPv6 ? 16 : 4))
    }

    @Test(
        "Longer forms are read too",
        arguments: [
            ("[2001:0DB8:0:0:0:0:0:1]:9", "[2001:db8::1]:9"),
            ("[::ffff:10.0.0.1]:2", "[::ffff:a00:1]:2"),
            ("[1:2:3:4:5:6:1.2.3.4]:1", "[1:2:3:4:5:6:102:304]:1"),
            ("[::1.2.3.4]:1", "[::102:304]:1"),
        ])
    func longForms(pair: (String, String)) throws {
        #expect(try #require(NodeAddress(pair.0)).description == pair.1)
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0:1", "10.0.0.256:1",
            "10.0.0.01:1", "host:1", "::1:80", "[::1]", "[::1:80", "[]:1", "[:]:1", "[1:2]:1",
            "[1:2:3:4:5:6:7:8:9]:1", "[1::2::3]:1", "[:::]:1", "[12345::]:1", "[g::]:1",
            "[fe80::1%eth0]:1", "[1:2:3:4:5:6:7::8]:+1", "10.0.0.1:-1", "10.0.0.+1:1",
            "[1.2.3.4]:1", "[1:2:3:4:5:6:7:1.2.3.4]:1", "[:1.2.3.4]:1", "[1:2:3:4::5:6:7:8]:1",
        ])
    func refused(text: String) { #expect(NodeAddress(text) == nil) }

    @Test("Addresses are ordered: IPv4 first, then by host, then by port")
    func order() throws {
        let texts = ["1.2.3.4:9", "1.2.3.5:1", "200.0.0.1:1", "[::1]:1", "[::1]:2", "[fe80::]:1"]
        let addresses = try texts.map { try #require(NodeAddress($0)) }
        #expect(addresses.reversed().sorted() == addresses)
        #expect(addresses[0] == NodeAddress(1, 2, 3, 4, port: 9))
        #expect(NodeAddress(host: [1, 2, 3], port: 1) == nil)
        #expect(NodeAddress(0, 0, 0, 0, port: 7).isUnspecified)
        #expect(addresses[0].with(port: 5).description == "1.2.3.4:5")
    }
}
