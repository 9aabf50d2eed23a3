// The data phase of a round over real streams: a root, an inner node and leaves.
//
//     root(1) ── inner(2) ── leaf(3)
//        └─ leaf(5)   └───── leaf(4)

import MeshCore
import MeshWire
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Contributions to a round")
@EventLoop
struct ContributionTests {
    /// Short, so that a test of silence does not wait long.
    private let impatient = Duration.milliseconds(400)

    @Test(
        "The root gathers exactly the sum of all films, in however many stripes",
        arguments: 0..<8, [1, 3, 4])
    func gathers(seed: Int, stripes: Int) async throws {
        var random = RandomNumbers(seed: UInt64(seed))
        // From a few tiles to more than a stream may be ahead.
        let space = seed < 6 ? try Films.space() : try Films.space(width: 800, height: 600)
        let films = try Films.split(space, among: 6, from: &random)
        let peers = try StreamPeer.mesh(5)
        let root = try RoundPart(
            peers[0], own: [films[0], films[5]], children: [peers[1], peers[4]], parent: nil,
            workSpace: space, stripes: stripes)
        let inner = try RoundPart(
            peers[1], own: [films[1]], children: [peers[2], peers[3]], parent: peers[0],
            workSpace: space, stripes: stripes)
        let leaves = try [(2, 1), (3, 1), (4, 0)].map { index, parent in
            try RoundPart(
                peers[index], own: [films[index]], children: [], parent: peers[parent],
                workSpace: space, stripes: stripes)
        }
        let parts = [inner] + leaves
        #expect(
            await Loop.until { root.gathered != nil && parts.allSatisfy(\.isDelivered) },
            "\(parts.map(\.reason)), seed \(seed)")
        #expect(root.gathered == (try Films.sum(films, space)), "seed \(seed)")
        #expect((parts + [root]).allSatisfy { $0.cause == nil })
    }

    @Test("Stripes that are of different units abandon the round")
    func differentStripes() async throws {
        var random = RandomNumbers(seed: 6)
        let space = try Films.space()
        let films = try Films.split(space, among: 2, from: &random)
        let peers = try StreamPeer.mesh(2)
        let root = try RoundPart(
            peers[0], own: [], children: [peers[1]], parent: nil, workSpace: space, stripes: 2)
        let streams = try TileStripe.all(2).map { stripe in
            let stream = try peers[1].openContribution(to: peers[0], stripe: stripe)
            stream.send(
                kind: StreamKind.film, payload: Films.stream(films[stripe.index], stripe))
            return stream
        }
        #expect(await Loop.until { root.cause != nil })
        #expect(root.cause == peers[0].identity && root.gathered == nil, "\(root.reason)")
        for stream in streams { stream.abort() }
    }

    @Test("What fails in one stripe fails in all, because of the same node")
    func oneStripeFails() async throws {
        var random = RandomNumbers(seed: 7)
        let space = try Films.space()
        let films = try Films.split(space, among: 3, from: &random)
        let peers = try StreamPeer.mesh(3)
        let root = try RoundPart(
            peers[0], own: [films[0]], children: [peers[1]], parent: nil, workSpace: space,
            stripes: 2)
        let inner = try RoundPart(
            peers[1], own: [films[1]], children: [peers[2]], parent: peers[0],
            workSpace: space, stripes: 2)
        let whole = try peers[2].openContribution(to: peers[1], stripe: TileStripe(0, of: 2))
        whole.send(
            kind: StreamKind.film, payload: Films.stream(films[2], TileStripe(0, of: 2)))
        let broken = try peers[2].openContribution(to: peers[1], stripe: TileStripe(1, of: 2))
        broken.closeAfterFlush()
        #expect(await Loop.until { root.cause != nil && inner.cause != nil })
        #expect(root.cause == peers[2].identity && inner.cause == peers[2].identity)
        #expect(root.gathered == nil)
        whole.abort()
    }

    @Test("Everybody learns who was silent, and nobody takes a node that waits for the cause")
    func silence() async throws {
        var random = RandomNumbers(seed: 1)
        let space = try Films.space()
        let films = try Films.split(space, among: 5, from: &random)
        let peers = try StreamPeer.mesh(5)
        let root = try RoundPart(
            peers[0], own: [films[0]], children: [peers[1], peers[4]], parent: nil,
            workSpace: space, stallLimit: impatient)
        let inner = try RoundPart(
            peers[1], own: [films[1]], children: [peers[2], peers[3]], parent: peers[0],
            workSpace: space, stallLimit: impatient)
        let leaf = try RoundPart(
            peers[3], own: [films[3]], children: [], parent: peers[1], workSpace: space,
            stallLimit: impatient)
        let other = try RoundPart(
            peers[4], own: [films[4]], children: [], parent: peers[0], workSpace: space,
            stallLimit: impatient)
        // The second leaf opens its stream and says nothing more.
        let silent = try peers[2].openContribution(to: peers[1])
        #expect(await Loop.until { root.cause != nil && inner.cause != nil })
        #expect(root.cause == peers[2].identity, "\(root.reason)")
        #expect(inner.cause == peers[2].identity, "\(inner.reason)")
        // Those whose films had arrived have done their part.
        for part in [leaf, other] {
            #expect(await Loop.until { part.cause != nil || part.isDelivered })
            #expect(part.cause == nil || part.cause == peers[2].identity, "\(part.reason)")
        }
        #expect(root.gathered == nil)
        silent.abort()
    }

    @Test("A leaf whose stream breaks is the cause at the root", arguments: [true, false])
    func broken(isGarbage: Bool) async throws {
        var random = RandomNumbers(seed: 2)
        let space = try Films.space()
        let films = try Films.split(space, among: 4, from: &random)
        let peers = try StreamPeer.mesh(3)
        let root = try RoundPart(
            peers[0], own: [films[0]], children: [peers[1]], parent: nil, workSpace: space)
        let inner = try RoundPart(
            peers[1], own: [films[1]], children: [peers[2]], parent: peers[0],
            workSpace: space)
        let leaf = try peers[2].openContribution(to: peers[1])
        var isReady = false
        leaf.onReady = { _ in isReady = true }
        #expect(await Loop.until { isReady })
        let half = Films.stream(films[2]).prefix(1_000)
        leaf.send(kind: StreamKind.film, payload: Array(half))
        if isGarbage {
            leaf.send(kind: StreamKind.film, payload: [UInt8](repeating: 0xff, count: 500_000))
        } else {
            leaf.closeAfterFlush()
        }
        #expect(await Loop.until { root.cause != nil && inner.cause != nil })
        #expect(root.cause == peers[2].identity, "\(root.reason)")
        #expect(inner.cause == peers[2].identity, "\(inner.reason)")
        leaf.abort()
    }

    @Test("A stream of somebody who is not in the plan is closed and harms nothing")
    func stranger() async throws {
        var random = RandomNumbers(seed: 3)
        let space = try Films.space()
        let films = try Films.split(space, among: 3, from: &random)
        let peers = try StreamPeer.mesh(3)
        let root = try RoundPart(
            peers[0], own: [films[0]], children: [peers[1]], parent: nil, workSpace: space)
        let stranger = try peers[2].openContribution(to: peers[0])
        var isClosed = false
        stranger.onClose = { _ in isClosed = true }
        stranger.send(kind: StreamKind.film, payload: Films.stream(films[2]))
        #expect(await Loop.until { isClosed })
        let leaf = try RoundPart(
            peers[1], own: [films[1]], children: [], parent: peers[0], workSpace: space)
        #expect(await Loop.until { root.gathered != nil && leaf.isDelivered })
        #expect(root.gathered == (try Films.sum(Array(films.prefix(2)), space)))
    }

    @Test("A parent that confirms what was not sent, or goes away, is the cause")
    func parent() async throws {
        var random = RandomNumbers(seed: 4)
        let space = try Films.space()
        let films = try Films.split(space, among: 2, from: &random)
        let peers = try StreamPeer.mesh(3)
        peers[0].onOpening = { _, stream in
            stream.send(kind: StreamKind.received, payload: [])
        }
        // The inner node waits for a child, so it can't have ended.
        let inner = try RoundPart(
            peers[1], own: [films[0]], children: [peers[2]], parent: peers[0],
            workSpace: space)
        #expect(await Loop.until { inner.cause != nil })
        #expect(inner.cause == peers[0].identity && !inner.isDelivered)
        peers[0].onOpening = { _, stream in stream.abort() }
        let leaf = try RoundPart(
            peers[2], own: [films[1]], children: [], parent: peers[0], workSpace: space)
        #expect(await Loop.until { leaf.cause != nil })
        #expect(leaf.cause == peers[0].identity && !leaf.isDelivered)
    }

    @Test("After it was abandoned a part says nothing any more")
    func abandoned() async throws {
        var random = RandomNumbers(seed: 5)
        let space = try Films.space()
        let films = try Films.split(space, among: 2, from: &random)
        let peers = try StreamPeer.mesh(2)
        let root = try RoundPart(
            peers[0], own: [films[0]], children: [peers[1]], parent: nil, workSpace: space)
        let leaf = try RoundPart(
            peers[1], own: [films[1]], children: [], parent: peers[0], workSpace: space)
        root.contribution?.abandon()
        #expect(await Loop.until { leaf.cause != nil })
        #expect(leaf.cause == peers[0].identity)
        #expect(root.cause == nil && root.gathered == nil)
    }
}
