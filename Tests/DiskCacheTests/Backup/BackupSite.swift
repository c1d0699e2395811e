import DiskCacheCore
import DiskCacheEngine
import TestSupport

/// A cache with something of everything in it, and places for its backups: on the same file system, and on another.
final class BackupSite {
    let memory: TestDirectory
    /// A directory on the disk.
    let disk: String
    var random: ReplayableRandom
    let seed: UInt64

    init(_ test: String) throws {
        seed = ReplayableRandom.seed(for: test)
        random = ReplayableRandom(seed: seed)
        memory = try TestDirectory("backup")
        disk = "/var/tmp/diskcache-backup-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try SystemFiles().makeDirectory(disk, in: nil, mode: 0o700)
    }

    deinit { TestDirectory.remove(disk) }

    /// A cache in a place with items of all kinds, many of them replaced and removed again.
    func cache(at path: String, items: Int = 600, isCompacted: Bool = true) throws -> Cache {
        var configuration = Cache.Configuration()
        if !isCompacted { configuration.compaction = .off }
        configuration.minFileSize = 2000
        configuration.tagIndex = true
        let cache = try Cache(directory: path, configuration: configuration)
        try write(items, into: cache)
        return cache
    }

    /// Random writes.
    func write(_ count: Int, into cache: Cache) throws {
        for _ in 0..<count {
            let number = Int.random(in: 0..<200, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0: try cache.delete(number)
            case 1: try cache.set("text \(number)", "värde \(number)", tag: .string("t\(number % 3)"))
            case 2: try cache.set([UInt8(number)], Double(number) / 3)
            case 3: try cache.incr("counter \(number % 7)")
            case 4: try cache.push("item \(number)", prefix: number % 2 == 0 ? nil : "q")
            case 5: _ = try cache.pull(as: String.self, prefix: "q")
            case 6: try cache.set("later", number, expire: .after(.seconds(100_000 + number)))
            case 7: try cache.touch(number, expire: .after(.seconds(50_000)))
            case 8: try cache.set("file \(number % 20)", bytes(Int.random(in: 2000..<9000, using: &random)))
            case 9:
                try cache.transact {
                    try cache.set("one", number)
                    try cache.set("two", bytes(2500))
                }
            default: try cache.set(number, bytes(Int.random(in: 0..<900, using: &random)))
            }
        }
    }

    func bytes(_ count: Int) -> [UInt8] {
        let first = UInt8.random(in: 0...255, using: &random)
        return (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) &+ first }
    }

    /// Everything that a cache tells of itself.
    struct Content: Equatable {
        struct Item: Equatable {
            let key: AnyCacheKey
            let value: AnyValue
            let storedAt: Double
            let expires: Double?
            let tag: Tag?
        }
        var items: [Item] = []
        var sorted: [AnyCacheKey] = []
        var tagged: [AnyCacheKey] = []
        var settings: Cache.Settings

        /// As `==`, which a failure would show with everything in it.
        func isSame(as other: Content) -> Bool { self == other }
    }

    static func content(_ cache: Cache) throws -> Content {
        var content = Content(settings: try cache.settings)
        for key in try Array(cache.keys()) {
            guard let entry = try cache.entry(key, as: AnyValue.self) else { continue }
            content.items.append(
                .init(
                    key: key, value: entry.value, storedAt: entry.storedAt, expires: entry.expires, tag: entry.tag))
        }
        content.sorted = try Array(cache.sortedKeys())
        content.tagged = try Array(cache.keys(tag: "t1"))
        return content
    }

    /// The bytes of the segments that nothing is appended to any more, and of the value files.
    static func sealedFiles(_ path: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        let names = TestDirectory.filesBelow(path)
        let newest = names.filter { $0.hasPrefix("log/") }.max()
        for name in names where name != newest && (name.hasSuffix(".seg") || name.hasSuffix(".val")) {
            files[name] = try TestDirectory.content(path + "/" + name)
        }
        return files
    }

    /// The places that hold backups, or what was left of them.
    static func leftovers(_ parent: String) throws -> [String] {
        let directory = try SystemFiles().open(parent, in: nil, [.directory])
        return try SystemFiles().list(directory).filter { $0.hasPrefix(".diskcache-backup-") }
    }
}
