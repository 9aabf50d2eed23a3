// The queues of a wavefront: paths and shadow rays as structures of arrays. A stage reads one
// queue and writes another; lanes that end are squeezed out, so that every later group of eight
// is full but the last.

import CTracerSIMD

/// Paths on their way: one ray each, with what the path has become so far.
///
/// A path's *slot* is its place in the wave, from the camera to the sum; its place in a queue
/// changes as others end.
struct PathQueue {
    let originX, originY, originZ: UnsafeMutablePointer<Float>
    /// Unit length.
    let directionX, directionY, directionZ: UnsafeMutablePointer<Float>
    /// Product of the scattering weights.
    let throughputX, throughputY, throughputZ: UnsafeMutablePointer<Float>
    /// Solid angle density with which the last scattering chose the direction.
    let density: UnsafeMutablePointer<Float>
    /// Where the ray begins: behind the last surface it passed through. Zero in scenes without
    /// transparency.
    let near: UnsafeMutablePointer<Float>
    let slot: UnsafeMutablePointer<UInt32>

    /// Floats of memory a queue of `capacity` paths needs.
    static func memorySize(capacity: Int) -> Int { 12 * (capacity + 64) }

    init(memory: UnsafeMutablePointer<Float>, capacity: Int) {
        func array(_ index: Int) -> UnsafeMutablePointer<Float> { memory + index * (capacity + 64) }
        (originX, originY, originZ) = (array(0), array(1), array(2))
        (directionX, directionY, directionZ) = (array(3), array(4), array(5))
        (throughputX, throughputY, throughputZ) = (array(6), array(7), array(8))
        (density, near) = (array(9), array(10))
        slot = UnsafeMutableRawPointer(array(11)).assumingMemoryBound(to: UInt32.self)
    }

    @inline(__always)
    func origin(_ index: Int) -> Vector8 {
        Vector8(load8(originX, index), load8(originY, index), load8(originZ, index))
    }

    @inline(__always)
    func direction(_ index: Int) -> Vector8 {
        Vector8(load8(directionX, index), load8(directionY, index), load8(directionZ, index))
    }

    @inline(__always)
    func throughput(_ index: Int) -> Vector8 {
        Vector8(load8(throughputX, index), load8(throughputY, index), load8(throughputZ, index))
    }

    /// Writes the lanes of `keep` one behind the other from `index` on; returns the next index.
    @inline(__always)
    func append(
        at index: Int, keep: UInt32, origin: Vector8, direction: Vector8, throughput: Vector8,
        density: Float8, slot: UInt32x8
    ) -> Int {
        store8(originX, index, ctracer_compact(origin.x, keep))
        store8(originY, index, ctracer_compact(origin.y, keep))
        store8(originZ, index, ctracer_compact(origin.z, keep))
        store8(directionX, index, ctracer_compact(direction.x, keep))
        store8(directionY, index, ctracer_compact(direction.y, keep))
        store8(directionZ, index, ctracer_compact(direction.z, keep))
        store8(throughputX, index, ctracer_compact(throughput.x, keep))
        store8(throughputY, index, ctracer_compact(throughput.y, keep))
        store8(throughputZ, index, ctracer_compact(throughput.z, keep))
        store8(self.density, index, ctracer_compact(density, keep))
        store8(self.slot, index, ctracer_compact_uint(slot, keep))
        return index + keep.nonzeroBitCount
    }
}

/// What the rays of a path queue hit: a triangle's number and an instance's row, nothing else, so
/// that no bit of the image depends on how Embree computes.
struct HitQueue {
    /// Number of the triangle in the scene, or ``HitQueue/none``.
    let triangle: UnsafeMutablePointer<UInt32>
    /// Row in the instance table; written in scenes with instances only.
    let instance: UnsafeMutablePointer<UInt32>

    static var none: UInt32 { ~0 }
    static func memorySize(capacity: Int) -> Int { 2 * (capacity + 64) }

    init(memory: UnsafeMutablePointer<Float>, capacity: Int) {
        let words = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: UInt32.self)
        triangle = words
        instance = words + capacity + 64
    }
}

/// Shadow rays, each with the light it brings when nothing is in its way.
struct ShadowQueue {
    let originX, originY, originZ: UnsafeMutablePointer<Float>
    let directionX, directionY, directionZ: UnsafeMutablePointer<Float>
    /// Where the light is; nothing behind it counts.
    let far: UnsafeMutablePointer<Float>
    let radianceX, radianceY, radianceZ: UnsafeMutablePointer<Float>
    let slot: UnsafeMutablePointer<UInt32>

    static func memorySize(capacity: Int) -> Int { 11 * (capacity + 64) }

    @inline(__always)
    func origin(_ index: Int) -> Vector8 {
        Vector8(load8(originX, index), load8(originY, index), load8(originZ, index))
    }

    @inline(__always)
    func direction(_ index: Int) -> Vector8 {
        Vector8(load8(directionX, index), load8(directionY, index), load8(directionZ, index))
    }

    init(memory: UnsafeMutablePointer<Float>, capacity: Int) {
        func array(_ index: Int) -> UnsafeMutablePointer<Float> { memory + index * (capacity + 64) }
        (originX, originY, originZ) = (array(0), array(1), array(2))
        (directionX, directionY, directionZ) = (array(3), array(4), array(5))
        far = array(6)
        (radianceX, radianceY, radianceZ) = (array(7), array(8), array(9))
        slot = UnsafeMutableRawPointer(array(10)).assumingMemoryBound(to: UInt32.self)
    }

    /// Writes the lanes of `keep` one behind the other from `index` on; returns the next index.
    @inline(__always)
    func append(
        at index: Int, keep: UInt32, origin: Vector8, direction: Vector8, far: Float8,
        radiance: Vector8, slot: UInt32x8
    ) -> Int {
        store8(originX, index, ctracer_compact(origin.x, keep))
        store8(originY, index, ctracer_compact(origin.y, keep))
        store8(originZ, index, ctracer_compact(origin.z, keep))
        store8(directionX, index, ctracer_compact(direction.x, keep))
        store8(directionY, index, ctracer_compact(direction.y, keep))
        store8(directionZ, index, ctracer_compact(direction.z, keep))
        store8(self.far, index, ctracer_compact(far, keep))
        store8(radianceX, index, ctracer_compact(radiance.x, keep))
        store8(radianceY, index, ctracer_compact(radiance.y, keep))
        store8(radianceZ, index, ctracer_compact(radiance.z, keep))
        store8(self.slot, index, ctracer_compact_uint(slot, keep))
        return index + keep.nonzeroBitCount
    }
}
