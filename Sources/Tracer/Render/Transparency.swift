// Surfaces that let rays through, without a callback from Embree: hits that turn out to be holes
// go on behind the surface, a layer at a time, all of a queue together. Scenes without such
// materials never come here.

import CTracerSIMD

/// Sends rays through masked and blended surfaces.
struct Transparency {
    let scene: KernelScene
    let slots: SlotTable
    let closestHits: ClosestHits
    /// Rays on their way through; their slot is their place in the queue they come from.
    let passing: PathQueue
    let passingHits: HitQueue

    /// After so many layers the next surface stops the ray, so that every ray ends.
    static var layersMax: Int { 64 }

    /// What a group of hits does to its rays.
    private struct Verdict {
        /// Lanes that meet a surface before the end of the ray.
        var met: UInt32
        /// Of these the lanes that go on.
        var passes: UInt32
        /// Where they go on.
        var near: Float8
        /// Opacity, for blended lanes; otherwise zero.
        var opacity: Float8
    }

    /// Replaces the hits of a queue that are holes by what lies behind them.
    /// - Parameter depth: vertices between the camera and the rays.
    func resolve(_ paths: PathQueue, count: Int, hits: HitQueue, depth: Int) {
        var pending = 0
        for index in stride(from: 0, to: count, by: 8) {
            let place = (laneNumbers &+ Int32(truncatingIfNeeded: index)).unsigned
            pending = pass(
                paths, hits, index, count: count, place: place, slot: load8(paths.slot, index),
                depth: depth, layer: 0, at: pending)
        }
        var layer = 1
        while pending > 0 {
            closestHits.traceScattered(passing, count: pending, into: passingHits)
            for index in 0..<pending {
                let place = Int(passing.slot[index])
                hits.triangle[place] = passingHits.triangle[index]
                if scene.features.hasInstances {
                    hits.instance[place] = passingHits.instance[index]
                }
            }
            guard layer < Self.layersMax else { return }
            var next = 0
            for index in stride(from: 0, to: pending, by: 8) {
                let place = load8(passing.slot, index)
                let own = UnsafeRawPointer(paths.slot).assumingMemoryBound(to: Int32.self)
                // Lanes behind the end may hold any number.
                let isThere = laneNumbers .< Int32(truncatingIfNeeded: min(pending - index, 8))
                let safe = select(isThere, place, UInt32x8(repeating: 0))
                next = pass(
                    passing, passingHits, index, count: pending, place: safe,
                    slot: gather(own, safe.signed).unsigned, depth: depth, layer: layer, at: next)
            }
            pending = next
            layer += 1
        }
    }

    /// Queues those lanes of a group that pass; returns the number queued after that.
    @inline(__always)
    private func pass(
        _ rays: PathQueue, _ hits: HitQueue, _ index: Int, count: Int, place: UInt32x8,
        slot: UInt32x8, depth: Int, layer: Int, at pending: Int
    ) -> Int {
        let far = Float8(repeating: .infinity)
        var verdict = judge(rays, hits, index, count: count, far: far)
        guard verdict.passes != 0 else { return pending }
        // A blended surface stops the ray with the probability alpha.
        let block = SampleBlock.transparency(depth) &+ UInt32(truncatingIfNeeded: layer) << 16
        let number = slots.sequence(slot).value(block)
        verdict.passes &= ~UInt32(bitPattern: (number .< verdict.opacity).bits)
        return append(rays, index, verdict, place, at: pending)
    }

    @inline(__always)
    private func append(
        _ rays: PathQueue, _ index: Int, _ verdict: Verdict, _ place: UInt32x8, at pending: Int
    ) -> Int {
        let lanes = PathLanes(rays, index)
        store8(passing.near, pending, ctracer_compact(verdict.near, verdict.passes))
        return passing.append(
            at: pending, keep: verdict.passes, origin: lanes.origin, direction: lanes.direction,
            throughput: lanes.throughput, density: lanes.density, slot: place)
    }

