// A tile on its way from one stream into the next: it stays packed until it is added to another,
// and shares the memory in which it came.

import MeshCore

/// A packed tile whose bytes were checked as they came, so that it can't fail later.
public struct PackedTile: Sendable {
    /// Pixels of the tile.
    public let pixelCount: Int
    /// Whether it is of an adaptive frame.
    public let isAdaptive: Bool
    private let bytes: ArraySlice<UInt8>

    /// Goes over the bytes once, without unpacking them.
    /// - Throws: ``MalformedBytes`` unless they are a packed tile of so many pixels.
    init(
        checking bytes: ArraySlice<UInt8>, pixelCount: Int, isAdaptive: Bool = false
    ) throws(MalformedBytes) {
        self.bytes = bytes
        self.pixelCount = pixelCount
        self.isAdaptive = isAdaptive
        try withBytes { (bytes) throws(MalformedBytes) in
            try FilmTile.check(packed: bytes, pixelCount: pixelCount, isAdaptive: isAdaptive)
        }
    }

    /// The tile, with another added, which is not changed.
    /// - Precondition: both have the same number of pixels and the same planes.
    public func unpacked(addedTo addend: FilmTile? = nil) -> FilmTile {
        perform { (bytes) throws(MalformedBytes) in
            try FilmTile.unpack(
                filling: bytes, pixelCount: pixelCount, isAdaptive: isAdaptive, addedTo: addend)
        }
    }

    fileprivate func add(to tile: inout FilmTile) {
        precondition(tile.pixelCount == pixelCount && tile.isAdaptive == isAdaptive)
        perform { (bytes) throws(MalformedBytes) in try tile.add(packed: bytes) }
    }

    private func perform<Result>(
        _ body: (UnsafeRawBufferPointer) throws(MalformedBytes) -> Result
    ) -> Result {
        do throws(MalformedBytes) {
            return try withBytes(body)
        } catch {
            preconditionFailure("bytes that were checked: \(error)")
        }
    }

    /// `withUnsafeBytes` would lose the type of what is thrown.
    private func withBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(MalformedBytes) -> Value
    ) throws(MalformedBytes) -> Value {
        let result: Result<Value, MalformedBytes> = bytes.withUnsafeBytes { buffer in
            do throws(MalformedBytes) {
                return .success(try body(buffer))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension FilmTile {
    /// Adds the sums of the same tile over other samples, block by block as they are unpacked.
    /// - Precondition: both have the same number of pixels and the same planes.
    public mutating func add(_ packed: PackedTile) { packed.add(to: &self) }
}
