// Memory that the rendering stages work in: plain values at a fixed address, aligned for SIMD,
// with room behind the end so that a group of eight may be read where fewer are left.

import CTracerSIMD

/// A block of `count` elements, zeroed, aligned to cache lines, on huge pages when it is large.
///
/// `@unchecked Sendable`: whoever makes one either fills it before any other thread sees it and
/// nobody writes afterwards (scene data), or never lets another thread see it (queues).
final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    let base: UnsafeMutablePointer<Element>
    let count: Int

    /// Elements behind the end that may be read and written without meaning.
    private static var padding: Int { 64 }
    /// From here on a block asks for huge pages: a random access then rarely misses the TLB
    /// (docs/adr/0009: 1.40 to 1.45 Msamples per CPU-second at a million triangles).
    private static var hugeBytes: Int { 4 << 20 }
    private static var hugePageBytes: Int { 2 << 20 }

    init(count: Int) {
        let bytes = (count + Self.padding) * MemoryLayout<Element>.stride
        let isHuge = bytes >= Self.hugeBytes
        let alignment = isHuge ? Self.hugePageBytes : 64
        let rounded = (bytes + alignment - 1) / alignment * alignment
        let memory = UnsafeMutableRawPointer.allocate(byteCount: rounded, alignment: alignment)
        if isHuge { ctracer_advise_huge_pages(memory, rounded) }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: rounded)
        base = memory.bindMemory(to: Element.self, capacity: count + Self.padding)
        self.count = count
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }
}

/// Loads eight consecutive numbers.
@inline(__always)
func load8(_ from: UnsafePointer<Float>, _ index: Int) -> Float8 { ctracer_load(from + index) }

/// Loads eight consecutive integers.
@inline(__always)
func load8(_ from: UnsafePointer<UInt32>, _ index: Int) -> UInt32x8 {
    ctracer_load_uint(from + index)
}

/// Stores eight consecutive numbers.
@inline(__always)
func store8(_ to: UnsafeMutablePointer<Float>, _ index: Int, _ value: Float8) {
    ctracer_store(to + index, value)
}

/// Stores eight consecutive integers.
@inline(__always)
func store8(_ to: UnsafeMutablePointer<UInt32>, _ index: Int, _ value: UInt32x8) {
    ctracer_store_uint(to + index, value)
}

/// The numbers 0 … 7.
@inline(__always)
var laneNumbers: Int32x8 { Int32x8(0, 1, 2, 3, 4, 5, 6, 7) }
