// Finding the other nodes of the local network without being told an address, by mDNS (RFC 6762)
// and DNS-SD (RFC 6763). Discovery only finds: mDNS goes on listing a dead node from its caches,
// watching nodes is the gossip's work.
//
//     off ──► daemon ──(dies)──► off, and the daemon again, twice ──► in-process
//      │                          ▲                                        ▲
//      └──(no daemon)─────────────│────────────────────────────────────────┤
//                                 └──(nothing works: after a growing delay)┘

public import MeshCore
public import MeshSecurity

/// Publishes this node and reports the others, from `start` to `close`; alive in between.
@EventLoop
public final class MeshDiscovery {
    /// How mDNS is spoken.
    public enum Mode: Hashable, Sendable, CustomStringConvertible {
        case off
        /// Through the machine's avahi-daemon.
        case daemon
        /// By a responder in this process.
        case inProcess

        public var description: String {
            switch self {
            case .off: "off"
            case .daemon: "avahi daemon"
            case .inProcess: "in-process responder"
            }
        }
    }

    /// Called with a node that was found, or whose addresses have changed, and all of them, those
    /// that other machines can use first.
    public var onFound: (@EventLoop (NodeID, [NodeAddress]) -> Void)?
    /// Called with a node that has withdrawn or that no interface shows any more.
    public var onLost: (@EventLoop (NodeID) -> Void)?
    /// Called with the address of a node that is in another mesh, each time it is seen.
    public var onStranger: (@EventLoop (NodeAddress) -> Void)?
    /// Called with each change of `mode`, and what led to it if that was a failure.
    public var onMode: (@EventLoop (Mode, DiscoveryError?) -> Void)?
    public private(set) var mode = Mode.off

    /// The ways to speak mDNS, in the order in which they are tried.
    public struct Sources: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let daemon = Sources(rawValue: 1)
        public static let inProcess = Sources(rawValue: 2)
    }

    /// A daemon is restarted when it is upgraded: so often, and from this delay on, we wait for
    /// it before we do without.
    private static let daemonRetriesMax = 2
    private static let retryDelayFirst = Duration.seconds(1)
    private static let retryDelayMax = Duration.seconds(60)

    private let record: DiscoveryRecord
    private let keyring: Keyring
    private let sources: Sources
    private var nodes: DiscoveredNodes
    private var source: (any ServiceSource)?
    /// Numbers the sources, so that what a closed one still says is not heard.
    private var generation = 0
    private var retryTimer: LoopTimer?
    private var failures = 0
    private var daemonRetriesLeft = 0
    /// Itself while started: Avahi's callbacks come until `close`, whoever else has let go.
    private var started: MeshDiscovery?
    private var isStarted: Bool { started != nil }

    /// - Parameter keyring: whose mesh's nodes are looked for.
    public init(
        record: DiscoveryRecord, keyring: Keyring, sources: Sources = [.daemon, .inProcess]
    ) {
        self.record = record
        self.keyring = keyring
        self.sources = sources
        nodes = DiscoveredNodes(ownNode: record.node)
    }

    /// Starts to publish and to browse. Reports may come at once.
    public func start() {
        guard !isStarted else { return }
        started = self
        retryTimer = LoopTimer { [weak self] in self?.open() }
        open()
    }

    /// Withdraws this node and stops; nothing is reported any more.
    public func close() {
        started = nil
        onFound = nil
        onLost = nil
        onStranger = nil
        onMode = nil
        retryTimer?.close()
        retryTimer = nil
        closeSource()
        mode = .off
    }

    /// Opens the best source that works.
    private func open() {
        generation += 1
        var failure: DiscoveryError?
        if sources.contains(.daemon) {
            do throws(DiscoveryError) {
                source = try DaemonServiceSource(record: record, sink: sink())
                if failures == 0 { daemonRetriesLeft = Self.daemonRetriesMax }
                change(to: .daemon)
                return
            } catch {
                failure = error
            }
            // A daemon that was there may come back soon.
            if daemonRetriesLeft > 0 {
                daemonRetriesLeft -= 1
                retry(after: failure)
                return
            }
        }
        if sources.contains(.inProcess) {
            do throws(DiscoveryError) {
                source = try ResponderServiceSource(record: record, sink: sink())
                change(to: .inProcess, because: failure)
                return
            } catch {
                failure = error
            }
        }
        retry(after: failure)
    }

    private func change(to mode: Mode, because error: DiscoveryError? = nil) {
        guard mode != self.mode else { return }
        self.mode = mode
        onMode?(mode, error)
    }

    /// What a source that is being opened reports to.
    private func sink() -> ServiceSink {
        let generation = generation
        return ServiceSink(
            appeared: { [weak self] key, text, address in
                guard let self, generation == self.generation else { return }
                appeared(key, text, address)
            },
            vanished: { [weak self] key in
                guard let self, generation == self.generation else { return }
                if let node = nodes.vanished(key) { onLost?(node) }
            },
            failed: { [weak self] error in
                // Not inside the callback of the library that is to be freed.
                EventLoop.nextTurn {
                    guard let self, generation == self.generation else { return }
                    self.fail(error)
                }
            })
    }

    private func appeared(_ key: ServiceKey, _ text: [String], _ address: NodeAddress) {
        guard let node = DiscoveryRecord.node(inText: text), address.port != 0 else { return }
        let meshes = DiscoveryRecord.meshes(inText: text)
        guard meshes.contains(where: { $0.belongs(to: keyring) }) else {
            if node != record.node { onStranger?(address) }
            return
        }
        let change = nodes.appeared(key, node: node, address: address)
        if let lost = change.lost { onLost?(lost) }
        if let addresses = change.found {
            failures = 0
            onFound?(node, addresses)
        }
    }

    private func fail(_ error: DiscoveryError) {
        guard isStarted else { return }
        closeSource()
        retry(after: error)
    }

    /// The nodes stay known meanwhile: a restarted daemon is no reason to forget them.
    private func closeSource() {
        generation += 1
        source?.close()
        source = nil
    }

    private func retry(after error: DiscoveryError?) {
        change(to: .off, because: error)
        let delay = min(Self.retryDelayFirst * (1 << min(failures, 6)), Self.retryDelayMax)
        failures += 1
        retryTimer?.start(after: delay)
    }
}
