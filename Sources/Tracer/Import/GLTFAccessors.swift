// Accessors (glTF 2.0 §3.6.2): typed views into buffers. Every range is checked once, in `layout`,
// before a byte is read; the readers behind it need no checks of their own.

/// Reads the accessors of one file.
struct GLTFAccessors: Sendable {
    let file: String
    let document: GLTFDocument
    /// As many bytes as `byteLength` demands, or more.
    let buffers: [[UInt8]]

    /// The stored type of a component.
    enum Component: Int, Sendable {
        case int8 = 5120
        case uint8 = 5121
        case int16 = 5122
        case uint16 = 5123
        case uint32 = 5125
        case float32 = 5126

        var size: Int {
            switch self {
            case .int8, .uint8: 1
            case .int16, .uint16: 2
            case .uint32, .float32: 4
            }
        }
    }

    /// Elements in a buffer, all of them inside it.
    struct Layout: Sendable {
        let buffer: Int
        let start: Int
        let stride: Int
        let component: Component
        let isNormalized: Bool
    }

    /// The number of elements of an accessor, which are no more than its data can hold.
    func count(of accessor: Int) throws(SceneError) -> Int {
        try self.accessor(accessor).count
    }

    /// The number of elements of an accessor that stand in no buffer: all of them, or none.
    func elementsWithoutData(of accessor: Int) throws(SceneError) -> Int {
        let accessor = try self.accessor(accessor)
        return accessor.bufferView == nil ? accessor.count : 0
    }

    /// The elements of an accessor as numbers, integers scaled where the accessor says so.
    /// - Parameters:
    ///   - width: The components of an element (1 for SCALAR to 4 for VEC4), which its type must
    ///     have.
    ///   - selection: The elements that are wanted, in that order, each below the accessor's
    ///     count; nil for all.
    /// - Returns: `elements × width` Float32.
    func floats(
        _ index: Int, width: Int, selection: [UInt32]? = nil
    ) throws(SceneError) -> [Float] {
        let accessor = try accessor(index)
        try check(accessor, index, hasWidth: width)
        let component = try component(accessor.componentType, of: "accessor \(index)")
        let base = try layout(of: accessor, index, width: width, component: component)
        let sparse = try overrides(of: accessor, index, width: width, component: component)
        let wanted = selection?.count ?? accessor.count
        var result = [Float](repeating: 0, count: wanted * width)
        if let base {
            fill(&result, from: base, width: width, selection: selection)
        }
        guard let sparse else { return result }
        if let selection {
            for (place, element) in selection.enumerated() {
                let position = sparse.positions.partitionPoint { $0 >= element }
                if position < sparse.positions.count, sparse.positions[position] == element {
                    copy(position, of: sparse.values, width: width, to: place, in: &result)
                }
            }
        } else {
            for (position, element) in sparse.positions.enumerated() {
                copy(position, of: sparse.values, width: width, to: Int(element), in: &result)
            }
        }
        return result
    }

    /// The elements of an accessor of indices.
    func indices(_ index: Int) throws(SceneError) -> [UInt32] {
        let accessor = try accessor(index)
        try check(accessor, index, hasWidth: 1)
        let component = try component(accessor.componentType, of: "accessor \(index)")
        try check(component, isIndexOf: "accessor \(index)")
        let base = try layout(of: accessor, index, width: 1, component: component)
        var result = [UInt32](repeating: 0, count: accessor.count)
        if let base { result = integers(base, count: accessor.count) }
        if let sparse = try overrides(of: accessor, index, width: 1, component: component) {
            let values = integers(sparse.values, count: sparse.positions.count)
            for (position, element) in sparse.positions.enumerated() {
                result[Int(element)] = values[position]
            }
        }
        return result
    }

    // MARK: - Checks

    private func malformed(_ reason: String) -> SceneError {
        .malformed(file: file, reason: reason)
    }

