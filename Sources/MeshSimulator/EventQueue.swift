// The future of a simulation: events by time, and those of one time in the order in which they
// were made.

import MeshCore

/// A binary heap of events. The events themselves lie still: only their times and places move.
struct EventQueue: Sendable {
    private struct Entry: Sendable {
        let time: Instant
        let number: UInt64
        /// Where the event lies.
        let place: Int
        func isBefore(_ other: Entry) -> Bool { (time, number) < (other.time, other.number) }
    }
    private var heap: [Entry] = []
    private var events: [SimulatedEvent?] = []
    private var free: [Int] = []
    private var number: UInt64 = 0

    mutating func add(_ event: SimulatedEvent, at time: Instant) {
        number += 1
        let place: Int
        if let last = free.popLast() {
            place = last
            events[place] = event
        } else {
            place = events.count
            events.append(event)
        }
        let entry = Entry(time: time, number: number, place: place)
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entry.isBefore(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = entry
    }

    mutating func removeFirst() -> (time: Instant, event: SimulatedEvent)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            var parent = 0
            while true {
                var least = 2 * parent + 1
                guard least < heap.count else { break }
                if least + 1 < heap.count, heap[least + 1].isBefore(heap[least]) { least += 1 }
                guard heap[least].isBefore(last) else { break }
                heap[parent] = heap[least]
                parent = least
            }
            heap[parent] = last
        }
        guard let event = events[first.place].take() else {
            preconditionFailure("an entry of the queue has an event")
        }
        free.append(first.place)
        return (first.time, event)
    }
}
