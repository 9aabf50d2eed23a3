// A mesh that a node knows before it has heard a word: see KnownMembers of Gossip. Beside the
// members themselves it keeps who of them announced frames, read once for all nodes that start so.

public import Gossip
public import MeshCore

/// Members that a ``MeshNode`` starts with. One value serves any number of nodes, which share its
/// memory until they differ.
public struct KnownMesh: Sendable {
    let members: KnownMembers
    /// Those that announced frames, with what they announced.
    let announcing: [(member: ParticipantID, announcement: Announcement)]

    /// Knows nobody.
    public init() { self.init([]) }

    /// - Parameter members: as memberships list them, or ``MeshNode/introduction(of:name:address:configuration:samplesPerSecond:)``
    ///   makes them.
    public init(_ members: [Member]) {
        self.members = KnownMembers(members)
        announcing = members.compactMap { member in
            guard member.status.isPresent,
                let announcement = try? Announcement(decoding: member.metadata),
                !announcement.frames.isEmpty
            else { return nil }
            return (member.participant, announcement)
        }
    }
}

extension MeshNode {
    /// A node as others know it that has said nothing but its name and its speed.
    public static func introduction(
        of identity: ParticipantID, name: String, address: NodeAddress,
        configuration: MeshNodeConfiguration, samplesPerSecond: Double
    ) -> Member {
        let said = Announcement(name, configuration, samplesPerSecond: samplesPerSecond)
        return Member(
            participant: identity, address: address,
            metadata: said.encoded(limit: GossipMessage.metadataSizeMax).bytes)
    }
}

extension Announcement {
    /// What a node says first.
    init(_ name: String, _ configuration: MeshNodeConfiguration, samplesPerSecond: Double) {
        self.init()
        self.name = name
        version = configuration.version
        devices = configuration.devices
        self.samplesPerSecond = samplesPerSecond
    }
}
