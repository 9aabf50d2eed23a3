// Single rules of the node's machine: frames are shared fairly, ended frames stay ended, and jobs
// are asked of whoever has them.

import Gossip
import MeshCore
import Testing
import WorkStealing

@testable import MeshNode

/// Nodes that hear each other at once.
struct SmallMesh {
    var nodes: [MeshNode]
    var now = Instant.zero
    /// Other directives than datagrams and messages, by node.
    var directives: [[NodeDirective]]
    /// Nodes that hear and say nothing.
    var isDeaf: [Bool]

    init(count: Int) {
        nodes = (0..<count).map { index in
            MeshNode(
                identity: ParticipantID(node: NodeID(UInt64(index) + 1), boot: 1),
                name: "n\(index)", address: Self.address(index), seed: UInt64(index), at: .zero)
        }
        directives = Array(repeating: [], count: count)
        isDeaf = Array(repeating: false, count: count)
        for index in 1..<count { nodes[index].discovered([Self.address(0)], at: .zero) }
    }

    static func address(_ index: Int) -> NodeAddress {
        NodeAddress(10, 0, 0, UInt8(index), port: 9)
    }

    /// Lets time pass in steps of 10 ms.
    mutating func run(seconds: Double) {
        for _ in 0..<Int(seconds * 100) {
            now += .milliseconds(10)
            for index in nodes.indices where !isDeaf[index] { nodes[index].tick(at: now) }
            settle()
        }
    }

    mutating func settle() {
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for index in nodes.indices {
                while let directive = nodes[index].nextDirective() {
                    isQuiet = false
                    perform(directive, of: index)
                }
            }
        }
    }

    private mutating func perform(_ directive: NodeDirective, of index: Int) {
        let from = nodes[index].identity
        switch directive {
        case .sendDatagram(let datagram, to: let address):
            let to = Int(address.host[3])
            guard !isDeaf[to], !isDeaf[index] else { return }
            nodes[to].receive(datagram: datagram, from: Self.address(index), at: now)
        case .send(let message, to: _, at: let address):
            let to = Int(address.host[3])
            guard !isDeaf[to], !isDeaf[index] else { return }
            nodes[to].receive(message, from: from, at: now)
        default:
            directives[index].append(directive)
        }
    }
}

@Suite("A node")
struct NodeTests {
    let job = JobDescription(width: 128, height: 128, samplesPerPixel: 8, payload: [4, 2])

    @Test("Members prepare a submitted frame with the originator's own first words, without gossip")
    func offeredAtOnce() throws {
        var mesh = SmallMesh(count: 4)
        mesh.run(seconds: 3)
        let frame = mesh.nodes[2].submit(job, at: mesh.now)
        mesh.settle()
        for index in [0, 1, 3] {
            let sources = mesh.directives[index].compactMap { directive in
                if case .prepareScene(frame, job, let sources) = directive { sources } else { nil }
            }
            #expect(sources.map { $0.map(\.participant) } == [[mesh.nodes[2].identity]])
        }
    }

    @Test("An offer counts only from the frame's originator, and not after the frame has ended")
    func unaskedOffers() throws {
        var mesh = SmallMesh(count: 3)
        mesh.run(seconds: 3)
        let forged = FrameID(originator: mesh.nodes[2].identity, number: 7)
        mesh.nodes[0].receive(
            .jobOffer(forged, job), from: mesh.nodes[1].identity, at: mesh.now)
        let stranger = ParticipantID(node: NodeID(77), boot: 1)
        mesh.nodes[0].receive(
            .jobOffer(FrameID(originator: stranger, number: 1), job), from: stranger, at: mesh.now)
        #expect(mesh.nodes[0].frames.isEmpty)

        let frame = mesh.nodes[2].submit(job, at: mesh.now)
        mesh.settle()
        mesh.nodes[2].cancel(frame, at: mesh.now)
        mesh.run(seconds: 2)
        mesh.nodes[0].receive(.jobOffer(frame, job), from: mesh.nodes[2].identity, at: mesh.now)
        #expect(mesh.nodes[0].frames.isEmpty)
    }

