// What becomes of those that are held back, and of what they have.

import MeshCore
import Testing

@testable import WorkStealing

extension ReferenceTests {
    @Test("An originator that is kept out of its own frame goes on when the root is gone")
    func originatorKeptOut() throws {
        let again = ParticipantID(node: originator.node, boot: 2)
        let other = Term(number: 2, root: members[0])
        var machine = FrameParticipant(
            joining: frame, workSpace: try space, identity: again, term: other,
            configuration: FrameConfiguration(), seed: 2, at: .zero)
        var start = RoundStart(
            round: RoundID(term: other, number: 1), participants: [members[0]],
            ledger: IntervalSet())
        start.differing = 1
        machine.receive(.start(start), from: members[0], at: at(1))
        #expect(machine.isKeptOut && machine.successionAt == nil)
        machine.participantChanged(members[0], isAlive: false, at: at(2))
        machine.tick(at: try #require(machine.successionAt))
        #expect(machine.isRoot && !machine.isKeptOut)
    }

    @Test("Nobody takes over the film of one that is kept out")
    func filmOfKeptOut() throws {
        var machine = try root(right)
        _ = ask(&machine, members[0], wrong, at: at(1_100))
        let all = IntervalSet(try space.all)
        machine.learnedCompleteFilm(at: members[0], at: at(1_200))
        var now = at(1_200)
        while now < at(3_000) {
            now = max(now + .milliseconds(1), machine.nextDeadline)
            machine.tick(at: now)
            #expect(
                drain(&machine).allSatisfy { if case .fetchFilm = $0 { false } else { true } })
        }
        #expect(machine.filmFetched(coverage: all, from: members[0], at: now) == .discard)
        #expect(machine.filmFetched(coverage: all, from: members[1], at: now) == .replace)
    }

    @Test("A round is abandoned when one of its contributors turns out to differ")
    func contributorDiffers() throws {
        // The root has not rendered its unit when it admits somebody.
        var machine = try root(nil) { $0.sharesWithNewcomers = false }
        _ = ask(&machine, members[0], wrong, at: at(1_100))
        var now = at(1_100)
        var planned: RoundID?
        while now < at(6_000), planned == nil {
            now = max(now, machine.nextDeadline)
            machine.tick(at: now)
            for start in starts(drain(&machine), to: members[0]) {
                let seal = RoundReport.Seal(
                    number: SealNumber(1), coverage: IntervalSet(SampleRange(60, 64)))
                var report = RoundReport(
                    round: start.round, seals: [seal], claims: IntervalSet(), filmUnits: 0,
                    samplesPerSecond: 100)
                (report.participantsHash, report.ledgerHash) =
                    (start.participants.hash, start.ledger.hash)
                machine.receive(.report(report), from: members[0], at: now)
            }
            for case .gather(let round, _, _) in drain(&machine) { planned = round }
        }
        let round = try #require(planned)
        let unit = try #require(take(&machine, at: now))
        _ = machine.rendered(unit, digest: right, at: now)
        #expect(drain(&machine).contains(.abandon(round: round)))
        machine.gathered(round: round, coverage: IntervalSet(SampleRange(60, 64)), at: now)
        #expect(!machine.ledger.contains(60))
    }
}
