// For the message of a failed run: which timers of a machine are due.

import MeshCore

@testable import WorkStealing

extension FrameParticipant {
    func timers(at now: Instant) -> String {
        let all: [(String, Instant?)] = [
            ("grants", grants.nextDeadline), ("request", thief.request?.deadline),
            ("steal", thief.request == nil && wantsToSteal ? thief.nextAt : nil),
            ("exhausted", saysExhausted.nextAt), ("fetch", fetch.deadline ?? fetchAt),
            ("stuck", stuckDeadline), ("root", rootDeadline), ("admission", admissionAt),
            ("succession", successionAt),
        ]
        return all.filter { ($0.1 ?? .distantFuture) <= now }.map { "\($0.0) \($0.1 ?? now)" }
            .joined(separator: " ") + " at \(now)"
    }
}

extension FrameParticipant {
    /// As if the unit that all render first had been rendered, and nothing had come of it to tell:
    /// for tests of everything else.
    mutating func skipReference() { reference.isDone = true }
}
