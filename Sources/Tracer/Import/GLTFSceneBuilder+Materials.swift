// Materials (glTF 2.0 §3.9) and the images they use. Images that nothing uses are never read.

import Dispatch
import Synchronization

extension GLTFSceneBuilder {
    /// Adds all materials and decodes the images that they use.
    mutating func addMaterials(
        _ admit: (SceneFootprint) throws(SceneError) -> Void
    ) throws(SceneError) {
        let used = try document.usedImages(file: file)
        var places: [Int: Int] = [:]
        for (place, image) in used.enumerated() { places[image] = place }
        for (index, material) in (document.materials ?? []).enumerated() {
            scene.materials.append(try self.material(material, index, places: places))
            let sets = material.textures.map { $0.texCoord ?? 0 }
            if Set(sets).count > 1 {
                notices.add(
                    "\(materialName(index)) uses several sets of texture coordinates: "
                        + "the first was taken for all")
            }
            textureCoordinateSets.append(sets.first ?? 0)
        }
        try decodeImages(used, admit)
    }

    private func materialName(_ index: Int) -> String {
        let name = document.materials?[index].name
        return "material " + (name.map { "'\(printable($0))'" } ?? "\(index)")
    }

    private mutating func material(
        _ source: GLTFDocument.Material, _ index: Int, places: [Int: Int]
    ) throws(SceneError) -> Material {
        let shown = materialName(index)
        var material = Material()
        material.name = source.name ?? ""
        if let surface = source.pbrMetallicRoughness {
            let color = try numbers(
                surface.baseColorFactor ?? [1, 1, 1, 1], 4, upTo: 1, "baseColorFactor", of: shown)
            material.baseColor = SIMD3(color[0], color[1], color[2])
            material.alpha = color[3]
            material.metallic = try number(
                surface.metallicFactor ?? 1, upTo: 1, "metallicFactor", of: shown)
            material.roughness = try number(
                surface.roughnessFactor ?? 1, upTo: 1, "roughnessFactor", of: shown)
            material.baseColorTexture = try reference(
                surface.baseColorTexture, index, places: places)
            material.metallicRoughnessTexture = try reference(
                surface.metallicRoughnessTexture, index, places: places)
        }
        material.normalTexture = try reference(source.normalTexture, index, places: places)
        material.normalScale = source.normalTexture?.scale ?? 1
        guard abs(material.normalScale) <= 1_000 else {
            throw malformed("\(shown) has the impossible normal scale \(material.normalScale)")
        }
        if let specular = source.extensions?.KHR_materials_specular {
            material.specular = try number(
                specular.specularFactor ?? 1, upTo: 1, "specularFactor", of: shown)
            let hasMore =
                specular.specularTexture != nil || specular.specularColorTexture != nil
                || (specular.specularColorFactor ?? [1, 1, 1]) != [1, 1, 1]
            if hasMore { notices.add("\(shown): specular textures and colours are ignored") }
        }
        let emissive = try numbers(
            source.emissiveFactor ?? [0, 0, 0], 3, upTo: SceneLimits.radianceMax,
            "emissiveFactor", of: shown)
        let strength = try number(
            source.extensions?.KHR_materials_emissive_strength?.emissiveStrength ?? 1,
            upTo: SceneLimits.radianceMax, "emissiveStrength", of: shown)
        material.emissive = SIMD3(emissive[0], emissive[1], emissive[2]) * strength
        guard material.emissive.absoluteMax <= SceneLimits.radianceMax else {
            throw .tooLarge("'\(file)': \(shown) is brighter than \(SceneLimits.radianceMax)")
        }
        material.emissiveTexture = try reference(source.emissiveTexture, index, places: places)
        material.alphaMode = try alphaMode(of: source, shown)
        material.isDoubleSided = source.doubleSided ?? false
        return material
    }

    private func alphaMode(
        of source: GLTFDocument.Material, _ shown: String
    ) throws(SceneError) -> Material.AlphaMode {
        switch source.alphaMode ?? "OPAQUE" {
        case "OPAQUE": return .opaque
        case "BLEND": return .blend
        case "MASK":
            let cutoff = source.alphaCutoff ?? 0.5
            guard cutoff.isFinite, cutoff >= 0 else {
                throw malformed("\(shown) has the impossible alpha cutoff \(cutoff)")
            }
            return .mask(cutoff: cutoff)
        case let other:
            throw malformed("\(shown) has the unknown alpha mode '\(printable(other))'")
        }
    }

