import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// A cache with prefixes and versions, upon one of either kind.
@Suite struct NamespacedTests {
    /// A view of a new cache, and the cache.
    private func open(_ isFanout: Bool, prefix: String = "p") throws -> (ModelWorld, NamespacedCache, any PartedCache) {
        let world = try ModelWorld()
        if isFanout {
            let cache = try world.openFanout()
            return (world, NamespacedCache(cache, prefix: prefix), cache)
        }
        let cache = try world.open()
        return (world, NamespacedCache(cache, prefix: prefix), cache)
    }

    private func view(_ cache: any PartedCache, _ prefix: String, version: Int = 1, expire: Expiration? = nil)
        -> NamespacedCache
    {
        if let cache = cache as? FanoutCache {
            return NamespacedCache(cache, prefix: prefix, version: version, expire: expire)
        }
        return NamespacedCache(cache.parts[0], prefix: prefix, version: version, expire: expire)
    }

    @Test(arguments: [false, true])
    func itHasTheVerbs(isFanout: Bool) throws {
        let (_, pages, _) = try open(isFanout)
        #expect(try pages.set("a", 1, tag: "t") && pages.get("a", as: Int.self) == 1)
        #expect(try pages.get("b", default: 5) == 5 && pages.contains("a") && !pages.contains("b"))
        #expect(try !pages.add("a", 2) && pages.add("b", 2))
        #expect(try pages.entry("a", as: Int.self)?.tag == "t")
        #expect(try pages.setMany((0..<50).map { ($0, $0) }).isEmpty)
        #expect(try pages.getMany([1.0, 2.0, 2.5], as: Int.self) == [1.0: 1, 2.0: 2])
        #expect(try pages.deleteMany(40..<60) == 10)
        #expect(try pages.incr("a") == 2 && pages.decr("a", by: 5) == -3 && pages.incr("n", default: 0) == 1)
        expectError(.keyNotFound) { try pages.incr("none") }
        #expect(
            try pages.update("list", default: [Int]()) {
                $0.append(3); return $0.count
            } == 1)
        #expect(try pages.pop("b", as: Int.self) == 2 && pages.delete("a") && !pages.delete("a"))
        #expect(try pages.set("null", Int?.none) && pages.get("null", as: Int?.self) == .some(nil))
        expectError(.keyInvalid) { try pages.set(Double.nan, 1) }
    }

    /// No text of one is another's, whatever characters it has; the cache beneath has keys of its own.
    @Test(arguments: [false, true])
    func prefixVersionAndKeyAreKeptApart(isFanout: Bool) throws {
        let (_, _, cache) = try open(isFanout)
        let keys: [AnyCacheKey] = [
            .null, .int(1), .string("1"), .string(""), .bytes([49]), .encoded([0x81, 1]), .string("1:1"),
        ]
        var number = 0
        var views: [(NamespacedCache, AnyCacheKey)] = []
        for prefix in ["", "1", "1:1", "a", "a:1", "\0", "é", "e\u{301}"] {
            for version in [-1, 0, 1, 11, Int.max] {
                for key in keys { views.append((view(cache, prefix, version: version), key)) }
            }
        }
        for (view, key) in views {
            try view.set(key, number)
            number += 1
        }
        for key in keys { try cache.shard(for: key).set(key, -1) }
        for (index, view) in views.enumerated() { #expect(try view.0.get(view.1, as: Int.self) == index) }
        #expect(try view(cache, "a").get(1.0, as: Int.self) == view(cache, "a").get(1, as: Int.self))
        #expect(try view(cache, "a", version: 0).removeAll(version: 11) == keys.count)
        #expect(try view(cache, "1").removeAll() == 5 * keys.count)
        #expect(
            try view(cache, "1").contains(1) == false && view(cache, "1:1").contains(1) && view(cache, "").contains(1))
        #expect(try view(cache, "a", version: 11).contains(1) == false && view(cache, "a", version: 1).contains(1))
        let left = try cache.parts.reduce(0) { $0 + (try $1.count) }
        #expect(left == views.count - 6 * keys.count + keys.count)
        #expect(try view(cache, "a").clear() == left)
    }

    @Test(arguments: [false, true])
    func expiryIsThatOfTheView(isFanout: Bool) throws {
        let (world, _, cache) = try open(isFanout)
        let pages = view(cache, "p", expire: .after(.seconds(10)))
        func seconds(_ key: String) throws -> Double? {
            try pages.entry(key, as: Int.self)?.expires.map { ($0 - Double(world.now) / 1e6).rounded() }
        }
        try pages.set("a", 1)
        try pages.set("b", 1, expire: .never)
        try pages.set("c", 1, expire: .after(.seconds(3)))
        try pages.set("d", 1, expire: .after(.zero))
        try pages.setMany([("e", 1)])
        _ = try pages.getOrSet("f") { 1 }
        try pages.update("g", default: 0) { $0 += 1 }
        try pages.update("b", default: 0) { $0 += 1 }
        #expect(try ["a", "b", "c", "d", "e", "f", "g"].map(seconds) == [10, nil, 3, nil, 10, 10, 10])
        #expect(
            try !pages.contains("d") && pages.touch("b") && pages.touch("c", expire: .never) && !pages.touch("none"))
        #expect(try ["b", "c"].map(seconds) == [10, nil])
        world.now += 10_000_000
        #expect(try !pages.contains("a") && pages.contains("c"))
    }

    @Test(arguments: [false, true])
    func anItemGoesToAnotherVersion(isFanout: Bool) throws {
        let (_, pages, cache) = try open(isFanout)
        for number in 0..<20 {
            try pages.set(number, "value \(number)", expire: .at(secondsSinceEpoch: 2_000_000_000.123456), tag: "t")
            try pages.set(number, "old", version: 2)
            #expect(try pages.incrVersion(number) == 2)
            #expect(try !pages.contains(number))
            let entry = try pages.version(2).entry(number, as: String.self)
            #expect(entry?.value == "value \(number)" && entry?.tag == "t")
            #expect(abs((entry?.expires ?? 0) - 2_000_000_000.123456) < 2e-6)
            #expect(try pages.decrVersion(number, by: 5, version: 2) == -3)
            #expect(try pages.get(number, as: String.self, version: -3) == "value \(number)")
            #expect(try pages.incrVersion(number, by: 0, version: -3) == -3)
            #expect(try pages.contains(number, version: -3))
        }
        try pages.set("file", [UInt8](repeating: 9, count: 100_000))
        try pages.incrVersion("file")
        #expect(try pages.get("file", as: [UInt8].self, version: 2)?.count == 100_000)
        expectError(.keyNotFound) { try pages.incrVersion("none") }
        expectError(.overflow) { try pages.incrVersion("file", by: 1, version: .max) }
        expectError(.overflow) { try pages.decrVersion("file", by: .min) }
        #expect(try cache.parts.reduce(0) { $0 + (try $1.count) } == 21)
    }

    /// Eight threads ask for what isn't there: it is computed once, and all get it.
    @Test(arguments: [false, true])
    func aMissIsComputedOnce(isFanout: Bool) throws {
        let (_, pages, _) = try open(isFanout)
        for round in 0..<20 {
            let computed = ParkingWord(0)
            ThreadTests.run { thread in
                let value = try pages.getOrSet(round, tag: "t") {
                    computed.add(1)
                    SystemCalls.yieldThread()
                    return thread
                }
                #expect(try pages.get(round, as: Int.self) == value)
            }
            #expect(computed.load() == 1)
        }
        struct Stop: Error {}
        #expect(throws: Stop.self) { try pages.getOrSet("k", as: Int.self) { throw Stop() } }
        #expect(try pages.getOrSet("k", as: Int?.self) { nil } == .none)
        #expect(try pages.getOrSet("k", as: Int?.self) { 5 } == .none)
    }

    /// Inside a transaction of one shard another one's lock would be waited for in any order.
    @Test func noOtherShardIsWaitedForInsideATransaction() throws {
        let (_, pages, cache) = try open(true)
        func shard(_ key: Int, _ version: Int) throws -> Cache {
            let namespace = NamespacedKey.namespace("p", version)
            return try cache.shard(for: NamespacedKey(key, in: namespace))
        }
        let own = try shard(0, 1)
        let other = try #require(try (1..<100).first { try shard($0, 1) !== own })
        let same = try #require(try (1..<100).first { try shard($0, 1) === own })
        let moved = try #require(try (2..<100).first { try shard(0, $0) !== own })
        let value = try pages.getOrSet(0) {
            expectError(.inTransaction) { try pages.getOrSet(other) { 1 } }
            return try pages.getOrSet(same) { 2 }
        }
        #expect(try value == 2 && pages.get(same, as: Int.self) == 2 && !pages.contains(other))
        try own.transact { expectError(.inTransaction) { try pages.incrVersion(0, by: moved - 1) } }
        #expect(try pages.contains(0))
        // With all locks there is no order to lose.
        try (cache as? FanoutCache)?.transact {
            #expect(try pages.getOrSet(0) { try pages.getOrSet(other) { 1 } } == 2)
            #expect(try pages.getOrSet(-1) { try pages.getOrSet(other) { 3 } } == 3)
            try pages.incrVersion(0, by: moved - 1)
        }
        #expect(try pages.contains(0, version: moved) && pages.get(other, as: Int.self) == 3)
    }

    /// Readers of both versions, while an item goes back and forth, always find it in one of them, or met it on its way.
    @Test func versionsAreNeverBothGone() throws {
        let (_, pages, _) = try open(true)
        try pages.set("key", 1)
        let isDone = ParkingWord(0)
        ThreadTests.run { thread in
            if thread > 1 {
                while isDone.load() == 0 {
                    // Read in turns: one that went by while its neighbour was read is there at the second look, or has moved again.
                    let found = try (0..<50).contains { _ in
                        try pages.contains("key", version: 1) || pages.contains("key", version: 2)
                    }
                    if !found { Issue.record("the item is gone") }
                }
            } else if thread == 0 {
                for _ in 0..<200 {
                    try pages.incrVersion("key")
                    try pages.decrVersion("key", version: 2)
                }
                isDone.add(1)
            }
        }
        #expect(try pages.get("key", as: Int.self) == 1)
    }

    @Test func writesAreDroppedIfAskedFor() throws {
        let world = try ModelWorld()
        let cache = try world.openFanout(shards: 1, dropAfter: .milliseconds(1), timeout: .milliseconds(20))
        let (patient, hasty) = (NamespacedCache(cache), NamespacedCache(cache, retry: false))
        let holder = try LockHolder(cache.parts[0])
        defer { holder.release() }
        #expect(try !hasty.set("k", 1) && hasty.incr("k", default: 0) == nil && !hasty.touch("k"))
        #expect(try hasty.setMany([("a", 1), ("b", 1)]) == ["a", "b"])
        #expect(cache.droppedWrites == 5)
        expectError(.timeout) { try patient.set("k", 1) }
        expectError(.timeout) { try hasty.getOrSet("k") { 1 } }
        expectError(.timeout) { try hasty.incrVersion("k") }
        #expect(cache.droppedWrites == 5)
    }
}