    @Test(
        "Two frames share the devices by samples and priorities, whenever the second comes",
        arguments: [(10, 10), (40, 10), (1, 100)])
    func fairness(priorities: (first: Int, second: Int)) throws {
        var node = MeshNode(
            identity: ParticipantID(node: NodeID(1), boot: 1), name: "alone",
            address: SmallMesh.address(0), seed: 1, at: .zero)
        node.setSpeed(samplesPerSecond: 1_000_000)
        var large = JobDescription(
            width: 512, height: 512, samplesPerPixel: 64, priority: priorities.first)
        let first = node.submit(large, at: .zero)
        for _ in 0..<100 {
            let next = node.takeUnit(at: .zero)
            #expect(next?.frame == first)
        }
        large.priority = priorities.second
        let second = node.submit(large, at: .zero)
        var taken = [first: 0, second: 0]
        let space = try #require(large.workSpace)
        for _ in 0..<400 {
            let next = node.takeUnit(at: .zero)
            let (frame, unit) = try #require(next)
            taken[frame, default: 0] += space.unit(unit).samples.count
        }
        let share = Double(taken[first] ?? 0) / Double((taken[first] ?? 0) + (taken[second] ?? 0))
        let wanted = Double(priorities.first) / Double(priorities.first + priorities.second)
        #expect(abs(share - wanted) < 0.05, "\(share)")
    }

