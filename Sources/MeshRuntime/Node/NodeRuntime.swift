// One running node: the state machine of MeshNode, with sockets, discovery, devices and films
// around it. Everything here runs on the event loop; devices and scene preparation have threads
// of their own and come back to it.

import Foundation
import Gossip
public import Logging
public import MeshCore
import MeshNode
public import MeshSecurity
import MeshWire
import Tracer
import WorkStealing

/// How a node is to run.
public struct NodeConfiguration: Sendable {
    /// What people call this node.
    public var name: String
    /// Where to listen, UDP and TCP; port 0 for any.
    public var listen: NodeAddress
    public var threads: Int
    /// Peers to ask where there is no mDNS.
    public var peers: [NodeAddress]
    public var usesDiscovery: Bool
    /// Added to the priority of render threads: 0 … 19.
    public var niceness: Int32
    /// What is wrong with this node's device; for tests of those who have to notice.
    var deviceFault: (@Sendable (inout FilmTile) -> Void)?
    /// What the node takes of its machine at most.
    public var limits: NodeLimits
    /// What the node says of itself at the begin of each stream; for tests of meshes of several
    /// versions.
    var preamble = MeshProtocol.meshPreamble

    public init(
        name: String, listen: NodeAddress, threads: Int, peers: [NodeAddress] = [],
        usesDiscovery: Bool = true, niceness: Int32 = 10, limits: NodeLimits = NodeLimits()
    ) {
        self.name = name
        self.listen = listen
        self.threads = threads
        self.peers = peers
        self.usesDiscovery = usesDiscovery
        self.niceness = niceness
        self.limits = limits
    }
}

/// The protocol's numbers.
public enum MeshProtocol {
    public static let major: UInt16 = 1
    public static let minor: UInt16 = 2
    public static let defaultPort: UInt16 = 4_874
    /// The program's version.
    public static let programVersion = "0.1.0"

    static let meshPreamble = StreamPreamble(
        major: major, minor: minor, purpose: .mesh, features: .successiveStreams)
    static let controlPreamble = StreamPreamble(major: major, minor: minor, purpose: .control)
}

/// A node of the mesh in this process.
@EventLoop
public final class NodeRuntime {
    public let identity: ParticipantID
    public let configuration: NodeConfiguration
    public let logger: Logger
    /// Where this node told others that it is when it started; with a listener on all addresses
    /// of the machine, it may tell another one later.
    public let address: NodeAddress
    let state: StateFolder
    let store: FileStore
    var node: MeshNode
    let endpoint: MeshEndpoint
    /// The keys of the mesh that this node is in.
    var keyring: Keyring
    let seal: PacketSeal
    var peerKeys = PeerKeys()
    /// When keys were last revoked, to this node's knowledge; nil once their streams are closed.
    var revokedAt: Instant?
    /// How long streams under a revoked key may go on: both ends learn of the revocation, but not at
    /// once.
    var revocationGrace = Duration.seconds(10)
    /// The streams to and from members; the loop keeps them alive as well.
    var openStreams: [ObjectIdentifier: StreamConnection] = [:]
    var strangers = StrangerLog()
    var flood = FloodWatch()
    var discovery: MeshDiscovery?
    var device: CPUDevice?
    var frames: [FrameID: FrameDriver] = [:]
    var sessions: [FrameID: FrameSession] = [:]
    var sceneFetches: [FrameID: SceneFetch] = [:]
    var counters: [FrameID: FrameCounters] = [:]
    /// What other nodes said they did, for the frames that began here.
    var contributions: [FrameID: [ParticipantID: ReportedContribution]] = [:]
    lazy var links = PeerLinks(
        opening: StreamOpening.control(sender: identity, name: configuration.name).encoded(),
        connect: { [unowned self] in self.connect(to: $0, of: $1) })
    /// Connections that have carried a round's stream and wait for the next.
    let pool = StreamPool()
    /// The files of frames in progress stay in the store.
    var holds: [FrameID: FileHold] = [:]
    /// Frames that this node takes no part in, and why.
    var refusals: [FrameID: String] = [:]
    /// The same of other nodes, for the frames that began here.
    var refusalsOfOthers: [FrameID: [ParticipantID: String]] = [:]
    /// Datagrams and streams that were no messages of a mesh.
    public internal(set) var garbageReceived = 0
    /// Units given to the device and not returned.
    var unitsInFlight = 0
    /// Streams that files of the store go out on.
    var filesOnTheirWay = 0
    var speed = SpeedMeter()
    var linkSpeed = LinkSpeed()
    private var timer: LoopTimer?
    private var housekeeping: LoopTimer?
    private var isDriving = false
    private(set) var isStopped = false
    /// Called with each line worth telling a person who watches.
    public var onNotice: (@EventLoop (String) -> Void)? {
        didSet {
            guard let onNotice else { return }
            for line in earlyNotices { onNotice(line) }
            earlyNotices = []
        }
    }
    /// What was to be told before somebody listened; the first lines.
    private var earlyNotices: [String] = []
    private static let earlyNoticesMax = 16

