// The only place that builds Embree structures: a committed scene that answers which triangle a
// ray meets. Embree 3.13; everything else about a hit is computed by the tracer itself.

import CEmbree

/// A device and a committed scene.
///
/// `@unchecked Sendable`: after `rtcCommitScene` the scene is only traversed, which Embree allows
/// from any number of threads; the handles are released once, in deinit.
final class EmbreeScene: @unchecked Sendable {
    let handle: RTCScene

    /// Where rays may begin, in each coordinate, metres. Embree ends the process, where it was
    /// built with its assertions, for a ray whose numbers exceed 1.8e18, in the space of an
    /// instance too (kernels/common/ray.h, `valid`; ``AffineTransform/isReferable``).
    static let originMax: Float = 4e9

    private let device: RTCDevice
    /// Vertices and indices that Embree reads; kept as long as the scene.
    private let memory: [AnyObject]

    /// An instance of triangles that keep their own space.
    struct Instance {
        /// Which of the `shared` triangle ranges.
        var geometry: Int
        /// Columns of the 3 × 4 matrix.
        var transform: AffineTransform
    }

    /// Builds the acceleration structure.
    ///
    /// - Parameters:
    ///   - positions: `3 × vertices` floats, readable four bytes past the end.
    ///   - indices: `3 × triangles` indices of vertices.
    ///   - baked: the triangles that are in the world already; they hit with triangle numbers.
    ///   - shared: ranges of triangles in their own space.
    ///   - instances: where they are; instance i reports the instance row `i + 1`.
    ///   - threads: how many threads build.
    /// - Throws: `SceneError.tooLarge` when there is not enough memory, or what Embree says.
    init(
        positions: AlignedBuffer<Float>, indices: AlignedBuffer<UInt32>, baked: Int,
        shared: [Range<Int>], instances: [Instance], threads: Int
    ) throws(SceneError) {
        // avx2 wherever there is more, so that processors agree (docs/adr/0004); huge pages halve
        // the time of a build of a million triangles.
        let configuration = "threads=\(max(1, threads)),max_isa=avx2,hugepages=1"
        guard let device = rtcNewDevice(configuration) else {
            throw .tooLarge("Embree did not start (error \(rtcGetDeviceError(nil).rawValue))")
        }
        guard let scene = rtcNewScene(device) else {
            rtcReleaseDevice(device)
            throw .tooLarge("Embree made no scene")
        }
        self.device = device
        handle = scene
        memory = [positions, indices]
        func triangles(_ range: Range<Int>) -> RTCGeometry? {
            let geometry = rtcNewGeometry(device, RTC_GEOMETRY_TYPE_TRIANGLE)
            rtcSetSharedGeometryBuffer(
                geometry, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3, positions.base, 0, 12,
                positions.count / 3)
            rtcSetSharedGeometryBuffer(
                geometry, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3, indices.base,
                range.lowerBound * 12, 12, range.count)
            rtcCommitGeometry(geometry)
            return geometry
        }
        if baked > 0 {
            let geometry = triangles(0..<baked)
            rtcAttachGeometryByID(scene, geometry, 0)
            rtcReleaseGeometry(geometry)
        }
        var scenes: [RTCScene?] = []
        for range in shared {
            let inner = rtcNewScene(device)
            let geometry = triangles(range)
            rtcAttachGeometryByID(inner, geometry, 0)
            rtcReleaseGeometry(geometry)
            rtcCommitScene(inner)
            scenes.append(inner)
        }
        for (number, instance) in instances.enumerated() {
            let geometry = rtcNewGeometry(device, RTC_GEOMETRY_TYPE_INSTANCE)
            rtcSetGeometryInstancedScene(geometry, scenes[instance.geometry])
            let columns = instance.transform.columns
            columns.withUnsafeBufferPointer {
                rtcSetGeometryTransform(
                    geometry, 0, RTC_FORMAT_FLOAT3X4_COLUMN_MAJOR, $0.baseAddress)
            }
            rtcCommitGeometry(geometry)
            rtcAttachGeometryByID(scene, geometry, UInt32(number + 1))
            rtcReleaseGeometry(geometry)
        }
        for inner in scenes { rtcReleaseScene(inner) }
        rtcCommitScene(scene)
        try check("building the acceleration structure")
    }

    deinit {
        rtcReleaseScene(handle)
        rtcReleaseDevice(device)
    }

    /// Turns the device's error, if there is one, into ours.
    private func check(_ operation: String) throws(SceneError) {
        let error = rtcGetDeviceError(device)
        guard error != RTC_ERROR_NONE else { return }
        throw .tooLarge("\(operation) failed (Embree error \(error.rawValue))")
    }
}

extension AffineTransform {
    /// Twelve numbers: the columns x, y, z and the translation.
    var columns: [Float] {
        [
            x.x, x.y, x.z, y.x, y.y, y.z, z.x, z.y, z.z,
            translation.x, translation.y, translation.z,
        ]
    }

    /// The image of a point.
    func point(_ p: SIMD3<Float>) -> SIMD3<Float> { x * p.x + y * p.y + z * p.z + translation }

    /// The image of a direction.
    func direction(_ d: SIMD3<Float>) -> SIMD3<Float> { x * d.x + y * d.y + z * d.z }

    /// Whether rays that begin within ``EmbreeScene/originMax`` stay numbers that Embree takes when
    /// it brings them into the space of what is placed: no axis is squeezed to less than 1e-8.
    var isReferable: Bool {
        let (x, y, z) = (SIMD3<Double>(x), SIMD3<Double>(y), SIMD3<Double>(z))
        func cross(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> SIMD3<Double> {
            SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
        }
        func largest(_ a: SIMD3<Double>) -> Double { max(abs(a.x), abs(a.y), abs(a.z)) }
        let rows = [cross(y, z), cross(z, x), cross(x, y)]
        let volume = abs((x * rows[0]).sum())
        return rows.allSatisfy { largest($0) <= 1e8 * volume } && volume > 0
    }

    var determinant: Float { dot3(x, cross3(y, z)) }

    /// The matrix for normals: cofactors, turned so that the front of a mirrored triangle stays
    /// its front (glTF 2.0, §3.7.4). Columns.
    var normalColumns: (x: SIMD3<Float>, y: SIMD3<Float>, z: SIMD3<Float>) {
        let sign: Float = determinant < 0 ? -1 : 1
        return (cross3(y, z) * sign, cross3(z, x) * sign, cross3(x, y) * sign)
    }
}

func dot3(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> Float { a.x * b.x + a.y * b.y + a.z * b.z }

func cross3(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> SIMD3<Float> {
    SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

func length3(_ a: SIMD3<Float>) -> Float { dot3(a, a).squareRoot() }
