// The model's events in the order of their time; equal times in the order of insertion.

import MeshCore

struct EventQueue {
    struct Entry {
        let time: Instant
        let node: Int
        let boot: UInt64
        let event: ModelEvent
        var sequence = 0
    }
    private var heap: [Entry] = []
    private var nextSequence = 0

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        (heap[a].time.nanoseconds, heap[a].sequence)
            < (heap[b].time.nanoseconds, heap[b].sequence)
    }

    mutating func insert(_ entry: Entry) {
        var entry = entry
        entry.sequence = nextSequence
        nextSequence += 1
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> Entry? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && precedes(child, least) {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
