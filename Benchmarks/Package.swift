// swift-tools-version: 6.2
import PackageDescription

let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// The peers are a package of their own, Peers, which uses the two libraries.
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "bench", targets: ["bench"]),
        .library(name: "Harness", targets: ["Harness"]),
        .library(name: "Driver", targets: ["Driver"]),
    ],
    dependencies: [.package(name: "DiskCache", path: "..")],
    targets: [
        .target(name: "Harness", swiftSettings: common),
        .target(
            name: "Driver", dependencies: ["Harness", .product(name: "DiskCache", package: "DiskCache")],
            // The engines' own state is reached without the check for overlapping accesses, as a caller's local variables are.
            swiftSettings: common + [.unsafeFlags(["-enforce-exclusivity=unchecked"])]),
        .executableTarget(name: "bench", dependencies: ["Driver"], swiftSettings: common),
        .testTarget(name: "HarnessTests", dependencies: ["Harness", "Driver"], swiftSettings: common),
    ]
)
