// The merge of own films and children's streams, without sockets.

import MeshCore
import Testing
import Tracer

@testable import MeshRuntime

@Suite("Merging films on their way")
struct FilmMergerTests {
    private let identity = Films.participant(1)
    private let children = [Films.participant(2), Films.participant(3), Films.participant(4)]

    @Test("Streams in random pieces add up to what the films add up to", arguments: 0..<40)
    func randomPieces(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        let space = try Films.space()
        let films = try Films.split(space, among: 5, from: &random)
        var merger = try FilmMerger(
            workSpace: space, own: Array(films[3...]), children: children, identity: identity)
        var streams = films[..<3].map { Films.stream($0)[...] }
        var assembly = FilmAssembly(workSpace: space)
        var hasEnded = false
        while !hasEnded {
            let open = streams.indices.filter { !streams[$0].isEmpty }
            if !open.isEmpty {
                let index = open[random.below(open.count)]
                let piece = streams[index].prefix(1 + random.below(20_000))
                streams[index].removeFirst(piece.count)
                try merger.receive(Array(piece), from: children[index])
            }
            steps: while true {
                switch merger.next() {
                case .tile(let index, let sum): try assembly.add(tile: index, sum)
                case .blocked:
                    try #require(!open.isEmpty, "blocked with nothing to come, seed \(seed)")
                    break steps
                case .end:
                    hasEnded = true
                    break steps
                }
            }
        }
        let extent = try #require(merger.extent)
        let expected = try Films.sum(films, space)
        #expect(try assembly.finish(extent) == expected, "seed \(seed)")
        #expect(merger.pendingChildren.isEmpty)
    }

    @Test("What films of an adaptive frame waive adds up like what they cover", arguments: 0..<20)
    func waived(seed: Int) throws {
        var random = RandomNumbers(seed: 100 + UInt64(seed))
        let space = try Films.space(samples: 64, isAdaptive: true)
        let films = try Films.split(space, among: 4, from: &random)
        #expect(films.contains { !$0.waived.isEmpty })
        for stripe in TileStripe.all(1 + seed % 3) {
            var merger = try FilmMerger(
                workSpace: space, stripe: stripe, own: Array(films[3...]), children: children,
                identity: identity)
            for (child, film) in zip(children, films) {
                try merger.receive(Films.stream(film, stripe), from: child)
            }
            let expected = try Films.sum(films, space)
            #expect(merger.extent == expected.extent)
            var tiles: [Int] = []
            while case .tile(let index, let sum) = merger.next() {
                #expect(sum == expected.tile(index))
                tiles.append(index)
            }
            #expect(tiles == expected.touchedTiles.filter { stripe.contains(tile: $0) })
            guard case .end = merger.next() else {
                Issue.record("all has come, but not the end")
                continue
            }
        }
    }

    @Test("A unit that one film waives and another has is an overlap")
    func waivedOverlap() throws {
        var random = RandomNumbers(seed: 5)
        let space = try Films.space(samples: 64, isAdaptive: true)
        let end = space.units(ofStage: 0).upperBound
        let own = try Films.film(space, end..<(end + 2), from: &random)
        var waiving = Film(workSpace: space)
        try waiving.waive(IntervalSet(SampleRange(end + 1, end + 5)))
        var merger = try FilmMerger(
            workSpace: space, own: [own], children: Array(children.prefix(1)), identity: identity)
        let failure = #expect(throws: MergeFailure.self) {
            try merger.receive(Films.stream(waiving), from: children[0])
        }
        #expect(failure?.cause == children[0])
    }

    @Test("A child whose units another film has is the cause")
    func overlap() throws {
        var random = RandomNumbers(seed: 1)
        let space = try Films.space()
        let own = try Films.film(space, 0..<4, from: &random)
        let fine = try Films.film(space, 4..<7, from: &random)
        let overlapping = try Films.film(space, 3..<9, from: &random)
        var merger = try FilmMerger(
            workSpace: space, own: [own], children: Array(children.prefix(2)), identity: identity)
        try merger.receive(Films.stream(fine), from: children[0])
        let failure = #expect(throws: MergeFailure.self) {
            try merger.receive(Films.stream(overlapping), from: children[1])
        }
        #expect(failure?.cause == children[1])
    }

    @Test("Own films that share a unit are this node's own fault")
    func ownOverlap() throws {
        var random = RandomNumbers(seed: 2)
        let space = try Films.space()
        let first = try Films.film(space, 0..<4, from: &random)
        let second = try Films.film(space, 3..<6, from: &random)
        let failure = #expect(throws: MergeFailure.self) {
            _ = try FilmMerger(
                workSpace: space, own: [first, second], children: [], identity: identity)
        }
        #expect(failure?.cause == identity)
    }

    @Test("Bytes that are no film are the fault of who sent them", arguments: 0..<30)
    func damaged(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        let space = try Films.space()
        let film = try Films.film(space, 0..<space.count, from: &random)
        var merger = try FilmMerger(
            workSpace: space, own: [], children: Array(children.prefix(2)), identity: identity)
        let bytes = (0..<4_096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let failure = #expect(throws: MergeFailure.self, "seed \(seed)") {
            // A film, and then what is none.
            if seed.isMultiple(of: 2) { try merger.receive(Films.stream(film), from: children[1]) }
            for _ in 0..<4_096 { try merger.receive(bytes, from: children[1]) }
        }
        #expect(failure?.cause == children[1])
    }

    @Test("A stream that ends early blocks the merge and leaves its child pending")
    func truncated() throws {
        var random = RandomNumbers(seed: 3)
        let space = try Films.space()
        let film = try Films.film(space, 0..<6, from: &random)
        var merger = try FilmMerger(
            workSpace: space, own: [], children: Array(children.prefix(1)), identity: identity)
        try merger.receive(Films.stream(film).dropLast(), from: children[0])
        var tiles = 0
        while case .tile = merger.next() { tiles += 1 }
        #expect(tiles == 6)
        guard case .blocked = merger.next() else {
            Issue.record("an incomplete stream ended")
            return
        }
        #expect(merger.pendingChildren == [children[0]])
    }

    @Test("What somebody sends who is no child counts for nothing")
    func stranger() throws {
        var random = RandomNumbers(seed: 4)
        let space = try Films.space()
        let film = try Films.film(space, 0..<6, from: &random)
        var merger = try FilmMerger(
            workSpace: space, own: [], children: Array(children.prefix(1)), identity: identity)
        try merger.receive(Films.stream(film), from: Films.participant(9))
        #expect(!merger.expects(Films.participant(9)))
        #expect(merger.extent == nil)
    }

    @Test("A leaf without films contributes an empty stream")
    func empty() throws {
        let space = try Films.space()
        var merger = try FilmMerger(
            workSpace: space, own: [], children: [], identity: identity)
        guard case .end = merger.next() else {
            Issue.record("nothing to merge, but not the end")
            return
        }
        #expect(merger.extent == FilmExtent())
    }
}

extension FilmMerger {
    /// Takes a piece that is a part of an array.
    fileprivate mutating func receive(
        _ piece: ArraySlice<UInt8>, from child: ParticipantID
    ) throws {
        try receive(Array(piece), from: child)
    }
}
