// What libFuzzer calls. This binary has one target at a time, named by MESHD_FUZZ_TARGET. Built by
// `make fuzz` alone.

import Foundation

/// The target of this process.
private let chosen: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["MESHD_FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: " ")
        let line = "MESHD_FUZZ_TARGET is '\(name)'; it must be one of: \(names)\n"
        FileHandle.standardError.write(Data(line.utf8))
        exit(2)
    }
    return target
}()

/// - Returns: -1 for bytes that no corpus should keep.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    guard bytes.count <= chosen.bytesMax else { return -1 }
    chosen.run(bytes)
    return 0
}

/// libFuzzer's own changes, of bytes in place.
@_extern(c, "LLVMFuzzerMutate")
private func mutateBytes(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ sizeMax: Int) -> Int

/// Called for each input to come: changes bytes in place, which have room for `sizeMax`.
/// - Returns: their new number.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(
    _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ sizeMax: Int, _ seed: UInt32
) -> Int {
    guard chosen.isJSON, seed % 2 == 0 else { return mutateBytes(data, size, sizeMax) }
    var mutation = JSONMutation(seed: UInt64(seed))
    let text = Array(UnsafeBufferPointer(start: data, count: size))
    let changed = mutation.apply(to: text).prefix(sizeMax)
    guard !changed.isEmpty else { return mutateBytes(data, size, sizeMax) }
    for (index, byte) in changed.enumerated() { data[index] = byte }
    return changed.count
}

@_extern(c, "LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// The program's start: the package manager has `main` of an executable mean its module's.
@_cdecl("meshd_fuzz_main")
public func run(
    _ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    var count = count
    var arguments = arguments
    return runDriver(&count, &arguments, testOneInput)
}