    private func accessor(_ index: Int) throws(SceneError) -> GLTFDocument.Accessor {
        guard let accessor = document.accessors?.element(at: index) else {
            throw malformed("accessor \(index) is not there")
        }
        guard accessor.count >= 0, accessor.count <= Int(UInt32.max) else {
            throw malformed("accessor \(index) has the impossible count \(accessor.count)")
        }
        // Callers ask for memory by this count before they read an element, of a byte at least.
        guard let view = accessor.bufferView else {
            guard accessor.count <= SceneLimits.elementsWithoutDataMax else {
                throw .tooLarge("accessor \(index) has \(accessor.count) elements without data")
            }
            return accessor
        }
        guard accessor.count <= (try bytes(ofView: view)).range.count else {
            throw malformed("accessor \(index) reaches behind the end of buffer view \(view)")
        }
        return accessor
    }

    private func check(
        _ accessor: GLTFDocument.Accessor, _ index: Int, hasWidth width: Int
    ) throws(SceneError) {
        let type = width == 1 ? "SCALAR" : "VEC\(width)"
        guard accessor.type == type else {
            throw malformed(
                "accessor \(index) has the type '\(printable(accessor.type))' instead of '\(type)'")
        }
    }

    private func component(_ code: Int, of what: String) throws(SceneError) -> Component {
        guard let component = Component(rawValue: code) else {
            throw malformed("\(what) has the unknown component type \(code)")
        }
        return component
    }

    private func check(_ component: Component, isIndexOf what: String) throws(SceneError) {
        switch component {
        case .uint8, .uint16, .uint32: return
        case .int8, .int16, .float32: throw malformed("\(what) has indices that are not unsigned")
        }
    }

    /// Where an accessor's own elements are; nil when it has none and they are zeros.
    private func layout(
        of accessor: GLTFDocument.Accessor, _ index: Int, width: Int, component: Component
    ) throws(SceneError) -> Layout? {
        guard let view = accessor.bufferView else { return nil }
        return try layout(
            view: view, offset: accessor.byteOffset ?? 0, count: accessor.count, width: width,
            component: component, isNormalized: accessor.normalized ?? false,
            what: "accessor \(index)")
    }

    /// Checks that `count` elements lie inside their view and the view inside its buffer.
    private func layout(
        view index: Int, offset: Int, count: Int, width: Int, component: Component,
        isNormalized: Bool, what: String
    ) throws(SceneError) -> Layout {
        let range = try bytes(ofView: index)
        let size = width * component.size
        let stride = document.bufferViews?[index].byteStride ?? size
        guard stride >= size, stride <= 1 << 16 else {
            throw malformed("\(what) has the impossible stride \(stride)")
        }
        // Sizes below 2³² × 2¹⁶ can't overflow; the offset is compared, never added first.
        let length = count == 0 ? 0 : (count - 1) * stride + size
        guard offset >= 0, length <= range.range.count, offset <= range.range.count - length else {
            throw malformed("\(what) reaches behind the end of buffer view \(index)")
        }
        return Layout(
            buffer: range.buffer, start: range.range.lowerBound + offset, stride: stride,
            component: component, isNormalized: isNormalized)
    }

    /// The bytes of a buffer view.
    func bytes(ofView index: Int) throws(SceneError) -> (buffer: Int, range: Range<Int>) {
        guard let view = document.bufferViews?.element(at: index) else {
            throw malformed("buffer view \(index) is not there")
        }
        guard let buffer = buffers.element(at: view.buffer) else {
            throw malformed("buffer view \(index) uses buffer \(view.buffer), which is not there")
        }
        let offset = view.byteOffset ?? 0
        guard offset >= 0, view.byteLength >= 0, view.byteLength <= buffer.count,
            offset <= buffer.count - view.byteLength
        else {
            throw malformed("buffer view \(index) reaches behind the end of buffer \(view.buffer)")
        }
        return (view.buffer, offset..<(offset + view.byteLength))
    }

