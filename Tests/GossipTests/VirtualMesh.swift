// A small mesh in virtual time: real memberships, encoded datagrams, a network that loses, delays
// and cuts, all from one seed.

import Gossip
import MeshCore

/// Memberships joined by a simulated network. All times are of the simulation.
struct VirtualMesh {
    struct Node {
        var membership: Membership
        /// Where the network finds it.
        var address: NodeAddress
        var isRunning = true
        /// Stopped like a process under SIGSTOP until then; datagrams wait.
        var frozenUntil = Instant.zero
        /// What this node's clock shows more than the simulation's.
        var clockOffset = Duration.zero
        /// Rate of this node's clock.
        var clockRate = 1.0
        var group = 0
        var sentBytes = 0
        var sentDatagrams = 0
        /// What this node was told, in order.
        var events: [Event] = []
    }

    struct Event: Hashable {
        let at: Instant
        let member: Member
        let from: MemberStatus?
    }

    private struct Datagram {
        let at: Instant
        let order: Int
        let from: NodeAddress
        let to: Int
        let bytes: [UInt8]
        /// The network's word that the receiver's port at this address is closed.
        var isRefusal = false
    }

    private(set) var nodes: [Node] = []
    private(set) var now = Instant.zero
    private(set) var traceHash: UInt64 = 0xcbf2_9ce4_8422_2325
    private var random: RandomNumbers
    private var network: [Datagram] = []
    private var order = 0
    private let seed: UInt64
    let configuration: GossipConfiguration

    var loss = 0.0
    var latency: Duration = .microseconds(300)
    var jitter: Duration = .microseconds(200)
    /// Whether the network tells that a port is closed, as the kernel of a living host does.
    var refuses = true
    /// The share of datagrams of which one byte is changed.
    var corruption = 0.0
    private(set) var rejected = 0

    init(seed: UInt64, configuration: GossipConfiguration = GossipConfiguration()) {
        self.seed = seed
        self.configuration = configuration
        random = RandomNumbers(seed: seed)
    }

    /// The node id of the node with this index.
    static func id(_ index: Int) -> NodeID { NodeID(UInt64(index + 1) &* 0x9e37_79b9_7f4a_7c15) }

    static func address(_ index: Int) -> NodeAddress {
        NodeAddress(10, 0, UInt8(index / 250), UInt8(index % 250 + 1), port: 4_040)
    }

    // MARK: Faults and actions

    /// Adds a node that asks the node `seedNode` to take it in.
    mutating func add(
        joining seedNode: Int? = 0, metadata: [UInt8] = [], address: NodeAddress? = nil
    ) {
        let index = nodes.count
        nodes.append(
            Node(
                membership: makeMembership(index, boot: 1, metadata: metadata, address: address),
                address: Self.address(index)))
        if let seedNode, seedNode != index {
            act(index) { $0.join([Self.address(seedNode)], at: $1) }
        }
    }

    private func makeMembership(
        _ index: Int, boot: UInt64, metadata: [UInt8], address: NodeAddress? = nil
    ) -> Membership {
        Membership(
            participant: ParticipantID(node: Self.id(index), boot: boot),
            address: address ?? Self.address(index), metadata: metadata,
            configuration: configuration,
            seed: seed &* 1_000_003 &+ UInt64(index) &* 31 &+ boot, at: now)
    }

    mutating func kill(_ index: Int) { nodes[index].isRunning = false }

    /// Starts a killed node again with a higher boot number.
    mutating func restart(_ index: Int, boot: UInt64, joining seedNode: Int) {
        nodes[index].isRunning = true
        nodes[index].membership = makeMembership(index, boot: boot, metadata: [])
        act(index) { $0.join([Self.address(seedNode)], at: $1) }
    }

    mutating func freeze(_ index: Int, for duration: Duration) {
        nodes[index].frozenUntil = now + duration
    }

    /// Only nodes of one group reach each other.
    mutating func setGroup(_ group: Int, of indices: some Sequence<Int>) {
        for index in indices { nodes[index].group = group }
    }

    /// Gives a node's machine another address, of which the node is not told.
    mutating func move(_ index: Int, to address: NodeAddress) { nodes[index].address = address }

    mutating func setClock(_ index: Int, offset: Duration, rate: Double) {
        nodes[index].clockOffset = offset
        nodes[index].clockRate = rate
    }

    /// Lets a membership do something now.
    mutating func act(_ index: Int, _ action: (inout Membership, Instant) -> Void) {
        action(&nodes[index].membership, local(index, now))
        drain(index)
    }

    /// Sends raw bytes to a node as if from `from`.
    mutating func inject(_ bytes: [UInt8], to index: Int, from: NodeAddress) {
        order += 1
        network.append(Datagram(at: now, order: order, from: from, to: index, bytes: bytes))
    }

    // MARK: Time

    private func local(_ index: Int, _ instant: Instant) -> Instant {
        let scaled = Double(instant.nanoseconds) * nodes[index].clockRate
        return Instant(nanoseconds: Int64(scaled)) + nodes[index].clockOffset
    }

    private func global(_ index: Int, _ instant: Instant) -> Instant {
        let shifted = (instant - nodes[index].clockOffset).nanoseconds
        return Instant(nanoseconds: Int64((Double(shifted) / nodes[index].clockRate).rounded(.up)))
    }

