// The trees of a round: every node in each of them once, and no link loaded more than others.

import MeshCore
import Testing

@testable import WorkStealing

@Suite("Reduce trees")
struct ReduceTreeTests {
    private func participant(_ number: Int) -> ParticipantID {
        ParticipantID(node: NodeID(UInt64(number)), boot: 1)
    }

    private func candidates(_ count: Int) -> [ReducePlan.Candidate] {
        (0..<count).map { ReducePlan.Candidate(participant($0 + 2)) }
    }

    static let shapes = [1, 2, 3, 4, 8].flatMap { stripes in
        [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 31, 63, 511].map { (stripes, $0) }
    }

    @Test("Each tree holds everybody once below the root", arguments: shapes)
    func trees(stripes: Int, others: Int) throws {
        var random = RandomNumbers(seed: UInt64(others))
        let root = participant(1)
        let plan = ReducePlan(
            root: root, contributors: candidates(others), receivers: candidates(others),
            stripes: stripes, random: &random)
        let places = Dictionary(uniqueKeysWithValues: plan.contributors)
        #expect(plan.root.count == stripes && places.count == others)
        for stripe in 0..<stripes {
            var reached: Set<ParticipantID> = []
            var parents = plan.root[stripe].children.map { ($0, root) }
            while let (node, parent) = parents.popLast() {
                #expect(reached.insert(node).inserted)
                let place = try #require(places[node]?[stripe])
                #expect(place.parent == parent)
                #expect(place.children.count <= ReduceTree.arity(stripes: stripes))
                parents += place.children.map { ($0, node) }
            }
            #expect(reached.count == others)
            if stripes > 1 { #expect(plan.root[stripe].children.count == 1) }
        }
    }

    @Test("With two to four stripes no node receives more than one film", arguments: shapes)
    func loads(stripes: Int, others: Int) {
        guard (2...4).contains(stripes) else { return }
        var random = RandomNumbers(seed: UInt64(others))
        let plan = ReducePlan(
            root: participant(1), contributors: candidates(others), receivers: [],
            stripes: stripes, random: &random)
        for (id, places) in plan.contributors {
            let children = places.reduce(0) { $0 + $1.children.count }
            #expect(children <= stripes, "\(id) of \(others)")
        }
    }

    @Test("A slow link is a leaf in every tree, wherever the order puts it", arguments: 1...20)
    func slow(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        for count in [6, 16, 40] {
            var all = candidates(count).map {
                ReducePlan.Candidate($0.id, bytesPerSecond: 1e8 + 1e7 * random.unit())
            }
            all[count / 2] = ReducePlan.Candidate(all[count / 2].id, bytesPerSecond: 1e7)
            // One of whom nothing is known is like the others.
            all[0] = ReducePlan.Candidate(all[0].id)
            let plan = ReducePlan(
                root: participant(1), contributors: all, receivers: all, stripes: 4,
                random: &random)
            let slow = plan.contributors.first { $0.id == all[count / 2].id }
            #expect(slow?.places.allSatisfy(\.children.isEmpty) == true)
            for place in plan.root {
                let tree = ReduceTree(root: participant(1), others: place.receivers, stripes: 4)
                let index = tree.nodes.firstIndex(of: all[count / 2].id)
                #expect(index.map { tree.children(ofIndex: $0).isEmpty } == true)
            }
        }
    }

    @Test("Who is an inner node changes from round to round")
    func shuffled() {
        var random = RandomNumbers(seed: 5)
        var tops: Set<ParticipantID> = []
        for _ in 0..<60 {
            let plan = ReducePlan(
                root: participant(1), contributors: candidates(8), receivers: [], stripes: 2,
                random: &random)
            tops.formUnion(plan.root.flatMap(\.children))
        }
        #expect(tops.count == 8)
    }

    @Test("The branches of a tree are trees of the same shape", arguments: shapes)
    func branches(stripes: Int, others: Int) {
        let nodes = (2..<(others + 2)).map { participant($0) }
        var children: [ParticipantID: [ParticipantID]] = [:]
        let tree = ReduceTree(root: participant(1), others: nodes, stripes: stripes)
        for (index, node) in tree.nodes.enumerated() {
            children[node] = tree.children(ofIndex: index)
        }
        func follow(_ branch: [ParticipantID]) {
            let below = ReduceTree(subtree: branch, stripes: stripes)
            #expect(below.branches.map { $0[0] } == children[branch[0]])
            for branch in below.branches { follow(branch) }
        }
        #expect(tree.branches.reduce(0) { $0 + $1.count } == others)
        for branch in tree.branches { follow(branch) }
    }
}
