// Seeds from the life of a mesh of three: what its first node is told, step by step, while it
// submits a frame or takes part in one. Each datagram and message is a seed of its own as well.

import MeshCore
import MeshWire
import WorkStealing

@testable import Gossip
@testable import MeshNode

/// Three nodes whose outputs are carried on at once, and the steps of the first one.
struct RecordedMesh {
    private var nodes = (0..<3).map { FuzzedNode(index: $0, keepsOutput: true) }
    /// As the target reads them.
    private(set) var steps: [UInt8] = []
    private(set) var datagrams: [[UInt8]] = []
    private(set) var messages: [[UInt8]] = []
    private(set) var openings: [[UInt8]] = []

    /// A mesh in which `originator` submits a frame that all three render.
    init(originator: Int) {
        for index in 1..<3 {
            nodes[index].node.discovered([FuzzedNode.address(0)], at: nodes[index].now)
        }
        run(turns: 12)
        step(.user, 0, at: originator)
        run(turns: 40)
    }

    private mutating func step(
        _ step: NodeStep, _ argument: UInt8, _ content: [UInt8] = [], at index: Int
    ) {
        nodes[index].perform(step, argument, content)
        if index == 0 { steps += step.encoded(argument, content) }
    }

    /// A turn is 50 ms: 20² eighths of a millisecond.
    private mutating func run(turns: Int) {
        for turn in 0..<turns {
            for index in nodes.indices {
                step(.wait, 20, at: index)
                if turn % 3 == 2 { step(.render, 2, at: index) }
            }
            carry()
        }
    }

    private mutating func carry() {
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for index in nodes.indices {
                let sent = nodes[index].sent
                let films = nodes[index].films
                nodes[index].sent = []
                nodes[index].films = []
                isQuiet = isQuiet && sent.isEmpty && films.isEmpty
                for directive in sent { carry(directive, from: index) }
                for (frame, directive) in films { follow(directive, of: frame, at: index) }
            }
        }
    }

    private mutating func carry(_ directive: NodeDirective, from index: Int) {
        // Peers are numbered from the one behind the first node.
        let peer = UInt8(truncatingIfNeeded: index &- 1) & 7
        switch directive {
        case .sendDatagram(let datagram, to: let address):
            let to = Int(address.host[3])
            guard nodes.indices.contains(to) else { return }
            datagrams.append(datagram.encode())
            step(.datagram, peer, datagram.encode(), at: to)
        case .send(let message, to: _, at: let address):
            let to = Int(address.host[3])
            guard nodes.indices.contains(to) else { return }
            messages.append(message.encoded())
            step(.message, peer, message.encoded(), at: to)
        default: break
        }
    }

    /// Rounds as their streams would end.
    private mutating func follow(_ directive: FrameDirective, of frame: FrameID, at root: Int) {
        let others = nodes.indices.filter { $0 != root }
        switch directive {
        case .contribute(let round, _, _):
            // The root has gathered all once every other node contributes.
            guard let index = nodes.firstIndex(where: { $0.node.identity == round.term.root })
            else { return }
            openings.append(
                StreamOpening.contribution(
                    frame, round, .whole, sender: nodes[root].node.identity
                ).encoded())
            let all = nodes.indices.reduce(into: IntervalSet()) { sum, node in
                guard nodes[node].keepers[frame]?.round == round else { return }
                sum.formUnion(nodes[node].keepers[frame]?.buffer ?? IntervalSet())
            }
            var writer = ByteWriter()
            all.write(to: &writer)
            step(.film, 0, writer.bytes, at: index)
        case .release(let round, let ledger):
            let opening = StreamOpening.sum(
                frame, round, .whole, receivers: others.map { nodes[$0].node.identity }
            ).encoded()
            openings.append(opening)
            var writer = ByteWriter()
            writer.write(UInt8(opening.count))
            writer.write(contentsOf: opening)
            (nodes[root].keepers[frame]?.buffer ?? IntervalSet()).write(to: &writer)
            ledger.write(to: &writer)
            for index in others { step(.film, 2, writer.bytes, at: index) }
        default: break
        }
    }
}

extension FuzzSeeds {
    static func node() -> [Seed] {
        var seeds: [Seed] = []
        var datagrams: [String: [UInt8]] = [:]
        var messages: [String: [UInt8]] = [:]
        var openings: [String: [UInt8]] = [:]
        for originator in 0..<2 {
            let mesh = RecordedMesh(originator: originator)
            let limit = FuzzTarget.node.bytesMax
            seeds.append((.node, "life-\(originator)", Array(mesh.steps.prefix(limit))))
            for bytes in mesh.datagrams {
                // The first of each kind of record.
                datagrams["\(bytes.count / 64)-\(bytes.dropFirst(10).first ?? 0)"] = bytes
            }
            for bytes in mesh.messages {
                guard case .frame(_, let message)? = try? MeshMessage(decoding: bytes) else {
                    messages["other-\(bytes.count / 16)"] = bytes
                    continue
                }
                messages[String("\(message)".prefix { $0 != "(" })] = bytes
            }
            for bytes in mesh.openings { openings["\(bytes.count)"] = bytes }
        }
        seeds += datagrams.map { (.gossip, $0.key, $0.value) }
        seeds += messages.map { (.message, $0.key, $0.value) }
        seeds += openings.map { (.opening, $0.key, $0.value) }
        return seeds
    }
}
