// What all nodes know is announced by few of them, and by others when those are gone; and nodes may
// know a mesh from the start.

import Gossip
import MeshCore
import MeshSimulator
import Testing
import WorkStealing

@testable import MeshNode

@Suite("Common knowledge")
struct CommonKnowledgeTests {
    let job = JobDescription(width: 128, height: 128, samplesPerPixel: 8)
    static let count = 40

    /// A mesh in which every node has the scene of a frame of node 0.
    private func mesh(_ frame: inout FrameID?) -> SmallMesh {
        var mesh = SmallMesh(count: Self.count)
        mesh.run(seconds: 4)
        let submitted = mesh.nodes[0].submit(job, at: mesh.now)
        mesh.run(seconds: 2)
        for index in 1..<Self.count { mesh.nodes[index].scenePrepared(submitted, at: mesh.now) }
        mesh.run(seconds: 5)
        frame = submitted
        return mesh
    }

    /// Who announces the scene of the only frame, as a node sees it.
    private func announcers(_ node: MeshNode) -> [ParticipantID] {
        node.records.first?.sortedAnnouncers(where: \.hasScene) ?? []
    }

    @Test("Enough nodes announce that they have a scene, and most need not")
    func suppression() throws {
        var frame: FrameID?
        let mesh = mesh(&frame)
        let enough = mesh.nodes[0].configuration.announcersEnough
        for node in mesh.nodes {
            let isOne = node.announced.frames.contains(where: \.hasScene)
            #expect(announcers(node).count + (isOne ? 1 : 0) >= enough)
            #expect(announcers(node).count < Self.count / 2)
        }
        // The originator, whom everybody asks, is one of them.
        #expect(announcers(mesh.nodes[1]).contains(mesh.nodes[0].identity))
    }

    @Test("Announcers that die are replaced")
    func replacement() throws {
        var frame: FrameID?
        var mesh = mesh(&frame)
        let enough = mesh.nodes[0].configuration.announcersEnough
        let former = announcers(mesh.nodes[0])
        for index in 1..<Self.count where former.contains(mesh.nodes[index].identity) {
            mesh.isDeaf[index] = true
        }
        mesh.run(seconds: 30)
        for index in mesh.nodes.indices where !mesh.isDeaf[index] {
            let now = announcers(mesh.nodes[index])
            #expect(now.count >= enough)
            #expect(now.allSatisfy { !former.contains($0) || $0 == mesh.nodes[0].identity })
        }
    }

    @Test("All hear of an end that few announce, and of who learns it from them alone")
    func ends() throws {
        var frame: FrameID?
        var mesh = mesh(&frame)
        let submitted = try #require(frame)
        mesh.nodes[7].cancel(submitted, at: mesh.now)
        mesh.run(seconds: 6)
        #expect(mesh.nodes.allSatisfy { $0.end(of: submitted) == .cancelled })
        let speakers = mesh.nodes.count { node in
            node.announced.frames.contains { $0.frame == submitted && $0.end == .cancelled }
        }
        #expect(speakers >= 1 && speakers < Self.count / 2)
    }

    @Test("A node that starts with a known mesh sees it, joins its frames, and is seen")
    func knownMesh() throws {
        var frame: FrameID?
        var mesh = mesh(&frame)
        let submitted = try #require(frame)
        // What node 3 would keep on disk; its next start is another participant.
        let known = KnownMesh(mesh.nodes[3].membership.members)
        mesh.nodes[3] = MeshNode(
            identity: ParticipantID(node: mesh.nodes[3].identity.node, boot: 2), name: "again",
            address: SmallMesh.address(3), knowing: known, seed: 5, at: mesh.now)
        #expect(mesh.nodes[3].presentCount == Self.count)
        #expect(mesh.nodes[3].frames.map(\.frame) == [submitted])
        mesh.run(seconds: 5)
        for node in mesh.nodes {
            #expect(node.presentCount == Self.count)
            #expect(node.members.contains { $0.name == "again" && $0.status == .alive })
        }
    }

    @Test("A simulated mesh may begin joined; its gossip costs a node the same at any size")
    func constantTraffic() {
        func rates(_ count: Int) -> GossipRates {
            var scenario = SimulationScenario()
            scenario.nodes = count
            scenario.startsJoined = true
            scenario.submission = .seconds(10)
            scenario.idealSeconds = 20
            scenario.frame = JobDescription(width: 1_024, height: 768, samplesPerPixel: 64)
            var simulation = Simulation(scenario.configuration(seed: 3))
            let report = simulation.run()
            #expect(report.isGood && report.isCompleted)
            return report.gossip
        }
        let small = rates(10)
        let large = rates(160)
        #expect(large.idle < 200 && large.idle > 20)
        #expect(large.rendering < 2 * small.rendering && large.rendering < 800)
    }
}