    /// Binds the node's port and starts it.
    /// - Parameter store: that of the state folder, if it is open already.
    /// - Throws: ``NetworkError`` or ``FileStoreError``.
    public init(
        configuration: NodeConfiguration, state: StateFolder, store: FileStore? = nil,
        keyring: Keyring, logger: Logger
    ) throws {
        self.keyring = keyring
        seal = PacketSeal(keyring: keyring)
        self.configuration = configuration
        self.state = state
        self.logger = logger
        identity = state.identity
        self.store =
            try store
            ?? FileStore(
                folder: state.path + "/files", budgetBytes: configuration.limits.diskBytes)
        var limits = StreamLimits()
        limits.idleTimeout = .seconds(180)
        endpoint = try MeshEndpoint.bind(
            configuration.listen, preamble: configuration.preamble,
            security: .sealed(keyring, as: state.key), limits: limits)
        // Floods of anything else cost the node nothing.
        endpoint.datagrams.dropForeign(mark: SealedPacket.mark)
        address = LocalAddresses.told(
            for: endpoint.address, peers: configuration.peers + state.rememberedPeers)
        var settings = MeshNodeConfiguration()
        settings.version = MeshProtocol.programVersion
        settings.gossip.learnsAddress = endpoint.address.isUnspecified
        settings.gossip.firstSequence = .random(in: .min ... .max)
        settings.devices = "\(configuration.threads) CPU threads"
        node = MeshNode(
            identity: identity, name: configuration.name, address: address,
            configuration: settings, seed: UInt64.random(in: .min ... .max), at: EventLoop.now)
        start()
    }

    private func start() {
        device = CPUDevice(
            threads: configuration.threads, niceness: configuration.niceness,
            fault: configuration.deviceFault
        ) { [weak self] result in EventLoop.submit { self?.rendered(result) } }
        node.setSpeed(samplesPerSecond: Double(configuration.threads) * 500_000)
        endpoint.datagrams.onDatagram = { [weak self] bytes, source in
            self?.received(datagram: bytes, from: source)
        }
        endpoint.listener.onConnection = { [weak self] stream in
            self?.follow(stream)
            self?.accept(stream)
        }
        endpoint.listener.onRejected = { [weak self] source, reason in
            self?.rejected(source, reason)
        }
        links.onRefused = { [weak self] address in self?.refused(by: address) }
        endpoint.datagrams.onRefused = { [weak self] address in self?.refused(by: address) }
        timer = LoopTimer { [weak self] in self?.drive() }
        housekeeping = LoopTimer { [weak self] in self?.housekeep() }
        housekeeping?.start(after: .milliseconds(500))
        let contacts = configuration.peers + state.rememberedPeers
        if !contacts.isEmpty { node.discovered(contacts, at: EventLoop.now) }
        if configuration.usesDiscovery { startDiscovery() }
        drive()
    }

    private func startDiscovery() {
        let discovery = MeshDiscovery(
            record: DiscoveryRecord(
                node: identity.node, mesh: MeshTag(of: keyring.current),
                former: keyring.former.map { MeshTag(of: $0) }, protocolVersion: MeshProtocol.major,
                instanceName: "\(identity.node)",
                address: endpoint.address), keyring: keyring)
        discovery.onMode = { [weak self] mode, failure in
            let cause = failure.map { " (\($0))" } ?? ""
            self?.logger.info("mDNS: \(mode)\(cause)")
        }
        discovery.onFound = { [weak self] _, addresses in
            guard let self else { return }
            self.node.discovered(addresses, at: EventLoop.now)
            self.drive()
        }
        discovery.onStranger = { [weak self] in self?.sawOtherMesh(at: $0) }
        discovery.start()
        self.discovery = discovery
    }

    /// Publishes the tags of the present keys, and looks for nodes that have any of them.
    func restartDiscovery() {
        guard discovery != nil else { return }
        discovery?.close()
        startDiscovery()
    }

    /// Leaves the mesh, waits until that is said, and lets everything go. The node is of no use
    /// afterwards.
    public func stop() async {
        guard !isStopped else { return }
        node.leave(at: EventLoop.now)
        drive()
        let limit = EventLoop.now + Self.farewellLimit
        while !node.mayStop, EventLoop.now < limit {
            try? await Task.sleep(for: .milliseconds(20))
        }
        close()
    }

    /// How long a node that leaves may take to say so.
    private static let farewellLimit = Duration.seconds(1)

    private func close() {
        guard !isStopped else { return }
        isStopped = true
        for session in sessions.values { session.end(reason: "the node stops") }
        for driver in frames.values { driver.close() }
        for fetch in sceneFetches.values { fetch.abandon() }
        frames = [:]
        timer?.close()
        housekeeping?.close()
        discovery?.close()
        device?.stop()
        links.closeAll()
        pool.closeAll()
        endpoint.close()
    }

    // MARK: - The machine

    /// Performs what the machine wants done, and waits for its next deadline. To be called after
    /// each input.
    func drive() {
        guard !isDriving, !isStopped else { return }
        isDriving = true
        let now = EventLoop.now
        if node.nextDeadline <= now { node.tick(at: now) }
        repeat {
            while let directive = node.nextDirective() { perform(directive) }
        } while feedDevice()
        while let directive = node.nextDirective() { perform(directive) }
        isDriving = false
        timer?.start(at: node.nextDeadline)
    }

    private func housekeep() {
        watchStrangers()
        peerKeys.refill()
        closeRevokedStreams()
        housekeeping?.start(after: .milliseconds(500))
        links.tidy()
        reportContributions()
        reportRefusals()
        let peers = node.members.filter { $0.participant != identity && $0.status == .alive }
        if !peers.isEmpty, peers.map(\.address) != rememberedPeers {
            rememberedPeers = peers.map(\.address)
            state.remember(rememberedPeers)
        }
        for session in sessions.values { session.tick() }
    }
    private var rememberedPeers: [NodeAddress] = []

    func notice(_ line: String) {
        logger.info("\(line)")
        if let onNotice {
            onNotice(line)
        } else if earlyNotices.count < Self.earlyNoticesMax {
            earlyNotices.append(line)
        }
    }
}
