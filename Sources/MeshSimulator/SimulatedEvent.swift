// What can happen in a simulation, and the streams that nodes send each other in it.

import Gossip
import MeshCore
import MeshNode
import WorkStealing

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

    // Film streams, by their numbers.
    /// A node's link can take the next piece.
    case linkFree(node: Int)
    /// The next piece of a stream is at its receiver.
    case piece(flow: Int)
    /// The receiver of a stream learns that it broke.
    case broken(flow: Int)
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

    init(
        from: Int, to: Int, boot: UInt64, sender: ParticipantID, since: Instant, content: Content
    ) {
        self.from = from
        self.to = to
        self.boot = boot
        self.sender = sender
        self.since = since
        self.content = content
    }

    enum Content: Sendable {
        case datagram(GossipMessage)
        case message(MeshMessage)
    }
}

/// What a stream between two nodes carries. The film of a stripe stands for all of it, as its head
/// does; ``SimulatedFilm/init(stripes:)`` sees to it that no stripe can be left out.
enum FilmTransfer: Sendable {
    case contribution(FrameID, RoundID, TileStripe, sender: ParticipantID, SimulatedFilm)
    case sum(FrameID, RoundID, TileStripe, receivers: [ParticipantID], SimulatedFilm)
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
    /// Has anything of a contribution moved of late?
    case contributionStalls(FrameID, RoundID)
    case fetchStalls(FrameID, fetch: Int)
    /// A driver has looked at tiles of an adaptive frame.
    case judged(FrameID, [TileStage], needed: Set<Int>, Term)
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