    /// Which lanes of a group meet a surface before `far`, and which of them may go on.
    @inline(__always)
    private func judge(
        _ rays: PathQueue, _ hits: HitQueue, _ index: Int, count: Int, far: Float8
    ) -> Verdict {
        let zero = Float8(repeating: 0)
        let left = count - index
        let active: UInt32 = left >= 8 ? 0xff : (1 << UInt32(truncatingIfNeeded: left)) - 1
        let triangle = load8(hits.triangle, index)
        let bits = active & ~UInt32(bitPattern: (triangle.signed .== -1).bits)
        guard bits != 0 else { return Verdict(met: 0, passes: 0, near: zero, opacity: zero) }
        let hasInstances = scene.features.hasInstances
        let row = hasInstances ? load8(hits.instance, index) : UInt32x8(repeating: 0)
        let hit = scene.surface(
            origin: rays.origin(index), direction: rays.direction(index), triangle: triangle,
            instanceRow: row, bits: bits, hasInstances: hasInstances)
        let met = hit.bits & UInt32(bitPattern: (hit.distance .< far).bits)
        let place = hit.material &* MaterialRow.stride
        let cutoff = gather(scene.materials + MaterialRow.cutoff, place)
        let candidates = met & UInt32(bitPattern: (cutoff .> MaterialRow.opaque).bits)
        guard candidates != 0 else {
            return Verdict(met: met, passes: 0, near: zero, opacity: zero)
        }
        let point = scene.point(hit)
        let alpha = scene.alpha(place, point.s, point.t)
        let isBlended = cutoff .< zero
        let isHole =
            select(isBlended, alpha, alpha - cutoff)
            .< select(
                isBlended, Float8(repeating: 1), zero)
        return Verdict(
            met: met, passes: candidates & UInt32(bitPattern: isHole.bits),
            near: hit.distance + hit.clearance, opacity: select(isBlended, alpha, zero))
    }

    /// Adds the light of shadow rays that get through to their slots: a mask stops or does not, a
    /// blended surface takes its share.
    func resolve(
        _ shadows: ShadowQueue, count: Int, into radiance: UnsafeMutablePointer<SIMD4<Float>>
    ) {
        var pending = 0
        for index in stride(from: 0, to: count, by: 8) {
            let place = (laneNumbers &+ Int32(truncatingIfNeeded: index)).unsigned
            let left = count - index
            let keep: UInt32 = left >= 8 ? 0xff : (1 << UInt32(truncatingIfNeeded: left)) - 1
            store8(passing.near, pending, Float8(repeating: 0))
            pending = passing.append(
                at: pending, keep: keep, origin: shadows.origin(index),
                direction: shadows.direction(index), throughput: .zero,
                density: load8(shadows.far, index), slot: place)
        }
        var layer = 0
        while pending > 0, layer < Self.layersMax {
            closestHits.traceScattered(
                passing, count: pending, into: passingHits, far: passing.density)
            var next = 0
            for index in stride(from: 0, to: pending, by: 8) {
                let verdict = judge(
                    passing, passingHits, index, count: pending,
                    far: load8(passing.density, index))
                settle(index, pending, verdict, shadows, radiance)
                guard verdict.passes != 0 else { continue }
                next = append(
                    passing, index, verdict, load8(passing.slot, index), at: next)
            }
            pending = next
            layer += 1
        }
    }

    /// Adds the light of rays that met nothing, dims those that pass.
    @inline(__always)
    private func settle(
        _ index: Int, _ count: Int, _ verdict: Verdict, _ shadows: ShadowQueue,
        _ radiance: UnsafeMutablePointer<SIMD4<Float>>
    ) {
        for lane in 0..<min(8, count - index) {
            let place = Int(passing.slot[index + lane])
            let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: lane)
            if verdict.met & bit == 0 {
                shadows.add(place, to: radiance)
            } else if verdict.passes & bit != 0 {
                let share = 1 - verdict.opacity[lane]
                shadows.radianceX[place] *= share
                shadows.radianceY[place] *= share
                shadows.radianceZ[place] *= share
            }
        }
    }
}

extension KernelScene {
    /// The alpha of materials at texture coordinates.
    /// - Parameter material: offsets of rows in the material table.
    @inline(__always)
    fileprivate func alpha(_ material: Int32x8, _ s: Float8, _ t: Float8) -> Float8 {
        let slot = gather(materials + MaterialRow.baseColorSlot, material).bits
        return gather(materials + MaterialRow.alpha, material) * textures.alpha(slot, s, t)
    }

    /// The share of rays that materials which are not opaque stop at texture coordinates.
    /// - Parameters:
    ///   - material: offsets of rows in the material table.
    ///   - cutoff: of these rows.
    @inline(__always)
    func opacity(
        _ material: Int32x8, cutoff: Float8, _ s: Float8, _ t: Float8
    ) -> Float8 {
        let alpha = alpha(material, s, t)
        let zero = Float8(repeating: 0)
        let one = Float8(repeating: 1)
        let masked = select(alpha - cutoff .< zero, zero, one)
        return select(cutoff .< zero, minimum(alpha, one), masked)
    }
}
