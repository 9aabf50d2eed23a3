// What can happen in a simulation, and the streams that nodes send each other in it.

import Gossip
import MeshCore
import MeshNode

/// Something that happens at a time.
enum SimulatedEvent: Sendable {
    case arrival(Packet)
    /// Something within the process that a node runs in the given boot; void after its end.
    case local(node: Int, boot: UInt64, LocalEvent)
    case submission(Int)
    case fault(ScheduledFault.Fault)
    /// A fault of a duration ends; the number names the fault.
    case faultEnds(Int)
    case restart(node: Int)
}

/// Something on its way from one node to another. A class, so that the queue of events moves
/// references.
final class Packet: Sendable {
    /// Indices of nodes.
    let from: Int
    let to: Int
    /// The number of the sending process, and who it is.
    let boot: UInt64
    let sender: ParticipantID
    /// When it was sent first.
    let since: Instant
    let content: Content
    /// Of a stream, how it passes.
    let passage: Passage

    init(
        from: Int, to: Int, boot: UInt64, sender: ParticipantID, since: Instant, content: Content,
        passage: Passage = Passage()
    ) {
        self.from = from
        self.to = to
        self.boot = boot
        self.sender = sender
        self.since = since
        self.content = content
        self.passage = passage
    }

    /// The same on another passage.
    func passing(_ passage: Passage) -> Packet {
        Packet(
            from: from, to: to, boot: boot, sender: sender, since: since, content: content,
            passage: passage)
    }

    enum Content: Sendable {
        case datagram(GossipMessage)
        case message(MeshMessage)
        case stream(FilmTransfer)
    }

    /// How a stream passes.
    struct Passage: Sendable {
        /// When its first bytes reach the receiver: what it hands on can flow from then.
        var flowsFrom = Instant.zero
        /// When its first and its last bytes leave the sender.
        var leaves = Instant.zero
        var left = Instant.zero
        /// When its last bytes arrive.
        var due = Instant.zero
        /// Standstills of the sender that are in these times already.
        var standstills = 0
        /// It breaks before its end.
        var isBroken = false
    }
}

/// A stream between two nodes; it arrives whole or not at all.
enum FilmTransfer: Sendable {
    case contribution(FrameID, RoundID, sender: ParticipantID, SimulatedFilm)
    case sum(FrameID, RoundID, ledger: IntervalSet, receivers: [ParticipantID], SimulatedFilm)
    /// Asks for a film; the number names the fetch at the asking node.
    case request(FrameID, fetch: Int)
    /// Answers; nil when the frame is not known there.
    case film(FrameID, fetch: Int, source: ParticipantID, SimulatedFilm?)
}

/// Something that happens within a node.
enum LocalEvent: Sendable {
    case timer
    case deviceDone(device: Int, task: Int)
    case sceneReady(FrameID, sources: [PeerReference])
    /// The children of a contribution have had their time.
    case contributionStalls(FrameID, RoundID)
    case fetchStalls(FrameID, fetch: Int)
    /// The network says that nobody listens at the address.
    case refused(NodeAddress)

    // Policies other than stealing.
    /// Somebody asks for work.
    case workAsked(FrameID, by: ParticipantID)
    /// Nothing was to be had.
    case workRefused(FrameID)
    /// A request has gone unanswered for long.
    case askAgain(FrameID)
    /// Is everybody here, so that the frame can be split?
    case splitDue(FrameID)
}
