// swift-tools-version: 6.2
import PackageDescription

let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "bench", targets: ["Bench"])],
    dependencies: [.package(name: "DiskCache", path: "..")],
    targets: [
        .target(name: "Workloads", swiftSettings: common),
        .systemLibrary(
            name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .target(name: "Compare", dependencies: ["Workloads", "CLMDB", "CSQLite"], swiftSettings: common),
        .executableTarget(
            name: "Bench",
            dependencies: ["Workloads", "Compare", .product(name: "DiskCache", package: "DiskCache")],
            // The engines' own state is reached without the check for overlapping accesses, as a caller's local variables are.
            swiftSettings: common + [.unsafeFlags(["-enforce-exclusivity=unchecked"])]),
        .testTarget(name: "WorkloadsTests", dependencies: ["Workloads"], swiftSettings: common),
    ]
)
