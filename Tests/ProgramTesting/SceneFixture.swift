// Scenes for tests of the program: a room with a lamp and blocks, a grid of them so that its rays
// have something to find, as one binary glTF file; and a single triangle, whose text a test breaks.

public import Foundation

/// A binary glTF file made in memory.
public enum SceneFixture {
    /// A closed room with a lamp, a camera named `front`, and `columns` × `columns` blocks that
    /// are nodes of one mesh.
    public static func room(columns: Int = 4) -> Data {
        let box = boxGeometry
        var binary = bytes(box.positions) + bytes(box.normals) + bytes(box.indices)
        binary += [UInt8](repeating: 0, count: (4 - binary.count % 4) % 4)
        let normalsAt = box.positions.count * 4
        let indicesAt = 2 * normalsAt
        var nodes = [
            #"{"camera":0,"name":"eye","translation":[0,1,3.4]}"#,
            // The room is the block turned inside out by a negative scale.
            #"{"mesh":0,"name":"room","translation":[0,1.5,0],"scale":[-2.5,1.5,3.6]}"#,
            #"{"mesh":1,"name":"lamp","translation":[0,2.96,0],"scale":[0.7,0.02,0.7]}"#,
        ]
        for row in 0..<columns {
            for column in 0..<columns {
                let x = (Double(column) + 0.5) / Double(columns) * 3.6 - 1.8
                let z = (Double(row) + 0.5) / Double(columns) * 3 - 1.8
                let half = 0.9 / Double(columns)
                let height = half * (1 + Double((row * 7 + column * 5) % 4))
                nodes.append(
                    """
                    {"mesh":\(2 + (row + column) % 2),"name":"block",\
                    "translation":[\(x),\(height),\(z)],"scale":[\(half),\(height),\(half)]}
                    """)
            }
        }
        let mesh = { (material: Int) in
            """
            {"primitives":[{"attributes":{"POSITION":0,"NORMAL":1},"indices":2,\
            "material":\(material)}]}
            """
        }
        let json = """
            {"asset":{"version":"2.0"},"scene":0,
            "scenes":[{"nodes":[\((0..<nodes.count).map(String.init).joined(separator: ","))]}],
            "extensionsUsed":["KHR_materials_emissive_strength"],
            "cameras":[{"type":"perspective","name":"front",
            "perspective":{"yfov":0.8,"znear":0.01}}],
            "nodes":[\(nodes.joined(separator: ",\n"))],
            "meshes":[\((0..<4).map(mesh).joined(separator: ",\n"))],
            "materials":[
            {"name":"wall","doubleSided":true,
            "pbrMetallicRoughness":{"baseColorFactor":[0.7,0.7,0.66,1],"metallicFactor":0}},
            {"name":"lamp","emissiveFactor":[1,0.9,0.75],
            "extensions":{"KHR_materials_emissive_strength":{"emissiveStrength":14}}},
            {"name":"red","pbrMetallicRoughness":{"baseColorFactor":[0.6,0.1,0.08,1],
            "metallicFactor":0,"roughnessFactor":0.5}},
            {"name":"steel","pbrMetallicRoughness":{"baseColorFactor":[0.8,0.8,0.85,1],
            "metallicFactor":1,"roughnessFactor":0.3}}],
            "accessors":[
            {"bufferView":0,"componentType":5126,"count":24,"type":"VEC3",
            "min":[-1,-1,-1],"max":[1,1,1]},
            {"bufferView":1,"componentType":5126,"count":24,"type":"VEC3"},
            {"bufferView":2,"componentType":5123,"count":36,"type":"SCALAR"}],
            "bufferViews":[
            {"buffer":0,"byteOffset":0,"byteLength":\(normalsAt)},
            {"buffer":0,"byteOffset":\(normalsAt),"byteLength":\(normalsAt)},
            {"buffer":0,"byteOffset":\(indicesAt),"byteLength":72}],
            "buffers":[{"byteLength":\(binary.count)}]}
            """
        return container(json, binary)
    }

    /// One triangle in the plane z = 0, its three positions and three indices in the binary.
    public static let triangleText = """
        {"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],
        "nodes":[{"mesh":0}],
        "meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1}]}],
        "accessors":[
        {"bufferView":0,"componentType":5126,"count":3,"type":"VEC3"},
        {"bufferView":1,"componentType":5123,"count":3,"type":"SCALAR"}],
        "bufferViews":[{"buffer":0,"byteOffset":0,"byteLength":36},
        {"buffer":0,"byteOffset":36,"byteLength":6}],
        "buffers":[{"byteLength":44}]}
        """

    /// The triangle with `old` replaced by `new` in its text, and with these indices.
    public static func triangle(
        replacing old: String = "", with new: String = "", indices: [UInt16] = [0, 1, 2]
    ) -> Data {
        let text =
            old.isEmpty ? triangleText : triangleText.replacingOccurrences(of: old, with: new)
        let positions: [Float] = [0, 0, 0, 1, 0, 0, 0, 1, 0]
        return container(text, bytes(positions) + bytes(indices) + [0, 0])
    }

    /// A .glb of a text and binary data.
    public static func container(_ text: String, _ binary: [UInt8]) -> Data {
        var json = Array(text.utf8)
        while json.count % 4 != 0 { json.append(0x20) }
        var data = binary
        while data.count % 4 != 0 { data.append(0) }
        let total = UInt32(12 + 8 + json.count + 8 + data.count)
        return Data(
            Array("glTF".utf8) + bytes([2, total]) + bytes([UInt32(json.count)])
                + Array("JSON".utf8) + json + bytes([UInt32(data.count)]) + Array("BIN\0".utf8)
                + data)
    }

    private static func bytes<Number: BitwiseCopyable>(_ numbers: [Number]) -> [UInt8] {
        numbers.withUnsafeBytes { Array($0) }
    }

    /// A block from −1 to 1 with four vertices for each of its six faces.
    private static var boxGeometry: (positions: [Float], normals: [Float], indices: [UInt16]) {
        var positions: [Float] = []
        var normals: [Float] = []
        var indices: [UInt16] = []
        for axis in 0..<3 {
            for side: Float in [-1, 1] {
                let first = UInt16(positions.count / 3)
                for (u, v): (Float, Float) in [(-1, -1), (1, -1), (1, 1), (-1, 1)] {
                    var point: [Float] = [0, 0, 0]
                    var normal: [Float] = [0, 0, 0]
                    point[axis] = side
                    normal[axis] = side
                    point[(axis + 1) % 3] = u
                    point[(axis + 2) % 3] = v
                    positions += point
                    normals += normal
                }
                // Counter-clockwise seen from outside.
                let corners: [UInt16] = side > 0 ? [0, 1, 2, 0, 2, 3] : [0, 2, 1, 0, 3, 2]
                indices += corners.map { $0 + first }
            }
        }
        return (positions, normals, indices)
    }
}
