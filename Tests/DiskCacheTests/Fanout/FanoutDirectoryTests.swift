import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// What a directory is, and which names lie in it.
@Suite struct FanoutDirectoryTests {
    let world: ModelWorld
    private let files = SystemFiles()

    init() throws { world = try ModelWorld() }

    private func write(_ path: String, _ bytes: [UInt8]) throws {
        let file = try files.open(path, in: nil, [.write, .create])
        try files.write(file, bytes, at: 0)
        try files.truncate(file, to: bytes.count)
    }

    @Test func theCountIsStored() throws {
        let cache = try world.openFanout(shards: 3)
        try cache.set("key", 1)
        #expect(try world.openFanout().shardCount == 3)
        #expect(try world.openFanout(shards: 3).get("key", as: Int.self) == 1)
        for count in [1, 2, 4, 8, 1000] { expectError(.shardCountMismatch) { try world.openFanout(shards: count) } }
        for count in [0, -1, 1001, Int.max, Int.min] {
            expectError(.invalidSetting) { try world.openFanout(shards: count) }
        }
        #expect(
            try files.list(files.open(world.path, in: nil, [.directory])).sorted() == ["000", "001", "002", "fanout"])
    }

    @Test func aPlainCacheIsNone() throws {
        let plain = try world.open()
        try plain.set("key", 1)
        expectError(.wrongKind) { try world.openFanout() }
        try plain.close()
        expectError(.wrongKind) { try world.openFanout(shards: 8) }
        #expect(try plain.get("key", as: Int.self) == 1)
        #expect(try !files.list(files.open(world.path, in: nil, [.directory])).contains("fanout"))
    }

    @Test func noneIsAPlainCache() throws {
        let cache = try world.openFanout()
        expectError(.wrongKind) { try world.open() }
        try cache.close()
        expectError(.wrongKind) { try Cache(directory: world.path) }
        // Each shard is one, for who wants to look.
        #expect(try Cache(directory: world.path + "/000").count == 0)
    }

    @Test func aForeignDirectoryIsRefused() throws {
        try write(world.path + "/letter", [1])
        expectError(.foreignDirectory) { try world.openFanout() }
        #expect(try files.list(files.open(world.path, in: nil, [.directory])) == ["letter"])
        try files.unlink(world.path + "/letter", in: nil, isDirectory: false)
        // Shards without the file: somebody else's, or the file was removed.
        try files.makeDirectory(world.path + "/000", in: nil, mode: 0o700)
        expectError(.foreignDirectory) { try world.openFanout() }
        try files.unlink(world.path + "/000", in: nil, isDirectory: true)
        // What a process left that died in the making.
        try write(world.path + "/fanout.new", Array(repeating: 1, count: 100))
        #expect(try world.openFanout(shards: 2).shardCount == 2)
        // What comes later is let alone.
        try write(world.path + "/letter", [1])
        #expect(try world.openFanout().shardCount == 2)
        expectError(.insecureDirectory) {
            try files.unlink(world.path + "/fanout", in: nil, isDirectory: false)
            SystemState.makeLink(world.path + "/fanout", to: "/etc/hostname")
            _ = try world.openFanout()
        }
    }

    /// Cut, flipped, longer, of another version, with counts that make no sense: an error, and nothing is made.
    @Test func aHostileFileIsRefused() throws {
        let whole = FanoutFile(count: 8).encoded()
        func opens(_ bytes: [UInt8]) throws -> CacheError.Code? {
            try write(world.path + "/fanout", bytes)
            do {
                _ = try world.openFanout()
                return nil
            } catch let error as CacheError {
                return error.code
            }
        }
        for count in 0..<whole.count { #expect(try opens(Array(whole[..<count])) == .corrupted, "cut at \(count)") }
        for bit in 0..<whole.count * 8 {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try opens(bytes) == .corrupted, "bit \(bit)")
        }
        #expect(try opens(whole + [0]) == .corrupted)
        #expect(try opens(Array(repeating: whole, count: 1000).flatMap(\.self)) == .corrupted)
        for count in [0, 1001, 1 << 31] { #expect(try opens(FanoutFile(count: count).encoded()) == .corrupted) }
        #expect(try opens(resealed { $0[8] = 2 }) == .unsupportedFormat)
        #expect(try opens(resealed { $0[8] = 2 } + [1, 2, 3]) == .unsupportedFormat)
        #expect(try files.list(files.open(world.path, in: nil, [.directory])) == ["fanout"])
        #expect(try opens(whole) == nil)
    }

    private func resealed(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes = FanoutFile(count: 8).encoded()
        change(&bytes)
        let check = bytes[..<16].withUnsafeBytes { XXH64.hash($0, seed: 0) }
        for place in 0..<8 { bytes[16 + place] = UInt8(truncatingIfNeeded: check >> UInt64(8 * place)) }
        return bytes
    }

    /// Eight threads make it at once, with counts of their own: one of them is right, and the others are told.
    @Test func oneMakesIt() throws {
        let counts = ParkingWord(0)
        ThreadTests.run { [world] thread in
            do {
                counts.add(UInt32(try world.openFanout(shards: thread + 1).shardCount) << 8 | 1)
            } catch CacheError.Code.shardCountMismatch {
            }
        }
        #expect(counts.load() & 0xFF == 1)
        #expect(try world.openFanout().shardCount == Int(counts.load() >> 8))
    }

    // MARK: Names

    @Test func aNameIsAlwaysTheSameCache() throws {
        let cache = try world.openFanout()
        let (first, nested) = (try cache.cache("first"), try cache.cache("a/b/c"))
        try first.set("key", 1)
        try nested.set("key", 2)
        #expect(try cache.cache("first") === first && cache.cache("a/b/c") === nested)
        #expect(first.directory == world.path + "/cache/first" && nested.directory == world.path + "/cache/a/b/c")
        #expect(try cache.count == 0)
        // Inside another one, and around it.
        try cache.cache("a").set("key", 3)
        try cache.cache("first/one").set("key", 4)
        #expect(try cache.cache("a/b/c").get("key", as: Int.self) == 2)
        #expect(try cache.clear() == 0 && first.get("key", as: Int.self) == 1)
        // It is a plain cache.
        #expect(try Cache(directory: world.path + "/cache/first").get("key", as: Int.self) == 1)
        let again = try world.openFanout()
        #expect(try again.cache("a").get("key", as: Int.self) == 3)
        #expect(try again.cache("first/one").check().isEmpty && again.cache("first").check().isEmpty)
    }

    @Test func otherArgumentsAreRefused() throws {
        let cache = try world.openFanout()
        var configuration = Cache.Configuration()
        configuration.sizeLimit = 5 << 20
        let own = try cache.cache("own", configuration: configuration)
        #expect(try own.settings.sizeLimit == 5 << 20)
        #expect(try cache.cache("own") === own && cache.cache("own", configuration: configuration) === own)
        configuration.cullLimit = 3
        expectError(.invalidSetting) { try cache.cache("own", configuration: configuration) }
        expectError(.invalidSetting) { try cache.cache("own", configuration: Cache.Configuration()) }
        #expect(try own.settings.cullLimit == 10)
        configuration.cullLimit = nil
        configuration.compaction = .off
        expectError(.invalidSetting) { try cache.cache("own", configuration: configuration) }
        configuration.compaction = nil
        configuration.anyFileSystem = true
        expectError(.invalidSetting) { try cache.cache("own", configuration: configuration) }
        // Of a deque it is what is stored that counts.
        let deque = try cache.deque("own", of: Int.self)
        expectError(.invalidSetting) { try cache.deque("own", of: Int.self, maxLength: 5) }
        try deque.setMaxLength(5)
        #expect(try cache.deque("own", of: Int.self, maxLength: 5) === deque)
    }

    /// Texts that are canonical equivalents are names of different caches.
    @Test func namesAreToldApartByTheirBytes() throws {
        let cache = try world.openFanout(shards: 1)
        let (composed, decomposed) = (try cache.cache("\u{e9}"), try cache.cache("e\u{301}"))
        #expect(composed !== decomposed)
        try composed.set("key", 1)
        #expect(try !decomposed.contains("key"))
    }

    @Test(arguments: [
        "", "/", "/etc", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "a/../../b", "./a", "a\0b", "a/log",
        "a/files/x",
        "a/meta", "a/index.1", "a/locks", String(repeating: "n", count: 256),
    ])
    func aNameThatLeadsElsewhereIsRefused(name: String) throws {
        let cache = try world.openFanout(shards: 1)
        expectError(.nameInvalid) { try cache.cache(name) }
        #expect(try files.list(files.open(world.path, in: nil, [.directory])).sorted() == ["000", "fanout"])
    }

    @Test(arguments: ["a", "log", "é/ü", "...", "a b", "-", "cache/cache", String(repeating: "n", count: 255)])
    func anyOtherNameIsOne(name: String) throws {
        let cache = try world.openFanout(shards: 1)
        try cache.cache(name).set("key", name)
        #expect(try world.openFanout().cache(name).get("key", as: String.self) == name)
    }
}