    /// Runs the simulation for a while.
    mutating func run(_ duration: Duration, until isDone: (VirtualMesh) -> Bool = { _ in false }) {
        let end = now + duration
        while !isDone(self) {
            // The earliest of: a datagram arrives, a node's deadline comes.
            var next = end
            var timer: Int?
            for index in nodes.indices where nodes[index].isRunning {
                let due = max(
                    global(index, nodes[index].membership.nextDeadline),
                    nodes[index].frozenUntil, now)
                if due < next {
                    next = due
                    timer = index
                }
            }
            let arrival = network.indices.min {
                (network[$0].at, network[$0].order) < (network[$1].at, network[$1].order)
            }
            if let arrival, network[arrival].at <= next, network[arrival].at <= end {
                let datagram = network.remove(at: arrival)
                now = max(now, datagram.at)
                deliver(datagram)
            } else if let timer {
                // A clock that runs slow may round to just before the deadline.
                now = max(next, now)
                let deadline = nodes[timer].membership.nextDeadline
                nodes[timer].membership.tick(at: max(local(timer, now), deadline))
                drain(timer)
            } else {
                now = end
                return
            }
        }
    }

    private mutating func deliver(_ datagram: Datagram) {
        let index = datagram.to
        guard nodes[index].isRunning else {
            if refuses, !datagram.isRefusal { refuse(datagram) }
            return
        }
        if nodes[index].frozenUntil > now {
            network.append(
                Datagram(
                    at: nodes[index].frozenUntil, order: datagram.order, from: datagram.from,
                    to: index, bytes: datagram.bytes, isRefusal: datagram.isRefusal))
            return
        }
        if datagram.isRefusal {
            nodes[index].membership.noteRefusal(of: datagram.from, at: local(index, now))
        } else if let message = try? GossipMessage(decoding: datagram.bytes) {
            nodes[index].membership.receive(message, from: datagram.from, at: local(index, now))
        } else {
            rejected += 1
        }
        drain(index)
    }

    /// The kernel of the receiver's host answers that nobody listens.
    private mutating func refuse(_ datagram: Datagram) {
        guard let sender = nodes.firstIndex(where: { $0.address == datagram.from }),
            nodes[sender].group == nodes[datagram.to].group, random.unit() >= loss
        else { return }
        order += 1
        network.append(
            Datagram(
                at: now + latency, order: order, from: nodes[datagram.to].address, to: sender,
                bytes: [], isRefusal: true))
    }

    private mutating func drain(_ index: Int) {
        while let directive = nodes[index].membership.nextDirective() {
            switch directive {
            case .send(let message, let address): post(message, from: index, to: address)
            case .memberChanged(let member, let from):
                nodes[index].events.append(Event(at: now, member: member, from: from))
                mix(UInt64(index) << 8 | UInt64(member.status.rawValue))
            case .identityConflict(let other): mix(other.boot)
            }
        }
    }

    private mutating func post(_ message: GossipMessage, from index: Int, to address: NodeAddress) {
        var bytes = message.encode()
        precondition(bytes.count <= GossipMessage.datagramSizeMax, "seed \(seed)")
        nodes[index].sentBytes += bytes.count
        nodes[index].sentDatagrams += 1
        mix(UInt64(bytes.count))
        guard let receiver = nodes.firstIndex(where: { $0.address == address }),
            nodes[receiver].group == nodes[index].group, random.unit() >= loss
        else { return }
        if corruption > 0, random.unit() < corruption {
            bytes[random.below(bytes.count)] ^= UInt8(1 + random.below(255))
        }
        order += 1
        network.append(
            Datagram(
                at: now + latency + random.duration(below: jitter), order: order,
                from: nodes[index].address, to: receiver, bytes: bytes))
    }

    private mutating func mix(_ value: UInt64) {
        traceHash = (traceHash ^ value ^ UInt64(bitPattern: now.nanoseconds)) &* 0x100_0000_01b3
    }

    // MARK: Questions

    func status(of other: Int, seenBy index: Int) -> MemberStatus? {
        nodes[index].membership.member(Self.id(other))?.status
    }

    /// Whether all nodes of `indices` see each other alive and nobody else present.
    func isConverged(_ indices: some Collection<Int>) -> Bool {
        indices.allSatisfy { index in
            nodes[index].membership.presentCount == indices.count
                && indices.allSatisfy { status(of: $0, seenBy: index) == .alive }
        }
    }

    /// How often somebody declared or heard declared dead one of the nodes.
    func deaths(of other: Int) -> Int {
        nodes.reduce(0) { sum, node in
            sum
                + node.events.count {
                    $0.member.participant.node == Self.id(other) && $0.member.status == .dead
                        && $0.from != .dead
                }
        }
    }

    /// A mesh of `count` nodes that has converged.
    static func converged(
        _ count: Int, seed: UInt64, configuration: GossipConfiguration = GossipConfiguration()
    ) -> VirtualMesh {
        var mesh = VirtualMesh(seed: seed, configuration: configuration)
        for _ in 0..<count { mesh.add() }
        mesh.run(.seconds(30)) { $0.isConverged(0..<count) }
        mesh.run(.seconds(5))
        return mesh
    }

    func checkInvariants() { for node in nodes { node.membership.checkInvariants() } }
}
