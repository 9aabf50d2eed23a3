// Starts that say only what is new: what comes out is what the root has, or the whole is asked for.

import MeshCore
import Testing

@testable import WorkStealing

@Suite("Starts as differences")
struct StartTests {
    private func participant(_ number: Int) -> ParticipantID {
        ParticipantID(node: NodeID(UInt64(number)), boot: 1)
    }

    private func units(_ ranges: (Int, Int)...) -> IntervalSet {
        IntervalSet(ranges.map { SampleRange($0.0, $0.1) })
    }

    @Test("A difference makes the list out of the base, and out of what came since")
    func lists() throws {
        var random = RandomNumbers(seed: 11)
        for _ in 0..<200 {
            let base = (0..<40).map(participant)
            let between = base.filter { _ in random.unit() < 0.9 } + [participant(50)]
            let list =
                between.dropLast().filter { _ in random.unit() < 0.9 }
                + [participant(50), participant(51)]
            let hash = ParticipantsUpdate.hash(of: list)
            let update = try #require(ParticipantsUpdate(from: base, to: list, hash: hash))
            #expect(!update.isWhole && update.added.count <= 2)
            #expect(update.applied(to: base) == list)
            #expect(update.applied(to: between) == list)
            #expect(update.applied(to: list) == list)
            #expect(update.applied(to: base.reversed()) == nil)
            #expect(update.applied(to: []) == nil)
        }
        let fresh = (100..<140).map(participant)
        let hash = ParticipantsUpdate.hash(of: fresh)
        #expect(ParticipantsUpdate(from: (0..<40).map(participant), to: fresh, hash: hash) == nil)
    }

    @Test("A difference makes the ledger; a root that lacks some of the base says the whole")
    func ledgers() throws {
        let base = units((0, 2), (4, 6), (8, 10))
        let ledger = units((0, 2), (4, 6), (8, 12))
        let update = try #require(
            LedgerUpdate(from: base, to: ledger, hash: LedgerUpdate.hash(of: ledger)))
        #expect(update.added == units((10, 12)))
        #expect(update.applied(to: base) == ledger && update.applied(to: ledger) == ledger)
        #expect(update.applied(to: units((0, 2))) == nil)
        let adopted = units((0, 2), (4, 6), (9, 12), (20, 21))
        let hash = LedgerUpdate.hash(of: adopted)
        #expect(LedgerUpdate(from: base, to: adopted, hash: hash) == nil)
    }

    @Test("A root says little to those who know, and all to newcomers and the forgetful")
    func history() throws {
        var history = StartHistory()
        let list = (0..<1_000).map(participant)
        let ledger = IntervalSet((0..<500).map { SampleRange($0 * 3, $0 * 3 + 1) })
        history.note(participants: list, ledger: ledger)
        let firstFound = history.participants(knowing: 0)
        let first = try #require(firstFound)
        let firstLedgerFound = history.ledger(knowing: 0)
        let firstLedger = try #require(firstLedgerFound)
        #expect(first.isWhole && first.added == list && firstLedger.isWhole)
        history.note(
            participants: Array(list.dropLast()) + [participant(2_000)],
            ledger: ledger.union(units((3_000, 3_002))))
        let nextFound = history.participants(knowing: first.hash)
        let next = try #require(nextFound)
        let nextLedgerFound = history.ledger(knowing: firstLedger.hash)
        let nextLedger = try #require(nextLedgerFound)
        #expect(next.removed == [participant(999)] && next.added == [participant(2_000)])
        #expect(nextLedger.added == units((3_000, 3_002)))
        for number in 0..<10 {
            history.note(participants: list + [participant(3_000 + number)], ledger: ledger)
        }
        let late = history.participants(knowing: first.hash)
        #expect(late?.isWhole == true)
    }

    @Test("Who cannot build on a start asks for the whole, and is in the round then")
    func unknown() throws {
        let originator = participant(1)
        let me = participant(2)
        let frame = FrameID(originator: originator, number: 1)
        let term = Term(number: 1, root: originator)
        let grid = try #require(TileGrid(width: 64, height: 64, tileSize: 32))
        let space = try #require(WorkSpace(grid: grid, samplesPerPixel: 16))
        var machine = FrameParticipant(
            joining: frame, workSpace: space, identity: me, term: term,
            configuration: FrameConfiguration(), seed: 1, at: .zero)
        func answers(_ start: RoundStart) -> [FrameMessage] {
            machine.receive(.start(start), from: originator, at: .zero)
            var sent: [FrameMessage] = []
            while let directive = machine.nextDirective() {
                if case .send(let message, originator) = directive { sent.append(message) }
            }
            return sent
        }
        let list = [originator, participant(3), me]
        let round = RoundID(term: term, number: 1)
        let whole = RoundStart(round: round, participants: list, ledger: units((0, 3)))
        let difference = RoundStart(
            round: round,
            participants: ParticipantsUpdate(
                hash: whole.participants.hash, isWhole: false, removed: [], added: [me]),
            ledger: LedgerUpdate(
                hash: whole.ledger.hash, isWhole: false, added: units((2, 3))))
        #expect(answers(difference) == [.startUnknown(round)] && !machine.isListed)
        let reports = answers(whole).compactMap { message -> RoundReport? in
            guard case .report(let report) = message else { return nil }
            return report
        }
        #expect(machine.isListed && machine.ledger == units((0, 3)))
        #expect(reports.map(\.participantsHash) == [whole.participants.hash])
        #expect(reports.map(\.ledgerHash) == [whole.ledger.hash])
        // A whole that is not what its hash says is nobody's start.
        var forged = whole
        forged.round = RoundID(term: term, number: 2)
        forged.ledger.added = units((0, 4))
        #expect(answers(forged).isEmpty && machine.ledger == units((0, 3)))
        // The next one builds on what was reported.
        let next = RoundStart(
            round: RoundID(term: term, number: 2),
            participants: ParticipantsUpdate(
                hash: whole.participants.hash, isWhole: false, removed: [], added: []),
            ledger: LedgerUpdate(
                hash: LedgerUpdate.hash(of: units((0, 5))), isWhole: false, added: units((3, 5))))
        #expect(answers(next).count == 1 && machine.ledger == units((0, 5)))
    }
}
