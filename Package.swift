// swift-tools-version: 6.2
import PackageDescription

let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Fault points and step points exist in debug builds alone: a release build holds no trace of them.
let engineSettings: [SwiftSetting] = common + [.define("FAILPOINTS", .when(configuration: .debug))]

/// Functions of the same code are one, and there are no tables for C++ exceptions: see NoUnwinding.ld.
let smallBinary: LinkerSetting = .unsafeFlags(
    [
        "-use-ld=lld", "-Xlinker", "--icf=all", "-Xlinker", "--no-eh-frame-hdr", "-Xlinker", "-T", "-Xlinker",
        Context.packageDirectory + "/Sources/DiskCacheTool/NoUnwinding.ld",
    ], .when(platforms: [.linux], configuration: .release))

let package = Package(
    name: "DiskCache",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "DiskCache", targets: ["DiskCache"]),
        .executable(name: "diskcache", targets: ["DiskCacheTool"]),
    ],
    targets: [
        .target(name: "DiskCacheEngine", swiftSettings: engineSettings),
        .target(name: "DiskCacheCore", dependencies: ["DiskCacheEngine"], swiftSettings: engineSettings),
        .target(name: "DiskCache", dependencies: ["DiskCacheCore", "DiskCacheEngine"], swiftSettings: engineSettings),
        // Without `DiskCache`: the tool needs no concurrency runtime, half a megabyte of a static binary.
        .executableTarget(
            name: "DiskCacheTool", dependencies: ["DiskCacheCore", "DiskCacheEngine"], exclude: ["NoUnwinding.ld"],
            swiftSettings: common, linkerSettings: [smallBinary]),
        .target(
            name: "TestSupport", dependencies: ["DiskCacheEngine"], path: "Tests/TestSupport",
            swiftSettings: engineSettings),
        .executableTarget(
            name: "TestChild", dependencies: ["DiskCache", "DiskCacheCore", "DiskCacheEngine", "TestSupport"],
            path: "Tests/TestChild",
            swiftSettings: engineSettings),
        .testTarget(
            name: "EngineTests", dependencies: ["DiskCacheEngine", "TestSupport", "TestChild"],
            swiftSettings: engineSettings),
        .testTarget(
            name: "MultiprocessTests",
            dependencies: ["DiskCache", "DiskCacheCore", "DiskCacheEngine", "TestSupport", "TestChild"],
            swiftSettings: engineSettings),
        .testTarget(name: "TidyTests", swiftSettings: common),
        .testTarget(
            name: "DiskCacheTests",
            dependencies: [
                "DiskCache", "DiskCacheCore", "DiskCacheEngine", "TestSupport", "TestChild", "DiskCacheTool",
            ],
            swiftSettings: engineSettings),
        .testTarget(
            name: "FormatTests", dependencies: ["DiskCache", "DiskCacheCore", "DiskCacheEngine"],
            exclude: ["Fixtures", "reader.py"],
            swiftSettings: engineSettings),
    ]
)
