// The node hierarchy (glTF 2.0 §3.5): walked with a stack of its own, since a file may nest nodes
// deeper than any thread's stack, and each node at most once, since a file may have cycles.

import Glibc

extension GLTFSceneBuilder {
    /// Adds what the nodes of the scene hold: meshes, cameras, lights.
    mutating func addNodes() throws(SceneError) {
        let nodes = document.nodes ?? []
        guard nodes.count <= SceneLimits.nodesMax else {
            throw .tooLarge("'\(file)' has more than \(SceneLimits.nodesMax) nodes")
        }
        var isVisited = [Bool](repeating: false, count: nodes.count)
        // From the last to the first, so that nodes are met in the order of the file.
        var stack: [(node: Int, parent: AffineTransform)] = []
        for root in try roots().reversed() { stack.append((root, .identity)) }
        while let (index, parent) = stack.popLast() {
            guard let node = nodes.element(at: index) else {
                throw malformed("node \(index) is not there")
            }
            guard !isVisited[index] else {
                throw malformed("node \(index) has two parents or is its own ancestor")
            }
            isVisited[index] = true
            let transform = parent.concatenated(try localTransform(of: node, index))
            guard transform.isFinite else {
                throw malformed("node \(index) has a transform that is not finite")
            }
            try add(node, index, transform)
            for child in (node.children ?? []).reversed() { stack.append((child, transform)) }
        }
    }

    /// The nodes that the walk starts from.
    private func roots() throws(SceneError) -> [Int] {
        if let scenes = document.scenes, !scenes.isEmpty {
            guard let scene = scenes.element(at: document.scene ?? 0) else {
                throw malformed("scene \(document.scene ?? 0) is not there")
            }
            return scene.nodes ?? []
        }
        // A file without scenes: every node that is nobody's child.
        let nodes = document.nodes ?? []
        var isChild = [Bool](repeating: false, count: nodes.count)
        for child in nodes.lazy.flatMap({ $0.children ?? [] }) where isChild.indices ~= child {
            isChild[child] = true
        }
        let roots = nodes.indices.filter { !isChild[$0] }
        guard !roots.isEmpty || nodes.isEmpty else {
            throw malformed("every node is the child of another")
        }
        return roots
    }

    private mutating func add(
        _ node: GLTFDocument.Node, _ index: Int, _ transform: AffineTransform
    ) throws(SceneError) {
        let shown = node.name.map { "'\(printable($0))'" } ?? "\(index)"
        if let mesh = node.mesh {
            if node.skin != nil {
                notices.add("node \(shown): skins are not supported, its mesh is shown at rest")
            }
            let meshes = try meshes(ofMesh: mesh)
            if transform.isInvertible {
                guard scene.instances.count + meshes.count <= SceneLimits.instancesMax else {
                    throw .tooLarge(
                        "'\(file)' shows more than \(SceneLimits.instancesMax) meshes")
                }
                for mesh in meshes {
                    scene.instances.append(MeshInstance(mesh: mesh, transform: transform))
                }
            } else if !meshes.isEmpty {
                notices.add("node \(shown) is scaled to nothing and was left out")
            }
        }
        if let camera = node.camera {
            try addCamera(camera, name: node.name, transform)
        }
        if let light = node.extensions?.KHR_lights_punctual?.light {
            try addLight(light, transform)
        }
    }

    // MARK: - Transforms

