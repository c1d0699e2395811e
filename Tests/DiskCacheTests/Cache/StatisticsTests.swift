import Testing

@testable import DiskCacheCore

/// Hits, misses and metrics.
@Suite struct StatisticsTests {
    @Test func readsAreCountedWhileAsked() throws {
        let cache = try Cache()
        try cache.set("a", 1)
        _ = try cache.get("a", as: Int.self)
        #expect(try cache.statistics == .init(hits: 0, misses: 0))
        try cache.configure { $0.statistics = true }
        _ = try cache.get("a", as: Int.self)
        _ = try cache["b", as: Int.self]
        _ = try cache.entry("a", as: Int.self)
        _ = try cache.withValue("a") { $0.byteCount }
        try cache.set("gone", 1, expire: .after(.zero))
        _ = try cache.get("gone", as: Int.self)
        try cache.set("file", [UInt8](repeating: 1, count: 50_000))
        _ = try cache.get("file", as: [UInt8].self)
        #expect(try cache.statistics == .init(hits: 4, misses: 2))
        // None of these counts.
        _ = try cache.contains("a")
        _ = try cache.pop("b", as: Int.self)
        try cache.incr("n")
        try cache.delete("a")
        _ = try cache.inspect("file")
        #expect(try cache.statistics == .init(hits: 4, misses: 2))
        try cache.close()
        let other = try Cache(directory: cache.directory)
        _ = try other.get("nothing", as: Int.self)
        #expect(try cache.statistics == .init(hits: 4, misses: 3))
        try cache.configure { $0.statistics = false }
        _ = try other.get("nothing", as: Int.self)
        #expect(try other.statistics == .init(hits: 4, misses: 3))
        try other.resetStatistics()
        #expect(try cache.statistics == .init(hits: 0, misses: 0))
    }

    @Test func threadsLoseNoCount() async throws {
        var configuration = Cache.Configuration()
        configuration.statistics = true
        let cache = try Cache(configuration: configuration)
        try cache.set("a", 1)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for number in 0..<1000 { _ = try cache.get(number % 2 == 0 ? "a" : "b", as: Int.self) }
                }
            }
            try await group.waitForAll()
        }
        #expect(try cache.statistics == .init(hits: 4000, misses: 4000))
    }

    @Test func metricsSayWhatWasDone() throws {
        let cache = try Cache()
        let before = try cache.metrics
        for number in 0..<10 { try cache.set(number, number) }
        try cache.transact {
            try cache.set("a", 1)
            try cache.set("b", 2)
        }
        try cache.sync()
        let after = try cache.metrics
        #expect(after.commits - before.commits == 11)
        #expect(after.bytesWritten > before.bytesWritten + 10 * 32)
        #expect(after.syncs > before.syncs)
        #expect(after.liveBytes > before.liveBytes)
        #expect(after.lockWaits == 0 && after.lockWaitTime == .zero)
    }
}
