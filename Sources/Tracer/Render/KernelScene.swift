// What the stages hold of a scene: numbers and pointers only, so that an inner loop touches no
// reference count.

import CTracerSIMD

/// The tables of a prepared scene; valid as long as it lives.
///
/// `@unchecked Sendable`: all that the pointers reach is only read.
struct KernelScene: @unchecked Sendable {
    let records: UnsafePointer<TriangleRecord>
    let indices: UnsafePointer<Int32>
    let positions: UnsafePointer<Float>
    let attributes: UnsafePointer<Float>
    let instances: UnsafePointer<Float>
    /// Rows of ``MaterialRow``.
    let materials: UnsafePointer<Float>
    let textures: TextureView
    let lights: LightView
    /// Rows of ``EmissiveTextureRow``, one a light; nil if no emission is textured, and no
    /// surface that shines lets rays through.
    let emissiveTextures: UnsafePointer<Float>?
    let specularAlbedo: SpecularAlbedo
    let features: SceneFeatures
    // What a frame decides, not the scene.
    var camera: CameraFrame
    var maxDepth: Int
    var seed: UInt32
    /// Something shines: otherwise no shadow ray is worth its time.
    let hasLights: Bool
    /// The last ray of a path is answered by a test against the emitters and a shadow ray.
    let testsEmitters: Bool

    /// So many emitters at most are tested one by one at the last vertex; beyond, tracing the
    /// ray is cheaper.
    static var testedEmittersMax: Int { 16 }
}

/// A light's texture: see ``KernelScene/emissiveTextures``.
enum EmissiveTextureRow {
    static var stride: Int32 { 12 }
    /// The radiance that the texture scales.
    static var factor: Int { 0 }
    static var slot: Int { 3 }
    /// s and t of the three vertices.
    static var coordinates: Int { 4 }
    /// The row in the material table, which knows the opacity.
    static var material: Int { 10 }
}

/// The fields of eight triangle records.
struct RecordFields {
    private var field0 = Float8()
    private var field1 = Float8()
    private var field2 = Float8()
    private var field3 = Float8()
    private var field4 = Float8()
    private var field5 = Float8()
    private var field6 = Float8()
    private var field7 = Float8()

    /// Loads eight rows of eight floats and transposes them.
    @inline(__always)
    init(_ base: UnsafeRawPointer, strideBytes: Int, row: UInt32x8) {
        withUnsafeMutableBytes(of: &self) {
            ctracer_load_records($0.baseAddress, base, strideBytes, row)
        }
    }

    @inline(__always) var vector0: Vector8 { Vector8(field0, field1, field2) }
    @inline(__always) var number3: Float8 { field3 }
    @inline(__always) var vector4: Vector8 { Vector8(field4, field5, field6) }
    @inline(__always) var number7: Float8 { field7 }
    @inline(__always) var number0: Float8 { field0 }
    @inline(__always) var number1: Float8 { field1 }
    @inline(__always) var number2: Float8 { field2 }
    @inline(__always) var number4: Float8 { field4 }
    @inline(__always) var number5: Float8 { field5 }
    @inline(__always) var number6: Float8 { field6 }
}