    private func localTransform(
        of node: GLTFDocument.Node, _ index: Int
    ) throws(SceneError) -> AffineTransform {
        if let m = node.matrix {
            guard m.count == 16 else {
                throw malformed("node \(index) has a matrix of \(m.count) numbers")
            }
            guard m[3] == 0, m[7] == 0, m[11] == 0, m[15] == 1 else {
                throw malformed("node \(index) has a matrix that is not affine")
            }
            return AffineTransform(
                x: [m[0], m[1], m[2]], y: [m[4], m[5], m[6]], z: [m[8], m[9], m[10]],
                translation: [m[12], m[13], m[14]])
        }
        let move = node.translation ?? [0, 0, 0]
        let turn = node.rotation ?? [0, 0, 0, 1]
        let size = node.scale ?? [1, 1, 1]
        guard move.count == 3, turn.count == 4, size.count == 3 else {
            throw malformed("node \(index) has a transform of the wrong number of numbers")
        }
        var quaternion = SIMD4(turn[0], turn[1], turn[2], turn[3])
        let length = (quaternion * quaternion).sum().squareRoot()
        guard length > 0, length.isFinite else {
            throw malformed("node \(index) has a rotation without direction")
        }
        quaternion /= length
        let (x, y, z, w) = (quaternion.x, quaternion.y, quaternion.z, quaternion.w)
        return AffineTransform(
            x: SIMD3(1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)) * size[0],
            y: SIMD3(2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)) * size[1],
            z: SIMD3(2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)) * size[2],
            translation: [move[0], move[1], move[2]])
    }

    // MARK: - Cameras and lights

    private mutating func addCamera(
        _ index: Int, name: String?, _ transform: AffineTransform
    ) throws(SceneError) {
        guard let source = document.cameras?.element(at: index) else {
            throw malformed("camera \(index) is not there")
        }
        let projection: Camera.Projection
        switch source.type {
        case "perspective":
            guard let angle = source.perspective?.yfov, angle > 0, angle < .pi else {
                throw malformed("camera \(index) has no field of view between 0 and π")
            }
            projection = .perspective(verticalFieldOfView: angle)
        case "orthographic":
            let height = abs(source.orthographic?.ymag ?? 0)
            guard height > 0, height <= SceneLimits.coordinateMax else {
                throw malformed("camera \(index) has no usable ymag")
            }
            projection = .orthographic(halfHeight: height)
        default:
            throw malformed("camera \(index) has the unknown type '\(printable(source.type))'")
        }
        guard let placed = transform.orthonormalized,
            placed.translation.absoluteMax <= SceneLimits.coordinateMax
        else { throw malformed("camera \(index) has a transform that shows nothing") }
        guard scene.cameras.count < SceneLimits.camerasMax else {
            throw .tooLarge("'\(file)' has more than \(SceneLimits.camerasMax) cameras")
        }
        scene.cameras.append(
            Camera(
                name: name ?? source.name ?? "camera \(scene.cameras.count)",
                projection: projection, transform: placed))
    }

    private mutating func addLight(
        _ index: Int, _ transform: AffineTransform
    ) throws(SceneError) {
        let lights = document.extensions?.KHR_lights_punctual?.lights
        guard let source = lights?.element(at: index) else {
            throw malformed("light \(index) is not there")
        }
        let color = source.color ?? [1, 1, 1]
        guard color.count == 3 else {
            throw malformed("light \(index) has a colour of the wrong size")
        }
        let intensity = SIMD3(color[0], color[1], color[2]) * (source.intensity ?? 1)
        guard intensity.isFinite, intensity.min() >= 0,
            intensity.max() <= SceneLimits.radianceMax
        else { throw malformed("light \(index) has an impossible intensity") }
        guard let direction = (-transform.z).normalizedOrNil,
            transform.translation.absoluteMax <= SceneLimits.coordinateMax
        else { throw malformed("light \(index) has no direction") }
        if let range = source.range, !(range > 0 && range.isFinite) {
            throw malformed("light \(index) has the impossible range \(range)")
        }
        guard scene.lights.count < SceneLimits.lightsMax else {
            throw .tooLarge("'\(file)' has more than \(SceneLimits.lightsMax) lights")
        }
        let kind = try lightKind(source, index)
        scene.lights.append(
            PunctualLight(
                kind: kind, intensity: intensity, position: transform.translation,
                direction: direction, range: source.range))
    }

    private func lightKind(
        _ source: GLTFDocument.Light, _ index: Int
    ) throws(SceneError) -> PunctualLight.Kind {
        switch source.type {
        case "directional": return .directional
        case "point": return .point
        case "spot":
            let inner = source.spot?.innerConeAngle ?? 0
            let outer = source.spot?.outerConeAngle ?? .pi / 4
            guard inner >= 0, inner < outer, outer <= 1.5708 else {
                throw malformed("light \(index) has an impossible cone")
            }
            // In Double, so that the rounded result is the same whatever the C library's version.
            return .spot(
                innerCosine: Float(cos(Double(inner))), outerCosine: Float(cos(Double(outer))))
        default:
            throw malformed("light \(index) has the unknown type '\(printable(source.type))'")
        }
    }
}

extension AffineTransform {
    /// The transform that applies `inner` first.
    func concatenated(_ inner: AffineTransform) -> AffineTransform {
        func turned(_ v: SIMD3<Float>) -> SIMD3<Float> { x * v.x + y * v.y + z * v.z }
        return AffineTransform(
            x: turned(inner.x), y: turned(inner.y), z: turned(inner.z),
            translation: turned(inner.translation) + translation)
    }

    var isFinite: Bool { x.isFinite && y.isFinite && z.isFinite && translation.isFinite }

    /// Whether volumes stay volumes, with some distance to what Float can't invert.
    var isInvertible: Bool {
        let (x, y, z) = (SIMD3<Double>(x), SIMD3<Double>(y), SIMD3<Double>(z))
        let volume =
            x.x * (y.y * z.z - y.z * z.y) + x.y * (y.z * z.x - y.x * z.z)
            + x.z * (y.x * z.y - y.y * z.x)
        return abs(volume) > 1e-30
    }

    /// Without scale and shear, as a camera is placed; nil when no axes are left.
    var orthonormalized: AffineTransform? {
        guard let back = z.normalizedOrNil,
            let up = (y - back * y.dotProduct(back)).normalizedOrNil
        else { return nil }
        return AffineTransform(
            x: up.crossProduct(back), y: up, z: back, translation: translation)
    }
}
