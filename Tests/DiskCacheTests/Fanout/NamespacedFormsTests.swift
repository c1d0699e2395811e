import Synchronization
import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheCore

/// The forms of a namespaced view for streams and for tasks, and what it hands on to the cache beneath.
@Suite struct NamespacedFormsTests {
    /// A view of a new cache of either kind.
    private func open(_ isFanout: Bool, expire: Expiration? = nil) throws -> (ModelWorld, NamespacedCache) {
        let world = try ModelWorld()
        if isFanout { return (world, NamespacedCache(try world.openFanout(), prefix: "p", expire: expire)) }
        return (world, NamespacedCache(try world.open(), prefix: "p", expire: expire))
    }

    private struct Broken: Error {}

    private struct Pieces: ByteSource, Sendable {
        var left = 40
        var failsAt = -1

        mutating func next(maximum: Int) throws -> [UInt8]? {
            if left == failsAt { throw Broken() }
            if left == 0 { return nil }
            left -= 1
            return [UInt8](repeating: UInt8(left), count: min(maximum, 1000))
        }
    }

    @Test(arguments: [false, true]) func streams(isFanout: Bool) async throws {
        let (world, view) = try open(isFanout, expire: .after(.seconds(100)))
        #expect(try view.set("a", reading: Pieces(), tag: "t"))
        let entry = try #require(try view.entry("a", as: [UInt8].self))
        #expect(entry.value.count == 40_000 && entry.tag == "t" && entry.expires != nil)
        #expect(try view.open("a")?.readAll() == entry.value)
        #expect(try view.withValue("a") { $0.byteCount } == 40_000)
        #expect(try view.open("a", version: 2) == nil && view.withValue("b") { _ in 1 } == nil)
        #expect(try !view.add("a", reading: Pieces()) && view.add("a", reading: Pieces(), version: 2))
        #expect(throws: Broken.self) { try view.set("c", reading: Pieces(failsAt: 3)) }
        #expect(try !view.contains("c"))

        let source = AsyncStream<[UInt8]> { stream in
            for number in 0..<30 { stream.yield([UInt8](repeating: UInt8(number), count: 999)) }
            stream.finish()
        }
        try await view.async.set("d", reading: source, version: 3)
        var count = 0
        let reader = try #require(try await view.async.open("d", version: 3, pieceSize: 5000))
        for try await piece in reader { count += piece.count }
        #expect(count == 29_970)
        #expect(try view.version(3).entry("d", as: [UInt8].self)?.expires != nil)
        #expect(try await view.async.open("d") == nil)
        withExtendedLifetime(world) {}
    }

    @Test(arguments: [false, true]) func tasks(isFanout: Bool) async throws {
        let (world, view) = try open(isFanout)
        let tasks = view.async
        #expect(try await tasks.set("a", 1))
        #expect(try await !tasks.add("a", 2))
        #expect(try await tasks.add("b", 2, tag: "t"))
        #expect(try await tasks.get("a", as: Int.self) == 1 && view.get("a", as: Int.self) == 1)
        #expect(try await tasks.get("a", as: Int.self, version: 2) == nil)
        #expect(try await tasks.get("x", default: 7) == 7)
        #expect(try await tasks.contains("b"))
        #expect(try await tasks.entry("b", as: Int.self)?.tag == "t")
        #expect(try await tasks.setMany((0..<20).map { ($0, $0) }).isEmpty)
        #expect(try await tasks.getMany([3, 30], as: Int.self) == [3: 3])
        #expect(try await tasks.incr("a", by: 4) == 5)
        #expect(try await tasks.decr("a") == 4)
        #expect(try await tasks.update("a", default: 0) { (value: inout Int) in value += 1 } != nil)
        #expect(try await tasks.getOrSet("a") { 0 } == 5)
        #expect(try await tasks.getOrSet("new", expire: .after(.seconds(5))) { "made" } == "made")
        #expect(try await tasks.touch("a", expire: .after(.seconds(50))))
        #expect(try view.entry("a", as: Int.self)?.expires != nil)
        #expect(try await tasks.incrVersion("a") == 2)
        #expect(try await tasks.pop("a", as: Int.self, version: 2) == 5)
        #expect(try await tasks.delete("b"))
        #expect(try await tasks.deleteMany([0, 1, 99]) == 2)
        #expect(try await tasks.run { try $0.contains(2) })
        #expect(try await tasks.removeAll() == 19)
        #expect(try await tasks.clear() == 0)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await tasks.get("a", as: Int.self)
        }
        await expectCancelled { try await task.value }
        withExtendedLifetime(world) {}
    }

    /// Whatever the prefix.
    @Test(arguments: [false, true]) func theCacheBeneath(isFanout: Bool) throws {
        let (world, view) = try open(isFanout)
        let other =
            try (view.base as? FanoutCache).map { NamespacedCache($0, prefix: "other") }
            ?? NamespacedCache(#require(view.base as? Cache), prefix: "other")
        for number in 0..<10 {
            try view.set(number, 1, expire: .after(.seconds(5)))
            try other.set(number, 1, tag: "t")
            try other.set(-1 - number, 1)
        }
        world.clock.add(6_000_000, ordering: .relaxed)
        #expect(try view.removeExpired() == 10)
        #expect(try view.evict(tag: "t") == 10)
        #expect(try view.cull() == 0)
        #expect(try view.evictUntagged() == 10)
        try (view.base as? Cache)?.configure { $0.statistics = true }
        try (view.base as? FanoutCache)?.configure { $0.statistics = true }
        _ = try view.get(1, as: Int.self)
        #expect(try view.statistics.misses == 1)
        try view.resetStatistics()
        #expect(try view.statistics.misses == 0)
    }
}
