import DiskCacheEngine
import TestSupport
import Testing

@testable import DiskCacheCore

/// Directories: what may be one, and what `close` says of what was written there.
@Suite struct DirectoryTests {
    private let scratch: TestDirectory

    init() throws { scratch = try TestDirectory("directories") }

    /// Another process is syncing for longer than `close` waits: nothing is lost, and it says that nothing is certain.
    @Test func aLateSyncIsThrownByClose() throws {
        var configuration = Cache.Configuration()
        configuration.syncInterval = .seconds(3600)
        let cache = try Cache(directory: scratch.path + "/cache", configuration: configuration)
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 2, configuration: configuration)
        let index = try Index<String, Int>(directory: scratch.path + "/index", configuration: configuration)
        let named = try fanout.cache("named")
        try cache.set("key", 1)
        for key in 0..<10 { try fanout.set(key, 1, retry: true) }
        try index.set("key", 1)
        try named.set("key", 1)
        let files = SystemFiles()
        var held: [FileDescriptor] = []
        for place in ["cache", "fanout/000", "index"] {
            held.append(try files.open(scratch.path + "/" + place + "/sync", in: nil, [.write, .create]))
            #expect(try files.lock(held[held.count - 1], .exclusive))
        }
        expectError(.timeout) { try cache.close() }
        expectError(.timeout) { try fanout.close() }
        expectError(.timeout) { try index.close() }
        for file in held { _ = try files.lock(file, .unlock) }
        // What comes after the one that failed was closed too, and everything opens again.
        for directory in [named.directory, cache.directory, fanout.directory + "/001"] {
            let file = try files.open(directory + "/open", in: nil, [.write])
            #expect(try files.lock(file, .exclusive), "\(directory)")
        }
        #expect(try cache.get("key", as: Int.self) == 1 && fanout.count == 10 && index.count == 1)
        try cache.close()
        try fanout.close()
        try index.close()
    }

    @Test func pathsThatTheSystemWouldReadOtherwise() throws {
        let cache = try Cache(directory: scratch.path + "/cache")
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 2)
        for path in ["", scratch.path + "/cut\0off"] {
            expectError(.nameInvalid) { try Cache(directory: path) }
            expectError(.nameInvalid) { try FanoutCache(directory: path) }
            expectError(.nameInvalid) { try Deque<Int>(directory: path) }
            expectError(.nameInvalid) { try Index<Int, Int>(directory: path) }
            expectError(.nameInvalid) { try cache.backup(to: path) }
            expectError(.nameInvalid) { try fanout.backup(to: path) }
            expectError(.nameInvalid) { try cache.merge(from: path) }
            expectError(.nameInvalid) { try fanout.merge(from: path) }
        }
        #expect(try SystemFiles().status(of: scratch.path + "/cut", in: nil) == nil)
    }

    @Test func aDirectoryOfShardsIsMergedByItsPath() throws {
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 3)
        for key in 0..<50 { try fanout.set(key, key * 2, retry: true) }
        let cache = try Cache(directory: scratch.path + "/cache")
        #expect(try cache.merge(from: fanout.directory).taken == 50)
        #expect(try (0..<50).allSatisfy { try cache.get($0, as: Int.self) == $0 * 2 })
        expectError(.io) { try cache.merge(from: scratch.path + "/nowhere") }
    }

    @Test func durationsOfAnySize() throws {
        #expect(Duration.seconds(Int64.min).clampedNanoseconds == 0)
        #expect((Duration.seconds(Int64.min) * 10).clampedNanoseconds == 0)
        #expect(Duration.zero.clampedNanoseconds == 0 && Duration.nanoseconds(-1).clampedNanoseconds == 0)
        #expect(Duration.nanoseconds(1).clampedNanoseconds == 1)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: 1_000_000_001).clampedNanoseconds == 2)
        #expect(Duration.milliseconds(1500).clampedNanoseconds == 1_500_000_000)
        #expect(Duration.seconds(8_999_999_999).clampedNanoseconds == 8_999_999_999_000_000_000)
        #expect((Duration.seconds(Int64.max) * 10).clampedNanoseconds == UInt64(Int64.max))
    }

    /// What is refused says what it is, and what it may be.
    @Test func settingsAreRefusedInWords() throws {
        let cache = try Cache(directory: scratch.path + "/cache")
        let index = try Index<String, Int>(directory: scratch.path + "/index")
        func refusal(_ cache: Cache, _ change: (inout Cache.Settings) -> Void) -> String? {
            let error = #expect(throws: CacheError.self) { try cache.configure(change) }
            #expect(error?.code == .invalidSetting && error?.path == cache.directory)
            return error?.message
        }
        #expect(refusal(cache) { $0.sizeLimit = -5 } == "sizeLimit is -5 bytes; it can't be negative")
        #expect(refusal(cache) { $0.cullLimit = -1 } == "cullLimit is -1; it can't be negative")
        #expect(
            refusal(cache) { $0.minFileSize = 1 << 25 }
                == "minFileSize is 33554432 bytes; it must be from 0 to 16777216")
        #expect(
            refusal(cache) { $0.compaction = .whenDead(percent: 91) }
                == "compaction is 91 percent; it must be from 1 to 90, or 0 for never")
        #expect(
            refusal(cache) { $0.syncInterval = .zero } == "syncInterval is 0 microseconds; it must be 1 at least")
        #expect(
            refusal(cache) { $0.defaultExpire = .seconds(-1) }
                == "defaultExpire is -1000000 microseconds; it can't be negative")
        #expect(
            refusal(index.store.cache) { $0.evictionPolicy = .leastRecentlyUsed }
                == "evictionPolicy is leastRecentlyUsed; an index gives up nothing by itself, so it must be none")
        #expect(
            refusal(index.store.cache) { $0.cullLimit = 3 }
                == "cullLimit is 3; an index gives up nothing by itself, so it must be 0")
    }

    /// A number that is there, but beyond what is counted with.
    @Test func unsignedNumbersAreNoCounters() throws {
        let cache = try Cache(directory: scratch.path + "/cache")
        try cache.set("key", UInt64.max)
        expectError(.overflow) { try cache.incr("key") }
        expectError(.overflow) { try cache.decr("key", by: 0.5) }
        #expect(try cache.get("key", as: UInt64.self) == .max)
        try cache.set("key", UInt64(Int64.max))
        #expect(try cache.decr("key") == .max - 1)
    }

    @Test func whatTheSystemSaysIsSaidInWords() throws {
        let error = #expect(throws: CacheError.self) {
            try Cache(directory: scratch.path + "/" + String(repeating: "n", count: 300))
        }
        #expect(error?.code == .io && error?.message.contains("longer than the file system allows") == true)
    }

    @Test func piecesAreOneByteAtLeast() throws {
        let cache = try Cache(directory: scratch.path + "/cache")
        for count in [3, 100_000] {
            try cache.set("key", [UInt8](repeating: 7, count: count))
            for maximum in [0, -1, .min] {
                let reader = try #require(try cache.open("key"))
                #expect(try reader.next(maximum: maximum) == [7])
                #expect(try reader.readAll().count == count - 1)
            }
        }
    }
}