    @Test("A frame is heard of, its job asked for, its scene fetched from who has it")
    func joining() {
        var mesh = SmallMesh(count: 3)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 2)
        for index in 1...2 {
            let prepare = mesh.directives[index].compactMap { directive in
                if case .prepareScene(frame, let job, let sources) = directive {
                    (job, sources.map(\.participant))
                } else {
                    nil
                }
            }
            #expect(prepare.map(\.0) == [job])
            #expect(prepare.map(\.1) == [[mesh.nodes[0].identity]])
            mesh.nodes[index].scenePrepared(frame, at: mesh.now)
        }
        mesh.run(seconds: 1)
        for node in mesh.nodes {
            #expect(node.participant(of: frame)?.participants.count == 3)
            #expect(node.members.filter { $0.status == .alive }.map(\.name) == ["n0", "n1", "n2"])
        }
    }

    @Test("A term that cannot be is neither believed nor passed on")
    func absurdTerm() {
        var mesh = SmallMesh(count: 2)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 1)
        var announced = AnnouncedFrame(frame: frame)
        announced.term = Term(number: .max, root: mesh.nodes[0].identity)
        var announcement = Announcement()
        announcement.frames = [announced]
        mesh.nodes[1].observe(announcement, of: mesh.nodes[0].identity)
        let expected = Term(number: 1, root: mesh.nodes[0].identity)
        #expect(mesh.nodes[1].frames.map(\.term) == [expected])
    }

    @Test("A complete film that could not be fetched is asked for again while it is announced")
    func failedFetch() {
        var mesh = SmallMesh(count: 2)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 1)
        mesh.nodes[1].scenePrepared(frame, at: mesh.now)
        mesh.run(seconds: 1)
        var announced = AnnouncedFrame(frame: frame)
        announced.isComplete = true
        var announcement = Announcement()
        announcement.frames = [announced]
        mesh.nodes[1].observe(announcement, of: mesh.nodes[0].identity)
        mesh.settle()
        let fetch = NodeDirective.frame(frame, .fetchFilm(from: [mesh.nodes[0].identity]))
        #expect(mesh.directives[1].count { $0 == fetch } == 1)
        mesh.nodes[1].filmFetchFailed(frame, at: mesh.now)
        mesh.run(seconds: 3)
        #expect(mesh.directives[1].count { $0 == fetch } == 2)
    }

    @Test("A failed scene is tried again, and then left to others")
    func failingScene() {
        var mesh = SmallMesh(count: 2)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        for _ in 0..<5 {
            mesh.run(seconds: 12)
            #expect(mesh.nodes[1].frames.map(\.stage) == [.preparing])
            mesh.nodes[1].scenePreparationFailed(frame, reason: "no disk", at: mesh.now)
        }
        mesh.run(seconds: 20)
        #expect(mesh.nodes[1].frames.map(\.stage) == [.declined])
    }

    @Test("A frame that the driver refuses is left to others at once, and forgotten at its end")
    func refusedFrame() {
        var mesh = SmallMesh(count: 2)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 2)
        mesh.nodes[1].frameRefused(frame, reason: "no memory", at: mesh.now)
        mesh.run(seconds: 60)
        #expect(mesh.nodes[1].frames.map(\.stage) == [.declined])
        let declined = NodeDirective.event(.frameDeclined(frame, reason: "no memory"))
        #expect(mesh.directives[1].count { $0 == declined } == 1)
        mesh.nodes[0].delivered(frame, at: mesh.now)
        mesh.run(seconds: 5)
        #expect(mesh.nodes[1].frames.isEmpty)
        #expect(mesh.directives[1].contains(.forget(frame)))
    }

    @Test("A delivered frame is forgotten by all, and by who missed it when it comes back")
    func delivery() {
        var mesh = SmallMesh(count: 3)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 1)
        for index in 1...2 { mesh.nodes[index].scenePrepared(frame, at: mesh.now) }
        mesh.run(seconds: 1)
        mesh.isDeaf[2] = true
        mesh.nodes[1].delivered(frame, at: mesh.now)
        #expect(mesh.nodes[1].frames.count == 1, "only the originator delivers")
        mesh.nodes[0].delivered(frame, at: mesh.now)
        mesh.run(seconds: 40)
        #expect(mesh.nodes[0].frames.isEmpty)
        #expect(mesh.nodes[1].frames.isEmpty)
        #expect(mesh.directives[1].contains(.forget(frame)))
        #expect(mesh.nodes[2].frames.count == 1)
        mesh.isDeaf[2] = false
        mesh.run(seconds: 20)
        #expect(mesh.nodes[2].frames.isEmpty)
        #expect(mesh.nodes[2].end(of: frame) == .delivered)
    }

    @Test("A frame that anybody cancels ends everywhere")
    func cancelling() {
        var mesh = SmallMesh(count: 3)
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 1)
        mesh.nodes[2].cancel(frame, at: mesh.now)
        mesh.run(seconds: 1)
        #expect(mesh.nodes.allSatisfy { $0.frames.isEmpty })
        #expect(mesh.nodes.allSatisfy { $0.end(of: frame) == .cancelled })
    }

    @Test("When the announcer asked is silent, another is asked for the job")
    func otherAnnouncer() {
        var mesh = SmallMesh(count: 3)
        mesh.isDeaf[2] = true
        mesh.run(seconds: 2)
        let frame = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 1)
        mesh.nodes[1].scenePrepared(frame, at: mesh.now)
        mesh.run(seconds: 1)
        // The late one knows both announcers; the originator dies before it is asked.
        mesh.isDeaf[2] = false
        mesh.nodes[2].discovered([SmallMesh.address(1)], at: mesh.now)
        mesh.isDeaf[0] = true
        mesh.run(seconds: 8)
        let status = mesh.nodes[2].frames.first
        #expect(status?.job == job)
        #expect(status?.stage == .preparing)
    }

    @Test("A node that takes no work joins no frame of others")
    func unwilling() {
        var configuration = MeshNodeConfiguration()
        configuration.acceptsWork = false
        var mesh = SmallMesh(count: 2)
        mesh.nodes[1] = MeshNode(
            identity: mesh.nodes[1].identity, name: "n1", address: SmallMesh.address(1),
            configuration: configuration, seed: 1, at: .zero)
        mesh.nodes[1].discovered([SmallMesh.address(0)], at: .zero)
        mesh.run(seconds: 2)
        _ = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 2)
        #expect(mesh.nodes[1].presentCount == 2)
        #expect(mesh.nodes[1].frames.isEmpty)
    }

    @Test("A node that leaves in the middle of a frame has nothing due that a tick does not do")
    func leavesInFrame() {
        var mesh = SmallMesh(count: 2)
        mesh.run(seconds: 2)
        _ = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 1)
        mesh.nodes[0].leave(at: mesh.now)
        // What a device that was busy hands in changes the node's figures.
        mesh.nodes[0].setSpeed(samplesPerSecond: 2_000_000)
        mesh.run(seconds: 0.5)
        mesh.nodes[0].tick(at: mesh.now)
        #expect(mesh.nodes[0].nextDeadline > mesh.now)
    }
}
