// The stage that finds what rays hit first. Embree says only which triangle of which instance;
// distance, normal and coordinates on the triangle are computed by the next stage with IEEE
// operations, so that processors of different makers agree.

import CEmbree
import CTracerSIMD

/// Traces the rays of path queues, in packets.
struct ClosestHits {
    let scene: RTCScene
    /// Rows of ``InstanceRow``; nil in scenes without instances, which then write no rows.
    let instances: UnsafePointer<Float>?
    /// Rays begin at the queue's `near` instead of zero.
    let hasNear: Bool
    /// Room for one packet of sixteen, aligned to 64 bytes.
    let packet: UnsafeMutablePointer<Float>
    let context: UnsafeMutablePointer<RTCIntersectContext>
    let coherentContext: UnsafeMutablePointer<RTCIntersectContext>

    // Positions of the arrays in RTCRayHit8 and RTCRayHit16, in units of the packet's width.
    private static var originX: Int { 0 }
    private static var near: Int { 3 }
    private static var directionX: Int { 4 }
    private static var time: Int { 7 }
    private static var far: Int { 8 }
    private static var mask: Int { 9 }
    private static var flags: Int { 11 }
    private static var triangle: Int { 17 }
    private static var geometry: Int { 18 }
    private static var instance: Int { 19 }
    /// Floats of memory a packet of sixteen takes.
    static var packetSize: Int { 20 * 16 }

    /// Camera rays: neighbours in a queue are neighbours in the image, so packets of sixteen with
    /// Embree's coherent traversal are the fastest (docs/adr/0009).
    func traceCoherent(_ paths: PathQueue, count: Int, into hits: HitQueue) {
        // The packets' types are aligned beyond what Swift imports.
        let rays = OpaquePointer(packet)
        prepare(width: 16)
        var index = 0
        while index < count {
            fill(paths, index, width: 16, lane: 0)
            fill(paths, index + 8, width: 16, lane: 8)
            withActive(count - index) { rtcIntersect16($0, scene, coherentContext, rays) }
            take(hits, index, width: 16, lane: 0)
            take(hits, index + 8, width: 16, lane: 8)
            index += 16
        }
    }

    /// Scattered rays: packets of eight; the coherent flag would double their time.
    /// - Parameter far: where the rays end; nil for rays without end.
    func traceScattered(
        _ paths: PathQueue, count: Int, into hits: HitQueue, far: UnsafePointer<Float>? = nil
    ) {
        let rays = OpaquePointer(packet)
        prepare(width: 8)
        var index = 0
        while index < count {
            fill(paths, index, width: 8, lane: 0)
            if let far { store8(packet, Self.far * 8, load8(far, index)) }
            withActive(count - index) { rtcIntersect8($0, scene, context, rays) }
            take(hits, index, width: 8, lane: 0)
            index += 8
        }
    }

    /// Calls with sixteen integers: all bits set for rays that are there.
    @inline(__always)
    private func withActive(_ left: Int, _ trace: (UnsafePointer<Int32>) -> Void) {
        let lower = (laneNumbers .< Int32(truncatingIfNeeded: min(left, 16))).lanes
        let upper = (laneNumbers .< Int32(truncatingIfNeeded: min(left - 8, 16))).lanes
        var active = (lower, upper)
        withUnsafeBytes(of: &active) {
            trace($0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: Int32.self))
        }
    }

    /// What is the same for all packets of a queue.
    @inline(__always)
    private func prepare(width: Int) {
        let zero = Float8(repeating: 0)
        for lane in stride(from: 0, to: width, by: 8) {
            store8(packet, Self.near * width + lane, zero)
            store8(packet, Self.time * width + lane, zero)
            store8(packet, Self.flags * width + lane, zero)
            store8(
                packet, Self.mask * width + lane, Float8(bits: Int32x8(repeating: -1)))
        }
    }

    @inline(__always)
    private func fill(_ paths: PathQueue, _ index: Int, width: Int, lane: Int) {
        let origin = paths.origin(index)
        let direction = paths.direction(index)
        let ray = packet + lane
        store8(ray, Self.originX * width, origin.x)
        store8(ray, (Self.originX + 1) * width, origin.y)
        store8(ray, (Self.originX + 2) * width, origin.z)
        store8(ray, Self.directionX * width, direction.x)
        store8(ray, (Self.directionX + 1) * width, direction.y)
        store8(ray, (Self.directionX + 2) * width, direction.z)
        store8(ray, Self.far * width, Float8(repeating: .infinity))
        if hasNear { store8(ray, Self.near * width, load8(paths.near, index)) }
        let none = Float8(bits: Int32x8(repeating: -1))
        store8(ray, Self.geometry * width, none)
        if instances != nil { store8(ray, Self.instance * width, none) }
    }

    @inline(__always)
    private func take(_ hits: HitQueue, _ index: Int, width: Int, lane: Int) {
        let ray = UnsafePointer(packet) + lane
        let number = load8(ray, Self.triangle * width).bits
        let isMiss = (load8(ray, Self.geometry * width).bits .== -1).lanes
        guard let instances else {
            store8(hits.triangle, index, (number | isMiss).unsigned)
            return
        }
        // Embree numbers the triangles of each mesh from zero.
        let reported = load8(ray, Self.instance * width).bits
        let row = select((reported .== -1) .| (isMiss .== -1), Int32x8(repeating: 0), reported)
        let first = gather(
            instances + InstanceRow.firstTriangle, row &* InstanceRow.stride
        ).bits
        store8(hits.triangle, index, ((number &+ first) | isMiss).unsigned)
        store8(hits.instance, index, row.unsigned)
    }
}
