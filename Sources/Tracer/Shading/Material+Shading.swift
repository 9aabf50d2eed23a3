// How a glTF material is read where the format leaves a choice.

extension Material {
    /// Whether the material is read as purely diffuse.
    ///
    /// glTF can't say "no specular layer" without KHR_materials_specular, and most exporters write
    /// a plain diffuse material as roughness 1, metallic 0. At that roughness the layer reflects
    /// 4 % of the light almost evenly, which is nothing to look at, while a reader who means
    /// Lambert gets another image than every renderer that has such a material. So: metallic 0,
    /// and either `specular` 0, or a roughness of exactly 1 that no texture varies. Textures of
    /// colour and normals make no difference.
    var isLambertian: Bool {
        if metallic != 0 { return false }
        return specular == 0 || (roughness == 1 && metallicRoughnessTexture == nil)
    }

    /// What ``Surface8/specular`` is to be: zero for a Lambertian material.
    var effectiveSpecular: Float { isLambertian ? 0 : specular }
}