    /// The elements that a sparse accessor replaces, with their positions in ascending order.
    private func overrides(
        of accessor: GLTFDocument.Accessor, _ index: Int, width: Int, component: Component
    ) throws(SceneError) -> (positions: [UInt32], values: Layout)? {
        guard let sparse = accessor.sparse else { return nil }
        let what = "sparse accessor \(index)"
        guard sparse.count >= 0, sparse.count <= accessor.count else {
            throw malformed("\(what) replaces \(sparse.count) of \(accessor.count) elements")
        }
        let indexComponent = try self.component(sparse.indices.componentType, of: what)
        try check(indexComponent, isIndexOf: what)
        let positions = integers(
            try layout(
                view: sparse.indices.bufferView, offset: sparse.indices.byteOffset ?? 0,
                count: sparse.count, width: 1, component: indexComponent, isNormalized: false,
                what: what),
            count: sparse.count)
        for (place, position) in positions.enumerated() {
            let ascends = place == 0 || positions[place - 1] < position
            guard ascends, Int(position) < accessor.count else {
                throw malformed("\(what) has indices that do not ascend or are out of range")
            }
        }
        let values = try layout(
            view: sparse.values.bufferView, offset: sparse.values.byteOffset ?? 0,
            count: sparse.count, width: width, component: component,
            isNormalized: accessor.normalized ?? false, what: what)
        return (positions, values)
    }

    // MARK: - Reading what was checked

    private func integers(_ layout: Layout, count: Int) -> [UInt32] {
        buffers[layout.buffer].withUnsafeBytes { bytes in
            var result: [UInt32] = []
            result.reserveCapacity(count)
            for element in 0..<count {
                let offset = layout.start + element * layout.stride
                switch layout.component {
                case .uint16:
                    let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
                    result.append(UInt32(value))
                case .uint32:
                    result.append(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                default:
                    result.append(UInt32(bytes[offset]))
                }
            }
            return result
        }
    }

    private func fill(
        _ result: inout [Float], from layout: Layout, width: Int, selection: [UInt32]?
    ) {
        let elements = result.count / width
        guard elements > 0 else { return }
        buffers[layout.buffer].withUnsafeBytes { bytes in
            let isPacked = layout.component == .float32 && layout.stride == width * 4
            if isPacked, selection == nil {
                let length = elements * layout.stride
                result.withUnsafeMutableBytes {
                    $0.copyBytes(from: bytes[layout.start..<(layout.start + length)])
                }
                return
            }
            for place in 0..<elements {
                let element = selection.map { Int($0[place]) } ?? place
                let offset = layout.start + element * layout.stride
                for part in 0..<width {
                    result[place * width + part] = Self.number(
                        bytes, at: offset + part * layout.component.size, layout)
                }
            }
        }
    }

    private func copy(
        _ element: Int, of layout: Layout, width: Int, to place: Int, in result: inout [Float]
    ) {
        buffers[layout.buffer].withUnsafeBytes { bytes in
            let offset = layout.start + element * layout.stride
            for part in 0..<width {
                result[place * width + part] = Self.number(
                    bytes, at: offset + part * layout.component.size, layout)
            }
        }
    }

    /// One component; normalised integers as §3.6.2.2 of the specification defines them.
    private static func number(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, _ layout: Layout
    ) -> Float {
        func scaled(_ value: Float, by largest: Float) -> Float {
            layout.isNormalized ? max(value / largest, -1) : value
        }
        switch layout.component {
        case .int8:
            return scaled(Float(Int8(bitPattern: bytes[offset])), by: 127)
        case .uint8:
            return scaled(Float(bytes[offset]), by: 255)
        case .int16:
            let value = bytes.loadUnaligned(fromByteOffset: offset, as: Int16.self)
            return scaled(Float(value), by: 32_767)
        case .uint16:
            let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
            return scaled(Float(value), by: 65_535)
        case .uint32:
            let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return scaled(Float(value), by: 4_294_967_296)
        case .float32:
            return bytes.loadUnaligned(fromByteOffset: offset, as: Float.self)
        }
    }
}

extension Array {
    /// The first position whose element satisfies `belongs`, which all behind it do too.
    func partitionPoint(_ belongs: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
