// The one place that names Foundation's Data, the type of protobuf's `bytes` fields.

import FoundationEssentials
import SwiftProtobuf

extension SwiftProtobuf.Message {
    /// Bytes as a field of a message holds them.
    static func data(_ bytes: [UInt8]) -> Data { Data(bytes) }
}
