import TestSupport
import Testing

@testable import DiskCache

/// The collections for tasks: what waits, what is large, transactions.
@Suite struct AsyncCollectionTests {
    private let scratch: TestDirectory

    init() throws { scratch = try TestDirectory("async-collections") }

    private static let long = Duration.seconds(36_000)

    @Test func deques() async throws {
        let jobs = try DiskCache.Deque<Int>(directory: scratch.path + "/deque")
        let (first, last) = (
            Task { try await jobs.async.popFirst(timeout: Self.long) },
            Task { try await jobs.async.popLast(timeout: Self.long) }
        )
        let pulls = AsyncResources.kept(in: jobs.store.cache.companion).pulls
        try await eventually { pulls.count == 2 }
        try await jobs.async.append(1)
        try jobs.append(2)
        #expect(try await Set([first.value, last.value]) == [1, 2])
        #expect(try await jobs.async.popFirst() == nil)
        try await jobs.async.transact { try jobs.append(contentsOf: [1, 2, 3]) }
        try await jobs.async.prepend(0)
        #expect(try await jobs.async.run { try Array($0.elements()) } == [0, 1, 2, 3])
        let waiting = Task { try await jobs.async.run { try $0.clear() } }
        #expect(try await waiting.value == 4)
    }

    @Test func indexes() async throws {
        let index = try DiskCache.Index<String, Int>(directory: scratch.path + "/index")
        let task = Task { try await index.async.pull(prefix: "q", timeout: Self.long) }
        let pulls = AsyncResources.kept(in: index.store.cache.companion).pulls
        try await eventually { pulls.count == 1 }
        try await index.async.push(5, prefix: "q")
        #expect(try await task.value?.value == 5)
        try await index.async.set("key", 7)
        #expect(try await index.async.get("key") == 7)
        #expect(try await index.async.removeValue(forKey: "key") == 7)
        #expect(try await index.async.get("key") == nil)
    }

    @Test func singleItemsOfFanoutCaches() async throws {
        let cache = try FanoutCache(directory: scratch.path + "/fanout", shards: 4)
        #expect(try await cache.async.add("a", 1))
        #expect(try await !cache.async.add("a", 2))
        #expect(try await cache.async.contains("a"))
        #expect(try await !cache.async.contains("b"))
        #expect(try await cache.async.incr("a", by: 4) == 5)
        #expect(try await cache.async.decr("a") == 4)
        let updated = try await cache.async.update("a", default: 0) { (value: inout Int) -> Int in
            value += 1
            return value
        }
        #expect(updated == 5)
        #expect(try await cache.async.touch("a", expire: .after(.seconds(1000))))
        #expect(try await cache.async.entry("a", as: Int.self)?.value == 5)
        #expect(try await cache.async.pop("a", as: Int.self) == 5)
        #expect(try await !cache.async.delete("a", retry: true))
    }

    /// What takes long, or only reads what is known of the whole.
    @Test func cachesAsAWhole() async throws {
        let cache = try Cache(directory: scratch.path + "/cache")
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 2)
        try await cache.async.configure { $0.statistics = true }
        try await cache.async.set("a", 1)
        try await fanout.async.set("b", 2, retry: true)
        try await fanout.async.set("c", 3, retry: true)
        #expect(try await cache.async.backup(to: scratch.path + "/copy").count == 1)
        let other = try Cache(directory: scratch.path + "/other")
        #expect(try await other.async.merge(from: cache).taken == 1)
        #expect(try await other.async.merge(from: fanout).taken == 2)
        #expect(try await other.async.merge(from: scratch.path + "/copy", policy: .keep).kept == 1)
        #expect(try await other.async.merge(from: fanout.directory, policy: .keep).kept == 2)
        try await other.async.compact()
        #expect(try other.async.count == 3)
        #expect(try await other.async.recovery == nil)
        _ = try await cache.async.get("a", as: Int.self)
        #expect(try await cache.async.settings.statistics)
        #expect(try await cache.async.statistics.hits == 1)
        try await cache.async.resetStatistics()
        #expect(try await cache.async.statistics.hits == 0)
        #expect(try await cache.async.metrics.commits > 0)
    }

    @Test func fanoutCaches() async throws {
        let cache = try FanoutCache(directory: scratch.path + "/fanout", shards: 4)
        #expect(try await cache.async.set("a", 1))
        #expect(try await cache.async.get("a", as: Int.self) == 1)
        let tasks = (0..<6).map { number in
            Task { try await cache.async.pull(as: Int.self, prefix: "q\(number)", timeout: Self.long) }
        }
        try await eventually {
            cache.parts.reduce(0) { $0 + AsyncResources.kept(in: $1.companion).pulls.count } == 6
        }
        for number in 0..<6 { try await cache.async.push(number, prefix: "q\(number)") }
        for (number, task) in tasks.enumerated() { #expect(try await task.value?.value == number) }
        let source = AsyncCacheTests.Pieces(5)
        try await cache.async.set("large", reading: source)
        #expect(try await cache.async.open("large")?.readAll() == source.bytes)
        try await cache.async.transact { transaction in
            transaction["x", default: 0] += 1
            transaction["y", default: 0] -= 1
        }
        try await cache.async.transact(for: "x") { transaction in transaction["x", default: 0] += 1 }
        #expect(try cache.getMany(["x", "y"], as: Int.self) == [2, -1])
    }
}
