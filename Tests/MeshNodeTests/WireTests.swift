// Control messages and stream openings as bytes: what is written is read again, and nothing from
// outside is believed without a check or brings the program down.

import MeshCore
import MeshNode
import Testing
import WorkStealing

@testable import MeshWire

@Suite("The wire")
struct WireTests {
    static let a = ParticipantID(node: NodeID(0x0123_4567_89ab_cdef), boot: 7)
    static let b = ParticipantID(node: NodeID(.max), boot: .max)
    static let frame = FrameID(originator: a, number: 42)
    static let term = Term(number: 3, root: b)
    static let round = RoundID(term: term, number: 9)
    static let units = IntervalSet([SampleRange(0, 3), SampleRange(10, 1 << 40)])
    static let grant = GrantID(victim: b, number: 77)

    static let digest = UnitDigest(
        hash: .max, sums: SIMD3(0, 1.5, 1e30), arithmeticClass: 1 << 63)

    static var largeStart: RoundStart {
        var start = RoundStart(round: round, participants: [b], ledger: units)
        start.unnamedCount = 9_000
        start.acquaintances = [a, b]
        start.includesReceiver = true
        start.quarantined = [b]
        start.knowsReference = true
        start.differing = 3
        return start
    }

    static var reportWithReference: RoundReport {
        var report = RoundReport(
            round: round, seals: [], claims: units, filmUnits: 0, samplesPerSecond: 1)
        report.reference = digest
        return report
    }

    static let frameMessages: [FrameMessage] = [
        .admissionRequest(AdmissionRequest(term: term, samplesPerSecond: 1.5e6)),
        .admissionRequest(
            AdmissionRequest(term: term, samplesPerSecond: 0, reference: digest)),
        .start(RoundStart(round: round, participants: [a, b], ledger: units)),
        .start(
            RoundStart(
                round: round,
                participants: ParticipantsUpdate(hash: 5, isWhole: false, removed: [a], added: [b]),
                ledger: LedgerUpdate(hash: 6, isWhole: false, added: units))),
        .start(largeStart),
        .startUnknown(round),
        .firstPassDone(term),
        .report(reportWithReference),
        .report(
            RoundReport(
                round: round,
                seals: [.init(number: SealNumber(4), coverage: units)], claims: IntervalSet(),
                filmUnits: 12, samplesPerSecond: 0, bytesPerSecond: 1e8, wantsFilm: false)),
        .report(
            RoundReport(
                round: round,
                seals: [
                    .init(
                        number: SealNumber(4), coverage: IntervalSet(SampleRange(7, 9)),
                        digests: [digest, digest])
                ], claims: units, filmUnits: 0, samplesPerSecond: 1)),
        .check(CheckRequest(term: term, units: units)),
        .checked(CheckResult(term: term, unit: 1 << 30, digest: digest)),
        .plan(
            RoundPlan(
                round: round, seals: [SealNumber(4)],
                places: [
                    TreePlace(parent: a, children: [b]), TreePlace(parent: b, children: []),
                ])),
        .contributionFailed(RoundFailure(round: round, cause: b)),
        .exhausted(Exhausted(term: term, uncommittedUnits: 5)),
        .stealRequest(StealRequest(term: term, number: 1, samplesPerSecond: 2)),
        .stealGrant(StealGrant(term: term, grant: grant, request: 1, units: units)),
        .stealRefusal(StealRefusal(term: term, request: 1)),
        .grantAccepted(grant), .grantRefused(grant), .lateUnitRequest(term),
        .lateUnits(LateUnits(term: term, units: units)),
        .contested(LateUnits(term: term, units: units)),
    ]

    static let messages: [MeshMessage] =
        frameMessages.map { .frame(frame, $0) } + [
            .jobRequest(frame), .jobUnknown(frame), .frameEnded(frame, .cancelled),
            .frameEnded(frame, .delivered),
            .jobOffer(
                frame,
                JobDescription(
                    width: 1_920, height: 1_080, samplesPerPixel: 64, verifiedShare: 0.01,
                    isAdaptive: true, payload: [1, 2, 0, 255])),
        ]

