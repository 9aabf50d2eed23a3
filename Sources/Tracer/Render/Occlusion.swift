// The stage that asks whether anything lies between a surface and a light, and adds the light's
// part where nothing does.

import CEmbree
import CTracerSIMD

/// Traces the rays of a shadow queue.
struct Occlusion {
    let scene: RTCScene
    /// Room for ``batch`` rays, aligned to 64 bytes.
    let rays: UnsafeMutablePointer<RTCRay>
    let context: UnsafeMutablePointer<RTCIntersectContext>

    /// Rays a call: Embree's streams were fastest at this length.
    static var batch: Int { 1_024 }

    /// Adds the radiance of each ray that meets nothing to its slot, in the queue's order.
    func resolve(
        _ shadows: ShadowQueue, count: Int, into radiance: UnsafeMutablePointer<SIMD4<Float>>
    ) {
        var start = 0
        while start < count {
            let end = min(start + Self.batch, count)
            for index in stride(from: start, to: end, by: 8) {
                ctracer_store_rays(
                    rays + (index - start), shadows.originX + index, shadows.originY + index,
                    shadows.originZ + index, shadows.directionX + index,
                    shadows.directionY + index, shadows.directionZ + index, shadows.far + index)
            }
            rtcOccluded1M(
                scene, context, rays, UInt32(end - start), MemoryLayout<RTCRay>.stride)
            for index in start..<end where rays[index - start].tfar >= 0 {
                shadows.add(index, to: radiance)
            }
            start = end
        }
    }
}

extension ShadowQueue {
    /// Adds the light of one ray to its slot.
    @inline(__always)
    func add(_ index: Int, to radiance: UnsafeMutablePointer<SIMD4<Float>>) {
        radiance[Int(slot[index])] += SIMD4(
            radianceX[index], radianceY[index], radianceZ[index], 0)
    }
}
