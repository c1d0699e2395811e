// swift-tools-version: 6.2
import PackageDescription

let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// The driver and its workloads with everything that this engine is compared with; ../setup installs what this needs.
let package = Package(
    name: "Peers",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "bench-peers", targets: ["bench-peers"])],
    dependencies: [
        .package(name: "Benchmarks", path: ".."),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .systemLibrary(
            name: "CRocksDB", pkgConfig: "rocksdb", providers: [.apt(["librocksdb-dev"]), .brew(["rocksdb"])]),
        .systemLibrary(name: "CLevelDB", providers: [.apt(["libleveldb-dev"]), .brew(["leveldb"])]),
        .systemLibrary(name: "CTkrzw", providers: [.apt(["libtkrzw-dev"])]),
        .executableTarget(
            name: "bench-peers",
            dependencies: [
                "CLMDB", "CSQLite", "CRocksDB", "CLevelDB", "CTkrzw",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Harness", package: "Benchmarks"),
                .product(name: "Driver", package: "Benchmarks"),
            ], swiftSettings: common),
    ]
)
