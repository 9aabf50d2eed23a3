// How messages follow each other on a stream: 4 bytes of payload length, little-endian, 1 byte of
// kind, the payload. Sans-I/O.

/// One message of a stream.
public struct StreamFrame: Hashable, Sendable {
    /// What the payload is; zero is the preamble's.
    public let kind: UInt8
    public let payload: [UInt8]

    public init(kind: UInt8, payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }

    /// Bytes before the payload.
    static let headerByteCount = 5

    /// Writes what goes before a payload.
    static func writeHeader(
        kind: UInt8, payloadBytes: Int, to memory: UnsafeMutableRawBufferPointer
    ) {
        memory.storeBytes(of: UInt32(payloadBytes).littleEndian, as: UInt32.self)
        memory[4] = kind
    }
}

/// Bytes that are no frame: after them nothing on the stream can be understood.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The header announces more than is allowed at this point.
    case payloadTooLarge(byteCount: Int, max: Int)
    /// The first frame is no preamble.
    case preambleMissing(kind: UInt8)
    /// A second preamble.
    case preambleRepeated
    /// The preamble's payload is too short or begins with something else.
    case preambleMalformed
    /// A later stream of a connection whose opening was answered by something else.
    case welcomeMissing(kind: UInt8)

    public var description: String {
        switch self {
        case .payloadTooLarge(let byteCount, let max):
            "a frame of \(byteCount) bytes, where \(max) are allowed"
        case .preambleMissing(let kind): "a frame of kind \(kind) before the preamble"
        case .preambleRepeated: "a second preamble"
        case .preambleMalformed: "a preamble that is not meshd's"
        case .welcomeMissing(let kind): "a frame of kind \(kind) before it welcomed the stream"
        }
    }
}

/// Cuts a stream of bytes, in whatever pieces they arrive, into frames.
struct FrameDecoder {
    /// The largest payload accepted, bytes; may change between frames.
    var payloadBytesMax: Int
    private var header: (bytes: SIMD8<UInt8>, count: Int) = (.zero, 0)
    private var payload: [UInt8] = []
    /// Memory for a payload is taken as its bytes arrive, beyond this much.
    private static let reservedBytesMax = 1 << 20

    init(payloadBytesMax: Int) { self.payloadBytesMax = payloadBytesMax }

    /// Takes bytes off the front of `input` until a frame is complete.
    /// - Returns: the frame, or nil when `input` is used up.
    /// - Throws: `FrameError.payloadTooLarge`; the decoder is of no use afterwards.
    mutating func next(
        from input: inout UnsafeRawBufferPointer
    ) throws(FrameError) -> StreamFrame? {
        while header.count < StreamFrame.headerByteCount {
            guard let byte = input.first else { return nil }
            header.bytes[header.count] = byte
            header.count += 1
            input = UnsafeRawBufferPointer(rebasing: input.dropFirst())
        }
        let length = (0..<4).reduce(0) { $0 | Int(header.bytes[$1]) << (8 * $1) }
        if payload.isEmpty {
            guard length <= payloadBytesMax else {
                throw .payloadTooLarge(byteCount: length, max: payloadBytesMax)
            }
            payload.reserveCapacity(min(length, Self.reservedBytesMax))
        }
        let taken = min(length - payload.count, input.count)
        payload.append(contentsOf: UnsafeRawBufferPointer(rebasing: input.prefix(taken)))
        input = UnsafeRawBufferPointer(rebasing: input.dropFirst(taken))
        guard payload.count == length else { return nil }
        let frame = StreamFrame(kind: header.bytes[4], payload: payload)
        payload = []
        header = (.zero, 0)
        return frame
    }
}
