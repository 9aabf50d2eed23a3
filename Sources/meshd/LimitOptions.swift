// What a node may take of its machine.

import ArgumentParser
import MeshRuntime

/// The limits of a node.
struct LimitOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The most disk for scene files. (default: 20G, or a tenth of the disk if less)",
            valueName: "size"))
    var disk: ByteCount?

    @Option(
        help: ArgumentHelp(
            "The most memory that a frame may need; others are refused. (default: half)",
            valueName: "size"))
    var memory: ByteCount?

    func validate() throws {
        guard [disk, memory].allSatisfy({ $0.map { $0 >= .least } ?? true }) else {
            throw ValidationError("--disk and --memory are at least 1M")
        }
    }

    var limits: NodeLimits { NodeLimits(diskBytes: disk?.bytes, memoryBytes: memory?.bytes) }

    /// The options that were given.
    var given: [String] {
        (disk == nil ? [] : ["--disk"]) + (memory == nil ? [] : ["--memory"])
    }
}

/// A number of bytes: `512M`, `1.5G`, in powers of 1,024.
struct ByteCount: ExpressibleByArgument, Comparable {
    var bytes: Int

    static let least = ByteCount(bytes: 1 << 20)

    init(bytes: Int) { self.bytes = bytes }

    init?(argument: String) {
        let units: [Character: Double] = ["K": 0x1p10, "M": 0x1p20, "G": 0x1p30, "T": 0x1p40]
        guard let unit = argument.uppercased().last.flatMap({ units[$0] }),
            let number = Double(argument.dropLast()), number.isFinite, number >= 0
        else { return nil }
        self.init(bytes: Int(min(number * unit, 0x1p60)))
    }

    static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }
}
