// swift-tools-version: 6.2
import PackageDescription

/// The language settings of every Swift target: Swift 6 mode with the features that make
/// imports and existentials explicit, and no warning left standing.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// Who uses a node's types names all modules that these are made of: the build compiles a module
/// again when one that it names has changed, and only then.
let machines: [Target.Dependency] = ["MeshNode", "Gossip", "WorkStealing", "MeshCore"]

/// What `make fuzz` feeds with bytes, and what `make test` replays the corpora through. They reach
/// into modules, so that only the tests, or else the fuzzer, have them.
let fuzzed: [Target.Dependency] =
    machines + ["MeshWire", "MeshSecurity", "MeshRuntime", "MeshSimulator", "Tracer"]

/// The tracer is written in eight-wide SIMD: AVX2 is its baseline on x86-64.
let vectorised: [SwiftSetting] = strict + [.unsafeFlags(["-Xcc", "-mavx2"])]

let package = Package(
    name: "meshd",
    products: [.executable(name: "meshd", targets: ["meshd"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    ],
    targets: [
        // C libraries: each is imported by one module only.
        .systemLibrary(name: "CLibuv", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(
            name: "CAvahi", pkgConfig: "avahi-client",
            providers: [.apt(["libavahi-client-dev", "libavahi-core-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CIPSecMB", providers: [.apt(["libipsec-mb-dev"])]),
        .systemLibrary(name: "CEmbree", providers: [.apt(["libembree-dev"])]),
        .systemLibrary(
            name: "COpenEXR", pkgConfig: "OpenEXR", providers: [.apt(["libopenexr-dev"])]),
        .systemLibrary(name: "CSpng", pkgConfig: "spng", providers: [.apt(["libspng-dev"])]),
        .systemLibrary(
            name: "CQREncode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
        .systemLibrary(
            name: "CTurboJPEG", pkgConfig: "libturbojpeg",
            providers: [.apt(["libturbojpeg0-dev"])]),
        .target(name: "CTracerSIMD", cSettings: [.unsafeFlags(["-mavx2"])]),

        // The sans-I/O core.
        .target(name: "MeshCore", swiftSettings: strict),
        .target(name: "Gossip", dependencies: ["MeshCore"], swiftSettings: strict),
        .target(name: "WorkStealing", dependencies: ["MeshCore"], swiftSettings: strict),
        .target(
            name: "MeshNode", dependencies: ["Gossip", "WorkStealing", "MeshCore"],
            swiftSettings: strict),
        .target(name: "MeshSimulator", dependencies: machines, swiftSettings: strict),

        // Who belongs to a mesh: keys, join codes, sealing. Knows nothing of the network.
        .target(
            name: "MeshSecurity", dependencies: ["COpenSSL", "CIPSecMB", "MeshCore"],
            swiftSettings: strict),

        // Rendering: knows nothing of the mesh.
        .target(
            name: "Tracer",
            dependencies: [
                "MeshCore", "CEmbree", "COpenEXR", "CSpng", "CTurboJPEG", "CTracerSIMD",
            ],
            swiftSettings: vectorised),

        // The shell.
        .target(
            name: "MeshWire",
            dependencies: machines + [
                .product(name: "SwiftProtobuf", package: "swift-protobuf")
            ],
            exclude: ["mesh.proto"], swiftSettings: strict),
        .target(
            name: "MeshRuntime",
            dependencies: machines + [
                "MeshWire", "MeshSecurity", "Tracer", "CLibuv", "CAvahi", "CZlib",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: vectorised),
        .executableTarget(
            name: "meshd",
            dependencies: machines + [
                "CQREncode", "MeshRuntime", "MeshSecurity", "MeshSimulator", "Tracer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: vectorised),

        .testTarget(name: "MeshCoreTests", dependencies: ["MeshCore"], swiftSettings: strict),
        .testTarget(
            name: "MeshSecurityTests", dependencies: ["MeshSecurity", "MeshCore", "COpenSSL"],
            swiftSettings: strict),
        .testTarget(name: "GossipTests", dependencies: ["Gossip"], swiftSettings: strict),
        .testTarget(
            name: "WorkStealingTests", dependencies: ["WorkStealing"], swiftSettings: strict),
        .testTarget(
            name: "MeshNodeTests", dependencies: machines + ["MeshSimulator", "MeshWire"],
            swiftSettings: strict),
        .testTarget(
            name: "MeshRuntimeTests",
            dependencies: machines + [
                "MeshWire", "MeshRuntime", "MeshSecurity", "Tracer", "ProgramTesting",
            ],
            swiftSettings: vectorised),
        .testTarget(
            name: "TracerTests", dependencies: ["Tracer", "CTracerSIMD"], swiftSettings: vectorised),
        // Tests of the program as a user runs it.
        .target(name: "ProgramTesting", path: "Tests/ProgramTesting", swiftSettings: strict),
        .testTarget(
            name: "CommandLineTests", dependencies: ["meshd", "ProgramTesting"],
            swiftSettings: vectorised),
        .testTarget(
            name: "LabTests", dependencies: ["meshd", "MeshCore", "ProgramTesting"],
            swiftSettings: vectorised),
    ]
)

if Context.environment["MESHD_FUZZ"] == nil {
    package.targets.append(
        .testTarget(
            name: "FuzzCorpusTests", dependencies: fuzzed, path: "Tests/Fuzzing",
            exclude: ["Fuzzer"], swiftSettings: vectorised))
} else {
    // It has no `@main`: its C function `meshd_fuzz_main` hands over to libFuzzer.
    package.targets.append(
        .executableTarget(
            name: "meshd-fuzz", dependencies: fuzzed, path: "Tests/Fuzzing", exclude: ["Corpus"],
            swiftSettings: vectorised + [
                .unsafeFlags(["-parse-as-library"]), .enableExperimentalFeature("Extern"),
            ]))
}
