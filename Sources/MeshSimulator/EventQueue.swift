// The future of a simulation: events by time, and those of one time in the order in which they
// were made.

import MeshCore

/// A binary heap of events.
struct EventQueue: Sendable {
    private struct Entry: Sendable {
        let time: Instant
        let number: UInt64
        let event: SimulatedEvent
        func isBefore(_ other: Entry) -> Bool { (time, number) < (other.time, other.number) }
    }
    private var heap: [Entry] = []
    private var number: UInt64 = 0

    mutating func add(_ event: SimulatedEvent, at time: Instant) {
        number += 1
        heap.append(Entry(time: time, number: number, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Whether something is to happen that a body says is wanted; linear in the events.
    func contains(where isWanted: (SimulatedEvent) -> Bool) -> Bool {
        heap.contains { isWanted($0.event) }
    }

    mutating func removeFirst() -> (time: Instant, event: SimulatedEvent)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                    if heap[child].isBefore(heap[least]) { least = child }
                }
                guard least != parent else { break }
                heap.swapAt(least, parent)
                parent = least
            }
        }
        return (first.time, first.event)
    }
}
