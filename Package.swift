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

let package = Package(
    name: "DiskCache",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "DiskCache", targets: ["DiskCache"]),
        .executable(name: "diskcache", targets: ["DiskCacheTool"]),
    ],
    targets: [
        .target(name: "DiskCacheEngine", swiftSettings: engineSettings),
        .target(name: "DiskCache", dependencies: ["DiskCacheEngine"], swiftSettings: engineSettings),
        .executableTarget(
            name: "DiskCacheTool", dependencies: ["DiskCache", "DiskCacheEngine"], swiftSettings: common),
        .target(
            name: "TestSupport", dependencies: ["DiskCacheEngine"], path: "Tests/TestSupport",
            swiftSettings: engineSettings),
        .executableTarget(
            name: "TestChild", dependencies: ["DiskCache", "DiskCacheEngine", "TestSupport"], path: "Tests/TestChild",
            swiftSettings: engineSettings),
        .testTarget(
            name: "EngineTests", dependencies: ["DiskCacheEngine", "TestSupport", "TestChild"],
            swiftSettings: engineSettings),
        .testTarget(
            name: "MultiprocessTests", dependencies: ["DiskCache", "DiskCacheEngine", "TestSupport", "TestChild"],
            swiftSettings: engineSettings),
        .testTarget(name: "TidyTests", swiftSettings: common),
        .testTarget(
            name: "DiskCacheTests", dependencies: ["DiskCache", "DiskCacheEngine", "TestChild", "DiskCacheTool"],
            swiftSettings: engineSettings),
        .testTarget(
            name: "FormatTests", dependencies: ["DiskCache", "DiskCacheEngine"], exclude: ["Fixtures", "reader.py"],
            swiftSettings: engineSettings),
    ]
)