    static let openings: [StreamOpening] =
        [
            .control(sender: a, name: "Wörkstätion"),
            .contribution(frame, round, TileStripe(2, of: 4), sender: b),
            .sum(frame, round, TileStripe(63, of: 64), receivers: [a, b]), .film(frame),
        ] + [Digest(bytes: (0..<32).map { UInt8($0) })].compactMap(\.self).map { .file($0) }

    @Test("Every message is read as it was written", arguments: messages)
    func messageRoundTrip(message: MeshMessage) throws {
        #expect(try MeshMessage(decoding: message.encoded()) == message)
    }

    @Test("Every opening is read as it was written", arguments: openings)
    func openingRoundTrip(opening: StreamOpening) throws {
        #expect(try StreamOpening(decoding: opening.encoded()) == opening)
    }

    @Test(
        "Damaged bytes are refused or read as some valid value",
        arguments: 1...8 as ClosedRange<UInt64>)
    func damage(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        let originals = Self.messages.map { $0.encoded() } + Self.openings.map { $0.encoded() }
        for original in originals {
            for _ in 0..<60 {
                var bytes = original
                for _ in 0...random.below(3) {
                    switch random.below(3) {
                    case 0 where !bytes.isEmpty:
                        bytes[random.below(bytes.count)] = UInt8(random.below(256))
                    case 1 where !bytes.isEmpty: bytes.removeLast(random.below(bytes.count))
                    default:
                        bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count + 1))
                    }
                }
                if let message = try? MeshMessage(decoding: bytes) {
                    // What is believed can be written again.
                    #expect((try? MeshMessage(decoding: message.encoded())) == message)
                }
                if let opening = try? StreamOpening(decoding: bytes) {
                    #expect((try? StreamOpening(decoding: opening.encoded())) == opening)
                }
            }
        }
    }

    @Test("Sets of units that are not canonical are refused")
    func units() {
        let bad: [[UInt64]] = [
            [1], [5, 2, 0, 1], [1 << 48, 0], [0, 1 << 48], [.max, .max], [0, (1 << 48) - 1, 1, 0],
        ]
        for steps in bad {
            var proto = ProtoUnits()
            proto.steps = steps
            #expect(throws: MalformedBytes.self, "\(steps)") { try IntervalSet(proto) }
        }
    }

    @Test("Numbers out of bounds and missing parts are refused")
    func bounds() {
        var envelopes: [ProtoEnvelope] = [ProtoEnvelope()]
        var envelope = ProtoEnvelope()
        envelope.frame = Self.frame.proto
        envelopes.append(envelope)
        for speed in [Double.nan, .infinity, -1] {
            envelope.stealRequest =
                StealRequest(
                    term: Self.term, number: 1, samplesPerSecond: speed
                ).proto
            envelopes.append(envelope)
        }
        // A successor raises it by one.
        envelope.lateUnitRequest = Term(number: .max, root: Self.a).proto
        envelopes.append(envelope)
        var job = JobDescription(width: 8, height: 8, samplesPerPixel: 1)
        for change in [\JobDescription.width, \.height, \.tileSize, \.samplesPerPixel] {
            job[keyPath: change] = 1 << 20
            envelope.jobOffer = job.proto
            envelopes.append(envelope)
            job[keyPath: change] = 0
            envelope.jobOffer = job.proto
            envelopes.append(envelope)
            job = JobDescription(width: 8, height: 8, samplesPerPixel: 1)
        }
        job.payload = Array(repeating: 0, count: JobDescription.payloadBytesMax + 1)
        envelope.jobOffer = job.proto
        envelopes.append(envelope)
        envelope.start = ProtoStart()
        envelopes.append(envelope)
        envelope.frameEnded = .UNRECOGNIZED(9)
        envelopes.append(envelope)
        for (index, envelope) in envelopes.enumerated() {
            #expect(throws: MalformedBytes.self, "case \(index)") {
                try MeshMessage(decoding: envelope.bytes())
            }
        }
    }

    @Test("Fields that a later version adds are passed over")
    func unknownFields() throws {
        let message = MeshMessage.jobRequest(Self.frame)
        // Field 1000, a varint.
        #expect(try MeshMessage(decoding: message.encoded() + [0xc0, 0x3e, 0x05]) == message)
    }
}
