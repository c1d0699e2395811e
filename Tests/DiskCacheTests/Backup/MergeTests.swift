import DiskCacheEngine
import TestSupport
import Testing

@testable import DiskCacheCore

/// `merge(from:)`.
@Suite struct MergeTests {
    /// An empty cache takes everything but what is in queues, in the same order.
    @Test func everythingComes() throws {
        let site = try BackupSite("merges")
        let source = try site.cache(at: site.disk + "/source", items: 1500)
        try source.set("gone soon", 1, expire: .after(.microseconds(1)))
        for place in [site.disk, site.memory.path] {
            let content = try BackupSite.content(source)
            let target = try Cache(directory: place + "/target")
            try target.configure { $0.tagIndex = true }
            let result = try target.merge(from: source)
            var expected = content.items.filter { if case .queue = $0.key { false } else { true } }
            #expect(
                result.taken == expected.count && result.kept == 0 && result.unreadable == 0,
                "seed \(site.seed): \(result) of \(expected.count)")
            #expect(try result.taken + result.queued + result.expired == source.count)
            #expect(result.queued > 0)
            var items = try BackupSite.content(target).items
            // Told in short: whole caches would be shown.
            let isSame = items.elementsEqual(expected) {
                $0.key == $1.key && $0.value == $1.value && $0.tag == $1.tag && $0.expires == $1.expires
            }
            #expect(isSame, "seed \(site.seed)")
            #expect(try target.check().isEmpty)
            // Once more: nothing is newer.
            let again = try target.merge(from: site.disk + "/source")
            #expect(again.taken == 0 && again.kept == result.taken)
            // Written after both began, so its store date comes along.
            try site.write(300, into: source)
            let third = try target.merge(from: source)
            #expect(third.taken > 0)
            items = try BackupSite.content(target).items.filter { if case .queue = $0.key { false } else { true } }
            expected = try BackupSite.content(source).items.filter { if case .queue = $0.key { false } else { true } }
            let found = Dictionary(uniqueKeysWithValues: items.map { ($0.key, $0) })
            for item in expected {
                let isThere = found[item.key].map { $0.value == item.value && $0.storedAt >= item.storedAt } ?? false
                #expect(isThere, "seed \(site.seed), \(item.key)")
            }
            #expect(try target.check().isEmpty)
        }
        #expect(try source.check().isEmpty)
    }

    @Test(arguments: MergePolicy.allCases) func whatBothHave(_ policy: MergePolicy) throws {
        let world = try ModelWorld()
        let a = try world.open()
        let scratch = try TestDirectory("merge")
        let other = try Cache(
            directory: scratch.path + "/other", configuration: Cache.Configuration(), environment: world.environment)
        try a.set("older here", "a")
        try other.set("older there", "b")
        world.now += 1_000_000
        try other.set("older here", "b")
        try a.set("older there", "a")
        try a.set("expired here", "a", expire: .after(.seconds(1)))
        try a.set("only here", "a")
        try other.set("only there", "b", expire: .after(.seconds(900)), tag: 7)
        try other.set("expired here", "b")
        try other.set("expired there", "b", expire: .after(.seconds(1)))
        world.now += 2_000_000
        let result = try a.merge(from: other, policy: policy)
        #expect(try a.get("older here", as: String.self) == (policy == .keep ? "a" : "b"))
        #expect(try a.get("older there", as: String.self) == (policy == .replace ? "b" : "a"))
        #expect(try a.get("expired here", as: String.self) == "b")
        #expect(try a.get("only here", as: String.self) == "a")
        #expect(try a.get("expired there", as: String.self) == nil)
        let entry = try #require(try a.entry("only there", as: String.self))
        #expect(entry.tag == 7 && entry.expires == (Double(world.now) - 2_000_000) / 1_000_000 + 900)
        #expect(entry.storedAt == (Double(world.now) - 2_000_000) / 1_000_000)
        let taken: [MergePolicy: Int] = [.newer: 3, .keep: 2, .replace: 4]
        #expect(result.expired == 1 && result.taken == taken[policy] && result.kept == 4 - result.taken)
        #expect(try a.check().isEmpty)
    }

    /// A value file has a name in both, and goes when the last of the two does without it.
    @Test func valueFiles() throws {
        let site = try BackupSite("merged files")
        let source = try site.cache(at: site.disk + "/source", items: 0)
        let target = try site.cache(at: site.disk + "/target", items: 0)
        let value = site.bytes(50_000)
        try source.set("file", value)
        try source.set("in a record there", site.bytes(1900))
        try source.configure { $0.minFileSize = 4000 }
        try source.set("a file here alone", site.bytes(3000))
        #expect(try target.merge(from: source).taken == 3)
        let path = try #require(try target.entry("file", as: [UInt8].self)?.path)
        #expect(try SystemFiles().status(of: path, in: nil)?.links == 2)
        #expect(try target.entry("a file here alone", as: [UInt8].self)?.path != nil)
        try source.delete("file")
        try source.sync()
        #expect(try target.get("file", as: [UInt8].self) == value)
        #expect(try source.check().isEmpty && target.check().isEmpty)
        // A file that is lost is counted.
        try source.set("file 2", value)
        TestDirectory.remove(try #require(try source.entry("file 2", as: [UInt8].self)?.path))
        let result = try target.merge(from: source, policy: .keep)
        #expect(result.unreadable == 1 && result.kept == 2)
        #expect(try target.check().isEmpty)
    }

    @Test func whatCannotBe() throws {
        let site = try BackupSite("refused merges")
        let cache = try site.cache(at: site.disk + "/cache", items: 20)
        let other = try site.cache(at: site.disk + "/other", items: 20)
        expectError(.io) { try cache.merge(from: site.disk + "/nowhere") }
        #expect(TestDirectory.filesBelow(site.disk + "/nowhere").isEmpty)
        try cache.transact { expectError(.inTransaction) { try cache.merge(from: other) } }
        try other.transact { expectError(.inTransaction) { try cache.merge(from: other) } }
        #expect(try cache.merge(from: cache, policy: .replace).taken == 0)
        var configuration = Cache.Configuration()
        configuration.serializer = Reversed()
        let reversed = try Cache(directory: site.disk + "/reversed", configuration: configuration)
        expectError(.serializerMismatch) { try cache.merge(from: reversed) }
        // More than fits is evicted; what alone is more than fits is counted.
        let small = try Cache(directory: site.disk + "/small")
        try small.configure { $0.sizeLimit = 40_000 }
        let large = try Cache(directory: site.disk + "/large")
        try large.set("too large", site.bytes(60_000))
        try large.set("too large for a record", site.bytes(31_000))
        for number in 0..<100 { try large.set(number, site.bytes(1000)) }
        let result = try small.merge(from: large)
        #expect(result.tooLarge == 2 && result.taken == 100)
        #expect(try small.get(99, as: [UInt8].self) != nil && small.count < 40)
        #expect(try small.check().isEmpty)
    }

    /// Bytes backwards.
    private struct Reversed: Serializer {
        let name = "reversed"
        func encode<T: Encodable>(_ value: T) throws -> [UInt8] { try CBORSerializer().encode(value).reversed() }
        func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
            try Array(bytes.reversed()).withUnsafeBytes { try CBORSerializer().decode(type, from: $0) }
        }
    }
}
