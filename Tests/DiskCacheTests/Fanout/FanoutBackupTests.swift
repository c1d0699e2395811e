import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Backups and merges of caches of several shards.
@Suite struct FanoutBackupTests {
    private let site: BackupSite

    init() throws { site = try BackupSite("fanout backups") }

    /// A cache with values in the log and in files, and a queue.
    private func fanout(_ name: String, shards: Int, from first: Int = 0) throws -> FanoutCache {
        var configuration = Cache.Configuration()
        configuration.minFileSize = 2000
        let cache = try FanoutCache(
            directory: site.disk + "/" + name, shards: shards, dropAfter: .seconds(60), configuration: configuration)
        for number in first..<(first + 200) {
            let size = number % 17 == 0 ? 3000 : number
            try cache.set(number, [UInt8](repeating: UInt8(number % 256), count: size), tag: "t")
        }
        try cache.push("job", prefix: "q")
        return cache
    }

    /// Every item with its tag, in the order of keys.
    private func content(_ cache: FanoutCache) throws -> [String] {
        try Array(cache.sortedKeys()).map { key in
            let entry = try cache.entry(key, as: AnyValue.self)
            return "\(key) \(String(describing: entry?.value).hashValue) \(String(describing: entry?.tag))"
        }
    }

    @Test func aBackupIsTheCache() throws {
        let cache = try fanout("cache", shards: 5)
        try cache.cache("named").set("a", 1)
        let content = try content(cache)
        for (place, shares) in [(site.disk, true), (site.disk, false), (site.memory.path, true)] {
            let path = "\(place)/copies/\(shares)"
            let backup = try cache.backup(to: path, shares: shares)
            #expect(try backup.count == cache.count)
            #expect(backup.shards.count == 5 && backup.losses.isEmpty && backup.copiedBytes > 0)
            #expect((backup.sharedBytes > 0) == (shares && place == site.disk))
            let copy = try FanoutCache(directory: path)
            #expect(copy.shardCount == 5)
            #expect(try self.content(copy) == content)
            #expect(try copy.check().isEmpty)
            #expect(try copy.pull(as: String.self, prefix: "q")?.value == "job")
            // What has a name of its own isn't part of it.
            #expect(try copy.cache("named").count == 0)
            // Neither sees what the other writes.
            try copy.set(1, "other", retry: true)
            #expect(try self.content(cache) == content)
            #expect(try BackupSite.leftovers(place + "/copies").isEmpty)
        }
    }

    @Test func whereSomethingStands() throws {
        let cache = try fanout("cache", shards: 2)
        let files = SystemFiles()
        try files.makeDirectory(site.disk + "/empty", in: nil, mode: 0o755)
        try cache.backup(to: site.disk + "/empty")
        for name in ["empty", "cache"] {
            expectError(.targetExists) { try cache.backup(to: site.disk + "/" + name) }
        }
        for name in ["cache/000", "cache/copy", "cache/000/copy", "cache/cache/copy"] {
            expectError(.foreignDirectory) { try cache.backup(to: site.disk + "/" + name) }
        }
        expectError(.inTransaction) { try cache.transact { try cache.backup(to: site.disk + "/inside") } }
        #expect(try BackupSite.leftovers(site.disk).isEmpty)
        #expect(!TestDirectory.filesBelow(site.disk).contains { $0.hasPrefix("inside") })
    }

    /// A backup that was killed at any step opens as nothing, and the next one beside it removes it.
    @Test func whatKilledBackupsLeaveIsRemoved() throws {
        let cache = try fanout("cache", shards: 3)
        let files = SystemFiles()
        try cache.backup(to: site.disk + "/whole")
        func leave(_ name: String, _ removed: [String]) throws {
            // Elsewhere, since it would remove what lies beside it.
            try cache.backup(to: site.disk + "/elsewhere/made")
            let directory = try files.open(site.disk + "/elsewhere/made", in: nil, [.directory])
            for file in removed { try files.unlink(file, in: directory, isDirectory: false) }
            try files.rename("elsewhere/made", to: name, in: files.open(site.disk, in: nil, [.directory]))
        }
        let drafts = (0..<3).map { site.disk + "/.diskcache-backup-000000000000000\($0)" }
        // Whole but for its name; without what says that it is one; in the middle of a shard.
        try leave(".diskcache-backup-0000000000000000", [])
        try leave(".diskcache-backup-0000000000000001", ["fanout"])
        try leave(".diskcache-backup-0000000000000002", ["fanout"])
        try files.rename(
            "002", to: ".diskcache-backup-00000000000000ff", in: files.open(drafts[2], in: nil, [.directory]))
        expectError(.foreignDirectory) { try FanoutCache(directory: drafts[1]) }
        try cache.backup(to: site.disk + "/next")
        #expect(try BackupSite.leftovers(site.disk).isEmpty)
        #expect(try FanoutCache(directory: site.disk + "/next").count == cache.count)
        // Somebody's file in it is nobody else's.
        try leave(".diskcache-backup-0000000000000000", [])
        _ = try files.open(drafts[0] + "/note", in: nil, [.write, .create])
        try cache.backup(to: site.disk + "/last")
        #expect(TestDirectory.filesBelow(drafts[0]) == ["note"])
    }

    // MARK: Merging

    @Test(arguments: [1, 3, 4]) func itemsComeIntoTheirShards(_ shards: Int) throws {
        let source = try fanout("source", shards: 3)
        let target = try fanout("target", shards: shards, from: 100)
        try target.set(150, "newer", retry: true)
        let result = try target.merge(from: source)
        #expect(result.taken == 100 && result.kept == 100 && result.queued == 1)
        #expect(try target.count == 301)
        for number in 0..<300 {
            #expect(try target.contains(number))
            #expect(try number == 150 || target.entry(number, as: AnyValue.self)?.tag == "t")
        }
        #expect(try target.get(150, as: String.self) == "newer")
        #expect(try target.check().isEmpty && source.check().isEmpty)
        let again = try target.merge(from: source.directory, policy: .replace)
        #expect(again.taken == 200)
        #expect(try target.get(150, as: [UInt8].self)?.count == 150)
        // Itself, and its own shard.
        #expect(try target.merge(from: target).taken == 0)
        #expect(try target.merge(from: target.shard(for: 1)).taken == 0)
    }

    @Test func plainCachesAndThoseOfShards() throws {
        let (fanout, plain) = (try fanout("fanout", shards: 3), try Cache(directory: site.disk + "/plain"))
        try plain.set("plain", 1)
        #expect(try fanout.merge(from: plain).taken == 1)
        #expect(try fanout.get("plain", as: Int.self) == 1)
        let result = try plain.merge(from: fanout)
        #expect(result.taken == 200 && result.kept == 1 && result.queued == 1)
        let back = try fanout.merge(from: site.disk + "/plain", policy: .keep)
        #expect(back.kept == 201 && back.taken == 0)
        expectError(.io) { try fanout.merge(from: site.disk + "/nothing") }
        expectError(.inTransaction) { try fanout.transact(for: 1) { try fanout.merge(from: plain) } }
        expectError(.wrongKind) { try fanout.merge(from: Deque<Int>(contents: [1]).store.cache) }
    }
}