    /// A number that must be finite and not negative; what lies above `limit` is cut with a notice.
    private mutating func number(
        _ value: Float, upTo limit: Float, _ key: String, of what: String
    ) throws(SceneError) -> Float {
        guard value.isFinite, value >= 0 else {
            throw malformed("\(what) has the impossible \(key) \(value)")
        }
        if value > limit { notices.add("\(what) has a \(key) above \(limit), which was cut") }
        return min(value, limit)
    }

    private mutating func numbers(
        _ values: [Float], _ count: Int, upTo limit: Float, _ key: String, of what: String
    ) throws(SceneError) -> [Float] {
        guard values.count == count else {
            throw malformed("\(what) has \(values.count) numbers in \(key) instead of \(count)")
        }
        var result: [Float] = []
        for value in values {
            result.append(try number(value, upTo: limit, key, of: what))
        }
        return result
    }

    /// How a material uses a texture; nil when it has none, or one only an extension knows.
    private mutating func reference(
        _ info: GLTFDocument.TextureInfo?, _ material: Int, places: [Int: Int]
    ) throws(SceneError) -> TextureReference? {
        guard let info else { return nil }
        let image = try document.image(ofTexture: info.index, material: material, file: file)
        guard let image, let place = places[image] else {
            notices.add("texture \(info.index) has no image that can be read and was left out")
            return nil
        }
        var reference = TextureReference(image: place)
        guard let index = document.textures?[info.index].sampler else { return reference }
        guard let sampler = document.samplers?.element(at: index) else {
            throw malformed("texture \(info.index) uses sampler \(index), which is not there")
        }
        reference.wrapS = try wrap(sampler.wrapS, sampler: index)
        reference.wrapT = try wrap(sampler.wrapT, sampler: index)
        reference.isNearest = sampler.magFilter == 9728
        return reference
    }

    private func wrap(_ code: Int?, sampler: Int) throws(SceneError) -> TextureReference.Wrap {
        switch code ?? 10_497 {
        case 10_497: return .repeat
        case 33_648: return .mirroredRepeat
        case 33_071: return .clampToEdge
        case let other: throw malformed("sampler \(sampler) has the unknown wrapping \(other)")
        }
    }

    // MARK: - Images

    /// Decodes the images of a document, on all cores.
    private mutating func decodeImages(
        _ used: [Int], _ admit: (SceneFootprint) throws(SceneError) -> Void
    ) throws(SceneError) {
        var encoded: [(name: String, bytes: [UInt8])] = []
        var pixels = 0
        var size = 0
        for index in used {
            let image = try encodedImage(index)
            size += image.bytes.count
            guard size <= SceneLimits.encodedTexturesSizeMax else {
                throw .tooLarge(
                    "the textures of '\(file)' have more than "
                        + "\(SceneLimits.encodedTexturesSizeMax) bytes")
            }
            // Sizes first: nothing is decoded unless all of it fits.
            let extent = try ImageDecoder.size(of: image.bytes, file: image.name)
            pixels += extent.width * extent.height
            guard pixels <= SceneLimits.texturePixelsMax else {
                throw .tooLarge(
                    "the textures of '\(file)' have more than \(SceneLimits.texturePixelsMax) "
                        + "pixels")
            }
            encoded.append(image)
        }
        footprint.texturePixels = pixels
        footprint.fileBytes += size
        try admit(footprint)
        let sources = encoded
        let results = Mutex<[Int: Result<TextureImage, SceneError>]>([:])
        DispatchQueue.concurrentPerform(iterations: sources.count) { place in
            let result = Result<TextureImage, SceneError> { () throws(SceneError) in
                try ImageDecoder.decode(sources[place].bytes, file: sources[place].name)
            }
            results.withLock { $0[place] = result }
        }
        let decoded = results.withLock { $0 }
        for place in sources.indices {
            // The first image that failed is the one reported, whichever was tried first.
            if let image = try decoded[place]?.get() { scene.images.append(image) }
        }
    }

    /// The bytes of an image and how to name it.
    private func encodedImage(_ index: Int) throws(SceneError) -> (name: String, bytes: [UInt8]) {
        guard let image = document.images?.element(at: index) else {
            throw malformed("image \(index) is not there")
        }
        let shown = "\(file), image \(index)"
        if let view = image.bufferView {
            let place = try accessors.bytes(ofView: view)
            return (shown, Array(accessors.buffers[place.buffer][place.range]))
        }
        guard let uri = image.uri else { throw malformed("image \(index) has no data") }
        if DataURI.isDataURI(uri) {
            return (shown, try DataURI.bytes(of: uri, what: "image \(index)", file: file))
        }
        let name = try SceneFileName.resolve(uri, beside: main)
        return (printable(name), try files.contents(of: name))
    }
}
