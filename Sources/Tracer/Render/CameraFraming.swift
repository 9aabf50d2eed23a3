// A view of a scene that brings no camera.

extension PreparedScene {
    /// A camera that sees all of a scene: three quarters from the front, slightly from above,
    /// with a vertical field of view of 40°.
    /// - Parameter aspect: width over height of the image.
    public static func frameCamera(for scene: SceneDescription, aspect: Float) -> Camera {
        frameCamera(for: scene.bounds, aspect: aspect)
    }

    /// The same for the box around a scene, nil when it is empty.
    static func frameCamera(
        for box: (lower: SIMD3<Float>, upper: SIMD3<Float>)?, aspect: Float
    ) -> Camera {
        let bounds = box ?? (SIMD3(repeating: -1), SIMD3(repeating: 1))
        let center = (bounds.lower + bounds.upper) * 0.5
        let radius = max(length3(bounds.upper - bounds.lower) * 0.5, 1e-3)
        let field: Float = 40 * .pi / 180
        // The narrower side of the image decides how far away the sphere around the scene fits.
        let tangent: Float = 0.363_970_23 * min(1, aspect)
        let sine = tangent / (1 + tangent * tangent).squareRoot()
        let toViewer = SIMD3<Float>(0.6, 0.4, 1) * (1 / length3(SIMD3(0.6, 0.4, 1)))
        let right = cross3(SIMD3(0, 1, 0), toViewer)
        let unitRight = right * (1 / length3(right))
        return Camera(
            name: "framed", projection: .perspective(verticalFieldOfView: field),
            transform: AffineTransform(
                x: unitRight, y: cross3(toViewer, unitRight), z: toViewer,
                translation: center + toViewer * (radius / sine)))
    }
}
